/*
 * compat.h: the one place that knows differences between PostgreSQL 15, 16, 17 and 18. Every file of the shell
 * includes it through mm.h; no other file tests PG_VERSION_NUM.
 */
#ifndef MM_COMPAT_H
#define MM_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "model_mgr needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "datatype/timestamp.h"
#include "executor/executor.h"
#include "pgtime.h"
#include "storage/proc.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/tuplesort.h"

/* Values of settings and their extras are the server's to free: by free() until 15, in its own context since 16. */
static inline void *
compat_guc_malloc(size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

static inline void
compat_guc_free(void *pointer)
{
#if PG_VERSION_NUM >= 160000
	guc_free(pointer);
#else
	free(pointer);
#endif
}

/* DecodeDateTime took an extra argument in 16. */
static inline int
compat_decode_datetime(char **field, int *ftype, int nf, int *dtype, struct pg_tm *tm, fsec_t *fsec, int *tz)
{
#if PG_VERSION_NUM >= 160000
	DateTimeErrorExtra extra;

	return DecodeDateTime(field, ftype, nf, dtype, tm, fsec, tz, &extra);
#else
	return DecodeDateTime(field, ftype, nf, dtype, tm, fsec, tz);
#endif
}

/* ExecInsertIndexTuples learnt to make entries of summarising indexes only in 16. */
static inline List *
compat_insert_index_tuples(ResultRelInfo *result, TupleTableSlot *slot, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	return ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL, false);
#else
	return ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL);
#endif
}

/* A backend's transaction number moved in 17. */
static inline LocalTransactionId
compat_lxid(const PGPROC *process)
{
#if PG_VERSION_NUM >= 170000
	return process->vxid.lxid;
#else
	return process->lxid;
#endif
}

/* A lock that this session holds already, once more for the transaction; where the session counts it. LockAcquire's
 * long form took an extra argument in 18. */
static inline LOCALLOCK *
compat_lock_again(const LOCKTAG *tag, LOCKMODE mode)
{
	LOCALLOCK *lock;

#if PG_VERSION_NUM >= 180000
	(void) LockAcquireExtended(tag, mode, false, true, true, &lock, false);
#else
	(void) LockAcquireExtended(tag, mode, false, true, true, &lock);
#endif
	return lock;
}

/* tuplesort_getdatum can leave the copying out since 16. */
static inline bool
compat_tuplesort_getdatum(Tuplesortstate *state, Datum *value, bool *isnull)
{
#if PG_VERSION_NUM >= 160000
	return tuplesort_getdatum(state, true, false, value, isnull, NULL);
#else
	return tuplesort_getdatum(state, true, value, isnull, NULL);
#endif
}

#include "access/genam.h"

/* Index scans are instrumented since 18. */
static inline IndexScanDesc
compat_index_beginscan_bitmap(Relation index, Snapshot snapshot, int keys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan_bitmap(index, snapshot, NULL, keys);
#else
	return index_beginscan_bitmap(index, snapshot, keys);
#endif
}

static inline IndexScanDesc
compat_index_beginscan(Relation table, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(table, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(table, index, snapshot, nkeys, 0);
#endif
}

/* rd_firstRelfilenodeSubid has another name since 16. */
#if PG_VERSION_NUM >= 160000
#define compat_storage_subid(relation) ((relation)->rd_firstRelfilelocatorSubid)
#else
#define compat_storage_subid(relation) ((relation)->rd_firstRelfilenodeSubid)
#endif

#include "access/attmap.h"

/* build_attrmap_by_name_if_req may ignore missing columns since 16; here a missing one is an error, as it was. */
static inline AttrMap *
compat_attrmap_by_name(TupleDesc in, TupleDesc out)
{
#if PG_VERSION_NUM >= 160000
	return build_attrmap_by_name_if_req(in, out, false);
#else
	return build_attrmap_by_name_if_req(in, out);
#endif
}

#endif

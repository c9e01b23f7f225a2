/*
 * routing_store.c: the only writer of routing, routing_history and routing_pin. Each change raises the model's revision
 * and leaves a copy in the history, so that "who served this unit then" has one answer for ever. Between mm_enter and
 * mm_leave; whoever calls holds mm_lock_model.
 */
#include "pg/routing_store.h"

#include "commands/trigger.h"
#include "utils/inval.h"

#include "pg/query.h"

/* append_history: the row as it is now. */
static void
append_history(int64 model_id)
{
	static query append =
		QUERY("INSERT INTO model_mgr.routing_history (model_id, revision, changed_at, stable_version_id,"
			  " stable_version, deployment_id, step, candidate_version_id, candidate_version, candidate_weight,"
			  " bucket_key, bucket_rule, segments)"
			  " SELECT model_id, revision, changed_at, stable_version_id, stable_version, deployment_id, step,"
			  " candidate_version_id, candidate_version, candidate_weight, bucket_key, bucket_rule, segments"
			  " FROM model_mgr.routing WHERE model_id = $1",
			  INT8OID);

	query_run(&append, int64_arg(model_id));
}

/* routing_changed: ensures that exactly one row was written, appends it to the history, returns its revision. */
int64
routing_changed(int64 model_id, uint64 rows)
{
	int64 revision;

	if (rows != 1)
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("model " INT64_FORMAT " has no routing row", model_id),
				errdetail("Every model has exactly one row in model_mgr.routing."),
				errhint("Restore model_mgr.routing from a dump."));
	revision = query_int64(0, 0);
	append_history(model_id);
	return revision;
}

void
routing_create(int64 model_id, const char *model_name)
{
	static query create = QUERY("INSERT INTO model_mgr.routing (model_name, model_id, revision, changed_at, salt)"
								" VALUES ($2, $1, 1, $3,"
								" pg_catalog.replace(pg_catalog.gen_random_uuid()::pg_catalog.text, '-', ''))"
								" RETURNING revision",
								INT8OID, TEXTOID, TIMESTAMPTZOID);

	routing_changed(model_id, query_run(&create, int64_arg(model_id), text_arg(model_name), time_arg(mm_now())));
}

void
routing_set(const routing_change *change)
{
	static query set =
		QUERY("UPDATE model_mgr.routing SET revision = revision + 1, changed_at = $2, stable_version_id = $3,"
			  " stable_version = (SELECT v.version FROM model_mgr.model_version v WHERE v.version_id = $3),"
			  " deployment_id = $4, step = $5, candidate_version_id = $6,"
			  " candidate_version = (SELECT v.version FROM model_mgr.model_version v WHERE v.version_id = $6),"
			  " candidate_weight = $7, bucket_key = $8, watched = $9 WHERE model_id = $1 RETURNING revision",
			  INT8OID, TIMESTAMPTZOID, INT8OID, INT8OID, INT4OID, INT8OID, INT4OID, TEXTOID, BOOLOID);

	if (change->candidate_weight < 0 || change->candidate_weight > BUCKET_TOTAL ||
		(change->candidate_version_id == 0 && change->candidate_weight != 0) ||
		(change->candidate_version_id != 0 && change->bucket_key == NULL))
		elog(ERROR, "routing change of model " INT64_FORMAT " does not fit together", change->model_id);
	routing_changed(
		change->model_id,
		query_run(&set, int64_arg(change->model_id), time_arg(mm_now()),
				  change->stable_version_id ? int64_arg(change->stable_version_id) : null_arg(),
				  change->deployment_id ? int64_arg(change->deployment_id) : null_arg(), int32_arg(change->step),
				  change->candidate_version_id ? int64_arg(change->candidate_version_id) : null_arg(),
				  int32_arg(change->candidate_weight), text_arg(change->bucket_key), bool_arg(change->watched)));
}

bool
routing_get(int64 model_id, routing_change *out)
{
	static query get = QUERY("SELECT stable_version_id, deployment_id, step, candidate_version_id, candidate_weight,"
							 " bucket_key, watched FROM model_mgr.routing WHERE model_id = $1",
							 INT8OID);

	if (query_run(&get, int64_arg(model_id)) == 0)
		return false;
	*out = (routing_change){
		.model_id = model_id,
		.stable_version_id = query_int64(0, 0),
		.deployment_id = query_int64(0, 1),
		.step = query_int32(0, 2),
		.candidate_version_id = query_int64(0, 3),
		.candidate_weight = query_int32(0, 4),
		.bucket_key = query_text(0, 5),
		.watched = query_bool(0, 6),
	};
	return true;
}

char *
routing_salt(int64 model_id)
{
	static query get = QUERY("SELECT salt FROM model_mgr.routing WHERE model_id = $1", INT8OID);

	if (query_run(&get, int64_arg(model_id)) == 0)
		elog(ERROR, "model " INT64_FORMAT " has no routing row", model_id);
	return query_text(0, 0);
}

MM_FUNCTION(mm_routing_signal);

/* mm_routing_signal: trigger: tells every backend, when this commits, that something about routing changed. */
Datum
mm_routing_signal(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("routing_signal is a trigger function"), errdetail("It was called without a trigger."),
				errhint("It belongs to the triggers that the extension creates."));
	CacheInvalidateRelcacheByRelid(mm_relation("routing_signal"));
	PG_RETURN_POINTER(NULL);
}

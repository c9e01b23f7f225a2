/*
 * deployment_status.c: how rollouts stand at this moment, computed by the same look and the same core as every
 * decision, for the views. Reads only; works on a standby.
 *
 * The views ask for one rollout after the other, so that who filters by a model has looked at that one alone. Whoever
 * asks for more than a few in one query is answered from one look at all of them.
 */
#include "pg/deployment_store.h"

#include <math.h>

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/tuplestore.h"

#include "pg/query.h"

/* One row of the answer, but for what is the same in all of a rollout's. */
typedef struct status_row
{
	const char *rule;
	const char *metric_name;
	double candidate; /* NaN: none, as in the others */
	double baseline;
	double limit;
	rollout_outcome outcome;
	int64 samples;
	int64 samples_needed;
} status_row;

static Datum
number(double value, bool *isnull)
{
	*isnull = isnan(value);
	return Float8GetDatum(value);
}

/* Questions of one query that are looked at one by one. */
#define FEW 3
#define COLUMNS 14

/* What one query has asked; in fn_extra, since its snapshot is one and all answers are of one time. */
typedef struct asked
{
	int questions;
	bool all;        /* rows holds every rollout's */
	HeapTuple *rows; /* by deployment_id, then position */
	int count;
	int room;
} asked;

/* put: a row into the answer, or to what is kept for later questions. */
static void
put(ReturnSetInfo *set, asked *keep, const deployment *d, const deployment_look *look, int position,
	const status_row *row)
{
	bool pending = deployment_is_pending(d);
	Datum values[COLUMNS];
	bool nulls[COLUMNS] = {false};
	MemoryContext before;

	values[0] = Int64GetDatum(d->deployment_id);
	values[1] = Int32GetDatum(position);
	values[2] = CStringGetTextDatum(row->rule);
	values[3] = CStringGetTextDatum(row->metric_name);
	values[4] = number(row->candidate, &nulls[4]);
	values[5] = number(row->baseline, &nulls[5]);
	values[6] = number(row->limit, &nulls[6]);
	values[7] = CStringGetTextDatum(rollout_outcome_name(row->outcome));
	values[8] = Int64GetDatum(row->samples);
	values[9] = Int64GetDatum(row->samples_needed);
	values[10] = number(look->ratio.p_value, &nulls[10]);
	values[11] = TimestampTzGetDatum(look->decision.next_at);
	nulls[11] = pending && d->plan.start_at == 0;
	values[12] = CStringGetTextDatum(deployment_waits(d, look));
	values[13] = Int64GetDatum(look->decision.step_samples);
	if (keep == NULL)
	{
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
		return;
	}
	if (keep->count == keep->room)
		keep->rows = repalloc(keep->rows, sizeof(HeapTuple) * (keep->room *= 2));
	before = MemoryContextSwitchTo(GetMemoryChunkContext(keep));
	keep->rows[keep->count++] = heap_form_tuple(set->setDesc, values, nulls);
	MemoryContextSwitchTo(before);
}

/* limit_row: one of the three limits. */
static status_row
limit_row(const deployment *d, const deployment_look *look, rollout_metric m)
{
	const rollout_verdict *v = &look->decision.verdicts[m];
	/* The baseline's value by the core's own rule. */
	double baseline = rollout_judge(&d->plan, m, &look->baseline_window, &look->baseline_step).value;

	return (status_row){"limit",    rollout_metric_name(m), v->value, baseline, v->limit, v->outcome,
						v->samples, v->samples_needed};
}

/* criterion_row: one bound of health_criteria. */
static status_row
criterion_row(const deployment *d, const deployment_look *look, int i)
{
	const rollout_verdict *v = &look->decision.criteria[i];
	const rollout_value *baseline = NULL;

	if (look->measured)
		baseline = v->stretched ? &look->measured[i].baseline_step : &look->measured[i].baseline_window;
	return (status_row){"criterion", d->criterion_metrics[i],
						v->value,    baseline && baseline->samples > 0 ? baseline->value : NAN,
						v->limit,    v->outcome,
						v->samples,  v->samples_needed};
}

/* guard_row: what the guard has of one metric; it passes unless it convicts. */
static status_row
guard_row(const deployment_look *look, rollout_metric m)
{
	const guard_evidence *e = &look->guard.metrics[m];
	bool fails = look->guard.convict && look->guard.worst == m;

	return (status_row){"guard",
						rollout_metric_name(m),
						e->candidate,
						e->baseline,
						e->baseline + e->margin,
						fails ? ROLLOUT_FAIL : ROLLOUT_PASS,
						e->samples_candidate,
						0};
}

/* find: the rollouts asked for that are open or baking. */
static int
find(bool all, int64 deployment_id, deployment **out)
{
	static query open =
		QUERY("SELECT d.deployment_id FROM model_mgr.deployment d WHERE ($1 IS NULL OR d.deployment_id = $1)"
			  " AND d.status = ANY ('{pending,running,paused,awaiting_approval,promoting}'::pg_catalog.text[])"
			  " ORDER BY d.deployment_id",
			  INT8OID);
	int n = (int) query_run(&open, all ? null_arg() : int64_arg(deployment_id));
	int64 *ids = palloc(sizeof(int64) * (n + 1));

	for (int i = 0; i < n; i++)
		ids[i] = query_int64(i, 0);
	*out = palloc(sizeof(deployment) * (n + 1));
	return n > 0 ? deployment_load_many(ids, n, *out) : 0;
}

/* look: a row for each rule of one rollout, or of all. */
static void
look(ReturnSetInfo *set, asked *keep, bool all, int64 deployment_id)
{
	deployment *d;
	deployment_look *looks;
	mm_scope scope = mm_enter();
	int n = find(all, deployment_id, &d);

	looks = palloc(sizeof(deployment_look) * (n + 1));
	if (n > 0)
		deployment_look_many(d, looks, n);
	for (int i = 0; i < n; i++)
	{
		status_row row;
		int position = 0;

		for (int m = 0; m < ROLLOUT_METRICS; m++)
		{
			row = limit_row(&d[i], &looks[i], (rollout_metric) m);
			put(set, keep, &d[i], &looks[i], ++position, &row);
		}
		for (int k = 0; k < d[i].plan.criterion_count; k++)
		{
			row = criterion_row(&d[i], &looks[i], k);
			put(set, keep, &d[i], &looks[i], ++position, &row);
		}
		for (int m = 0; d[i].guarded && m < ROLLOUT_METRICS; m++)
		{
			row = guard_row(&looks[i], (rollout_metric) m);
			put(set, keep, &d[i], &looks[i], ++position, &row);
		}
	}
	mm_leave(scope);
}

/* row_id: the rollout of a row that is kept. */
static int64
row_id(const asked *a, TupleDesc columns, int row)
{
	bool isnull;

	return DatumGetInt64(heap_getattr(a->rows[row], 1, columns, &isnull));
}

/* answer: the rows of one rollout out of those that are kept. */
static void
answer(ReturnSetInfo *set, const asked *a, int64 deployment_id)
{
	int low = 0;
	int high = a->count;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (row_id(a, set->setDesc, middle) < deployment_id)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < a->count && row_id(a, set->setDesc, low) == deployment_id; low++)
		tuplestore_puttuple(set->setResult, a->rows[low]);
}

MM_FUNCTION(mm_rollout_status);

/* mm_rollout_status(deployment_id bigint): a row for each rule of an open or baking deployment, NULL: of each. */
Datum
mm_rollout_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	asked *a = fcinfo->flinfo->fn_extra;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
	{
		look(set, NULL, true, 0);
		return (Datum) 0;
	}
	if (a == NULL)
		fcinfo->flinfo->fn_extra = a = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(asked));
	if (++a->questions <= FEW)
	{
		look(set, NULL, false, PG_GETARG_INT64(0));
		return (Datum) 0;
	}
	if (!a->all)
	{
		a->room = 64;
		a->rows = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(HeapTuple) * a->room);
		look(set, a, true, 0);
		a->all = true;
	}
	answer(set, a, PG_GETARG_INT64(0));
	return (Datum) 0;
}

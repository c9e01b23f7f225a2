/*
 * metric_show.c: what a version does now, over time, and beside others: get_current_metrics(),
 * get_performance_trends(), get_model_comparison(). They look: an unknown name has no row.
 */
#include "pg/metric_internal.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/tuplestore.h"

#include "pg/query.h"
#include "pg/registry.h"
#include "pg/rollup.h"
#include "pg/statistics.h"
#include "pg/summary.h"

#define MAX_BUCKETS 300
#define MINUTES_A_DAY (24 * 60)

/* span_arg: how far back, in the argument's unit; NULL means the default. */
static int32
span_arg(FunctionCallInfo fcinfo, int argno, const char *name, int32 otherwise, int32 units_a_day)
{
	int32 value = PG_ARGISNULL(argno) ? otherwise : PG_GETARG_INT32(argno);
	int64 most = (int64) guc_retention_days * units_a_day;

	if (value < 1 || value > most)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is out of range", name),
				errdetail("The value %d is outside 1 to %lld.", value, (long long) most),
				errhint("Nothing older than model_mgr.retention_days (%d) is kept.", guc_retention_days));
	return value;
}

static void
put_float(Datum *values, bool *nulls, int column, double value)
{
	values[column] = Float8GetDatum(value);
	nulls[column] = isnan(value);
}

/* read_all: every metric of one version over a window, requests and reported values, in buckets of that width (0: one).
 */
static metric_answer *
read_all(const registry_version *version, TimestampTz since, TimestampTz until, int64 width)
{
	metric_question question = {.version_ids = &version->version_id,
								.versions = 1,
								.since = since,
								.until = until,
								.width = width,
								.quantiles = true,
								.exact = true,
								.every_custom = true};
	metric_answer *answer = metric_read(&question);

	metric_read_reported(&question, answer);
	return answer;
}

MM_FUNCTION(mm_get_current_metrics);

/* mm_get_current_metrics: one row a metric that has samples in the window. */
Datum
mm_get_current_metrics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version = mm_text_arg(fcinfo, 1, "model_version", true);
	int32 minutes = span_arg(fcinfo, 2, "minutes_back", 60, MINUTES_A_DAY);
	TimestampTz now = mm_now();
	registry_version found;
	mm_scope scope;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	if (registry_find_version(model_name, version, true, &found))
	{
		metric_answer *answer = read_all(&found, now - minutes * USECS_PER_MINUTE, now, 0);
		int count;
		const char **names = metric_names(answer, &count);

		for (int i = 0; i < count; i++)
		{
			metric_point point = metric_point_of(answer, found.version_id, DT_NOBEGIN, names[i], minutes);
			Datum values[5];
			bool nulls[5] = {0};

			if (point.samples == 0)
				continue;
			values[0] = CStringGetTextDatum(names[i]);
			put_float(values, nulls, 1, point.value);
			values[2] = Int64GetDatum(point.samples);
			values[3] = CStringGetTextDatum(point.reported ? "reported" : "observed");
			values[4] = TimestampTzGetDatum(point.last_at);
			tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
		}
	}
	mm_leave(scope);
	return (Datum) 0;
}

/* buckets_of: how many buckets of that width the window touches. */
static int64
buckets_of(TimestampTz since, TimestampTz until, int64 width)
{
	return (metric_floor(until, width) - metric_floor(since + 1, width)) / width + 1;
}

/* round_width: the smallest round width that makes at most so many buckets. */
static int64
round_width(TimestampTz since, TimestampTz until, int64 most)
{
	static const int round[] = {1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 480, 720, MINUTES_A_DAY};
	int64 fits = MINUTES_A_DAY;

	for (int i = lengthof(round) - 1; i >= 0; i--)
		if (buckets_of(since, until, round[i] * USECS_PER_MINUTE) <= most)
			fits = round[i];
	while (buckets_of(since, until, fits * USECS_PER_MINUTE) > most)
		fits += MINUTES_A_DAY;
	return fits * USECS_PER_MINUTE;
}

int64
metric_bucket_width(TimestampTz since, TimestampTz until, int64 most)
{
	int64 width = round_width(since, until, most);

	return since < rollup_minutes_kept() ? Max(width, USECS_PER_HOUR) : width;
}

/* bucket_width: the given one, checked, or the smallest round one, in microseconds. */
static int64
bucket_width(FunctionCallInfo fcinfo, int argno, TimestampTz since, TimestampTz until)
{
	int64 fits;
	int64 width;

	if (PG_ARGISNULL(argno))
		return metric_bucket_width(since, until, MAX_BUCKETS);
	fits = round_width(since, until, MAX_BUCKETS);
	width = span_arg(fcinfo, argno, "bucket_minutes", 0, MINUTES_A_DAY) * USECS_PER_MINUTE;
	if (buckets_of(since, until, width) > MAX_BUCKETS)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"bucket_minutes\" is out of range"),
				errdetail("Buckets of %lld minutes would be %lld; at most %d are shown.",
						  (long long) (width / USECS_PER_MINUTE), (long long) buckets_of(since, until, width),
						  MAX_BUCKETS),
				errhint("Pass bucket_minutes => %lld or more, or NULL, or fewer hours_back.",
						(long long) (fits / USECS_PER_MINUTE)));
	return width;
}

MM_FUNCTION(mm_get_performance_trends);

/* mm_get_performance_trends: every metric that occurs, on an even grid. */
Datum
mm_get_performance_trends(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version = mm_text_arg(fcinfo, 1, "model_version", true);
	int32 hours = span_arg(fcinfo, 2, "hours_back", 24, 24);
	TimestampTz now = mm_now();
	TimestampTz since = now - hours * USECS_PER_HOUR;
	int64 width;
	registry_version found;
	mm_scope scope;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	width = bucket_width(fcinfo, 3, since, now);
	if (registry_find_version(model_name, version, true, &found))
	{
		metric_answer *answer = read_all(&found, since, now, width);
		int count;
		const char **names = metric_names(answer, &count);

		for (int i = 0; i < count; i++)
			for (TimestampTz slot = metric_floor(since + 1, width); slot < now; slot += width)
			{
				/* the ends of the window may cut a bucket */
				double minutes = (double) (Min(slot + width, now) - Max(slot, since)) / USECS_PER_MINUTE;
				metric_point point = metric_point_of(answer, found.version_id, slot, names[i], minutes);
				Datum values[4];
				bool nulls[4] = {0};

				values[0] = CStringGetTextDatum(names[i]);
				values[1] = TimestampTzGetDatum(slot);
				put_float(values, nulls, 2, point.value);
				values[3] = Int64GetDatum(point.samples);
				tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
				pfree(DatumGetPointer(values[0]));
			}
	}
	mm_leave(scope);
	return (Datum) 0;
}

/* A version in a comparison. */
typedef struct compared
{
	int64 version_id; /* 0: unknown */
	char *version;
} compared;

/* versions_named: those of the array in its order, each once; what is unknown keeps the first place only, where it
 * means that there is no baseline. */
static int
versions_named(const char *model_name, ArrayType *array, compared **out)
{
	Datum *elements;
	bool *nulls;
	int count;
	int kept = 0;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	*out = palloc0(sizeof(compared) * (count + 1));
	for (int i = 0; i < count; i++)
	{
		registry_version found;
		bool known = registry_find_version(model_name, TextDatumGetCString(elements[i]), true, &found);
		bool again = !known && i > 0;

		for (int j = 0; known && !again && j < kept; j++)
			again = (*out)[j].version_id == found.version_id;
		if (!again)
			(*out)[kept++] = (compared){known ? found.version_id : 0, known ? found.version : NULL};
	}
	return kept;
}

/* versions_all: the active one, the candidate, then the newest first. */
static int
versions_all(const char *model_name, compared **out)
{
	static query all = QUERY(
		"SELECT v.version_id, v.version FROM model_mgr.model_version v"
		" LEFT JOIN model_mgr.routing r ON r.model_id = v.model_id WHERE v.model_name = $1"
		" ORDER BY (v.status = 'active') DESC, (v.version_id = r.candidate_version_id) DESC NULLS LAST, v.created_at DESC,"
		" v.version_id DESC",
		TEXTOID);
	int count = query_run(&all, text_arg(model_name));

	*out = palloc(sizeof(compared) * (count + 1));
	for (int i = 0; i < count; i++)
		(*out)[i] = (compared){query_int64(i, 0), query_text(i, 1)};
	return count;
}

/* has_samples: whether the answer holds anything of a version. */
static bool
has_samples(const metric_answer *answer, int64 version_id, const char **names, int count)
{
	for (int i = 0; i < count; i++)
		if (metric_point_of(answer, version_id, DT_NOBEGIN, names[i], 1).samples > 0)
			return true;
	return false;
}

/* arm_of: a mean with its spread; false when only the mean is known. */
static bool
arm_of(const metric_point *point, int measure, hypothesis_arm *arm)
{
	const metric_tally *tally = &point->cell->tally;
	summary_head head;

	if (tally->measures[measure].sketch == NULL)
		return false;
	if (!summary_read(tally->measures[measure].sketch, tally->measures[measure].sketch_length, &head))
		summary_damaged();
	*arm = statistics_arm(&head.m);
	return true;
}

/* compare: the test that suits the metric; false when there is none. */
static bool
compare(const metric *m, const metric_point *control, const metric_point *treatment, hypothesis_result *result)
{
	const metric_tally *c = &control->cell->tally;
	const metric_tally *t = &treatment->cell->tally;
	hypothesis_arm control_arm;
	hypothesis_arm treatment_arm;
	int measure = m->form == METRIC_MEAN ? (int) m->measure : 0;

	if (m->form == METRIC_QUANTILE || m->form == METRIC_REQUESTS_PER_MINUTE)
		return false;
	if (m->form == METRIC_SUCCESS_RATE || m->form == METRIC_ERROR_RATE)
	{
		if (control->reported || treatment->reported)
			return false;
		*result =
			m->form == METRIC_SUCCESS_RATE
				? hypothesis_two_proportions(c->successes, c->known, t->successes, t->known, STATISTICS_CONFIDENCE)
				: hypothesis_two_proportions(c->errors, c->requests, t->errors, t->requests, STATISTICS_CONFIDENCE);
		return true;
	}
	if (!arm_of(control, control->reported ? 0 : measure, &control_arm) ||
		!arm_of(treatment, treatment->reported ? 0 : measure, &treatment_arm))
		return false;
	*result = hypothesis_welch(control_arm, treatment_arm, STATISTICS_CONFIDENCE);
	return true;
}

/* direction_of: 1, -1, or 0 where nobody said. */
static int
direction_of(const metric *m, const char *name)
{
	static query custom = QUERY("SELECT m.higher_is_better FROM model_mgr.metric m WHERE m.metric_name = $1", TEXTOID);

	if (m->form != METRIC_CUSTOM)
		return m->direction;
	if (query_run(&custom, text_arg(name)) == 0 || query_isnull(0, 0))
		return 0;
	return query_bool(0, 0) ? 1 : -1;
}

/* put_comparison: one metric, a row a version. */
static void
put_comparison(ReturnSetInfo *set, const metric_answer *answer, const char *name, const compared *versions, int count,
			   double minutes)
{
	static const hypothesis_result untested = {.effect = NAN, .ci_low = NAN, .ci_high = NAN, .p_value = NAN};
	metric m = metric_parse(name);
	int direction = direction_of(&m, name);
	metric_point baseline = metric_point_of(answer, versions[0].version_id, DT_NOBEGIN, name, minutes);

	for (int i = 0; i < count; i++)
	{
		metric_point point = metric_point_of(answer, versions[i].version_id, DT_NOBEGIN, name, minutes);
		hypothesis_result result = untested;
		bool both = i > 0 && point.samples > 0 && baseline.samples > 0;
		bool shown;
		Datum values[9];
		bool nulls[9] = {0};

		if (versions[i].version_id == 0)
			continue;
		if (both && !compare(&m, &baseline, &point, &result))
			result = untested;
		shown = direction != 0 && (result.ci_low > 0 || result.ci_high < 0);
		values[0] = CStringGetTextDatum(name);
		values[1] = CStringGetTextDatum(versions[i].version);
		put_float(values, nulls, 2, point.value);
		values[3] = Int64GetDatum(point.samples);
		/* The test's own effect is the middle of its interval, and exact to the last digit: 0.9 less 0.95 is -0.05. */
		put_float(values, nulls, 4, !both ? NAN : isnan(result.effect) ? point.value - baseline.value : result.effect);
		put_float(values, nulls, 5, result.ci_low);
		put_float(values, nulls, 6, result.ci_high);
		put_float(values, nulls, 7, result.p_value);
		values[8] = BoolGetDatum((result.ci_low > 0) == (direction > 0));
		nulls[8] = !shown;
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
}

MM_FUNCTION(mm_get_model_comparison);

/* mm_get_model_comparison: every metric that one of the versions has, each version beside the first. */
Datum
mm_get_model_comparison(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	int32 hours = span_arg(fcinfo, 2, "hours_back", 24, 24);
	TimestampTz now = mm_now();
	metric_question question = {.since = now - hours * USECS_PER_HOUR,
								.until = now,
								.moments = true,
								.quantiles = true,
								.exact = true,
								.every_custom = true};
	bool every = PG_ARGISNULL(1);
	compared *versions;
	int count;
	metric_answer *answer;
	const char **names;
	int name_count;
	int64 *ids;
	mm_scope scope;

	if (!every && array_contains_nulls(PG_GETARG_ARRAYTYPE_P(1)))
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("\"versions\" must not contain nulls"),
				errdetail("At least one element of the array is null."),
				errhint("Remove it with array_remove(..., NULL)."));
	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	count =
		every ? versions_all(model_name, &versions) : versions_named(model_name, PG_GETARG_ARRAYTYPE_P(1), &versions);
	ids = palloc(sizeof(int64) * (count + 1));
	for (int i = 0; i < count; i++)
		if (versions[i].version_id != 0)
			ids[question.versions++] = versions[i].version_id;
	question.version_ids = ids;
	answer = metric_read(&question);
	if (question.versions > 0)
		metric_read_reported(&question, answer);
	names = metric_names(answer, &name_count);
	if (every)
	{
		int kept = 0;

		for (int i = 0; i < count; i++)
			if (has_samples(answer, versions[i].version_id, names, name_count))
				versions[kept++] = versions[i];
		count = kept;
	}
	for (int i = 0; i < name_count && count > 0; i++)
		put_comparison(set, answer, names[i], versions, count, hours * 60.0);
	mm_leave(scope);
	return (Datum) 0;
}

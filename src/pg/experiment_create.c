/*
 * experiment_create.c: beginning a test: create_test(), and the tests that a_b_test rollouts open. The design is
 * checked before (experiment_design.c); here it meets the registry, the other tests and the traffic.
 */
#include "pg/experiment_design.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/array.h"

#include "core/bucket.h"
#include "core/experiment.h"
#include "pg/assignment.h"
#include "pg/audit.h"
#include "pg/deployment_store.h"
#include "pg/event.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/statistics.h"

/* ---- the registry ---- */

/* lock_models: those that are in the registry, in one order for everybody; of the others, too, one must be granted. */
static void
lock_models(const test_design *d)
{
	const char *names[] = {d->control_model, d->treatment_model};
	int64 ids[] = {registry_model_id(names[0], true), registry_model_id(names[1], true)};
	int first = ids[0] <= ids[1] ? 0 : 1;

	for (int i = 0; i < 2; i++)
		registry_check_grant(names[i]);
	for (int i = 0; i < 2; i++)
	{
		int which = i == 0 ? first : 1 - first;

		if (ids[which] != 0 && (i == 0 || ids[0] != ids[1]))
			(void) registry_lock_model(names[which]);
	}
}

/* resolve_arms: aliases become versions; what the registry does not hold keeps its name. Returns the control's model,
 * 0 when it is not there. */
static int64
resolve_arms(test_design *d)
{
	for (int i = 0; i < d->arm_count; i++)
	{
		test_arm *arm = &d->arm[i];
		registry_version found;

		if (registry_find_version(arm->model_name, arm->version, arm->version[0] != '@', &found))
		{
			arm->version = found.version;
			arm->version_id = found.version_id;
		}
		else
			registry_check_version_name("version", arm->version);
	}
	d->control_version = d->arm[0].version;
	d->treatment_version = d->arm[1].version;
	return registry_model_id(d->control_model, true);
}

/* say_unknown: the versions that nothing but this test knows. */
static void
say_unknown(const test_design *d)
{
	for (int i = 0; i < d->arm_count; i++)
		if (d->arm[i].version_id == 0)
			ereport(NOTICE,
					errmsg("version \"%s\" of model \"%s\" is not in the registry", d->arm[i].version,
						   d->arm[i].model_name),
					errdetail("The test runs on what record_result() says of its arm \"%s\".", d->arm[i].variant),
					errhint("There will be nothing to promote; create_model_version() registers a version."));
}

/* say_sources: the metrics that sources tell of, which know no requests. */
static void
say_sources(const test_design *d)
{
	static query find =
		QUERY("SELECT EXISTS (SELECT FROM model_mgr.metric_source m WHERE m.metric_name = $1)", TEXTOID);

	for (int i = 0; i < d->metric_count; i++)
	{
		query_run(&find, text_arg(d->metric[i].name));
		if (query_bool(0, 0))
			ereport(NOTICE, errmsg("the test cannot use what the metric source \"%s\" says", d->metric[i].name),
					errdetail("A source tells of versions, a test needs the value of each outcome."),
					errhint("Record the value with the outcome, under this name in \"metrics\"; without it the test has"
							" no data of the metric."));
	}
}

/* say_twins: arms of one version, which what is recorded by its name tells nothing of. */
static void
say_twins(const test_design *d)
{
	for (int i = 1; i < d->arm_count && d->routes_traffic; i++)
		for (int k = 0; k < i; k++)
			if (d->arm[i].version_id != 0 && d->arm[i].version_id == d->arm[k].version_id)
			{
				ereport(
					NOTICE,
					errmsg("arms \"%s\" and \"%s\" serve the same version", d->arm[k].variant, d->arm[i].variant),
					errdetail("An outcome that names version \"%s\" and no arm counts in neither.", d->arm[i].version),
					errhint(
						"Record with record_outcome() of the decision that route() gave, or with record_result()."));
				return;
			}
}

/* say_moving: what shares that move ask of those who record. */
static void
say_moving(const test_design *d)
{
	if (strcmp(d->allocation, "thompson") == 0 && !d->routes_traffic)
		ereport(
			NOTICE, errmsg("the shares of test \"%s\" will move", d->test_id),
			errdetail("A result belongs to the shares at its recorded_at, which is now where it is not given."),
			errhint("Where results come minutes after assigned_variant() was asked, pass the time of the question as"
					" recorded_at; record_outcome() knows it."));
}

/* ---- the plan ---- */

/* known_before: what control's version did in the last 14 days: requests with a value, mean and standard deviation. */
typedef struct known_before
{
	double count;
	double mean;
	double deviation;
} known_before;

static known_before
look_back(const test_metric *m, int64 version_id)
{
	static query counts =
		QUERY("SELECT pg_catalog.sum(r.requests)::pg_catalog.float8, pg_catalog.sum(r.errors)::pg_catalog.float8,"
			  " pg_catalog.sum(r.known)::pg_catalog.float8, pg_catalog.sum(r.successes)::pg_catalog.float8"
			  " FROM model_mgr.rollup_history r WHERE r.version_id = $1 AND r.bucket >= $2 AND r.bucket < $3",
			  INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	static query values =
		QUERY("SELECT model_mgr.summary_count(x.s)::pg_catalog.float8, model_mgr.summary_mean(x.s),"
			  " model_mgr.summary_stddev(x.s) FROM (SELECT model_mgr.merge(CASE $4 WHEN 0 THEN r.response_time"
			  "  WHEN 1 THEN r.confidence WHEN 2 THEN r.cost WHEN 3 THEN r.input_tokens ELSE r.output_tokens END) AS s"
			  "  FROM model_mgr.rollup_history r WHERE r.version_id = $1 AND r.bucket >= $2 AND r.bucket < $3) x",
			  INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID);
	static query custom =
		QUERY("SELECT model_mgr.summary_count(x.s)::pg_catalog.float8, model_mgr.summary_mean(x.s),"
			  " model_mgr.summary_stddev(x.s) FROM (SELECT model_mgr.merge(r.\"values\") AS s"
			  "  FROM model_mgr.rollup_metric_history r WHERE r.version_id = $1 AND r.bucket >= $2 AND r.bucket < $3"
			  "  AND r.metric_name = $4) x",
			  INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID);
	query_arg now = time_arg(mm_now());
	query_arg since = time_arg(mm_now() - 14 * USECS_PER_DAY);
	known_before known = {0};
	bool errors = m->parsed.form == METRIC_ERROR_RATE;

	if (version_id == 0)
		return known;
	if (test_metric_is_rate(m))
	{
		query_run(&counts, int64_arg(version_id), since, now);
		known.count = query_isnull(0, 0) ? 0 : query_float8(0, errors ? 0 : 2);
		if (known.count > 0)
			known.mean = query_float8(0, errors ? 1 : 3) / known.count;
		return known;
	}
	if (m->parsed.form == METRIC_CUSTOM)
		query_run(&custom, int64_arg(version_id), since, now, text_arg(m->name));
	else
		query_run(&values, int64_arg(version_id), since, now, int32_arg(m->parsed.measure));
	if (!query_isnull(0, 0))
		known = (known_before){query_float8(0, 0), query_float8(0, 1), query_float8(0, 2)};
	return known;
}

/* inflation: what looking costs, as a factor of the planned samples. Most designs of a session are alike in all that it
 * follows from, and finding it takes longer than the rest of create_test(): the last one is kept. */
static double
inflation(const experiment_plan *plan, bool secondaries)
{
	static struct
	{
		bool known;
		bool secondaries;
		bool early_stopping;
		sequential_spending spending;
		int arms;
		double confidence_level;
		double power;
		double futility_threshold;
		double factor;
	} last;

	if (last.known && last.secondaries == secondaries && last.early_stopping == plan->early_stopping &&
		last.spending == plan->spending && last.arms == plan->arms && last.confidence_level == plan->confidence_level &&
		last.power == plan->power && last.futility_threshold == plan->futility_threshold)
		return last.factor;
	last.known = false;
	last.factor = experiment_horizon(plan, 1, &statistics_caller);
	last.secondaries = secondaries;
	last.early_stopping = plan->early_stopping;
	last.spending = plan->spending;
	last.arms = plan->arms;
	last.confidence_level = plan->confidence_level;
	last.power = plan->power;
	last.futility_threshold = plan->futility_threshold;
	last.known = true;
	return last.factor;
}

/* plan_samples: outcomes of all arms together, and at how many of them information is 1, so that looking early costs
 * no power. */
static void
plan_samples(const test_design *d, double *planned, double *horizon)
{
	known_before known = look_back(&d->metric[0], d->arm[0].version_id);
	experiment_form form = test_metric_form(&d->metric[0]);
	experiment_metric metric[TEST_MAX_METRICS];
	experiment_design design = {.form = form,
								.baseline = known.count > 0 ? known.mean : NAN,
								.deviation = known.count > 1 ? known.deviation : NAN,
								.minimum_detectable_effect = d->minimum_detectable_effect,
								.power = d->power,
								.confidence_level = d->confidence_level,
								.min_samples = d->min_sample_size_per_variant,
								.arms = d->arm_count,
								.share = d->share};
	experiment_plan plan = {.confidence_level = d->confidence_level,
							.minimum_detectable_effect = d->minimum_detectable_effect,
							.power = d->power,
							.futility_threshold = d->futility_threshold,
							.min_samples = d->min_sample_size_per_variant,
							.early_stopping = d->early_stopping_enabled,
							.spending =
								strcmp(d->stopping_rule, "pocock") == 0 ? SEQUENTIAL_POCOCK : SEQUENTIAL_OBRIEN_FLEMING,
							.arms = d->arm_count,
							.metrics = d->metric_count,
							.epochs = 1,
							.metric = metric,
							.share = d->share};

	bool secondaries = false;

	for (int i = 0; i < d->metric_count; i++)
	{
		secondaries |= d->metric[i].role == TEST_SECONDARY;
		metric[i] = (experiment_metric){.role = d->metric[i].role == TEST_PRIMARY     ? EXPERIMENT_PRIMARY
												: d->metric[i].role == TEST_SECONDARY ? EXPERIMENT_SECONDARY
																					  : EXPERIMENT_GUARDRAIL,
										.form = test_metric_form(&d->metric[i]),
										.direction = d->metric[i].direction,
										.bounds = experiment_no_bounds};
	}
	*planned = fmin(experiment_planned(&design), 1e18);
	*horizon = fmin(*planned * inflation(&plan, secondaries), 1e18);
}

/* requests_a_day: of the models' versions, over the last 7 days or since they began. */
static double
requests_a_day(const test_design *d)
{
	static query traffic = QUERY("SELECT pg_catalog.sum(r.requests)::pg_catalog.float8,"
								 " pg_catalog.date_part('epoch', $4 - pg_catalog.min(r.bucket))"
								 " FROM model_mgr.rollup_history r WHERE r.version_id IN (SELECT v.version_id"
								 "  FROM model_mgr.model_version v WHERE v.model_name = $1 OR v.model_name = $2)"
								 " AND r.bucket >= $3 AND r.bucket < $4",
								 TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID);

	query_run(&traffic, text_arg(d->control_model), text_arg(d->treatment_model),
			  time_arg(mm_now() - 7 * USECS_PER_DAY), time_arg(mm_now()));
	/* What began within the hour is no day's traffic yet. */
	return query_isnull(0, 0) ? 0 : query_float8(0, 0) * SECS_PER_DAY / fmax(query_float8(0, 1), SECS_PER_HOUR);
}

/* say_plan: the sample and how long it takes. */
static void
say_plan(const test_design *d, double planned)
{
	double rate = requests_a_day(d) * d->coverage;
	double days = planned / rate;
	double most = d->max_duration_hours / 24.0;

	ereport(NOTICE, errmsg("test \"%s\" plans %.0f outcomes", d->test_id, planned),
			rate > 0
				? errdetail("At the present traffic of %.4g requests a day that takes %.3g days; it ends after"
							" %.3g days.",
							rate, days, most)
				: errdetail("There is no traffic yet that tells how long that takes; it ends after %.3g days.", most),
			rate > 0 && days > most ? errhint("Raise max_duration_hours, minimum_detectable_effect or coverage, or it"
											  " may end without a verdict.")
									: 0);
}

/* ---- exclusion groups ---- */

/* take_slots: the first gap in the group's buckets that the test fits in, under the group's lock; 22023 when there is
 * none. Those of ended tests are free. */
static int32
take_slots(const test_design *d, int32 wanted)
{
	static query taken = QUERY("SELECT p.slot_from, p.slots FROM model_mgr.ab_test t"
							   " JOIN model_mgr.ab_test_plan p ON p.test_id = t.test_id"
							   " WHERE t.exclusion_group = $1 AND t.status = 'running' AND p.slots IS NOT NULL"
							   " ORDER BY p.slot_from",
							   TEXTOID);
	int64 lock = -2 - (int64) hash_bytes((const unsigned char *) d->exclusion_group, strlen(d->exclusion_group));
	int32 end = 0;
	int32 gap = 0;
	int32 free = BUCKET_TOTAL;
	uint64 rows;

	(void) mm_lock_model(lock, true); /* models have positive ids */
	rows = query_run(&taken, text_arg(d->exclusion_group));
	for (uint64 row = 0; row < rows; row++)
	{
		int32 from = query_int32(row, 0);

		if (from - end >= wanted)
			return end;
		gap = Max(gap, from - end);
		end = from + query_int32(row, 1);
		free -= query_int32(row, 1);
	}
	if (BUCKET_TOTAL - end >= wanted)
		return end;
	gap = Max(gap, BUCKET_TOTAL - end);
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("exclusion group \"%s\" has no room for test \"%s\"", d->exclusion_group, d->test_id),
			errdetail("The test wants coverage %g; %llu tests run in the group and leave %g, at most %g of it in one"
					  " piece.",
					  d->coverage, (unsigned long long) rows, (double) free / BUCKET_TOTAL,
					  (double) gap / BUCKET_TOTAL),
			errhint("Pass a smaller coverage, or stop a test of the group."));
}

/* ---- the rows ---- */

/* array_of: n datums of a type as a parameter. */
static query_arg
array_of(Datum *values, int n, Oid type)
{
	int16 length = type == TEXTOID ? -1 : type == INT2OID ? 2 : 8;
	char align = type == TEXTOID ? TYPALIGN_INT : type == INT2OID ? TYPALIGN_SHORT : TYPALIGN_DOUBLE;

	return datum_arg(PointerGetDatum(construct_array(values, n, type, length, length > 0, align)), false);
}

/* The design's columns of ab_test, as parameters $1 to $25. */
#define DESIGN_COLUMNS                                                                                                 \
	"test_id, name, control_model, control_version, treatment_model, treatment_version, description,"                  \
	" confidence_level, minimum_detectable_effect, power, max_duration_hours, min_sample_size_per_variant,"            \
	" primary_metric, secondary_metrics, early_stopping_enabled, futility_threshold, traffic_split, stopping_rule,"    \
	" metric_directions, routes_traffic, coverage, guardrails, arms, exclusion_group, allocation"
#define DESIGN_TYPES                                                                                                   \
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, INT4OID, INT4OID,  \
		TEXTOID, TEXTARRAYOID, BOOLOID, FLOAT8OID, FLOAT8OID, TEXTOID, JSONBOID, BOOLOID, FLOAT8OID, JSONBOID,         \
		JSONBOID, TEXTOID, TEXTOID
#define DESIGN_ARGS 25

static void
design_args(const test_design *d, query_arg *args)
{
	Datum *secondary = palloc(sizeof(Datum) * (d->secondary_count + 1));

	for (int i = 0; i < d->secondary_count; i++)
		secondary[i] = CStringGetTextDatum(d->secondary_metrics[i]);
	memcpy(args,
		   ((query_arg[DESIGN_ARGS]){text_arg(d->test_id),
									 text_arg(d->name),
									 text_arg(d->control_model),
									 text_arg(d->control_version),
									 text_arg(d->treatment_model),
									 text_arg(d->treatment_version),
									 text_arg(d->description),
									 float8_arg(d->confidence_level),
									 float8_arg(d->minimum_detectable_effect),
									 float8_arg(d->power),
									 int32_arg(d->max_duration_hours),
									 int32_arg(d->min_sample_size_per_variant),
									 text_arg(d->primary_metric),
									 array_of(secondary, d->secondary_count, TEXTOID),
									 bool_arg(d->early_stopping_enabled),
									 float8_arg(d->futility_threshold),
									 float8_arg(d->traffic_split),
									 text_arg(d->stopping_rule),
									 jsonb_arg(d->metric_directions),
									 bool_arg(d->routes_traffic),
									 float8_arg(d->coverage),
									 jsonb_arg(d->guardrails),
									 jsonb_arg(d->arms),
									 text_arg(d->exclusion_group),
									 text_arg(d->allocation)}),
		   sizeof(query_arg) * DESIGN_ARGS);
}

/* declared: whether a test of this id is there; 42710 when its design is another one. */
static bool
declared(const test_design *d, int64 deployment_id)
{
	static query differences =
		QUERY("SELECT (SELECT pg_catalog.string_agg(n.key, ', ' ORDER BY n.position)"
			  "  FROM pg_catalog.regexp_split_to_table('" DESIGN_COLUMNS "', ', *') WITH ORDINALITY n (key, position)"
			  "  WHERE o.old -> n.key IS DISTINCT FROM o.new -> n.key)"
			  " FROM (SELECT pg_catalog.to_jsonb(t) AS old, (SELECT pg_catalog.to_jsonb(r) FROM (SELECT $1, $2, $3, $4,"
			  "  $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)"
			  "  r (" DESIGN_COLUMNS ")) AS new FROM model_mgr.ab_test t WHERE t.test_id = $1) o",
			  DESIGN_TYPES);
	query_arg args[DESIGN_ARGS];

	design_args(d, args);
	if (query_run_args(&differences, DESIGN_ARGS, args) == 0)
		return false;
	if (deployment_id != 0)
		ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("test \"%s\" exists already", d->test_id),
				errdetail("A test that has ended keeps its id."),
				errhint("Give another test_id, or none: {\"test\": {\"test_id\": \"...\"}}."));
	if (!query_isnull(0, 0))
		ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("test \"%s\" exists with another design", d->test_id),
				errdetail("It differs in %s.", query_text(0, 0)),
				errhint("A test is never changed: give the new one an id of its own."));
	return true;
}

/* insert: the row and its machinery; false when somebody else has just made a test of this id. */
static bool
insert(const test_design *d, const char *created_by, int64 deployment_id, int64 model_id, int64 planned, double horizon)
{
	static query row = QUERY("INSERT INTO model_mgr.ab_test (" DESIGN_COLUMNS
							 ", status, planned_samples, created_by, started_at, ends_at) VALUES ($1, $2, $3, $4, $5,"
							 " $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,"
							 " $24, $25, 'running', $26, $27, $28, $29) ON CONFLICT (test_id) DO NOTHING",
							 DESIGN_TYPES, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	static query plan = QUERY(
		"INSERT INTO model_mgr.ab_test_plan (test_id, deployment_id, model_id, control_version_id,"
		" treatment_version_id, metrics, roles, directions, quantiles, covariates, slot_from, slots, horizon)"
		" SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $3 IS NULL THEN 'none' ELSE 'wanted' END, $10, $11, $12"
		" RETURNING test_no",
		TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTARRAYOID, TEXTARRAYOID, INT2ARRAYOID, BOOLOID, INT4OID,
		INT4OID, FLOAT8OID);
	static query anchors =
		QUERY("INSERT INTO model_mgr.ab_test_anchor (test_no, anchors) VALUES ($1, $2)", INT8OID, FLOAT8ARRAYOID);
	static query arm = QUERY("INSERT INTO model_mgr.ab_test_arm (test_no, arm, variant, model_name, version,"
							 " version_id) VALUES ($1, $2::pg_catalog.int2, $3, $4, $5, $6)",
							 INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT8OID);
	static query share = QUERY("INSERT INTO model_mgr.ab_test_share (test_no, epoch, from_at, shares)"
							   " VALUES ($1, 1, $2, $3)",
							   INT8OID, TIMESTAMPTZOID, FLOAT8ARRAYOID);
	static const char *const roles[] = {"primary", "secondary", "guardrail"};
	TimestampTz now = mm_now();
	int32 slots = (int32) rint(d->coverage * BUCKET_TOTAL);
	bool grouped = d->exclusion_group != NULL;
	bool quantiles = false;
	query_arg args[DESIGN_ARGS + 4];
	Datum names[TEST_MAX_METRICS];
	Datum role[TEST_MAX_METRICS];
	Datum direction[TEST_MAX_METRICS];
	Datum anchor[TEST_MAX_METRICS];
	Datum shares[TEST_MAX_ARMS];
	int32 slot_from = grouped ? take_slots(d, slots) : 0;
	int64 test_no;

	design_args(d, args);
	args[DESIGN_ARGS] = int64_arg(planned);
	args[DESIGN_ARGS + 1] = text_arg(created_by);
	args[DESIGN_ARGS + 2] = time_arg(now);
	args[DESIGN_ARGS + 3] = time_arg(now + d->max_duration_hours * USECS_PER_HOUR);
	if (query_run_args(&row, DESIGN_ARGS + 4, args) == 0)
		return false;
	for (int i = 0; i < d->metric_count; i++)
	{
		names[i] = CStringGetTextDatum(d->metric[i].name);
		role[i] = CStringGetTextDatum(roles[d->metric[i].role]);
		direction[i] = Int16GetDatum(d->metric[i].direction);
		quantiles |= d->metric[i].parsed.form == METRIC_QUANTILE;
		anchor[i] = Float8GetDatum(test_metric_is_rate(&d->metric[i]) ? 0 : NAN);
	}
#define id_arg(id) ((id) != 0 ? int64_arg(id) : null_arg())
	query_run(&plan, text_arg(d->test_id), id_arg(deployment_id), id_arg(model_id), id_arg(d->arm[0].version_id),
			  id_arg(d->arm[1].version_id), array_of(names, d->metric_count, TEXTOID),
			  array_of(role, d->metric_count, TEXTOID), array_of(direction, d->metric_count, INT2OID),
			  bool_arg(quantiles), grouped ? int32_arg(slot_from) : null_arg(), grouped ? int32_arg(slots) : null_arg(),
			  float8_arg(horizon));
	test_no = query_int64(0, 0);
	query_run(&anchors, int64_arg(test_no), array_of(anchor, d->metric_count, FLOAT8OID));
	for (int i = 0; i < d->arm_count; i++)
	{
		shares[i] = Float8GetDatum(d->share[i]);
		query_run(&arm, int64_arg(test_no), int32_arg(i), text_arg(d->arm[i].variant), text_arg(d->arm[i].model_name),
				  text_arg(d->arm[i].version), id_arg(d->arm[i].version_id));
	}
	query_run(&share, int64_arg(test_no), time_arg(now), array_of(shares, d->arm_count, FLOAT8OID));
	assignment_create(test_no);
	if (model_id != 0)
		experiment_covariates_begin(test_no, now);
	if (d->routes_traffic && deployment_id == 0)
		assignment_carry(test_no, model_id);
	return true;
}

bool
experiment_create(test_design *d, const char *created_by, int64 deployment_id)
{
	int64 model_id;
	double planned;
	double horizon;
	Jsonb *data;

	lock_models(d);
	model_id = resolve_arms(d);
	if (declared(d, deployment_id))
		return false;
	plan_samples(d, &planned, &horizon);
	if (!insert(d, created_by, deployment_id, model_id, (int64) planned, horizon))
	{
		(void) declared(d, deployment_id);
		return false;
	}
	if (deployment_id == 0)
	{
		experiment_design_notices(d);
		say_sources(d);
		say_unknown(d);
		say_twins(d);
		say_moving(d);
		say_plan(d, planned);
	}
	data = json_build(
		json_text_pair("test_id", d->test_id),
		deployment_id != 0 ? json_integer_pair("deployment_id", deployment_id) : json_text_pair("deployment_id", NULL),
		json_text_pair("control_version", d->control_version),
		json_text_pair("treatment_version", d->treatment_version), json_number_pair("traffic_split", d->traffic_split),
		json_integer_pair("planned_samples", (int64) planned),
		json_time_pair("ends_at", mm_now() + d->max_duration_hours * USECS_PER_HOUR));
	event_append("test.started", d->treatment_model, d->treatment_version, deployment_id, data);
	audit_append("create_test", d->treatment_model, d->treatment_version, data);
	return true;
}

/*
 * assignment_store.c: the row that assignment reads (ab_test_assignment): a test's beginning, its shares, its end.
 */
#include "pg/assignment.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "pg/deployment_store.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/registry_trust.h"
#include "pg/routing.h"

void
assignment_create(int64 test_no)
{
	/* A group's slots are what is covered, so the arms share all that lies within. */
	static query create = QUERY(
		"INSERT INTO model_mgr.ab_test_assignment (test_id, test_no, revision, running, group_key, slot_from, slots,"
		" weights, variants, version_ids, model_names)"
		" SELECT t.test_id, p.test_no, 1, true, t.exclusion_group, p.slot_from, p.slots,"
		" ARRAY(SELECT pg_catalog.round(x * CASE WHEN p.slots IS NULL THEN t.coverage ELSE 1 END * 10000)::integer"
		"  FROM pg_catalog.unnest(s.shares) WITH ORDINALITY u (x, n) ORDER BY u.n),"
		" ARRAY(SELECT a.variant FROM model_mgr.ab_test_arm a WHERE a.test_no = p.test_no ORDER BY a.arm),"
		" ARRAY(SELECT coalesce(a.version_id, 0) FROM model_mgr.ab_test_arm a WHERE a.test_no = p.test_no ORDER BY a.arm),"
		" ARRAY(SELECT a.model_name FROM model_mgr.ab_test_arm a WHERE a.test_no = p.test_no ORDER BY a.arm)"
		" FROM model_mgr.ab_test_plan p JOIN model_mgr.ab_test t ON t.test_id = p.test_id"
		" JOIN model_mgr.ab_test_share s ON s.test_no = p.test_no AND s.epoch = 1 WHERE p.test_no = $1",
		INT8OID);

	query_run(&create, int64_arg(test_no));
}

bool
assignment_carries(int64 model_id, int64 version_id)
{
	static query find = QUERY("SELECT EXISTS (SELECT FROM model_mgr.routing r,"
							  " pg_catalog.jsonb_array_elements(r.test -> 'arms') a WHERE r.model_id = $1"
							  " AND r.test ? 'arms' AND (a ->> 'version_id')::int8 = $2 AND r.stable_version_id <> $2)",
							  INT8OID, INT8OID);

	query_run(&find, int64_arg(model_id), int64_arg(version_id));
	return query_bool(0, 0);
}

/* publish: the arms and weights as they are now become the model's routing; NULL: none do. */
static void
publish(int64 model_id, int64 test_no)
{
	static query describe = QUERY(
		"SELECT pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('test_no', a.test_no, 'test_id', a.test_id,"
		" 'group', a.group_key, 'slot_from', a.slot_from, 'slots', a.slots, 'arms', (SELECT pg_catalog.jsonb_agg("
		"  pg_catalog.jsonb_build_object('variant', r.variant, 'version', r.version, 'version_id', r.version_id,"
		"   'weight', a.weights[r.arm + 1]) ORDER BY r.arm)"
		"  FROM model_mgr.ab_test_arm r WHERE r.test_no = a.test_no)))"
		" FROM model_mgr.ab_test_assignment a WHERE a.test_no = $1",
		INT8OID);
	routing_change now;

	if (!routing_get(model_id, &now))
		elog(ERROR, "model " INT64_FORMAT " has no routing row", model_id);
	now.test = NULL;
	if (test_no != 0 && query_run(&describe, int64_arg(test_no)) > 0)
		now.test = query_jsonb(0, 0);
	routing_set(&now);
}

/* carrier: the model whose traffic a test carries itself; 0: none. */
static int64
carrier(int64 test_no)
{
	static query find = QUERY("SELECT r.model_id FROM model_mgr.ab_test_plan p"
							  " JOIN model_mgr.routing r ON r.model_id = p.model_id"
							  " WHERE p.test_no = $1 AND r.test ->> 'test_id' = p.test_id AND r.test ? 'arms'",
							  INT8OID);

	return query_run(&find, int64_arg(test_no)) > 0 ? query_int64(0, 0) : 0;
}

void
assignment_set_shares(int64 test_no, const double *shares)
{
	static query arms = QUERY("SELECT pg_catalog.array_length(a.weights, 1),"
							  " (SELECT pg_catalog.sum(w)::integer FROM pg_catalog.unnest(a.weights) w)"
							  " FROM model_mgr.ab_test_assignment a WHERE a.test_no = $1",
							  INT8OID);
	static query epoch =
		QUERY("WITH began AS (INSERT INTO model_mgr.ab_test_share (test_no, epoch, from_at, shares)"
			  "  SELECT $1, pg_catalog.max(s.epoch) + 1, $2, $3 FROM model_mgr.ab_test_share s WHERE s.test_no = $1)"
			  " UPDATE model_mgr.ab_test_assignment a SET weights = $4, revision = a.revision + 1 WHERE a.test_no = $1",
			  INT8OID, TIMESTAMPTZOID, FLOAT8ARRAYOID, INT4ARRAYOID);
	Datum share[TEST_MAX_ARMS];
	Datum weight[TEST_MAX_ARMS];
	int32 rest;
	int n;
	int32 total;
	int64 model_id;

	query_run(&arms, int64_arg(test_no));
	n = query_int32(0, 0);
	total = rest = query_int32(0, 1);
	/* In whole buckets; control has what rounding leaves, and what is stored is what is drawn. */
	for (int i = n - 1; i >= 0; i--)
	{
		int32 buckets = i == 0 ? rest : Min(rest, (int32) rint(shares[i] * total));

		rest -= buckets;
		weight[i] = Int32GetDatum(buckets);
		share[i] = Float8GetDatum((double) buckets / total);
	}
	query_run(
		&epoch, int64_arg(test_no), time_arg(mm_now()),
		datum_arg(PointerGetDatum(construct_array(share, n, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)), false),
		datum_arg(PointerGetDatum(construct_array(weight, n, INT4OID, 4, true, TYPALIGN_INT)), false));
	/* What route() draws by is the model's. */
	model_id = carrier(test_no);
	if (model_id != 0)
		publish(model_id, test_no);
}

char *
assignment_carried(int64 model_id)
{
	static query find = QUERY("SELECT r.test ->> 'test_id' FROM model_mgr.routing r WHERE r.model_id = $1"
							  " AND r.test ? 'arms'",
							  INT8OID);

	return query_run(&find, int64_arg(model_id)) > 0 ? query_text(0, 0) : NULL;
}

/* set_statuses: of the versions that serve in the test's arms only: from deploying on they are in use. */
static void
set_statuses(int64 test_no, int64 stable_version_id, const char *status, const char *reason)
{
	static query arms = QUERY("SELECT DISTINCT a.version_id FROM model_mgr.ab_test_arm a"
							  " JOIN model_mgr.model_version v ON v.version_id = a.version_id"
							  " WHERE a.test_no = $1 AND a.version_id <> $2 AND ($3 OR v.status = 'deploying')",
							  INT8OID, INT8OID, BOOLOID);
	bool begins = strcmp(status, "deploying") == 0;
	int n = (int) query_run(&arms, int64_arg(test_no), int64_arg(stable_version_id), bool_arg(begins));
	int64 *ids = palloc(sizeof(int64) * (n + 1));

	for (int i = 0; i < n; i++)
		ids[i] = query_int64(i, 0);
	for (int i = 0; i < n; i++)
	{
		registry_version v;

		registry_version_by_id(ids[i], &v);
		if (begins)
			registry_approval_check(&v, mm_session_user_name(), registry_acting());
		registry_set_status(ids[i], status, reason);
	}
}

void
assignment_carry(int64 test_no, int64 model_id)
{
	static query strangers =
		QUERY("SELECT t.test_id, t.control_model, pg_catalog.min(a.model_name || ' ' || a.version)"
			  "  FILTER (WHERE a.version_id IS NULL), pg_catalog.bool_or(a.model_name <> t.control_model)"
			  " FROM model_mgr.ab_test_arm a JOIN model_mgr.ab_test_plan p ON p.test_no = a.test_no"
			  " JOIN model_mgr.ab_test t ON t.test_id = p.test_id"
			  " WHERE a.test_no = $1 GROUP BY 1, 2",
			  INT8OID);
	char *test_id;
	char *model_name;
	char *stranger;
	char *other;
	int64 rollout;
	routing_change now;

	query_run(&strangers, int64_arg(test_no));
	test_id = query_text(0, 0);
	model_name = query_text(0, 1);
	stranger = query_text(0, 2);
	if (query_bool(0, 3) || stranger)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("test \"%s\" cannot carry the traffic of model \"%s\"", test_id, model_name),
				stranger ? errdetail("\"%s\" is not in the registry.", stranger)
						 : errdetail("Its arms are of different models."),
				errhint("With routes_traffic all arms are registered versions of one model."));
	rollout = deployment_open_id(model_id, true);
	other = assignment_carried(model_id);
	if (rollout != 0 || other)
		ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("the traffic of model \"%s\" is split already", model_name),
				other ? errdetail("Test \"%s\" carries it.", other)
					  : errdetail("Deployment %lld is under way.", (long long) rollout),
				errhint("Wait for its end, or run the test beside it with routes_traffic => false."));
	if (!routing_get(model_id, &now) || now.stable_version_id == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("model \"%s\" has no active version", model_name),
				errdetail("Whom the test does not cover would be served by nothing."),
				errhint("Deploy the control first: model_mgr.deploy_model_version()."));
	set_statuses(test_no, now.stable_version_id, "deploying", psprintf("in test %s", test_id));
	publish(model_id, test_no);
}

bool
assignment_stop(int64 model_id, const char *reason)
{
	static query stop = QUERY("SELECT model_mgr.stop_test($1, $2)", TEXTOID, TEXTOID);
	char *test_id = assignment_carried(model_id);

	if (test_id == NULL)
		return false;
	query_run(&stop, text_arg(test_id), text_arg(reason));
	return true;
}

void
assignment_close(int64 test_no, int winner)
{
	static query close =
		QUERY("UPDATE model_mgr.ab_test_assignment a SET running = false, winner = $2::pg_catalog.int2,"
			  " revision = a.revision + 1 WHERE a.test_no = $1",
			  INT8OID, INT4OID);

	routing_change now;
	int64 model_id = carrier(test_no);

	query_run(&close, int64_arg(test_no), winner >= 0 ? int32_arg(winner) : null_arg());
	if (model_id == 0)
		return;
	publish(model_id, 0);
	(void) routing_get(model_id, &now);
	set_statuses(test_no, now.stable_version_id, "inactive", "its test has ended");
}

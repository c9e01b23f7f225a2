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
	static query append = QUERY(
		"INSERT INTO model_mgr.routing_history (model_id, revision, changed_at, stable_version_id,"
		" stable_version, deployment_id, step, candidate_version_id, candidate_version, candidate_weight,"
		" bucket_key, bucket_rule, segments, shadow_version_id, shadow_version, shadow_weight, preview, test)"
		" SELECT model_id, revision, changed_at, stable_version_id, stable_version, deployment_id, step,"
		" candidate_version_id, candidate_version, candidate_weight, bucket_key, bucket_rule, segments, shadow_version_id, shadow_version,"
		" shadow_weight, preview, test"
		" FROM model_mgr.routing WHERE model_id = $1",
		INT8OID);

	query_run(&append, int64_arg(model_id));
}

/* changed: ensures that exactly one row of routing was written by a statement that ended in RETURNING revision, appends
 * it to the history, returns the revision. */
static int64
changed(int64 model_id, uint64 rows)
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

	changed(model_id, query_run(&create, int64_arg(model_id), text_arg(model_name), time_arg(mm_now())));
}

void
routing_set(const routing_change *change)
{
	static query set =
		QUERY("UPDATE model_mgr.routing SET revision = revision + 1, changed_at = $2, stable_version_id = $3,"
			  " stable_version = (SELECT v.version FROM model_mgr.model_version v WHERE v.version_id = $3),"
			  " deployment_id = $4, step = $5, candidate_version_id = $6,"
			  " candidate_version = (SELECT v.version FROM model_mgr.model_version v WHERE v.version_id = $6),"
			  " candidate_weight = $7, bucket_key = $8, watched = $9, shadow_version_id = $10,"
			  " shadow_version = (SELECT v.version FROM model_mgr.model_version v WHERE v.version_id = $10),"
			  " shadow_weight = $11, preview = $12, test = $13 WHERE model_id = $1 RETURNING revision",
			  INT8OID, TIMESTAMPTZOID, INT8OID, INT8OID, INT4OID, INT8OID, INT4OID, TEXTOID, BOOLOID, INT8OID, INT4OID,
			  JSONBOID, JSONBOID);

	if (change->candidate_weight < 0 || change->candidate_weight > BUCKET_TOTAL ||
		(change->candidate_version_id == 0 && change->candidate_weight != 0) || change->shadow_weight < 0 ||
		change->shadow_weight > BUCKET_TOTAL || (change->shadow_version_id == 0 && change->shadow_weight != 0) ||
		((change->candidate_version_id != 0 || change->shadow_version_id != 0) && change->bucket_key == NULL) ||
		(change->candidate_version_id == 0 && change->preview_condition != NULL))
		elog(ERROR, "routing change of model " INT64_FORMAT " does not fit together", change->model_id);
	changed(change->model_id,
			query_run(&set, int64_arg(change->model_id), time_arg(mm_now()),
					  change->stable_version_id ? int64_arg(change->stable_version_id) : null_arg(),
					  change->deployment_id ? int64_arg(change->deployment_id) : null_arg(), int32_arg(change->step),
					  change->candidate_version_id ? int64_arg(change->candidate_version_id) : null_arg(),
					  int32_arg(change->candidate_weight), text_arg(change->bucket_key), bool_arg(change->watched),
					  change->shadow_version_id ? int64_arg(change->shadow_version_id) : null_arg(),
					  int32_arg(change->shadow_weight), jsonb_arg(change->preview_condition), jsonb_arg(change->test)));
}

bool
routing_get(int64 model_id, routing_change *out)
{
	static query get = QUERY(
		"SELECT stable_version_id, deployment_id, step, candidate_version_id, candidate_weight,"
		" bucket_key, watched, shadow_version_id, shadow_weight, preview, test FROM model_mgr.routing WHERE model_id = $1",
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
		.shadow_version_id = query_int64(0, 7),
		.shadow_weight = query_int32(0, 8),
		.preview_condition = query_jsonb(0, 9),
		.test = query_jsonb(0, 10),
	};
	return true;
}

void
routing_set_thresholds(int64 model_id, bool thresholds)
{
	static query set = QUERY("UPDATE model_mgr.routing SET thresholds = $2 WHERE model_id = $1", INT8OID, BOOLOID);

	if (query_run(&set, int64_arg(model_id), bool_arg(thresholds)) != 1)
		elog(ERROR, "model " INT64_FORMAT " has no routing row", model_id);
}

void
routing_set_salt(int64 model_id, const char *salt)
{
	static query set = QUERY("UPDATE model_mgr.routing SET revision = revision + 1, changed_at = $2, salt = $3"
							 " WHERE model_id = $1 RETURNING revision",
							 INT8OID, TIMESTAMPTZOID, TEXTOID);

	changed(model_id, query_run(&set, int64_arg(model_id), time_arg(mm_now()), text_arg(salt)));
}

char *
routing_salt(int64 model_id)
{
	static query get = QUERY("SELECT salt FROM model_mgr.routing WHERE model_id = $1", INT8OID);

	if (query_run(&get, int64_arg(model_id)) == 0)
		elog(ERROR, "model " INT64_FORMAT " has no routing row", model_id);
	return query_text(0, 0);
}

/* next_revision: of a model's routing; stays true as long as the caller holds the model's lock. Locks the row, so that
 * a REPEATABLE READ transaction with an older snapshot fails here (40001), not on a constraint further on. */
static int64
next_revision(int64 model_id)
{
	static query get =
		QUERY("SELECT revision + 1 FROM model_mgr.routing WHERE model_id = $1 FOR NO KEY UPDATE", INT8OID);

	if (query_run(&get, int64_arg(model_id)) == 0)
		elog(ERROR, "model " INT64_FORMAT " has no routing row", model_id);
	return query_int64(0, 0);
}

int64
routing_store_pin(int64 model_id, const char *model_name, int64 unit_hash, int64 version_id, const char *version)
{
	static query find = QUERY("SELECT version_id FROM model_mgr.routing_pin"
							  " WHERE model_id = $1 AND unit_hash = $2 AND last_revision IS NULL",
							  INT8OID, INT8OID);
	static query count = QUERY(
		"SELECT pg_catalog.count(*) FROM model_mgr.routing_pin WHERE model_id = $1 AND last_revision IS NULL", INT8OID);
	static query end = QUERY("UPDATE model_mgr.routing_pin SET last_revision = $3"
							 " WHERE model_id = $1 AND unit_hash = $2 AND last_revision IS NULL",
							 INT8OID, INT8OID, INT8OID);
	static query begin = QUERY("INSERT INTO model_mgr.routing_pin"
							   " (model_id, unit_hash, version_id, version, pinned_by, first_revision)"
							   " VALUES ($1, $2, $3, $4, $5, $6)",
							   INT8OID, INT8OID, INT8OID, TEXTOID, TEXTOID, INT8OID);
	/* The arrays of the hot path are made from the pins in force, in the order that choose_pin() searches. */
	static query publish =
		QUERY("UPDATE model_mgr.routing r SET revision = $2, changed_at = $3, pin_hashes = p.hashes,"
			  " pin_version_ids = p.ids, pin_versions = p.versions"
			  " FROM (SELECT coalesce(pg_catalog.array_agg(unit_hash ORDER BY unit_hash), '{}') AS hashes,"
			  " coalesce(pg_catalog.array_agg(version_id ORDER BY unit_hash), '{}') AS ids,"
			  " coalesce(pg_catalog.array_agg(version::pg_catalog.text ORDER BY unit_hash), '{}') AS versions"
			  " FROM model_mgr.routing_pin WHERE model_id = $1 AND last_revision IS NULL) p"
			  " WHERE r.model_id = $1 RETURNING r.revision",
			  INT8OID, INT8OID, TIMESTAMPTZOID);
	int64 revision = next_revision(model_id);
	int64 present = 0;

	if (query_run(&find, int64_arg(model_id), int64_arg(unit_hash)) > 0)
		present = query_int64(0, 0);
	if (present == version_id)
		return 0;
	if (present != 0)
		query_run(&end, int64_arg(model_id), int64_arg(unit_hash), int64_arg(revision));
	else
	{
		query_run(&count, int64_arg(model_id));
		if (query_int64(0, 0) >= ROUTING_MAX_PINS)
			ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("model \"%s\" has too many pinned units", model_name),
					errdetail("It has %d, which is the limit.", ROUTING_MAX_PINS),
					errhint("Unpin some with model_mgr.unpin_unit(), or use a segment: model_mgr.set_segment()."));
	}
	if (version_id != 0)
		query_run(&begin, int64_arg(model_id), int64_arg(unit_hash), int64_arg(version_id), text_arg(version),
				  text_arg(mm_session_user_name()), int64_arg(revision));
	return changed(model_id, query_run(&publish, int64_arg(model_id), int64_arg(revision), time_arg(mm_now())));
}

int64
routing_store_segment(int64 model_id, const char *model_name, const char *segment, const Jsonb *condition,
					  int64 version_id, const char *version)
{
	/* Column 1: there is one of that name; 2: and it is the same; 3: how many there are. */
	static query find =
		QUERY("SELECT coalesce(pg_catalog.bool_or(e->>'segment' = $2), false),"
			  " coalesce(pg_catalog.bool_or(e->>'segment' = $2 AND e->'condition' = $3"
			  " AND (e->>'version_id')::pg_catalog.int8 = $4), false), pg_catalog.count(e)"
			  " FROM model_mgr.routing r LEFT JOIN LATERAL pg_catalog.jsonb_array_elements(r.segments) e ON true"
			  " WHERE r.model_id = $1",
			  INT8OID, TEXTOID, JSONBOID, INT8OID);
	static query append = QUERY("UPDATE model_mgr.routing SET revision = revision + 1, changed_at = $2,"
								" segments = segments || pg_catalog.jsonb_build_array($3)"
								" WHERE model_id = $1 RETURNING revision",
								INT8OID, TIMESTAMPTZOID, JSONBOID);
	static query replace = QUERY(
		"UPDATE model_mgr.routing SET revision = revision + 1, changed_at = $2, segments ="
		" (SELECT coalesce(pg_catalog.jsonb_agg(CASE WHEN e->>'segment' = $4 THEN $3 ELSE e END ORDER BY n), '[]')"
		" FROM pg_catalog.jsonb_array_elements(segments) WITH ORDINALITY AS t (e, n)"
		" WHERE $3 IS NOT NULL OR e->>'segment' <> $4)"
		" WHERE model_id = $1 RETURNING revision",
		INT8OID, TIMESTAMPTZOID, JSONBOID, TEXTOID);
	Jsonb *element = NULL;
	bool exists;
	bool same;
	int64 count;

	if (query_run(&find, int64_arg(model_id), text_arg(segment), jsonb_arg(condition), int64_arg(version_id)) != 1)
		elog(ERROR, "model " INT64_FORMAT " has no routing row", model_id);
	exists = query_bool(0, 0);
	same = query_bool(0, 1);
	count = query_int64(0, 2);
	if (condition ? same : !exists)
		return 0;
	if (condition && !exists && count >= ROUTING_MAX_SEGMENTS)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("model \"%s\" has too many segments", model_name),
				errdetail("It has %d, which is the limit.", ROUTING_MAX_SEGMENTS),
				errhint("Drop some with model_mgr.drop_segment(), or join conditions with {\"any\": [...]}."));
	if (condition)
		element = json_build(json_text_pair("segment", segment), json_object_pair("condition", condition),
							 json_text_pair("version", version), json_integer_pair("version_id", version_id),
							 json_text_pair("set_by", mm_session_user_name()), json_time_pair("set_at", mm_now()));
	if (exists)
		return changed(model_id, query_run(&replace, int64_arg(model_id), time_arg(mm_now()), jsonb_arg(element),
										   text_arg(segment)));
	return changed(model_id, query_run(&append, int64_arg(model_id), time_arg(mm_now()), jsonb_arg(element)));
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

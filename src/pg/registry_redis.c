/*
 * registry_redis.c: redis_mirror(): the registry as commands for redis-cli --pipe, for readers that must not touch the
 * database. One MULTI ... EXEC, so that a reader finds the state before or after, and a model that is gone is gone
 * there.
 *
 * What routes is written ready for use: the version that serves, and the buckets that go elsewhere, in the order in
 * which they are tried. Pins are hashes under this installation's key, which must not leave it; how many there are is
 * told.
 */
#include "pg/mm.h"

#include "mb/pg_wchar.h"

#include "pg/query.h"

/* append_part: one argument of a command: its length in UTF-8, which psql is asked to write, then itself. */
static void
append_part(StringInfo out, const char *part)
{
	int length = strlen(part);
	char *utf8 = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, part), length,
													GetDatabaseEncoding(), PG_UTF8);

	appendStringInfo(out, "$%zu\r\n%s\r\n", strlen(utf8), part);
	if (utf8 != part)
		pfree(utf8);
}

/* append_command: with up to four parts, ends at NULL. */
static void
append_command(StringInfo out, const char *a, const char *b, const char *c, const char *d)
{
	const char *const parts[] = {a, b, c, d};
	int count = 0;

	while (count < lengthof(parts) && parts[count])
		count++;
	appendStringInfo(out, "*%d\r\n", count);
	for (int i = 0; i < count; i++)
		append_part(out, parts[i]);
}

MM_FUNCTION(mm_redis_mirror);

/* mm_redis_mirror(key_prefix text): text. */
Datum
mm_redis_mirror(PG_FUNCTION_ARGS)
{
	static query models = QUERY(
		"SELECT r.model_name, d.document::pg_catalog.text, r.stable_version, pg_catalog.jsonb_build_object("
		" 'rule', r.bucket_rule, 'version', s.value, 'pins', pg_catalog.cardinality(r.pin_hashes),"
		" 'segments', d.document -> 'segments', 'preview', r.preview, 'candidate', r.candidate_version,"
		/* A segment or preview that holds without a context takes every unit. */
		" 'key', CASE WHEN r.candidate_weight > 0 THEN r.bucket_key ELSE r.test ->> 'test_id' END,"
		" 'group', CASE WHEN r.candidate_weight = 0 AND r.test ? 'group' THEN pg_catalog.jsonb_build_object('key', r.test -> 'group',"
		"   'from', r.test -> 'slot_from', 'slots', r.test -> 'slots') END,"
		" 'draw', CASE WHEN s.variant = 'segment' OR s.value IS NULL THEN '[]'"
		"   WHEN r.candidate_weight > 0 THEN pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('below', r.candidate_weight,"
		"     'version', r.candidate_version))"
		/* Treatment first, the further arms, control last. */
		"   ELSE (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('below', a.below, 'version', a.version) ORDER BY a.last, a.n), '[]')"
		"     FROM (SELECT t.n, t.n = 1 AS last, t.arm ->> 'version' AS version,"
		"             pg_catalog.sum((t.arm ->> 'weight')::integer) OVER (ORDER BY t.n = 1, t.n) AS below"
		"           FROM pg_catalog.jsonb_array_elements(r.test -> 'arms') WITH ORDINALITY t (arm, n)) a) END)::pg_catalog.text"
		" FROM model_mgr.routing r JOIN model_mgr.registry_document d ON d.model_name = r.model_name,"
		" LATERAL model_mgr.route(r.model_name) s ORDER BY r.model_name COLLATE \"C\"");
	char *prefix = PG_ARGISNULL(0) ? pstrdup("models:") : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *registry = psprintf("%sregistry", prefix);
	char *active = psprintf("%sactive", prefix);
	char *routing = psprintf("%srouting", prefix);
	StringInfoData out;
	uint64 count;
	Datum result;
	mm_scope scope;

	mm_check_name("key prefix", prefix);
	scope = mm_enter();
	initStringInfo(&out);
	append_command(&out, "MULTI", NULL, NULL, NULL);
	append_command(&out, "DEL", registry, active, routing);
	count = query_run(&models);
	for (uint64 i = 0; i < count; i++)
	{
		char *name = query_text(i, 0);

		append_command(&out, "HSET", registry, name, query_text(i, 1));
		if (!query_isnull(i, 2))
			append_command(&out, "HSET", active, name, query_text(i, 2));
		append_command(&out, "HSET", routing, name, query_text(i, 3));
	}
	append_command(&out, "EXEC", NULL, NULL, NULL);
	result = query_result_text(out.data);
	mm_leave(scope);
	PG_RETURN_DATUM(result);
}

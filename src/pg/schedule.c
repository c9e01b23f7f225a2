/*
 * schedule.c: schedules of updates: a cron expression in a time zone, and asking for an update when it is due. Times
 * that passed while nothing ticked are made up for by one update, not by many.
 */
#include "pg/update.h"

#include "miscadmin.h"
#include "pgtime.h"

#include "core/cron.h"
#include "pg/audit.h"
#include "pg/deployment.h"
#include "pg/deployment_store.h"
#include "pg/event.h"
#include "pg/query.h"
#include "pg/registry_trust.h"
#include "pg/validator.h"

/* zone_at: the server's time zones as the core asks for them. */
static bool
zone_at(void *zone, int64_t time, cron_offset *out)
{
	pg_time_t at = time;
	pg_time_t boundary;
	long int offset;
	long int offset_then;
	int dst;
	int dst_then;
	int known = pg_next_dst_boundary(&at, &offset, &dst, &boundary, &offset_then, &dst_then, zone);

	if (known < 0)
		return false;
	out->offset = (int32_t) offset;
	out->changes = known == 1;
	if (out->changes)
	{
		out->until = boundary;
		out->offset_then = (int32_t) offset_then;
	}
	return true;
}

/* find_zone: 22023 for a name that the server does not know. */
static pg_tz *
find_zone(const char *name)
{
	pg_tz *zone = strlen(name) <= TZ_STRLEN_MAX ? pg_tzset(name) : NULL;

	if (zone == NULL || !pg_tz_acceptable(zone))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("time zone \"%.100s\" does not exist", name),
				errdetail("Schedules go by the clocks of a time zone that the server knows."),
				errhint("SELECT name FROM pg_timezone_names shows them, as in Europe/Berlin."));
	return zone;
}

/* refuse_expression: 22023: where it is wrong, and what would be right. */
static void
refuse_expression(const char *text, cron_status status, int field)
{
	static const char *const hint =
		"Fields are minute, hour, day of the month, month and day of the week, as in '30 2 * * mon-fri'; or @hourly, "
		"@daily, @weekly, @monthly, @yearly.";
	char *detail;

	switch (status)
	{
		case CRON_FIELDS:
			detail = pstrdup("It has not five fields, nor is it a word that stands for them.");
			break;
		case CRON_RANGE:
			detail = psprintf("A value of the %s is outside %d to %d.", cron_field_name(field), cron_field_low(field),
							  cron_field_high(field));
			break;
		case CRON_BACKWARD:
			detail = psprintf("A range of the %s ends before it begins.", cron_field_name(field));
			break;
		case CRON_STEP:
			detail = psprintf("A step of the %s is outside 1 to %d.", cron_field_name(field), CRON_MAX_STEP);
			break;
		case CRON_NEVER:
			detail = pstrdup("No year has a day that it names, so it would never fire.");
			break;
		default:
			detail = psprintf("The %s is no star, value, range, step or list of these.", cron_field_name(field));
			break;
	}
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("bad cron expression \"%.100s\"", text),
			errdetail("%s", detail), errhint("%s", hint));
}

/* next_run: the first time after `after`. */
static TimestampTz
next_run(const char *text, const char *zone_name, TimestampTz after)
{
	pg_tz *zone = find_zone(zone_name);
	cron_expression expression;
	int field;
	int64_t next;
	cron_status status = cron_parse(text, strlen(text), &expression, &field);

	if (status != CRON_OK)
		refuse_expression(text, status, field);
	if (!cron_next(&expression, timestamptz_to_time_t(after), zone_at, zone, &next))
		refuse_expression(text, CRON_NEVER, 0);
	return time_t_to_timestamptz(next);
}

/* same: the schedule that was asked for in the same words; NULL: none. */
static char *
same(int64 model_id, const update_wish *w, const char *expression, const char *zone)
{
	static query find = QUERY(
		"SELECT s.schedule_id FROM model_mgr.schedule_plan p JOIN model_mgr.schedule s ON s.schedule_id = p.schedule_id"
		" WHERE p.model_id = $1 AND s.target_version = $2 AND s.cron_expression = $3 AND s.timezone = $4"
		" AND s.deployment_strategy = $5 AND s.validation_rules = $6 AND s.allow_prerelease = $7"
		" ORDER BY p.schedule_no LIMIT 1",
		INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, BOOLOID);

	return query_run(&find, int64_arg(model_id), text_arg(w->target_version), text_arg(expression), text_arg(zone),
					 text_arg(w->strategy), jsonb_arg(w->rules), bool_arg(w->allow_prerelease)) > 0
			   ? query_text(0, 0)
			   : NULL;
}

/* insert: a new schedule; its schedule_id. */
static char *
insert(int64 model_id, const update_wish *w, const char *expression, const char *zone, TimestampTz next)
{
	static query plan = QUERY("WITH n AS (SELECT pg_catalog.nextval('model_mgr.schedule_plan_schedule_no_seq') AS n)"
							  " INSERT INTO model_mgr.schedule_plan (schedule_no, schedule_id, model_id, asked_by)"
							  " SELECT n.n, 'sch-' || n.n, $1, $2 FROM n RETURNING schedule_id",
							  INT8OID, TEXTOID);
	static query row = QUERY(
		"INSERT INTO model_mgr.schedule (schedule_id, model_name, target_version, cron_expression, timezone, deployment_strategy,"
		" validation_rules, allow_prerelease, next_run_at, created_by, created_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, BOOLOID, TIMESTAMPTZOID, TEXTOID,
		TIMESTAMPTZOID);
	char *id;

	query_run(&plan, int64_arg(model_id), text_arg(registry_acting()));
	id = query_text(0, 0);
	query_run(&row, text_arg(id), text_arg(w->model_name), text_arg(w->target_version), text_arg(expression),
			  text_arg(zone), text_arg(w->strategy), jsonb_arg(w->rules), bool_arg(w->allow_prerelease), time_arg(next),
			  text_arg(w->by), time_arg(mm_now()));
	audit_append("schedule_update", w->model_name, NULL,
				 json_build(json_text_pair("schedule_id", id), json_text_pair("target_version", w->target_version),
							json_text_pair("cron_expression", expression), json_text_pair("timezone", zone),
							json_text_pair("deployment_strategy", w->strategy),
							json_boolean_pair("allow_prerelease", w->allow_prerelease),
							json_object_pair("validation_rules", w->rules), json_time_pair("next_run_at", next)));
	return id;
}

/* add: the schedule, new or the one that is the same; its id. Under the model's lock. */
static char *
add(int64 model_id, const update_wish *w, const char *expression, const char *zone)
{
	/* The name as the server writes it: one zone, one spelling. */
	const char *known_zone = pg_get_timezone_name(find_zone(zone));
	TimestampTz next = next_run(expression, known_zone, mm_now());
	char *id;

	validator_require(w->rules);
	id = same(model_id, w, expression, known_zone);
	return id ? id : insert(model_id, w, expression, known_zone, next);
}

void
schedule_import(const update_wish *w, const char *expression, const char *zone)
{
	bool latest = strcmp(w->target_version, "latest") == 0;
	registry_version found;
	int64 model_id;

	mm_check_name("target_version", w->target_version);
	model_id = registry_lock_model(w->model_name);
	if (!latest && (!registry_find_version(w->model_name, w->target_version, true, &found) ||
					strcmp(found.status, "archived") == 0))
		ereport(NOTICE,
				errmsg("a schedule of model \"%s\" targets \"%s\", which cannot be deployed", w->model_name,
					   w->target_version),
				errdetail("There is no such version or alias, or it is archived; its updates would fail."),
				errhint("Make the version or alias, or take the schedule off with unschedule_update()."));
	(void) add(model_id, w, expression, zone);
}

MM_FUNCTION(mm_schedule_update);

/* mm_schedule_update(...): the schedule_id, new or that of the same schedule. */
Datum
mm_schedule_update(PG_FUNCTION_ARGS)
{
	update_wish w = {.model_name = mm_text_arg(fcinfo, 0, "model_name", true),
					 .target_version = mm_text_arg(fcinfo, 1, "target_version", true),
					 .strategy = deployment_strategy(mm_text_arg(fcinfo, 3, "deployment_strategy", false)),
					 .by = mm_session_user_name(),
					 .rules = validator_rules(PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4)),
					 .allow_prerelease = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5)};
	char *expression = mm_text_arg(fcinfo, 2, "cron_expression", true);
	char *zone = mm_text_arg(fcinfo, 6, "timezone", false);
	int64 model_id;
	Datum result;
	mm_scope scope;

	if (zone == NULL)
		zone = "UTC";
	(void) next_run(expression, zone, mm_now());
	scope = mm_enter();
	model_id = registry_lock_model(w.model_name);
	deployment_fresh(model_id);
	update_check_target(w.model_name, w.target_version);
	result = query_result_text(add(model_id, &w, expression, zone));
	mm_leave(scope);
	PG_RETURN_DATUM(result);
}

MM_FUNCTION(mm_unschedule_update);

/* mm_unschedule_update(schedule_id text): false: there is none. */
Datum
mm_unschedule_update(PG_FUNCTION_ARGS)
{
	static query find = QUERY("SELECT p.model_id, s.model_name FROM model_mgr.schedule_plan p"
							  " JOIN model_mgr.schedule s ON s.schedule_id = p.schedule_id WHERE p.schedule_id = $1",
							  TEXTOID);
	static query plan = QUERY("DELETE FROM model_mgr.schedule_plan p WHERE p.schedule_id = $1", TEXTOID);
	static query row = QUERY("DELETE FROM model_mgr.schedule s WHERE s.schedule_id = $1"
							 " RETURNING s.model_name, s.target_version, s.cron_expression",
							 TEXTOID);
	char *id = mm_text_arg(fcinfo, 0, "schedule_id", true);
	mm_scope scope = mm_enter();
	bool removed = false;

	if (query_run(&find, text_arg(id)) > 0)
	{
		int64 model_id = query_int64(0, 0);

		registry_check_grant(query_text(0, 1));
		(void) mm_lock_model(model_id, true);
		query_run(&plan, text_arg(id));
		removed = query_run(&row, text_arg(id)) > 0;
	}
	if (removed)
		audit_append("unschedule_update", query_text(0, 0), NULL,
					 json_build(json_text_pair("schedule_id", id), json_text_pair("target_version", query_text(0, 1)),
								json_text_pair("cron_expression", query_text(0, 2))));
	mm_leave(scope);
	PG_RETURN_BOOL(removed);
}

/* run_one: asks for the update of a schedule that is due, unless somebody else has its model. */
static int64
run_one(int64 schedule_no)
{
	static query model = QUERY("SELECT p.model_id FROM model_mgr.schedule_plan p WHERE p.schedule_no = $1", INT8OID);
	static query read = QUERY(
		"SELECT s.model_name, s.target_version, s.cron_expression, s.timezone, s.deployment_strategy, s.validation_rules,"
		" s.allow_prerelease, s.created_by, s.schedule_id, '{}'::text[], p.asked_by FROM model_mgr.schedule_plan p"
		" JOIN model_mgr.schedule s ON s.schedule_id = p.schedule_id WHERE p.schedule_no = $1 AND s.next_run_at <= $2",
		INT8OID, TIMESTAMPTZOID);
	static query set = QUERY("UPDATE model_mgr.schedule s SET next_run_at = $2, last_run_at = $3, last_update_id = $4"
							 " WHERE s.schedule_id = $1",
							 TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID);
	TimestampTz now = mm_now();
	update_wish w = {.trigger = "scheduled"};
	char *expression;
	char *zone;
	char *update_id;
	int64 model_id;
	bool isnull;

	if (query_run(&model, int64_arg(schedule_no)) == 0)
		return 0;
	model_id = query_int64(0, 0);
	if (!mm_lock_model(model_id, false) || query_run(&read, int64_arg(schedule_no), time_arg(now)) == 0)
		return 0;
	w.model_name = query_text(0, 0);
	w.target_version = query_text(0, 1);
	expression = query_text(0, 2);
	zone = query_text(0, 3);
	w.strategy = query_text(0, 4);
	w.rules = query_jsonb(0, 5);
	w.allow_prerelease = query_bool(0, 6);
	w.by = query_text(0, 7);
	w.schedule_id = query_text(0, 8);
	w.notes = query_datum(0, 9, &isnull);
	w.asked_by = query_text(0, 10);
	/* The run before this one may still be under way: then that one is it. */
	update_id = update_open(w.model_name, w.target_version, w.schedule_id);
	if (update_id == NULL)
		update_id = update_insert(model_id, &w);
	query_run(&set, text_arg(w.schedule_id), time_arg(next_run(expression, zone, now)), time_arg(now),
			  text_arg(update_id));
	return 1;
}

int64
schedule_run_due(TimestampTz deadline, int64 *failed)
{
	static query due = QUERY(
		"SELECT p.schedule_no, s.schedule_id FROM model_mgr.schedule s JOIN model_mgr.schedule_plan p ON p.schedule_id = s.schedule_id"
		" WHERE s.next_run_at <= $1 ORDER BY s.next_run_at, p.schedule_no",
		TIMESTAMPTZOID);
	uint64 count = query_run(&due, time_arg(mm_now()));
	int64 *numbers = palloc(sizeof(int64) * (count + 1));
	int64 changed = 0;
	int64 items;

	for (uint64 i = 0; i < count; i++)
		numbers[i] = query_int64(i, 0);
	deadline = mm_turn(deadline);
	for (uint64 i = 0; i < count && GetCurrentTimestamp() < deadline; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (mm_guarded(run_one, numbers[i], psprintf("schedule sch-%lld", (long long) numbers[i]), &items))
			changed += items;
		else
			(*failed)++;
	}
	return changed;
}

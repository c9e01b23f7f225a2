/*
 * anomaly_feed.c: feeds the detectors of anomalies (core/anomaly_stream.h), one for each version and main metric, with
 * the complete minutes of rollup_minute, and tells what they find as alerts. Called by the tick alone.
 *
 * anomaly_feed.fed_until is the watermark: minutes before it were fed. A minute that comes or changes after that is
 * late and left out. All is one transaction: states, watermark and alerts go together, so a crash or a rollback repeats
 * nothing and forgets nothing. However many minutes one feed takes in, each stream sees them one by one in their order,
 * and incidents begin and end between the same two minutes as if there had been a feed a minute.
 *
 * Costs: one ordered scan of the new minutes, one read of the states of the versions they name, one write of these.
 * Versions without new minutes are not touched, unless an alert of theirs fires.
 */
#include "pg/anomaly_feed.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "pg/alert.h"
#include "pg/anomaly_internal.h"
#include "pg/query.h"
#include "pg/rollup.h"

/* Orders feeds; models have positive ids. */
#define FEED_LOCK (-3)

#define CHUNK_ROWS 20000

/* Of the time given, for telling and for writing what was read. */
#define TELLING (300 * INT64CONST(1000))

/* One minute of one version. */
typedef struct minute
{
	TimestampTz bucket;
	int64 version_id;
	double samples[ANOMALY_METRICS];
	double sums[ANOMALY_METRICS];
} minute;

static const char *const causes[] = {"none", "level", "jump", "local", "season", "stuck"};

/* What one guarded write of an alert is about. */
typedef struct telling
{
	version_streams *v;
	int metric;
} telling;

/* --- reading --- */

#define MINUTE_COLUMNS                                                                                                 \
	"SELECT r.bucket, r.version_id, r.known, r.successes, r.response_time_count, r.response_time_sum,"                 \
	" r.confidence_count, r.confidence_sum, r.cost_count, r.cost_sum FROM model_mgr.rollup_minute r"
/* The whole key, so that the same rows are always added up in the same order, to the same bits. */
#define MINUTE_ORDER " ORDER BY r.bucket, r.version_id, r.deployment_id, r.step, r.test_no, r.arm"

/* take_minutes: the last result, rows of one minute and version added up; palloc'd, their number in *count. */
static minute *
take_minutes(uint64 rows, uint64 *count)
{
	minute *minutes = palloc(sizeof(minute) * (rows + 1));
	uint64 n = 0;

	for (uint64 i = 0; i < rows; i++)
	{
		TimestampTz bucket = query_time(i, 0);
		int64 version_id = query_int64(i, 1);
		minute *m;

		if (n == 0 || minutes[n - 1].bucket != bucket || minutes[n - 1].version_id != version_id)
			minutes[n++] = (minute){.bucket = bucket, .version_id = version_id};
		m = &minutes[n - 1];
		m->samples[0] += (double) query_int64(i, 2);
		m->sums[0] += (double) query_int64(i, 3);
		for (int k = 1; k < ANOMALY_METRICS; k++)
		{
			m->samples[k] += (double) query_int64(i, 2 + 2 * k);
			m->sums[k] += query_float8(i, 3 + 2 * k);
		}
	}
	SPI_freetuptable(SPI_tuptable);
	*count = n;
	return minutes;
}

/* --- telling --- */

/* describe: names the version, once a feed. False when it is gone. */
static bool
describe(feed *f, version_streams *v)
{
	static query names = QUERY("SELECT v.model_id, v.model_name, v.version FROM model_mgr.model_version v"
							   " WHERE v.version_id = $1",
							   INT8OID);

	if (!v->described)
	{
		v->described = true;
		if (query_run(&names, int64_arg(v->version_id)) > 0)
		{
			MemoryContext old = MemoryContextSwitchTo(f->context);

			v->model_id = query_int64(0, 0);
			v->model_name = query_text(0, 1);
			v->version = query_text(0, 2);
			MemoryContextSwitchTo(old);
		}
	}
	return v->model_id != 0;
}

/* fire: the alert of an incident, or its newer value; 0 when somebody else has the model. Guarded. */
static int64
fire(int64 argument)
{
	telling *t = (telling *) (intptr_t) argument;
	feed_stream *s = &t->v->streams[t->metric];
	alert_facts facts = {
		.kind = "anomaly",
		.model_id = t->v->model_id,
		.version_id = t->v->version_id,
		.model_name = t->v->model_name,
		.version = t->v->version,
		.metric_name = anomaly_metrics[t->metric].name,
		.severity = "warning",
		.summary = psprintf("%s of version %s is %.4g where %.4g is usual", anomaly_metrics[t->metric].name,
							t->v->version, s->value, s->expected),
		.current_value = s->value,
		.samples = s->samples,
		.evidence = s->evidence,
	};
	bool fresh;

	if (!mm_lock_model(t->v->model_id, false))
		return 0;
	(void) alert_fire(&facts, &fresh);
	return 1;
}

/* resolve: guarded like fire. */
static int64
resolve(int64 argument)
{
	telling *t = (telling *) (intptr_t) argument;

	if (!mm_lock_model(t->v->model_id, false))
		return 0;
	(void) alert_resolve("anomaly", t->v->model_id, t->v->version_id, anomaly_metrics[t->metric].name);
	return 1;
}

/* told: runs one of the two, guarded; false when it must be tried again by the next tick. */
static bool
told(feed *f, version_streams *v, int metric, int64 (*work)(int64))
{
	telling t = {v, metric};
	int64 done = 0;

	if (GetCurrentTimestamp() >= f->deadline)
		return false;
	if (!describe(f, v))
		return true; /* of a version that is gone there is nothing to tell */
	if (!mm_guarded(work, (intptr_t) &t, psprintf("anomaly alert of \"%s\"", v->model_name), &done))
		(*f->failed)++;
	return done > 0;
}

/* begun: an incident, to be told now or by a later tick. */
static void
begun(feed *f, version_streams *v, int k, const minute *m, const anomaly_stream_result *r)
{
	feed_stream *s = &v->streams[k];
	MemoryContext old = MemoryContextSwitchTo(f->context);

	s->value = m->sums[k] / m->samples[k];
	s->samples = (int64) m->samples[k];
	s->expected = s->state.before;
	s->evidence =
		json_build(json_number_pair("value", s->value), json_number_pair("expected", s->expected),
				   json_number_pair("score", r->severity), json_number_pair("sensitivity", guc_anomaly_sensitivity),
				   json_text_pair("cause", causes[r->cause]), json_time_pair("minute", m->bucket),
				   json_integer_pair("samples", s->samples));
	MemoryContextSwitchTo(old);
	s->untold = !told(f, v, k, fire);
	s->firing = s->firing || !s->untold;
}

/* worse: the incident is told already and has become a new one in the detector's eyes: its alert gets the value. */
static void
worse(feed *f, version_streams *v, int k, const minute *m)
{
	feed_stream *s = &v->streams[k];

	s->value = m->sums[k] / m->samples[k];
	s->samples = (int64) m->samples[k];
	(void) told(f, v, k, fire);
}

/* over: the incident is; an alert that was not told by now is not told any more. */
static void
over(feed *f, version_streams *v, int k)
{
	feed_stream *s = &v->streams[k];

	s->changed = true;
	s->untold = false;
	if (s->firing && told(f, v, k, resolve))
		s->firing = false;
}

/* --- feeding --- */

/* take: one point of one stream. */
static void
take(feed *f, version_streams *v, int k, const minute *m, bool quietly)
{
	feed_stream *s = &v->streams[k];
	anomaly_stream_result r;

	if (!(m->samples[k] > 0) || !isfinite(m->sums[k]) || m->bucket < s->fed_until)
		return;
	if (anomaly_stream_ends(&s->state, m->bucket) && !quietly)
		over(f, v, k);
	r = anomaly_stream_update(&s->state, m->sums[k] / m->samples[k], m->samples[k], anomaly_metrics[k].proportion,
							  m->bucket, guc_anomaly_sensitivity);
	s->fed_until = m->bucket + USECS_PER_MINUTE;
	s->changed = true;
	f->points++;
	if (quietly)
		return;
	if (r.began)
		begun(f, v, k, m, &r);
	else if (s->firing && r.score >= 1)
		worse(f, v, k, m);
}

/*
 * restart: begins the version's lost streams anew with what minutes are kept before `until`. Nobody is woken for what
 * happened then.
 */
static void
restart(feed *f, version_streams *v, TimestampTz until)
{
	static query kept =
		QUERY(MINUTE_COLUMNS " WHERE r.version_id = $1 AND r.bucket < $2" MINUTE_ORDER, INT8OID, TIMESTAMPTZOID);
	uint64 count;
	minute *minutes = take_minutes(query_run(&kept, int64_arg(v->version_id), time_arg(until)), &count);

	for (int k = 0; k < ANOMALY_METRICS; k++)
	{
		feed_stream *s = &v->streams[k];

		if (!s->lost)
			continue;
		ereport(
			LOG,
			errmsg("model_mgr: the detector of anomalies in %s of version %lld begins anew", anomaly_metrics[k].name,
				   (long long) v->version_id),
			errdetail(
				"Its stored state is damaged, of another format, or ahead of the clock; the minutes kept are fed again."));
		anomaly_stream_init(&s->state);
		s->fed_until = DT_NOBEGIN;
		for (uint64 i = 0; i < count; i++)
			take(f, v, k, &minutes[i], true);
		s->state.since = s->state.last = ANOMALY_NO_TIME;
		s->untold = false;
		s->lost = false;
		s->changed = true;
	}
	pfree(minutes);
}

/* feed_minutes: every stream of every minute, in order. Lost ones are restarted while there is time, else they wait. */
static void
feed_minutes(feed *f, const minute *minutes, uint64 count, TimestampTz reading_until)
{
	int64 *unknown = palloc(sizeof(int64) * (count + 1));
	int unknowns = 0;
	bool found;

	for (uint64 i = 0; i < count; i++)
	{
		(void) anomaly_find(f, minutes[i].version_id, &found);
		if (!found)
			unknown[unknowns++] = minutes[i].version_id;
	}
	if (unknowns > 0)
		anomaly_load(f, unknown, unknowns);
	for (uint64 i = 0; i < count; i++)
	{
		version_streams *v = anomaly_find(f, minutes[i].version_id, &found);
		bool lost = false;

		for (int k = 0; k < ANOMALY_METRICS; k++)
			lost = lost || v->streams[k].lost;
		if (lost && (i == 0 || GetCurrentTimestamp() < reading_until))
			restart(f, v, minutes[i].bucket);
		for (int k = 0; k < ANOMALY_METRICS; k++)
			if (!v->streams[k].lost)
				take(f, v, k, &minutes[i], false);
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
	}
}

/*
 * chunk_end: where to stop reading, whole minutes of about CHUNK_ROWS rows from `from` to before `until`; `from` when
 * there are none.
 */
static TimestampTz
chunk_end(TimestampTz from, TimestampTz until)
{
	static query bounds = QUERY(
		"SELECT (SELECT r.bucket FROM model_mgr.rollup_minute r WHERE r.bucket >= $1 AND r.bucket < $2 ORDER BY r.bucket LIMIT 1),"
		" (SELECT r.bucket FROM model_mgr.rollup_minute r WHERE r.bucket >= $1 AND r.bucket < $2 ORDER BY r.bucket OFFSET $3 LIMIT 1)",
		TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID);

	query_run(&bounds, time_arg(from), time_arg(until), int64_arg(CHUNK_ROWS));
	if (query_isnull(0, 0))
		return from;
	if (query_isnull(0, 1))
		return until;
	return Max(query_time(0, 1), query_time(0, 0) + USECS_PER_MINUTE);
}

/* finish: what is due for every stream at hand once all minutes before `until` are known. */
static void
finish(feed *f, TimestampTz until)
{
	HASH_SEQ_STATUS scan;
	version_streams *v;

	hash_seq_init(&scan, f->versions);
	while ((v = hash_seq_search(&scan)) != NULL)
		for (int k = 0; k < ANOMALY_METRICS; k++)
		{
			feed_stream *s = &v->streams[k];

			/* Of a version without new minutes: nothing else would bring it back, and its alert would fire for ever. */
			if (s->lost && GetCurrentTimestamp() < f->deadline - TELLING)
				restart(f, v, until);
			if (s->lost)
				continue;
			if (anomaly_stream_ends(&s->state, until))
				over(f, v, k);
			else if (s->firing && s->state.since == ANOMALY_NO_TIME)
				over(f, v, k);
			else if (s->untold && told(f, v, k, fire))
			{
				s->untold = false;
				s->firing = s->changed = true;
			}
		}
}

/* known_until: all minutes that end by then are folded, as far as committed; DT_NOBEGIN: none. */
static TimestampTz
known_until(TimestampTz now, bool folded)
{
	static query last = QUERY("SELECT s.folded_at FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1");

	if (!folded)
	{
		/* A fold's time is real; beside a clock that is set it says nothing. */
		if (mm_clock_is_fixed() || query_run(&last) == 0 || query_isnull(0, 0))
			return DT_NOBEGIN;
		now = Min(now, query_time(0, 0));
	}
	return now - ((now % USECS_PER_MINUTE) + USECS_PER_MINUTE) % USECS_PER_MINUTE;
}

int64
anomaly_feed(TimestampTz now, bool folded, TimestampTz deadline, int64 *failed)
{
	static query watermark = QUERY("SELECT a.fed_until FROM model_mgr.anomaly_feed a");
	static query store = QUERY("INSERT INTO model_mgr.anomaly_feed AS a (fed_until) VALUES ($1)"
							   " ON CONFLICT (one_row) DO UPDATE SET fed_until = excluded.fed_until",
							   TIMESTAMPTZOID);
	static query minutes_between =
		QUERY(MINUTE_COLUMNS " WHERE r.bucket >= $1 AND r.bucket < $2 AND r.version_id > 0" MINUTE_ORDER,
			  TIMESTAMPTZOID, TIMESTAMPTZOID);
	feed f = {.now = now, .deadline = deadline, .failed = failed};
	TimestampTz until = known_until(now, folded);
	TimestampTz fed = DT_NOBEGIN; /* all before is */
	TimestampTz before;
	HASHCTL control = {.keysize = sizeof(int64), .entrysize = sizeof(version_streams)};
	MemoryContext chunk;
	MemoryContext old;
	int level;

	if (until == DT_NOBEGIN || !mm_lock_model(FEED_LOCK, false))
		return 0;
	if (query_run(&watermark) > 0)
		fed = query_time(0, 0);
	before = fed;
	if (fed > now + (mm_clock_is_fixed() ? 0 : ANOMALY_CLOCK_SLACK))
		fed = DT_NOBEGIN;

	f.context = AllocSetContextCreate(CurrentMemoryContext, "anomaly feed", ALLOCSET_DEFAULT_SIZES);
	chunk = AllocSetContextCreate(f.context, "minutes", ALLOCSET_DEFAULT_SIZES);
	control.hcxt = f.context;
	f.versions = hash_create("streams", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	old = MemoryContextSwitchTo(chunk);
	level = rollup_plan_for_history();

	anomaly_load_alerts(&f);
	while (fed < until)
	{
		TimestampTz end = chunk_end(fed, until);
		minute *minutes;
		uint64 count;

		if (end == fed)
			break;
		minutes = take_minutes(query_run(&minutes_between, time_arg(fed), time_arg(end)), &count);
		feed_minutes(&f, minutes, count, deadline - TELLING);
		/* not beyond what was there: the first minute of a model that was quiet so far may still come late */
		fed = end < until ? end : Max(fed, count > 0 ? minutes[count - 1].bucket + USECS_PER_MINUTE : fed);
		MemoryContextReset(chunk);
		if (end == until || GetCurrentTimestamp() >= deadline - TELLING)
		{
			if (end < until)
				until = end;
			break;
		}
	}
	finish(&f, until);
	anomaly_store(&f);
	if (fed != before && fed != DT_NOBEGIN)
	{
		query_run(&store, time_arg(fed));
		if (before == DT_NOBEGIN || fed / USECS_PER_HOUR != before / USECS_PER_HOUR)
			anomaly_forget_versions();
	}
	AtEOXact_GUC(true, level);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(f.context);
	return f.points;
}

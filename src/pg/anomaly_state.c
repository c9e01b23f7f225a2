/*
 * anomaly_state.c: the table anomaly_state: the streams of the versions that a feed touches are read from it and
 * written back in a few statements, however many they are. Called by anomaly_feed.c alone, which holds the feed's lock;
 * nobody else writes the table, so that no row is ever waited for.
 */
#include "pg/anomaly_internal.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "pg/query.h"

#define WRITE_ROWS 4000

const anomaly_metric anomaly_metrics[ANOMALY_METRICS] = {
	{"success_rate", true}, {"avg_response_time", false}, {"confidence_score", false}, {"cost_per_request", false}};

version_streams *
anomaly_find(feed *f, int64 version_id, bool *found)
{
	version_streams *v = hash_search(f->versions, &version_id, HASH_ENTER, found);

	if (!*found)
	{
		memset((char *) v + sizeof(v->version_id), 0, sizeof(*v) - sizeof(v->version_id));
		for (int k = 0; k < ANOMALY_METRICS; k++)
		{
			anomaly_stream_init(&v->streams[k].state);
			v->streams[k].fed_until = DT_NOBEGIN;
		}
	}
	return v;
}

#define STATE_COLUMNS                                                                                                  \
	"SELECT s.version_id, s.metric_name, s.state, s.fed_until, s.alert_since IS NOT NULL AND s.untold IS NULL,"        \
	" s.untold, (s.untold->>'value')::pg_catalog.float8, (s.untold->>'expected')::pg_catalog.float8,"                  \
	" (s.untold->>'samples')::pg_catalog.int8 FROM model_mgr.anomaly_state s"

/* take_states: the last result into the streams. */
static void
take_states(feed *f, uint64 rows)
{
	for (uint64 i = 0; i < rows; i++)
	{
		char *name = query_text(i, 1);
		bool found;
		version_streams *v = anomaly_find(f, query_int64(i, 0), &found);

		for (int k = 0; k < ANOMALY_METRICS; k++)
		{
			feed_stream *s = &v->streams[k];
			bool isnull;
			bytea *bytes;

			if (s->stored || strcmp(name, anomaly_metrics[k].name) != 0)
				continue;
			bytes = DatumGetByteaPP(query_datum(i, 2, &isnull));
			s->stored = true;
			s->fed_until = query_time(i, 3);
			s->lost =
				!anomaly_stream_restore(&s->state, (unsigned char *) VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)) ||
				s->fed_until > f->now + (mm_clock_is_fixed() ? 0 : ANOMALY_CLOCK_SLACK);
			s->firing = query_bool(i, 4);
			s->untold = !query_isnull(i, 5);
			if (s->untold)
			{
				MemoryContext old = MemoryContextSwitchTo(f->context);

				s->evidence = query_jsonb(i, 5);
				MemoryContextSwitchTo(old);
				s->value = query_float8(i, 6);
				s->expected = query_float8(i, 7);
				s->samples = query_int64(i, 8);
			}
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

void
anomaly_load(feed *f, const int64 *version_ids, int count)
{
	static query states = QUERY(STATE_COLUMNS " WHERE s.version_id = ANY ($1)", INT8ARRAYOID);
	Datum *ids = palloc(sizeof(Datum) * (count + 1));

	for (int i = 0; i < count; i++)
		ids[i] = Int64GetDatum(version_ids[i]);
	take_states(f, query_run(&states, datum_arg(PointerGetDatum(construct_array(ids, count, INT8OID, sizeof(int64),
																				FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)),
												false)));
}

void
anomaly_load_alerts(feed *f)
{
	static query alerts =
		QUERY(STATE_COLUMNS " WHERE s.version_id IN"
							" (SELECT a.version_id FROM model_mgr.anomaly_state a WHERE a.alert_since IS NOT NULL)");

	take_states(f, query_run(&alerts));
}

typedef struct rows
{
	int n;
	Datum values[6][WRITE_ROWS];
	bool nulls[6][WRITE_ROWS];
} rows;

static const Oid row_types[] = {INT8OID, TEXTOID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID};

static query_arg
rows_column(rows *r, int column)
{
	bool by_value = column == 0 || column == 3 || column == 4;
	int dims = r->n;
	int lower = 1;

	return datum_arg(
		PointerGetDatum(construct_md_array(r->values[column], r->nulls[column], 1, &dims, &lower, row_types[column],
										   by_value ? sizeof(int64) : -1, by_value && FLOAT8PASSBYVAL,
										   by_value ? TYPALIGN_DOUBLE : TYPALIGN_INT)),
		false);
}

/* rows_write: and begins with none again. */
static void
rows_write(rows *r, query *q)
{
	if (r->n > 0)
		query_run(q, rows_column(r, 0), rows_column(r, 1), rows_column(r, 2), rows_column(r, 3), rows_column(r, 4),
				  rows_column(r, 5));
	r->n = 0;
}

static void
rows_add(rows *r, const feed *f, const version_streams *v, int k)
{
	const feed_stream *s = &v->streams[k];
	bytea *bytes = palloc(VARHDRSZ + ANOMALY_STREAM_SIZE);
	bool alert = s->firing || s->untold;
	int i = r->n++;

	SET_VARSIZE(bytes, VARHDRSZ + ANOMALY_STREAM_SIZE);
	anomaly_stream_serialise(&s->state, (unsigned char *) VARDATA(bytes));
	r->values[0][i] = Int64GetDatum(v->version_id);
	r->values[1][i] = CStringGetTextDatum(anomaly_metrics[k].name);
	r->values[2][i] = PointerGetDatum(bytes);
	r->values[3][i] = TimestampTzGetDatum(s->fed_until);
	/* one that ended and could not be resolved yet has no beginning any more */
	r->values[4][i] = TimestampTzGetDatum(s->state.since != ANOMALY_NO_TIME ? s->state.since : s->fed_until);
	r->values[5][i] = PointerGetDatum(s->evidence);
	for (int column = 0; column < 4; column++)
		r->nulls[column][i] = false;
	r->nulls[4][i] = !alert;
	r->nulls[5][i] = !s->untold;
}

#define UNNESTED                                                                                                       \
	" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"     \
	" pg_catalog.unnest($5), pg_catalog.unnest($6)) u(version_id, metric_name, state, fed_until, alert_since, untold)"
#define ROW_TYPES INT8ARRAYOID, TEXTARRAYOID, BYTEAARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, JSONBARRAYOID

void
anomaly_store(feed *f)
{
	static query update = QUERY(
		"UPDATE model_mgr.anomaly_state s SET state = u.state, fed_until = u.fed_until, alert_since = u.alert_since,"
		" untold = u.untold" UNNESTED " WHERE s.version_id = u.version_id AND s.metric_name = u.metric_name",
		ROW_TYPES);
	static query insert = QUERY(
		"INSERT INTO model_mgr.anomaly_state (version_id, metric_name, state, fed_until, alert_since, untold) SELECT u.*" UNNESTED
		" WHERE EXISTS (SELECT FROM model_mgr.model_version v WHERE v.version_id = u.version_id)",
		ROW_TYPES);
	MemoryContext context = AllocSetContextCreate(f->context, "anomaly states", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(f->context);
	rows *changed = palloc(sizeof(rows));
	rows *fresh = palloc(sizeof(rows));
	HASH_SEQ_STATUS scan;
	version_streams *v;

	changed->n = fresh->n = 0;
	MemoryContextSwitchTo(context);
	hash_seq_init(&scan, f->versions);
	while ((v = hash_seq_search(&scan)) != NULL)
		for (int k = 0; k < ANOMALY_METRICS; k++)
			if (v->streams[k].changed)
			{
				rows *r = v->streams[k].stored ? changed : fresh;

				rows_add(r, f, v, k);
				if (r->n == WRITE_ROWS)
					rows_write(r, r == changed ? &update : &insert);
			}
	rows_write(changed, &update);
	rows_write(fresh, &insert);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
anomaly_forget_versions(void)
{
	static query orphans = QUERY("DELETE FROM model_mgr.anomaly_state s WHERE NOT EXISTS"
								 " (SELECT FROM model_mgr.model_version v WHERE v.version_id = s.version_id)");

	query_run(&orphans);
}

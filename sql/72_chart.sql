-- 72_chart: drawings of characters, for views that people read in a terminal.

CREATE FUNCTION model_mgr.chart_spark("values" float8[]) RETURNS text
AS 'MODULE_PATHNAME', 'mm_chart_spark' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.chart_spark(float8[]) IS 'A column a value, as high as it is beside the highest; 0 is an underscore, NULL a blank. In the characters of model_mgr.chart_charset.';

CREATE FUNCTION model_mgr.chart_bar(fraction float8, width integer) RETURNS text
AS 'MODULE_PATHNAME', 'mm_chart_bar' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.chart_bar(float8, integer) IS 'A bar of width columns (1 to 1000), filled up to a fraction 0 to 1. Errors: 22003.';

CREATE FUNCTION model_mgr.chart_text(value text, width integer) RETURNS text
AS 'MODULE_PATHNAME', 'mm_chart_text' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.chart_text(text, integer) IS 'The text in at most width columns of a terminal (1 to 1000), with a mark where it is cut; what would move the cursor or turn the direction of writing is a question mark. Errors: 22003.';

CREATE FUNCTION model_mgr.chart_interval(low float8, estimate float8, high float8, axis_low float8, axis_high float8, width integer) RETURNS text
AS 'MODULE_PATHNAME', 'mm_chart_interval' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.chart_interval(float8, float8, float8, float8, float8, integer) IS 'An interval and its estimate on an axis of width columns (1 to 1000), in the unit of the values, zero marked where the axis has it; an end beyond the axis is an arrow. Intervals drawn with one axis can be compared by eye. Errors: 22003.';

CREATE FUNCTION model_mgr.chart_track(step integer, steps integer) RETURNS text
AS 'MODULE_PATHNAME', 'mm_chart_track' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.chart_track(integer, integer) IS 'The steps of a rollout in at most 12 columns: done, under way, to come. step counts from 1; 0: none has begun; more than steps: all are done.';

CREATE FUNCTION model_mgr.chart_lines(value text, width integer) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_catalog.string_agg(model_mgr.chart_text(pg_catalog.rtrim(m.line[1]), chart_lines.width), E'\n' ORDER BY m.n)
    FROM pg_catalog.regexp_matches(chart_lines.value, pg_catalog.format('\S.{0,%s}(?!\S)|\S{1,%s}', chart_lines.width - 1, chart_lines.width), 'g') WITH ORDINALITY m (line, n);
END;
COMMENT ON FUNCTION model_mgr.chart_lines(text, integer) IS 'The text in lines of at most width columns (1 to 200), broken at blanks where there are some. NULL: nothing but blanks. Errors: 22003, 2201B.';

/*
 * guc.c: the settings model_mgr.*, and the clock that one of them can hold still. Settings are read where a decision
 * is made; what steers a rollout is copied into its row when it is created.
 */
#include "pg/mm.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "pg/guc.h"

int guc_retention_days = 90;
bool guc_enforcement = true;
char *guc_default_deployment_strategy;
double guc_anomaly_sensitivity = 2.0;
int guc_monitor_interval_seconds = 60;
int guc_monitor_retention_hours = 168;
bool guc_notify = true;
int guc_validation_timeout = 300;
int guc_update_max_concurrent = 3;
int guc_update_check_interval = 60;
char *guc_event_type_prefix;
double guc_ab_test_confidence = 0.95;
double guc_ab_test_power = 0.8;
int guc_ab_test_min_samples = 1000;
int guc_audit_retention_days;
bool guc_backup_enabled = true;
int guc_backup_interval_hours = 24;
char *guc_backup_directory;
int guc_chart_charset = CHART_CHARSET_AUTO;

static char *guc_clock;
static TimestampTz *fixed_time; /* NULL: the clock runs */

TimestampTz
mm_now(void)
{
	return fixed_time ? *fixed_time : GetCurrentTimestamp();
}

bool
mm_clock_is_fixed(void)
{
	return fixed_time != NULL;
}

/* is_relative: whether a literal has a word that means another time whenever it is read. */
static bool
is_relative(const char *literal)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

	for (; *literal; literal++)
		for (int i = 0; i < lengthof(words); i++)
			if (pg_strncasecmp(literal, words[i], strlen(words[i])) == 0)
				return true;
	return false;
}

/*
 * check_clock: any timestamptz text, empty for the real clock. Relative words (now, today) are refused since a setting
 * would mean a new time each time it is read. The value is kept as digits in UTC: a parallel worker takes the settings
 * over one by one, this one before TimeZone and while the table of zone abbreviations is freed memory, so it must find
 * nothing to look up there.
 */
static bool
check_clock(char **newval, void **extra, GucSource source)
{
	struct pg_tm tm;
	fsec_t fsec;
	TimestampTz time;
	char text[MAXDATELEN + 1];
	char *kept;

	if (**newval == '\0')
		return true;
	if (is_relative(*newval) || mm_read_time(*newval, &time) != MM_LITERAL_GOOD || TIMESTAMP_NOT_FINITE(time) ||
		timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0 || tm.tm_year < 1)
	{
		GUC_check_errdetail("The value is not a point in time that a timestamptz can hold.");
		GUC_check_errhint(
			"Write a date and time such as \"2026-01-31 12:00:00+00\", or the empty string for the real clock.");
		return false;
	}
	tm.tm_isdst = 0; /* else the zone is left out */
	EncodeDateTime(&tm, fsec, true, 0, NULL, USE_ISO_DATES, text);
	kept = compat_guc_malloc(strlen(text) + 1);
	*extra = compat_guc_malloc(sizeof(TimestampTz));
	if (kept == NULL || *extra == NULL)
		return false;
	strcpy(kept, text);
	compat_guc_free(*newval);
	*newval = kept;
	*(TimestampTz *) *extra = time;
	return true;
}

static void
assign_clock(const char *newval, void *extra)
{
	fixed_time = extra;
}

static bool
check_strategy(char **newval, void **extra, GucSource source)
{
	static const char *const known[] = {"replace", "canary", "a_b_test", "ab_test", "blue_green", "shadow"};

	for (int i = 0; i < lengthof(known); i++)
		if (strcmp(*newval, known[i]) == 0)
			return true;
	GUC_check_errdetail("No strategy has that name.");
	GUC_check_errhint("Strategies are replace, canary, a_b_test, blue_green and shadow.");
	return false;
}

/* check_prefix: anybody may set it, and it stands in rows that others read. */
static bool
check_prefix(char **newval, void **extra, GucSource source)
{
	bool plain = strlen(*newval) <= 255;

	for (const unsigned char *c = (const unsigned char *) *newval; *c; c++)
		plain = plain && *c > 0x20 && *c < 0x7f;
	if (plain)
		return true;
	GUC_check_errdetail("A prefix has at most 255 bytes, and no blanks or others than printable ASCII characters.");
	GUC_check_errhint("CloudEvents wants a reversed domain name, such as \"com.example.\".");
	return false;
}

/* check_directory: kept without "." and double slashes, so that messages and file names show one spelling. */
static bool
check_directory(char **newval, void **extra, GucSource source)
{
	if (strlen(*newval) >= MAXPGPATH - 100)
	{
		GUC_check_errdetail("The path is too long.");
		GUC_check_errhint("A path has at most %d bytes here.", MAXPGPATH - 101);
		return false;
	}
	if (**newval != '\0')
		canonicalize_path(*newval);
	return true;
}

void
guc_define(void)
{
	static const struct config_enum_entry charsets[] = {{"auto", CHART_CHARSET_AUTO, false},
														{"ascii", CHART_CHARSET_ASCII, false},
														{"unicode", CHART_CHARSET_UNICODE, false},
														{NULL, 0, false}};

	DefineCustomStringVariable("model_mgr.clock", "Holds the extension's time still, for tests and simulations.",
							   "Any timestamptz text; empty: the real clock.", &guc_clock, "", PGC_SUSET, 0,
							   check_clock, assign_clock, NULL);
	DefineCustomBoolVariable("model_mgr.enforcement", "Lets recordings trigger evaluations of rollouts.", NULL,
							 &guc_enforcement, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"model_mgr.retention_days",
		"Days that observations, hour rollups, reported values, events and resolved alerts are kept.", NULL,
		&guc_retention_days, 90, 1, 36500, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("model_mgr.default_deployment_strategy", "Strategy of deployments that name none.", NULL,
							   &guc_default_deployment_strategy, "canary", PGC_USERSET, 0, check_strategy, NULL, NULL);
	DefineCustomRealVariable("model_mgr.perf_monitor_anomaly_sensitivity",
							 "Width of the band outside of which a value is an anomaly; larger flags less.",
							 "Used where anomaly detection is not told a sensitivity.", &guc_anomaly_sensitivity, 2.0,
							 0.001, 1000.0, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("model_mgr.perf_monitor_interval_seconds",
							"Seconds that a look at thresholds takes a metric over.", NULL,
							&guc_monitor_interval_seconds, 60, 1, 86400, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("model_mgr.perf_monitor_retention_hours",
							"Hours that minute rollups are kept; hour rollups stay for retention_days.", NULL,
							&guc_monitor_retention_hours, 168, 1, 876000, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("model_mgr.notify", "Lets the tick send NOTIFY model_mgr when there are new events.", NULL,
							 &guc_notify, true, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("model_mgr.event_type_prefix", "Put before the type of every event that is written.",
							   "For example \"com.example.\", as CloudEvents wants it.", &guc_event_type_prefix, "",
							   PGC_USERSET, 0, check_prefix, NULL, NULL);
	DefineCustomIntVariable("model_mgr.update_validation_timeout",
							"Time that a validator may take; callbacks and metric sources have a minute at most.", NULL,
							&guc_validation_timeout, 300, 1, 86400, PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomRealVariable("model_mgr.ab_test_default_confidence",
							 "Confidence level of A/B tests that are told none.", NULL, &guc_ab_test_confidence, 0.95,
							 0.5, 0.999999, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("model_mgr.ab_test_default_power", "Power of A/B tests that are told none.", NULL,
							 &guc_ab_test_power, 0.8, 0.05, 0.999999, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("model_mgr.ab_test_min_sample_size",
							"Outcomes an arm before there is a verdict, of A/B tests that are told no number.", NULL,
							&guc_ab_test_min_samples, 1000, 1, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("model_mgr.audit_retention_days",
							"Days that sealed audit entries are kept; 0 keeps them all.", NULL,
							&guc_audit_retention_days, 0, 0, 36500, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("model_mgr.update_max_concurrent",
							"Updates that are validated or deployed at once; more of them wait.", NULL,
							&guc_update_max_concurrent, 3, 1, 100000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("model_mgr.update_check_interval_minutes",
							"Minutes after which a waiting update looks again which version is the latest.",
							"One that begins always looks.", &guc_update_check_interval, 60, 1, 525600, PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("model_mgr.backup_enabled", "Lets maintain() write backups of the registry.", NULL,
							 &guc_backup_enabled, true, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("model_mgr.backup_interval_hours", "Hours between backups of the registry.", NULL,
							&guc_backup_interval_hours, 24, 1, 87600, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("model_mgr.backup_directory",
							   "Directory that backups of the registry are written to; empty writes none.",
							   "A relative path begins at the data directory.", &guc_backup_directory, "", PGC_SUSET, 0,
							   check_directory, NULL, NULL);
	DefineCustomEnumVariable("model_mgr.chart_charset", "Characters that dashboard draws with.",
							 "auto: Unicode where server and client have UTF-8, else ASCII.", &guc_chart_charset,
							 CHART_CHARSET_AUTO, charsets, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("model_mgr");
}

MM_FUNCTION(mm_clock_time);

Datum
mm_clock_time(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(mm_now());
}

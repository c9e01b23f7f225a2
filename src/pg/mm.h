/*
 * mm.h: what every file of the shell shares: the clock, the settings, entering and leaving the owner's rights, checks
 * of arguments. SQL-callable functions are mm_<sql name>; a module's functions are <module>_<verb>.
 */
#ifndef MM_H
#define MM_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "pg/compat.h"

/* A C function that SQL may call: PG_FUNCTION_INFO_V1 plus the visibility that -fvisibility=hidden takes away. */
#define MM_FUNCTION(name)                                                                                              \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                                   \
	PG_FUNCTION_INFO_V1(name)

/* Settings (guc.c); the names without the model_mgr. prefix. */
extern int guc_retention_days;
extern bool guc_enforcement;
extern double guc_anomaly_sensitivity;
extern int guc_monitor_interval_seconds;
extern int guc_monitor_retention_hours;
extern bool guc_notify;
extern int guc_validation_timeout; /* seconds */
extern int guc_update_max_concurrent;
extern int guc_update_check_interval; /* minutes */
extern char *guc_event_type_prefix;
extern int guc_audit_retention_days; /* 0: for ever */
extern bool guc_backup_enabled;
extern int guc_backup_interval_hours;
extern char *guc_backup_directory; /* empty: none */
extern char *guc_default_deployment_strategy;
extern double guc_ab_test_confidence;
extern double guc_ab_test_power;
extern int guc_ab_test_min_samples;

/* mm_now: model_mgr.clock when set, else the clock on the wall. */
extern TimestampTz mm_now(void);
/* mm_clock_is_fixed: true while model_mgr.clock holds time still. */
extern bool mm_clock_is_fixed(void);

/*
 * mm_enter: from here to mm_leave the code runs as the extension's owner with search_path pinned and SPI connected,
 * the way foreign-key triggers do; an error restores everything through (sub)transaction abort. Results that must
 * outlive mm_leave are made by the query_result_* functions, or copied by SPI_palloc and friends.
 */
typedef struct mm_scope
{
	Oid user; /* current_user of the caller */
	int security_context;
	int guc_level;
	bool outermost;
} mm_scope;

extern mm_scope mm_enter(void);
extern void mm_leave(mm_scope scope);
/* mm_owner: the role that owns the extension's relations. */
extern Oid mm_owner(void);
/* mm_relation: OID of relation model_mgr.<name>, or error; cheap (system cache). */
extern Oid mm_relation(const char *name);
/* mm_session_user_name, mm_caller_name: session_user, and current_user as it was at the outermost mm_enter. */
extern const char *mm_session_user_name(void);
extern const char *mm_caller_name(void);
/* mm_caller: the role of mm_caller_name. */
extern Oid mm_caller(void);
/*
 * mm_step_out: until mm_step_back, what runs is a caller of its own: functions of this extension that user code calls
 * note the user code's role. To be called after an error too.
 */
typedef struct mm_outer
{
	Oid user;
	int nest_level;
} mm_outer;

extern mm_outer mm_step_out(void);
extern void mm_step_back(mm_outer outer);

/*
 * mm_lock_model: the one transaction lock that orders all writers of a model's state (deployment, routing,
 * judging). With wait false it says whether the lock was had.
 */
extern bool mm_lock_model(int64 model_id, bool wait);
/* mm_lock_shared: a lock of another number, which many may hold at once, beside nobody who has it by mm_lock_model. */
extern bool mm_lock_shared(int64 id, bool wait);
/* mm_unlock: gives back what mm_lock_model took, before the transaction's end. */
extern void mm_unlock(int64 id);

/*
 * mm_attempt: runs a piece of work in its own subtransaction, so that its error stops nothing else; false when it
 * failed, with the error. Cancel and shutdown are not caught. *items: what the work returned. mm_guarded: the same, and
 * a failure is a WARNING that says why and names `what`.
 */
extern bool mm_attempt(int64 (*work)(int64 argument), int64 argument, int64 *items, ErrorData **error);
extern bool mm_guarded(int64 (*work)(int64 argument), int64 argument, const char *what, int64 *items);

/*
 * mm_turn: until when work that goes model by model may start on another one: its deadline, but at least 0.3 s from
 * now. On a busy machine what is read before, for all models together, can take longer than the deadline leaves, every
 * time.
 */
static inline TimestampTz
mm_turn(TimestampTz deadline)
{
	return Max(deadline, GetCurrentTimestamp() + 300 * INT64CONST(1000));
}

/* Arguments. Each raises its standard SQLSTATE and names the argument. */
extern void mm_require(FunctionCallInfo fcinfo, int argno, const char *name);                  /* NULL: 22004 */
extern char *mm_text_arg(FunctionCallInfo fcinfo, int argno, const char *name, bool required); /* cstring or NULL */
/* mm_check_name: 42602 empty or control character, 42622 over 255 bytes. `what` as in "model name". */
extern void mm_check_name(const char *what, const char *name);
/* mm_check_float: 22003 unless finite and low <= value <= high. */
extern void mm_check_float(const char *name, double value, double low, double high);
/* mm_window_args: two times, since and until; NULL: the 24 hours up to now, or up to the until that is given. 22003
 * when one is infinite or they lie too far apart (146,000 years), 22023 when they are the wrong way round. */
extern void mm_window_args(FunctionCallInfo fcinfo, int since_argno, int until_argno, TimestampTz *since,
						   TimestampTz *until);
/* mm_read_time: a timestamptz literal, infinities and "epoch" included, without the input function: it throws nothing,
 * so that the caller says in its own words what is wrong, and hooks of settings may ask. */
typedef enum mm_literal
{
	MM_LITERAL_BAD,
	MM_LITERAL_BEYOND, /* a date, but none that a timestamptz can hold */
	MM_LITERAL_GOOD
} mm_literal;

extern mm_literal mm_read_time(const char *literal, TimestampTz *time);
/* mm_refuse_user_code: 42501 in a security-restricted operation: what registered code or a maintenance command runs
 * must not do what counts as an act of the session's user. message as in "a step cannot be approved by code". */
extern void mm_refuse_user_code(const char *message, const char *hint);
/* mm_by: the given name, or session_user when NULL (the *_by arguments). */
extern const char *mm_by(const char *given);

#endif

/*
 * registry_backup.c: the registry as files: backup_registry(), the backups of maintain() and what is known of them. The
 * files themselves are all the state there is: their names say when they were made.
 *
 * A file is written beside its place, flushed, and renamed: a name in the directory is a whole document, whatever
 * crashed. It is written outside the transaction; that one may yet fail.
 */
#include "pg/registry_backup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "tcop/utility.h"
#include "utils/acl.h"

#include "pg/audit.h"
#include "pg/query.h"

#define BACKUPS_KEPT 7
#define FILE_MODE (S_IRUSR | S_IWUSR)

/* own_prefix: what the names of maintain()'s files of this database begin with. Letters, digits and _ stand for
 * themselves and the rest in hexadecimal, so that no other database's begin so. */
static char *
own_prefix(void)
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfoString(&name, "model_mgr-");
	for (const unsigned char *c = (const unsigned char *) get_database_name(MyDatabaseId); *c; c++)
		if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_')
			appendStringInfoChar(&name, *c);
		else
			appendStringInfo(&name, "%%%02X", *c);
	appendStringInfoChar(&name, '-');
	return name.data;
}

/* own_name: the name of a backup made at that time. */
static char *
own_name(TimestampTz at)
{
	struct pg_tm tm;
	fsec_t fraction;

	if (timestamp2tm(at, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "time out of range");
	return psprintf("%s%04d%02d%02dT%02d%02d%02dZ.json", own_prefix(), tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour,
					tm.tm_min, tm.tm_sec);
}

/* own_time: false unless it is such a name. */
static bool
own_time(const char *prefix, const char *name, TimestampTz *at)
{
	struct pg_tm tm = {0};
	int zone = 0;

	return strncmp(name, prefix, strlen(prefix)) == 0 &&
		   sscanf(name + strlen(prefix), "%4d%2d%2dT%2d%2d%2dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
				  &tm.tm_min, &tm.tm_sec) == 6 &&
		   tm2timestamp(&tm, 0, &zone, at) == 0 && strcmp(own_name(*at), name) == 0;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* own_files: names of this database's backups, the oldest first; an error when the directory cannot be read. */
static char **
own_files(int *count)
{
	char *prefix = own_prefix();
	char **names = palloc(sizeof(char *) * 16);
	int room = 16;
	DIR *directory = AllocateDir(guc_backup_directory);
	struct dirent *entry;

	*count = 0;
	while ((entry = ReadDir(directory, guc_backup_directory)) != NULL)
	{
		TimestampTz at;

		if (!own_time(prefix, entry->d_name, &at))
			continue;
		if (*count == room)
			names = repalloc(names, sizeof(char *) * (room *= 2));
		names[(*count)++] = pstrdup(entry->d_name);
	}
	FreeDir(directory);
	qsort(names, *count, sizeof(char *), compare_names);
	return names;
}

/* newest: the last backup that is not of the future (a clock was held there); DT_NOBEGIN: none. */
static TimestampTz
newest(TimestampTz now)
{
	char *prefix = own_prefix();
	TimestampTz last = DT_NOBEGIN;
	int count;
	char **names = own_files(&count);

	for (int i = 0; i < count; i++)
	{
		TimestampTz at;

		if (own_time(prefix, names[i], &at) && at <= now)
			last = Max(last, at);
	}
	return last;
}

/* put: the bytes into a new file at path, flushed. */
static void
put(const char *path, const char *bytes, size_t length)
{
	int file = OpenTransientFilePerm(path, O_WRONLY | O_CREAT | O_EXCL | PG_BINARY, FILE_MODE);

	if (file < 0)
		ereport(ERROR, errcode_for_file_access(), errmsg("could not create file \"%s\": %m", path),
				errdetail("The server's user writes it."),
				errhint("The directory must be there and be writable for the user that the server runs as."));
	while (length > 0)
	{
		ssize_t written = write(file, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			if (errno == 0)
				errno = ENOSPC;
			ereport(ERROR, errcode_for_file_access(), errmsg("could not write file \"%s\": %m", path),
					errdetail("%zu bytes were left to write.", length), errhint("Make room on that disk."));
		}
		bytes += written;
		length -= written;
	}
	if (pg_fsync(file) != 0 || CloseTransientFile(file) != 0)
		ereport(ERROR, errcode_for_file_access(), errmsg("could not flush file \"%s\": %m", path),
				errdetail("It may not be on the disk."), errhint("Look at the disk, then try again."));
}

/* write_registry: the present registry to path, as a whole or not at all; returns its size. */
static int64
write_registry(const char *path)
{
	static query document =
		QUERY("SELECT pg_catalog.jsonb_pretty(model_mgr.export_registry()) OPERATOR(pg_catalog.||) E'\\n'");
	char *temporary = psprintf("%s.%d.tmp", path, MyProcPid);
	char *text;
	size_t length;

	query_run(&document);
	text = query_text(0, 0);
	length = strlen(text);
	(void) unlink(temporary); /* of a crash of a process that had our number */
	PG_TRY();
	{
		put(temporary, text, length);
		(void) durable_rename(temporary, path, ERROR);
	}
	PG_CATCH();
	{
		(void) unlink(temporary);
		PG_RE_THROW();
	}
	PG_END_TRY();
	audit_append("backup", NULL, NULL, json_build(json_text_pair("path", path), json_integer_pair("bytes", length)));
	return length;
}

/* in_directory: a name below backup_directory. */
static char *
in_directory(const char *name)
{
	if (guc_backup_directory[0] == '\0')
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("there is no directory for backups"),
				errdetail("model_mgr.backup_directory is empty."),
				errhint("A superuser sets it: ALTER DATABASE ... SET model_mgr.backup_directory = '/path'."));
	return psprintf("%s/%s", guc_backup_directory, name);
}

/* remove_oldest: own files beyond the number kept, and what crashes left of unfinished ones. Files of the future, of a
 * clock that was held there, neither count nor go: they would push out those of today. */
static int64
remove_oldest(TimestampTz now)
{
	char *prefix = own_prefix();
	DIR *directory;
	struct dirent *entry;
	TimestampTz made;
	int64 removed = 0;
	int count;
	char **names = own_files(&count);

	while (count > 0 && own_time(prefix, names[count - 1], &made) && made > now)
		count--;
	for (int i = 0; i < count - BACKUPS_KEPT; i++, removed++)
		durable_unlink(in_directory(names[i]), WARNING);
	directory = AllocateDir(guc_backup_directory);
	while ((entry = ReadDir(directory, guc_backup_directory)) != NULL)
	{
		/* One process maintains at a time, and its own file has been renamed. */
		char *end = strstr(entry->d_name, ".json.");
		TimestampTz at;

		if (end && strcmp(end + strlen(".json.") + strspn(end + strlen(".json."), "0123456789"), ".tmp") == 0 &&
			own_time(prefix, pnstrdup(entry->d_name, end + strlen(".json") - entry->d_name), &at))
			(void) unlink(in_directory(entry->d_name));
	}
	FreeDir(directory);
	return removed;
}

bool
backup_due(void)
{
	TimestampTz now = mm_now();
	struct stat state;

	if (!guc_backup_enabled || guc_backup_directory[0] == '\0' || RecoveryInProgress())
		return false;
	/* A directory that is not there is the task's error to tell. */
	if (stat(guc_backup_directory, &state) != 0 || !S_ISDIR(state.st_mode))
		return true;
	return newest(now) <= now - guc_backup_interval_hours * USECS_PER_HOUR;
}

int64
backup_run(void)
{
	TimestampTz now = mm_now();

	if (!backup_due())
		return 0;
	(void) write_registry(in_directory(own_name(now)));
	return 1 + remove_oldest(now);
}

/* leads_up: a part of it is "..". */
static bool
leads_up(const char *path)
{
	for (const char *part = path; part; part = strchr(part, '/'))
	{
		part += *part == '/';
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			return true;
	}
	return false;
}

/* is_rotated: the name is one that maintain() gives, in whichever database. */
static bool
is_rotated(const char *name)
{
	static const char form[] = "-00000000T000000Z.json";
	const char *base = last_dir_separator(name) ? last_dir_separator(name) + 1 : name;
	size_t length = strlen(base);
	const char *tail;

	if (length <= strlen("model_mgr-") + strlen(form) || strncmp(base, "model_mgr-", strlen("model_mgr-")) != 0)
		return false;
	tail = base + length - strlen(form);
	for (size_t i = 0; i < strlen(form); i++)
		if (form[i] == '0' ? !isdigit((unsigned char) tail[i]) : tail[i] != form[i])
			return false;
	return true;
}

/* check_file_name: 22023 for one that leads elsewhere, 42939 for one of maintain()'s: who may write files must not
 * take the place of another database's backups, nor push this one's out of the rotation. */
static void
check_file_name(const char *name)
{
	mm_check_name("file name", name);
	if (leads_up(name) || name[strlen(name) - 1] == '/')
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("bad file name \"%s\"", name),
				errdetail("A file name has no part \"..\" and does not end with \"/\"."),
				errhint("Pass a name below model_mgr.backup_directory, such as 'registry.json'."));
	if (is_rotated(name))
		ereport(ERROR, errcode(ERRCODE_RESERVED_NAME), errmsg("file name \"%s\" is reserved", name),
				errdetail("Backups of maintain() are named so, and the oldest of them are removed."),
				errhint("Choose another name, such as 'registry.json'."));
	if (is_absolute_path(name) && !has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to write \"%s\"", name),
				errdetail("Only members of pg_write_server_files may write outside of model_mgr.backup_directory."),
				errhint("Pass a name without directory, or GRANT pg_write_server_files."));
}

MM_FUNCTION(mm_backup_registry);

/* mm_backup_registry(file_name text): the path written. */
Datum
mm_backup_registry(PG_FUNCTION_ARGS)
{
	char *name = mm_text_arg(fcinfo, 0, "file_name", true);
	mm_scope scope;
	char *path;
	Datum result;

	check_file_name(name);
	PreventCommandDuringRecovery("backup_registry()");
	mm_refuse_user_code("files are not written by code that runs by itself",
						"Call backup_registry() from a session of your own.");
	scope = mm_enter();
	path = is_absolute_path(name) ? pstrdup(name) : in_directory(name);
	canonicalize_path(path);
	(void) write_registry(path);
	result = query_result_text(path);
	mm_leave(scope);
	PG_RETURN_DATUM(result);
}

MM_FUNCTION(mm_backup_status);

/* mm_backup_status(): files, the time of the last one, and why the directory cannot be read (NULL: it can). */
Datum
mm_backup_status(PG_FUNCTION_ARGS)
{
	TupleDesc columns;
	Datum values[3] = {Int64GetDatum(0)};
	bool nulls[3] = {false, true, true};
	const char *problem = NULL;
	struct stat state;

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "backup_status() returns a row");
	if (guc_backup_directory[0] == '\0')
		;
	else if (stat(guc_backup_directory, &state) != 0)
		problem = strerror(errno);
	else if (!S_ISDIR(state.st_mode))
		problem = "it is no directory";
	else if (access(guc_backup_directory, R_OK | W_OK | X_OK) != 0)
		problem = strerror(errno);
	else
	{
		TimestampTz last = newest(mm_now());
		int count;

		(void) own_files(&count);
		values[0] = Int64GetDatum(count);
		values[1] = TimestampTzGetDatum(last);
		nulls[1] = TIMESTAMP_NOT_FINITE(last);
	}
	if (problem)
	{
		values[2] = CStringGetTextDatum(problem);
		nulls[2] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

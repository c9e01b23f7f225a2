/*
 * registry_status.c: the life of a version: one table of legal transitions. Every change of model_version.status goes
 * through registry_set_status.
 */
#include "pg/registry.h"

#include "pg/event.h"
#include "pg/query.h"

/*
 * pending: new. validating: a deployment's rules look at it. deploying: in a rollout below 100 %. What ended badly
 * (rolled_back, failed) may be deployed again by name; what is archived must be revived first. active -> archived is
 * how a model is retired: archive_model_version() allows it to the model's last version only.
 */
static const struct
{
	const char *from;
	const char *to[9]; /* ends with NULL */
	const char *hint;  /* what to do instead */
} transitions[] = {
	{"pending",
	 {"validating", "ready", "deploying", "active", "failed", "archived"},
	 "Deploy it, mark it ready or archive it."},
	{"validating",
	 {"pending", "ready", "deploying", "active", "inactive", "rolled_back", "failed"},
	 "Wait for its validation, or abort its deployment."},
	{"ready", {"validating", "deploying", "active", "inactive", "failed", "archived"}, "Deploy it or archive it."},
	{"deploying", {"active", "inactive", "rolled_back", "failed"}, "Promote, abort or roll back its deployment first."},
	{"active", {"inactive", "rolled_back", "archived"}, "Deploy another version or roll back first."},
	{"inactive",
	 {"validating", "ready", "deploying", "active", "rolled_back", "failed", "archived"},
	 "Deploy it, mark it ready or archive it."},
	{"rolled_back",
	 {"validating", "ready", "deploying", "active", "failed", "archived"},
	 "Deploy it by name, mark it ready or archive it."},
	{"failed",
	 {"validating", "ready", "deploying", "active", "archived"},
	 "Deploy it by name, mark it ready or archive it."},
	{"archived", {"ready"}, "Revive it with mark_version_ready() first."},
};

/* refuse: an illegal transition, by name, with what would be legal. */
static void
refuse(const char *model_name, const char *version, int from, const char *to)
{
	StringInfoData legal;

	initStringInfo(&legal);
	for (int i = 0; transitions[from].to[i]; i++)
		appendStringInfo(&legal, "%s%s", i > 0 ? ", " : "", transitions[from].to[i]);
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("version \"%s\" of model \"%s\" is %s and cannot become %s", version, model_name,
				   transitions[from].from, to),
			errdetail("From %s a version may become: %s.", transitions[from].from, legal.data),
			errhint("%s", transitions[from].hint));
}

/* store: the new status, as an event when it is another one. */
static void
store(const registry_version *version, const char *status, const char *reason)
{
	static query set = QUERY("UPDATE model_mgr.model_version v SET status = $2, status_reason = $3"
							 " WHERE v.version_id = $1",
							 INT8OID, TEXTOID, TEXTOID);

	query_run(&set, int64_arg(version->version_id), text_arg(status), text_arg(reason && *reason ? reason : NULL));
	if (strcmp(version->status, status) != 0)
		(void) event_append("version.status_changed", version->model_name, version->version, 0,
							json_build(json_text_pair("before", version->status), json_text_pair("after", status),
									   json_text_pair("reason", reason && *reason ? reason : NULL)));
}

void
registry_set_status(int64 version_id, const char *status, const char *reason)
{
	registry_version version;
	int from = 0;
	bool legal;

	registry_version_by_id(version_id, &version);
	while (from < lengthof(transitions) && strcmp(transitions[from].from, version.status) != 0)
		from++;
	if (from == lengthof(transitions))
		elog(ERROR, "unknown version status \"%s\"", version.status);
	legal = strcmp(version.status, status) == 0;
	for (int i = 0; !legal && transitions[from].to[i]; i++)
		legal = strcmp(transitions[from].to[i], status) == 0;
	if (!legal)
		refuse(version.model_name, version.version, from, status);
	store(&version, status, reason);
}

void
registry_end_shadow(int64 version_id, const char *reason)
{
	registry_version version;

	registry_version_by_id(version_id, &version);
	store(&version, "ready", reason);
}

void
registry_restore_status(int64 version_id, const char *status, const char *reason)
{
	registry_version version;

	registry_version_by_id(version_id, &version);
	store(&version, status, reason);
}

#!/usr/bin/env python3
"""make_reference.py [--check]: writes docs/reference.md from the comments of an extension that it creates in PGDATABASE.

Public is what help() knows: its topics, in their order, make the chapters. A table or type is public when a public
function returns its rows, or when the query below names it. With --check nothing is written; the exit status says whether the file is current, and what differs is
shown. Error codes are the one list that stands here, since no catalogue has them: it is compared with the C sources.
"""
import difflib
import json
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(TOP, "docs", "reference.md")

# SQLSTATE, its name in the C sources (None: raised by the server itself), when it is raised.
ERRORS = [
    ("0A000", "FEATURE_NOT_SUPPORTED", "pg_cron is wanted and not here; the HINT says how to go on without it"),
    ("22003", "NUMERIC_VALUE_OUT_OF_RANGE", "a number out of range, NaN or infinite; a time outside the retention"),
    ("22004", "NULL_VALUE_NOT_ALLOWED", "NULL where a value is required"),
    ("22008", "DATETIME_VALUE_OUT_OF_RANGE", "a time so far away that no day's partition has it"),
    ("22023", "INVALID_PARAMETER_VALUE", "an unknown word, a bad combination, a missing key, a bad cron expression; deploying again with other arguments"),
    ("22P02", "INVALID_TEXT_REPRESENTATION", "a malformed JSON value; a decision that is damaged or of another database"),
    ("22P03", "INVALID_BINARY_REPRESENTATION", "a damaged summary in binary form"),
    ("23503", "FOREIGN_KEY_VIOLATION", "a parent version that the model does not have"),
    ("23514", "CHECK_VIOLATION", "a version as its own ancestor; an observation without version and test"),
    ("25000", "INVALID_TRANSACTION_STATE", "tick() above READ COMMITTED"),
    ("25006", "READ_ONLY_SQL_TRANSACTION", "a write on a standby or in a read-only transaction"),
    ("2D000", None, "work(), maintain(), run() or a wait_for_ procedure inside a transaction (drivers: autocommit)"),
    ("42501", "INSUFFICIENT_PRIVILEGE", "the role may not; a callback, source or validator that is not the caller's own"),
    ("42602", "INVALID_NAME", "an empty name, or one with control characters"),
    ("42622", "NAME_TOO_LONG", "a name of more than 255 bytes"),
    ("42703", "UNDEFINED_COLUMN", "a metric source without a column that it needs"),
    ("42704", "UNDEFINED_OBJECT", "an unknown model, version, alias, deployment, test, update, schedule, alert or validator, for functions that act"),
    ("42710", "DUPLICATE_OBJECT", "the name exists with other content"),
    ("42809", "WRONG_OBJECT_TYPE", "a metric source that is no table or view"),
    ("42883", "UNDEFINED_FUNCTION", "a callback or validator of another signature"),
    ("42939", "RESERVED_NAME", "a reserved name: latest, stable, previous, a leading @; a file name as maintain() gives"),
    ("42P01", "UNDEFINED_TABLE", "a metric source that is not here"),
    ("53400", "CONFIGURATION_LIMIT_EXCEEDED", "update_max_concurrent is reached and the caller would not wait"),
    ("54000", "PROGRAM_LIMIT_EXCEEDED", "too much: 1,000 pins or 100 segments a model, JSON above 256 MB"),
    ("55000", "OBJECT_NOT_IN_PREREQUISITE_STATE", "the wrong state: archived version, ended rollout, nothing to go back to, a gate that does not hold, a wait that ran out"),
    ("55006", "OBJECT_IN_USE", "a rollout or test that carries the model's traffic is under way; deleting a version that served"),
    ("XX001", "DATA_CORRUPTED", "stored data does not read back: report it"),
]
# Raised where no caller sees them, or passed on; and words of the server's macros.
INTERNAL = {"E_R_I_E_TRIGGER_PROTOCOL_VIOLATED", "TO_CATEGORY", "OUT_OF_MEMORY", "LOCK_NOT_AVAILABLE", "QUERY_CANCELED", "ADMIN_SHUTDOWN",
            "T_R_SERIALIZATION_FAILURE", "T_R_DEADLOCK_DETECTED", "INSUFFICIENT_RESOURCES", "INTERNAL_ERROR", "DATA_EXCEPTION", "DATATYPE_MISMATCH", "EXTERNAL_ROUTINE_EXCEPTION"}

QUERY = r"""
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS model_mgr;
WITH topic AS (SELECT t.*, row_number() OVER () AS n FROM model_mgr.help_topics() t),
rights AS (SELECT object_name, object_kind, array_agg(role_kind ORDER BY array_position('{reader,app,operator,admin}', role_kind)) AS roles
    FROM model_mgr.role_grant GROUP BY 1, 2),
routine AS (
    SELECT p.proname AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
        obj_description(p.oid, 'pg_proc') AS comment, p.prokind AS kind, p.provolatile = 'v' AS writes,
        (SELECT to_json(r.roles) FROM rights r WHERE r.object_kind = 'routine' AND r.object_name = p.proname) AS roles, t.n
    FROM pg_proc p JOIN topic t ON p.proname ~ t.pattern WHERE p.pronamespace = 'model_mgr'::regnamespace),
relation AS (
    SELECT c.relname AS name, c.relkind AS kind, obj_description(c.oid, 'pg_class') AS comment, (SELECT min(t.n) FROM topic t WHERE c.relname ~ t.pattern) AS n,
        (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), coalesce(col_description(c.oid, a.attnum), '')) ORDER BY a.attnum)
         FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
    FROM pg_class c WHERE c.relnamespace = 'model_mgr'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'c')
      AND CASE WHEN c.relkind = 'v' THEN EXISTS (SELECT FROM topic t WHERE c.relname ~ t.pattern)
               WHEN c.relkind = 'c' THEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND col_description(c.oid, a.attnum) IS NOT NULL)
                    AND EXISTS (SELECT FROM routine r WHERE r.result ~ ('\m' || c.relname || '$'))
               ELSE c.relname = ANY ('{ab_test_look,audit_log,event,metric,model,observation}')
                    OR EXISTS (SELECT FROM routine r WHERE r.result ~ ('\m' || c.relname || '$')) END)
SELECT json_build_object(
    'version', model_mgr.model_mgr_version(),
    'topics', (SELECT json_agg(json_build_object('n', n, 'topic', topic, 'description', description) ORDER BY n) FROM topic),
    'routines', (SELECT json_agg(r ORDER BY r.n, r.name COLLATE "C") FROM routine r),
    'relations', (SELECT json_agg(r ORDER BY r.name COLLATE "C") FROM relation r),
    'settings', (SELECT json_agg(json_build_object('name', s.name, 'unit', s.unit, 'default', s.default_value, 'variable', s.environment_variable,
                     'description', s.description, 'context', p.context, 'type', p.vartype, 'min', p.min_val, 'max', p.max_val,
                     'words', p.enumvals) ORDER BY s.name COLLATE "C") FROM model_mgr.settings s JOIN pg_settings p USING (name)));
"""


def catalogue():
    """What the extension's catalogue says."""
    run = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1"], input=QUERY, text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout)


def plain(text):
    """A comment as Markdown: nothing in it is mark-up."""
    return re.sub(r"([<*\[\]`|]|_(?= ))", r"\\\1", text or "")


def short(text):
    """A type or signature without the schema that everything is in."""
    return text.replace("model_mgr.", "").replace("double precision", "float8").replace("timestamp with time zone", "timestamptz")


def signature(routine, relations):
    """(the call with its result, links to what it returns)."""
    arguments = re.sub(r"::(text\[\]|\w+)", "", short(routine["arguments"]).replace(" DEFAULT ", " = "))
    outs = re.findall(r"\bOUT (.+?)(?:, |$)", arguments)
    call = "%s(%s)" % (routine["name"], re.sub(r"(, )?\bOUT (.+?)(?=, |$)", "", arguments).replace("IN ", ""))
    if outs:
        return "%s → (%s)" % (call, ", ".join(outs)), ""
    if routine["kind"] == "p":
        return "CALL " + call, ""
    result = short(routine["result"])
    name = result.replace("SETOF ", "")
    return "%s → %s" % (call, result), " Returns [%s](#%s)." % (name, name) if name in relations else ""


def functions(data, out):
    """The chapters of functions."""
    relations = {r["name"] for r in data["relations"]}
    for topic in data["topics"]:
        out += ["", "## %s: %s" % (topic["topic"].capitalize(), plain(topic["description"]))]
        for routine in (r for r in data["routines"] if r["n"] == topic["n"]):
            call, link = signature(routine, relations)
            # A line that ends a sentence ends a paragraph; errors are looked for, and have one of their own.
            text = re.sub(r"(?<=\.)\n", "\n\n", plain(routine["comment"]))
            text = re.sub(r"(?<=\.)\s+(?:Errors: |(?=(?:0A|2[0-9D]|4[0-9]|5[0-9])[0-9A-Z]{3}\b))", "\n\nErrors: ", text, count=1)
            # Who has more has less as well: only where it begins is said.
            roles = [r for r in routine["roles"] or [] if r in ("reader", "app")] or (routine["roles"] or ["the owner"])[:1]
            out += ["", "### %s" % routine["name"], "", "`%s`" % call, "", text, "",
                    "Rights: %s.%s%s" % (", ".join(roles), link, " Aggregate." if routine["kind"] == "a" else "")]
        views = [r for r in data["relations"] if r["kind"] == "v" and r["n"] == topic["n"]]
        if views:
            out += ["", "Views: %s." % ", ".join("[%s](#%s)" % (v["name"], v["name"]) for v in views)]


def settings(data, out):
    """The settings."""
    out += ["", "## Settings", "", "One's own session: `SET`; for the clockwork too: `ALTER DATABASE ... SET`. The view [settings](#settings-1) shows the values.", "",
            "| setting | default | range | who | environment variable | |", "| --- | --- | --- | --- | --- | --- |"]
    for s in data["settings"]:
        limits = "%s to %s" % (s["min"], s["max"]) if s["min"] is not None else ", ".join(s["words"] or []) or s["type"]
        out.append("| %s | %s%s | %s | %s | %s | %s |" % (
            s["name"], s["default"] or "''", " " + s["unit"] if s["unit"] else "", limits, "superuser" if s["context"] == "superuser" else "anybody",
            s["variable"] or "", plain(s["description"])))


def errors(out):
    """The error codes, when the sources agree with the list."""
    used = set()
    for name in (n for n in os.listdir(os.path.join(TOP, "src", "pg")) if n.endswith((".c", ".h"))):
        used |= set(re.findall(r"ERRCODE_([A-Z_]+)", open(os.path.join(TOP, "src", "pg", name), encoding="utf-8").read()))
    listed = {name for _, name, _ in ERRORS if name}
    if used - listed - INTERNAL or listed - used:
        sys.exit("make_reference: error codes of src/pg that ERRORS lacks: %s; that it has and nobody raises: %s" % (
            sorted(used - listed - INTERNAL), sorted(listed - used)))
    out += ["", "## Error codes", "", "Every error has a DETAIL with the numbers and a HINT with the next step.", "", "| SQLSTATE | when |", "| --- | --- |"]
    out += ["| %s | %s |" % (code, plain(when)) for code, _, when in ERRORS]


def relations(data, kinds, title, out):
    """The columns of views, tables or types."""
    out += ["", "## %s" % title]
    for r in (r for r in data["relations"] if r["kind"] in kinds):
        out += ["", "### %s" % r["name"], "", plain(r["comment"]), "", "| column | type | |", "| --- | --- | --- |"]
        out += ["| %s | %s | %s |" % (name, short(kind), plain(comment)) for name, kind, comment in r["columns"]]


def page(data):
    """The whole page."""
    out = ["# Reference", "",
           "Made by `scripts/make_reference.py` from the comments of the extension, which psql shows as well (`\\df+ model_mgr.*`,",
           "`\\d+ model_mgr.*`, `SELECT * FROM model_mgr.help('routing')`): change those, not this page. Everything is in schema model_mgr.",
           "What is not here is machinery and may change with any release.", "",
           "Arguments may be given by name (`version => '1.0'`); one shown with a value has that default, and NULL means the default. What looks",
           "(get_, list_, route) answers an unknown name with no row or NULL; what acts raises 42704. Rights name the roles of `setup_roles()`:",
           "an operator has those of reader and app too, an admin all.", ""]
    for topic in data["topics"]:
        names = sorted({r["name"] for r in data["routines"] if r["n"] == topic["n"]})
        out.append("- **%s**: %s" % (topic["topic"], ", ".join("[%s](#%s)" % (n, n) for n in names)))
    out += ["- [Settings](#settings), [error codes](#error-codes), [views](#views), [tables](#tables), [types](#types)"]
    functions(data, out)
    settings(data, out)
    errors(out)
    relations(data, "v", "Views", out)
    relations(data, "rp", "Tables", out)
    relations(data, "c", "Types", out)
    return "\n".join(out) + "\n"


def main():
    """Writes the page or compares it."""
    text = page(catalogue())
    if "--check" not in sys.argv:
        open(PAGE, "w", encoding="utf-8").write(text)
        return
    old = open(PAGE, encoding="utf-8").read()
    if old != text:
        for line in list(difflib.unified_diff(old.split("\n"), text.split("\n"), "docs/reference.md", "the comments", lineterm="", n=0))[:40]:
            print(line)
        sys.exit("docs/reference.md is not what the comments say: pg_virtualenv -t python3 scripts/check_docs.py --write docs/reference.md")


main()

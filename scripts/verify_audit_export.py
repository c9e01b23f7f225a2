#!/usr/bin/env python3
"""verify_audit_export.py [ANCHOR...] < export: verifies lines of model_mgr.export_audit() without the database.

Computes each line's hash from the canonical form that docs/audit.md specifies, checks that each line follows the one
before, and that every ANCHOR (what seal_audit() returned some day) is among the hashes. Prints what is wrong with the
first bad line and exits with status 1, else prints the number of lines and the last hash.
"""
import datetime
import hashlib
import json
import sys

FIELDS = ["operation", "model_name", "version", "user_name", "caller", "session_id", "application_name", "client_address"]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def field(value):
    """One field of the canonical form."""
    if value is None:
        return b"-;"
    text = str(value).encode("utf-8")
    return b"%d:%s;" % (len(text), text)


def microseconds(text):
    """Of a time as the export writes it."""
    if text.endswith("infinity"):
        return text
    since = datetime.datetime.fromisoformat(text) - EPOCH
    return (since.days * 86400 + since.seconds) * 1000000 + since.microseconds


def digest(line, entry):
    """The hash that the line must have. The details are hashed as they stand in it: numbers keep their digits."""
    details = line[line.index(', "details" : ') + 14:-1]
    form = bytes.fromhex(entry["previous"]) + field(entry["audit_id"]) + field(microseconds(entry["logged_at"]))
    form += b"".join(field(entry[name]) for name in FIELDS) + field(entry["txn"]) + field(details)
    return hashlib.sha256(form).hexdigest()


def main():
    """Reads the export from standard input."""
    anchors, last, lines = set(sys.argv[1:]), None, 0
    for line in sys.stdin:
        line = line.rstrip("\n")
        entry = json.loads(line)
        lines += 1
        if last is None and entry["seq"] == 1 and entry["previous"] != "00" * 32:
            sys.exit("line 1: the first seal does not begin the chain")
        if last is not None and (entry["seq"] != last["seq"] + 1 or entry["previous"] != last["hash"]):
            sys.exit("line %d: seal %d does not follow seal %d" % (lines, entry["seq"], last["seq"]))
        if digest(line, entry) != entry["hash"]:
            sys.exit("line %d: entry %d does not agree with its seal" % (lines, entry["audit_id"]))
        anchors -= {entry["hash"], entry["previous"]}
        last = entry
    if anchors:
        sys.exit("no seal has the hash " + min(anchors))
    print("%d lines, %s" % (lines, last["hash"] if last else "no seal"))


main()

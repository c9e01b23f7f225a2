#!/usr/bin/env python3
"""check_docs.py PAGE...: runs the SQL of documentation pages and compares the output that they show.

A fenced block ```sql is run in a database that the page has for itself, in order. When the next fenced block is
```text and only blank lines stand between, it is the output that readers are promised, as psql prints it; it must be
equal, trailing blanks aside. Without such a block the SQL must run without an error. A block ```sql whose opening line
ends in "example" is shown and not run. --write puts the real output in place instead of comparing.
The last line says "N passed, N failed".
"""
import re
import subprocess
import sys

MARK = "-- check_docs: end of block"


def psql(database, sql):
    """What psql prints for a script, errors included."""
    run = subprocess.run(["psql", "-X", "-q", "-d", database], input=sql, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, check=False)
    return re.sub(r"^psql:<stdin>:\d+: ", "", run.stdout, flags=re.M)


def blocks(lines):
    """(kind, first line of the body, line of the closing fence) of each fenced block."""
    found, start = [], None
    for number, line in enumerate(lines):
        if line.startswith("```"):
            if start is None:
                kind, start = line[3:].strip(), number + 1
            else:
                found.append((kind, start, number))
                start = None
    return found


def check(page, number, write):
    """Runs one page; returns (passed, failed)."""
    lines = open(page, encoding="utf-8").read().split("\n")
    found = blocks(lines)
    runs = [(i, b) for i, b in enumerate(found) if b[0] == "sql"]
    if not runs:
        return 0, 0
    database = "docs_%d" % number
    psql("postgres", "CREATE DATABASE %s;" % database)
    # One session a page, so that settings and transactions last; a mark tells the outputs apart.
    script = "SET TimeZone = 'UTC';\n"
    for _, (_, first, last) in runs:
        script += "\n".join(lines[first:last]) + "\n\\echo '%s'\n" % MARK
    outputs = psql(database, script).split(MARK + "\n")
    passed = failed = 0
    changes = []
    for output, (index, (_, first, last)) in zip(outputs, runs):
        shown = None
        if index + 1 < len(found) and found[index + 1][0] == "text" and \
                not any(line.strip() for line in lines[last + 1:found[index + 1][1] - 1]):
            shown = found[index + 1]
        got = [line.rstrip() for line in output.rstrip("\n").split("\n")]
        if shown is not None:
            want = [line.rstrip() for line in lines[shown[1]:shown[2]]]
            while want and not want[-1]:
                want.pop()
            while got and not got[-1]:
                got.pop()
            good = got == want
            changes.append((shown[1], shown[2], got))
        else:
            want, good = ["(no error)"], not any("ERROR:" in line for line in got)
        passed, failed = passed + good, failed + (not good)
        if not good and not write:
            print("%s line %d: the output is not what the page shows" % (page, first + 1))
            print("  shown:\n    " + "\n    ".join(want) + "\n  got:\n    " + "\n    ".join(got))
    if write:
        for start, end, got in reversed(changes):
            lines[start:end] = got
        open(page, "w", encoding="utf-8").write("\n".join(lines))
    psql("postgres", "DROP DATABASE %s;" % database)
    return passed, failed


def main():
    """Runs all pages."""
    write = "--write" in sys.argv
    passed = failed = 0
    for number, page in enumerate(a for a in sys.argv[1:] if a != "--write"):
        good, bad = check(page, number, write)
        passed, failed = passed + good, failed + bad
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(failed > 0)


main()

#!/usr/bin/env python3
"""check_docs.py PAGE...: no block of a documentation page goes unverified.

A page has a database of its own, mydb, and a directory of its own that looks like a clone of the project. What follows
is run there, in the page's order:

  ```sql   by one psql session a page
  ```sh    by bash, with that server's PG variables; it ends at the first command that fails

When the next block is ```text, with only blank lines between, it is the output that readers are promised, as psql or the
command prints it: it must be equal, trailing blanks aside. Without one there must be no error. Other blocks:

  ```LANGUAGE PROGRAM   is run by that test (test/....pl, scripts/fresh_machine), which takes it out of the page (doc_block)
  ```LANGUAGE FILE      is a part of that file of the project, line for line, and a test under test/ names the file
  ```json               parses
  ```figure             is nothing that could be run: a diagram, a formula, a grammar

Anything else fails: indented blocks, links within the project that lead nowhere. --write puts the real output in place instead of comparing. Pages that are
generated (docs/reference.md) are compared with what their generator writes. --blocks PROGRAM prints the blocks that are
marked for a program, and does nothing else. The last line says "N passed, N failed".
"""
import json
import os
import re
import subprocess
import sys
import tempfile

MARK = "-- check_docs: end of block"
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GENERATED = {"docs/reference.md": "scripts/make_reference.py"}


class Block:
    """A fenced block: its language, the file that its opening line names, and where its body is."""

    def __init__(self, info, first):
        words = info.split()
        self.language = words[0] if words else ""
        self.file = " ".join(words[1:])
        self.first, self.last = first, None

    def runs(self):
        return self.language in ("sql", "sh") and not self.file


def psql(database, sql, where=TOP):
    """What psql prints for a script, errors included, in their order."""
    run = subprocess.run(["psql", "-X", "-q", "-d", database], input=sql, text=True, stdout=subprocess.PIPE, cwd=where,
                         stderr=subprocess.STDOUT, env={**os.environ, "PGDATABASE": database}, check=False)
    return re.sub(r"^psql:<stdin>:\d+: ", "", run.stdout, flags=re.M)


def parse(lines):
    """(blocks, complaints): the fenced blocks, and what is a block but not one of these."""
    found, complaints, block = [], [], None
    for number, line in enumerate(lines):
        if line.startswith("```"):
            if block is None:
                block = Block(line[3:], number + 1)
            else:
                block.last = number
                found.append(block)
                block = None
        elif block is None and line.lstrip().startswith("```"):
            complaints.append((number, "a fence that does not begin its line"))
        elif block is None and re.match(r"    |\t", line) and (number == 0 or not lines[number - 1].strip()):
            complaints.append((number, "an indented block; fence it and say what it is"))
    if block is not None:
        complaints.append((block.first, "a fence that is not closed"))
    return found, complaints


def named_by_test(path):
    """Whether a test names the file, so that it is not shown unused."""
    name = os.path.basename(path)
    pattern = re.escape(name) + (r"|^\s*(import|from) %s\b" % name[:-3] if name.endswith(".py") else "")
    return subprocess.run(["grep", "-rqE", pattern, "test"], cwd=TOP, check=False).returncode == 0


def complaint(page, block, body, follows):
    """What is wrong with a block that is not run here; None when it is verified. follows: it comes behind one that is run."""
    if block.file:
        path = os.path.join(TOP, block.file)
        if not os.path.isfile(path):
            return "%s is not here" % block.file
        text = open(path, encoding="utf-8").read()
        if re.search(r"\bdoc_block\b", text):
            return None if re.search(r"\bdoc_block[ (']+" + re.escape(page), text) else "%s has no doc_block of %s" % (block.file, page)
        if "\n" + body.strip("\n") + "\n" not in "\n" + text + "\n":
            return "it is no part of %s" % block.file
        return None if named_by_test(block.file) else "no test names %s" % block.file
    if block.language == "json":
        try:
            json.loads(body)
            return None
        except ValueError as error:
            return "no JSON: %s" % error
    if block.language == "text":
        return None if follows else "output of nothing that is run here; a diagram is a ```figure"
    return None if block.language == "figure" else "unknown kind of block \"%s\"" % block.language


def headings(path, known={}):
    """The anchors of a page, as GitHub makes them of its headings."""
    if path not in known:
        text = re.sub(r"^```.*?^```$", "", open(path, encoding="utf-8").read(), flags=re.M | re.S)
        anchors = []
        for title in re.findall(r"^#+ (.*)$", text, flags=re.M):
            slug = re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
            anchors.append(slug if slug not in anchors else "%s-%d" % (slug, anchors.count(slug)))
        known[path] = anchors
    return known[path]


def broken_links(page, lines):
    """(line, complaint) for each link to a file or heading of the project that is not here."""
    wrong, fenced = [], False
    for number, line in enumerate(lines):
        fenced ^= line.startswith("```")
        for target in [] if fenced else re.findall(r"(?<!!)\]\(([^)\s]+)\)", line):
            path, _, anchor = target.partition("#")
            path = os.path.join(TOP, os.path.dirname(page), path) if path else os.path.join(TOP, page)
            if re.match(r"\w+:", target):
                continue
            if not os.path.exists(path):
                wrong.append((number, "there is no %s" % target))
            elif anchor and path.endswith(".md") and anchor not in headings(path):
                wrong.append((number, "%s has no such heading" % target))
    return wrong


def shown_output(blocks, index, lines):
    """The block ```text that belongs to one that is run, or None."""
    if index + 1 >= len(blocks) or blocks[index + 1].language != "text" or blocks[index + 1].file:
        return None
    between = lines[blocks[index].last + 1:blocks[index + 1].first - 1]
    return None if any(line.strip() for line in between) else blocks[index + 1]


def clone():
    """A directory that looks like a clone of the project, to run shell blocks in."""
    place = tempfile.TemporaryDirectory(prefix="check_docs.")
    for name in os.listdir(TOP):
        os.symlink(os.path.join(TOP, name), os.path.join(place.name, name))
    return place


def outputs_of(blocks, lines):
    """The output of each block that is run, in a fresh database."""
    with clone() as place:
        # One session a page, so that settings and transactions last; a mark tells the outputs apart.
        script = "SET TimeZone = 'UTC';\n"
        for number, block in enumerate(blocks):
            body = "\n".join(lines[block.first:block.last]) + "\n"
            if block.language == "sh":
                name = os.path.join(place, ".block_%d.sh" % number)
                open(name, "w", encoding="utf-8").write(body)
                body = "\\! bash -eu -o pipefail %s 2>&1 || echo \"ERROR:  exit status $?\"\n" % name
            script += body + "\\echo '%s'\n" % MARK
        with Database():
            return psql("mydb", script, place).split(MARK + "\n")


class Database:
    """Database mydb while a page is verified; afterwards the databases and roles are those that were there before."""

    def __enter__(self):
        self.before = self.there()
        if "d mydb" in self.before:
            sys.exit("check_docs: this server has a database mydb; use a throw-away one: pg_virtualenv -t scripts/check-docs")
        psql("postgres", "CREATE DATABASE mydb;")

    def __exit__(self, *error):
        made = [name.replace('"', '""') for name in self.there() if name not in self.before]
        psql("postgres", "".join('DROP %s "%s"%s;\n' % ("DATABASE" if name[0] == "d" else "ROLE", name[2:],
                                                      " WITH (FORCE)" if name[0] == "d" else "") for name in made))

    @staticmethod
    def there():
        """Databases, then roles, by name."""
        return psql("postgres", "\\pset format unaligned\n\\pset tuples_only on\nSELECT 'd ' || datname FROM pg_database"
                    " UNION ALL SELECT 'r ' || rolname FROM pg_roles ORDER BY 1;").strip().split("\n")


def trimmed(text):
    lines = [line.rstrip() for line in text]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def check(page, write):
    """Verifies one page; returns (passed, failed)."""
    lines = open(os.path.join(TOP, page), encoding="utf-8").read().split("\n")
    blocks, complaints = parse(lines)
    complaints += broken_links(page, lines)
    passed, wanted = 0, set()
    runs = [(i, b) for i, b in enumerate(blocks) if b.runs()]
    outputs = outputs_of([b for _, b in runs], lines) if runs else []
    changes = []
    for output, (index, block) in zip(outputs, runs):
        got, shown = trimmed(output.split("\n")), shown_output(blocks, index, lines)
        if shown is not None:
            wanted.add(index + 1)
            want = trimmed(lines[shown.first:shown.last])
            good = got == want
            changes.append((shown.first, shown.last, got))
        else:
            want, good = ["(no error)"], not any("ERROR:" in line for line in got)
        passed += good
        if not good and not (write and shown is not None):
            complaints.append((block.first, "the output is not what the page shows\n  shown:\n    %s\n  got:\n    %s"
                               % ("\n    ".join(want), "\n    ".join(got))))
    for index, block in enumerate(blocks):
        if block.runs():
            continue
        wrong = complaint(page, block, "\n".join(lines[block.first:block.last]), index in wanted)
        passed += wrong is None and block.language not in ("figure", "text")
        if wrong:
            complaints.append((block.first - 1, wrong))
    for number, what in sorted(complaints):
        print("%s line %d: %s" % (page, number + 1, what))
    if write:
        for start, end, got in reversed(changes):
            lines[start:end] = got
        open(os.path.join(TOP, page), "w", encoding="utf-8").write("\n".join(lines))
    return passed, len(complaints)


def check_generated(page, generator, write):
    """One check: the page is what its generator writes for the extension that is installed."""
    with Database():
        run = subprocess.run([sys.executable, os.path.join(TOP, generator)] + ([] if write else ["--check"]), text=True,
                             env={**os.environ, "PGDATABASE": "mydb"}, check=False)
    return (1, 0) if run.returncode == 0 else (0, 1)


def print_blocks(program, page):
    """The blocks of a page that a program runs."""
    lines = open(os.path.join(TOP, page), encoding="utf-8").read().split("\n")
    for block in parse(lines)[0]:
        if block.file == program:
            print("\n".join(lines[block.first:block.last]))


def main():
    """Verifies all pages."""
    if "--blocks" in sys.argv:
        return print_blocks(*sys.argv[2:4])
    write = "--write" in sys.argv
    passed = failed = 0
    for page in (a for a in sys.argv[1:] if a != "--write"):
        good, bad = check(page, write)
        passed, failed = passed + good, failed + bad
        if page in GENERATED:
            good, bad = check_generated(page, GENERATED[page], write)
            passed, failed = passed + good, failed + bad
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(failed > 0)


main()

#!/usr/bin/env python3
"""check_meta.py [META.json]: the rules of the PGXN Meta Spec 1.0.0, and that what it names is here.

Prints one line a complaint; the exit status is 0 only without any.
"""
import json
import os
import re
import sys
from urllib.parse import urlparse

SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-?[A-Za-z][0-9A-Za-z-]*)?")   # the spec names SemVer 1.0.0-beta
TERM = re.compile(r'[^\s/\\\x00-\x1f\x7f]{2,}')
LICENSES = set("""agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2 gfdl_1_3 gpl_1 gpl_2 gpl_3 lgpl_2_1 lgpl_3_0
    mit mozilla_1_0 mozilla_1_1 openssl perl_5 postgresql qpl_1_0 ssleay sun zlib open_source restricted unrestricted unknown""".split())
KEYS = set("""name version abstract maintainer license provides meta-spec description generated_by tags no_index prereqs
    release_status resources""".split())
PHASES = {"configure", "build", "test", "runtime", "develop"}
RELATIONS = {"requires", "recommends", "suggests", "conflicts"}
complaints = []


def need(good, where, what):
    """Notes a complaint unless the rule holds."""
    if not good:
        complaints.append("%s: %s" % (where, what))
    return good


def text(value, where):
    return need(isinstance(value, str) and value.strip() != "", where, "must be a text")


def texts(value, where):
    """A text, or a list of them that has some."""
    values = value if isinstance(value, list) else [value]
    return need(values and all(isinstance(v, str) and v.strip() for v in values), where, "must be a text or a list of texts")


def table(value, where):
    return need(isinstance(value, dict), where, "must be an object")


def only(value, known, where):
    for key in value:
        need(key in known or key.lower().startswith("x_"), where, 'unknown key "%s" (own keys begin with x_)' % key)


def version(value, where):
    return text(value, where) and need(SEMVER.fullmatch(value), where, '"%s" is no semantic version' % value)


def version_range(value, where):
    """0, a version (the least), or a list of comparisons."""
    if value in (0, "0") or not text(value, where):
        return
    for part in value.split(","):
        match = re.fullmatch(r"\s*(?:(?:<=|>=|==|!=|<|>)\s*)?(\S+)\s*", part)
        if need(match, where, '"%s" is no range of versions' % value) and match.group(1) != "0":
            version(match.group(1), where)


def url(value, where):
    if text(value, where):
        parts = urlparse(value)
        need(parts.scheme and (parts.netloc or parts.path), where, "must be a URI")


def here(path, where):
    if text(path, where):
        need(not path.startswith("/") and ".." not in path.split("/") and os.path.exists(path), where, '"%s" is not in the distribution' % path)


def check_provides(provides):
    if not (table(provides, "provides") and need(provides, "provides", "must name an extension")):
        return
    for name, extension in provides.items():
        where = "provides." + name
        need(TERM.fullmatch(name), where, "is no name")
        if not table(extension, where):
            continue
        only(extension, {"file", "version", "abstract", "docfile"}, where)
        here(extension.get("file"), where + ".file")
        version(extension.get("version"), where + ".version")
        if "abstract" in extension:
            text(extension["abstract"], where + ".abstract")
        if "docfile" in extension:
            here(extension["docfile"], where + ".docfile")
        control = name + ".control"
        if need(os.path.isfile(control), where, "%s is missing" % control):
            default = re.search(r"^default_version *= *'(.*)'", open(control, encoding="utf-8").read(), re.M)
            need(default and default.group(1) == extension.get("version"), where + ".version", "is not the default_version of " + control)


def check_license(value):
    if isinstance(value, dict):
        need(value, "license", "must name one")
        for name, where_from in value.items():
            url(where_from, "license." + name)
    elif texts(value, "license"):
        for name in value if isinstance(value, list) else [value]:
            need(name in LICENSES, "license", '"%s" is none that the specification knows' % name)


def check_prereqs(prereqs):
    if not table(prereqs, "prereqs"):
        return
    only(prereqs, PHASES, "prereqs")
    for phase, relations in prereqs.items():
        if table(relations, "prereqs." + phase):
            only(relations, RELATIONS, "prereqs." + phase)
            for relation, wanted in relations.items():
                if table(wanted, "prereqs.%s.%s" % (phase, relation)):
                    for name, versions in wanted.items():
                        where = "prereqs.%s.%s.%s" % (phase, relation, name)
                        need(TERM.fullmatch(name), where, "is no name")
                        version_range(versions, where)


def check_resources(resources):
    if not table(resources, "resources"):
        return
    only(resources, {"homepage", "bugtracker", "repository"}, "resources")
    if "homepage" in resources:
        url(resources["homepage"], "resources.homepage")
    for name, keys in (("bugtracker", {"web", "mailto"}), ("repository", {"web", "url", "type"})):
        if name in resources and table(resources[name], "resources." + name):
            only(resources[name], keys, "resources." + name)
            for key in resources[name].keys() & {"web", "url"}:
                url(resources[name][key], "resources.%s.%s" % (name, key))
            if name == "repository" and "type" in resources[name]:
                need(re.fullmatch("[a-z]+", str(resources[name]["type"])), "resources.repository.type", "must be in lower case")


def check(meta):
    if not table(meta, "META.json"):
        return
    only(meta, KEYS, "META.json")
    for key in ("name", "version", "abstract", "maintainer", "license", "provides", "meta-spec"):
        need(key in meta, key, "is required")
    need(isinstance(meta.get("name"), str) and TERM.fullmatch(meta["name"]), "name", "must be two characters or more, without blanks and slashes")
    version(meta.get("version"), "version")
    text(meta.get("abstract"), "abstract")
    texts(meta.get("maintainer"), "maintainer")
    check_license(meta.get("license"))
    check_provides(meta.get("provides"))
    spec = meta.get("meta-spec")
    if table(spec, "meta-spec"):
        only(spec, {"version", "url"}, "meta-spec")
        need(spec.get("version") == "1.0.0", "meta-spec.version", "must be 1.0.0")
        if "url" in spec:
            url(spec["url"], "meta-spec.url")
    for key in ("description", "generated_by"):
        if key in meta:
            text(meta[key], key)
    need(meta.get("release_status", "stable") in ("stable", "testing", "unstable"), "release_status", "must be stable, testing or unstable")
    if "tags" in meta and need(isinstance(meta["tags"], list) and meta["tags"], "tags", "must be a list"):
        for tag in meta["tags"]:
            need(isinstance(tag, str) and re.fullmatch(r"[^/\\\x00-\x1f\x7f]{1,255}", tag), "tags", '"%s" is no tag' % tag)
    if "no_index" in meta and table(meta["no_index"], "no_index"):
        only(meta["no_index"], {"file", "directory"}, "no_index")
        for key in meta["no_index"]:
            texts(meta["no_index"][key], "no_index." + key)
    if "prereqs" in meta:
        check_prereqs(meta["prereqs"])
    if "resources" in meta:
        check_resources(meta["resources"])


def main():
    path = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "META.json")
    os.chdir(os.path.dirname(path))
    try:
        check(json.load(open(path, encoding="utf-8")))
    except ValueError as error:
        complaints.append("no JSON: %s" % error)
    print("\n".join(complaints) or "%s keeps the PGXN Meta Spec 1.0.0" % os.path.basename(path))
    sys.exit(bool(complaints))


main()

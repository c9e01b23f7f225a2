#!/usr/bin/env python3
"""anomaly.py load | anomaly.py score FLAGS: the labelled streams of test/vectors/nab for the bench `anomaly`.

load writes "stream,number,timestamp,value" lines. score reads "stream,number" lines of flagged rows and prints the NAB
score in its three profiles, on the scale 0 = a detector that never fires, 100 = perfect. As published (Lavin and Ahmad
2015, section III): the first 15 % of a stream, at most 750 rows, are not scored; a window is worth the sigmoid of its
earliest flagged row's place; a flag elsewhere costs by its distance behind the last window, 1 before the first.
"""
import collections
import csv
import gzip
import json
import math
import os
import sys

PLACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "nab")
# cost of a false flag and of a missed window; a window that is hit is worth 1 at most
PROFILES = {"standard": (0.11, 1.0), "reward_low_fp": (0.22, 1.0), "reward_low_fn": (0.11, 2.0)}


def streams():
    """Name, rows of (timestamp, value), windows as pairs of row numbers; a repeated timestamp counts where it is first."""
    with open(os.path.join(PLACE, "windows.json")) as handle:
        labels = json.load(handle)
    for name in sorted(labels):
        with gzip.open(os.path.join(PLACE, "data", name + ".gz"), "rt", newline="") as handle:
            rows = [(row["timestamp"], row["value"]) for row in csv.DictReader(handle)]
        stamps = [row[0] for row in rows]
        yield name, rows, [tuple(stamps.index(end[:19]) for end in window) for window in labels[name]]


def sigmoid(x):
    return -1.0 if x > 3 else 2 / (1 + math.exp(5 * x)) - 1


def judge(length, windows, flags):
    """Worth of the windows that were hit, and the sum of the costs of flags outside of windows, both unweighted."""
    hits, cost, false_flags = {}, 0.0, 0
    for row in sorted(flags):
        if row < min(math.floor(0.15 * length), 750):
            continue
        inside = [w for w in windows if w[0] <= row <= w[1]]
        before = [w for w in windows if w[1] < row]
        if inside:
            first, last = inside[0]
            hits.setdefault(inside[0], sigmoid(-(last - row + 1) / (last - first + 1)) / sigmoid(-1))
        else:
            cost += sigmoid((row - before[-1][1]) / max(1, before[-1][1] - before[-1][0])) if before else -1.0
            false_flags += 1
    return hits, cost, false_flags


def score(path):
    flags = collections.defaultdict(set)
    with open(path) as handle:
        for line in handle:
            name, number = line.strip().rsplit(",", 1)
            flags[name].add(int(number))
    groups = collections.defaultdict(list)
    for name, rows, windows in streams():
        found = judge(len(rows), windows, flags[name]) + (len(windows),)
        groups["all"].append(found)
        groups[name.split("/")[0]].append(found)
    for group, found in groups.items():
        total = sum(f[3] for f in found)
        worth = sum(sum(f[0].values()) for f in found)
        hit = sum(len(f[0]) for f in found)
        print("%-24s windows %2d/%2d, false flags %3d" % (group, hit, total, sum(f[2] for f in found)), end="", file=sys.stderr)
        for profile, (false, miss) in PROFILES.items():
            if total:
                value = 100 * (worth + hit * miss + false * sum(f[1] for f in found)) / (total * (1 + miss))
                print(", %s %.1f" % (profile, value), end="", file=sys.stderr)
                if group == "all":
                    print("anomaly_%s %.2f >=%d" % (profile, value, {"standard": 60, "reward_low_fp": 55, "reward_low_fn": 60}[profile]))
        print(file=sys.stderr)


if __name__ == "__main__":
    if sys.argv[1:] == ["load"]:
        for name, rows, _ in streams():
            for number, (stamp, value) in enumerate(rows):
                print("%s,%d,%s,%s" % (name, number, stamp, value))
    elif len(sys.argv) == 3 and sys.argv[1] == "score":
        score(sys.argv[2])
    else:
        sys.exit(__doc__)

#!/usr/bin/env python3
"""draw_anomalies.py: writes docs/anomalies.svg, three labelled streams of test/vectors/nab with what the detector flags.

Standard library and a C compiler (CC, else cc).
"""
import calendar
import csv
import gzip
import json
import os
import subprocess
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
NAB = os.path.join(TOP, "test", "vectors", "nab")
SHOWN = [
    ("artificialWithAnomaly/art_daily_jumpsdown.csv", "a load with a daily pattern: one day its peak does not come"),
    ("realAWSCloudwatch/rds_cpu_utilization_e47b3b.csv", "processor of a database server, %"),
    ("realTweets/Twitter_volume_UPS.csv", "mentions of a company in 5 minutes"),
]
CAUSES = ["", "level", "jump", "local", "season", "stuck"]
WIDTH, HEIGHT, LEFT, TITLE = 860, 150, 56, 26


def stream(name):
    with gzip.open(os.path.join(NAB, "data", name + ".gz"), "rt", newline="") as handle:
        rows = [(row["timestamp"], float(row["value"])) for row in csv.DictReader(handle)]
    with open(os.path.join(NAB, "windows.json")) as handle:
        labels = json.load(handle)[name]
    stamps = [row[0] for row in rows]
    return rows, [tuple(stamps.index(end[:19]) for end in window) for window in labels]


def watch(program, rows):
    lines = "".join("%d %r\n" % (calendar.timegm(time.strptime(at, "%Y-%m-%d %H:%M:%S")), value) for at, value in rows)
    out = subprocess.run([program], input=lines, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
    return [(float(score), int(cause)) for score, _, cause in (line.split() for line in out.splitlines())]


def panel(top, name, caption, rows, windows, scores):
    values = [value for _, value in rows]
    low, high = min(values), max(values)
    inner = WIDTH - LEFT - 12

    def x(row):
        return LEFT + inner * row / (len(rows) - 1)

    def y(value):
        return top + TITLE + (HEIGHT - TITLE - 22) * (high - value) / (high - low) + 6

    out = ['<text x="%d" y="%d" class="title">%s <tspan class="note">%s</tspan></text>' % (LEFT, top + 16, caption, name)]
    for first, last in windows:
        out.append('<rect class="window" x="%.1f" y="%d" width="%.1f" height="%d"/>' % (x(first), top + TITLE, x(last) - x(first), HEIGHT - TITLE - 8))
    # two points a pixel column: its least and largest value
    points, columns = [], {}
    for row, value in enumerate(values):
        columns.setdefault(round(x(row)), []).append(value)
    for column in sorted(columns):
        points += ["%d,%.1f" % (column, y(max(columns[column]))), "%d,%.1f" % (column, y(min(columns[column])))]
    out.append('<polyline class="line" points="%s"/>' % " ".join(points))
    for value in (low, high):
        out.append('<text class="note" text-anchor="end" x="%d" y="%.1f">%.4g</text>' % (LEFT - 5, y(value) + 4, value))
    for row, (score, cause) in enumerate(scores):
        if score >= 1:
            out.append('<circle class="flag" cx="%.1f" cy="%.1f" r="4"><title>%s: %g, score %.2f, %s</title></circle>'
                       % (x(row), y(values[row]), rows[row][0], values[row], score, CAUSES[cause]))
    return out


def main():
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">'
           % (WIDTH, len(SHOWN) * HEIGHT + 22),
           "<style>.title{font-size:13px;fill:#222}.note{fill:#777;font-size:11px}.line{fill:none;stroke:#3a6ea5;stroke-width:1}"
           ".window{fill:#f3d9a4}.flag{fill:#c0392b;fill-opacity:.85;stroke:#fff}</style>",
           '<rect width="100%" height="100%" fill="#fff"/>']
    with tempfile.TemporaryDirectory() as place:
        program = os.path.join(place, "anomaly_run")
        source = [os.path.join(TOP, path) for path in ("scripts/anomaly_run.c", "src/core/anomaly.c", "src/core/anomaly_stored.c")]
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-ffp-contract=off", "-I" + os.path.join(TOP, "src"), "-o", program] + source + ["-lm"], check=True)
        for number, (name, caption) in enumerate(SHOWN):
            rows, windows = stream(name)
            out += panel(number * HEIGHT, name, caption, rows, windows, watch(program, rows))
    bottom = len(SHOWN) * HEIGHT + 12
    out.append('<rect class="window" x="%d" y="%d" width="14" height="10"/><text class="note" x="%d" y="%d">labelled as anomalous</text>' % (LEFT, bottom - 9, LEFT + 20, bottom))
    out.append('<circle class="flag" cx="%d" cy="%d" r="4"/><text class="note" x="%d" y="%d">score &gt;= 1 at sensitivity 2</text></svg>' % (LEFT + 170, bottom - 4, LEFT + 180, bottom))
    with open(os.path.join(TOP, "docs", "anomalies.svg"), "w") as handle:
        handle.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()

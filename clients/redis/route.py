#!/usr/bin/env python3
"""route.py MODEL < units: the version that serves each unit, from the mirror in Redis alone, as route_version() would say."""
import json, os, socket, sys

def bucket(data):                                           # MurmurHash3 x86 32-bit, seed 0, in 1/10000
    h, word = 0, 0xffffffff
    for at in range(0, len(data), 4):
        k = int.from_bytes(data[at:at + 4], "little") * 0xcc9e2d51 & word
        h ^= (k << 15 | k >> 17) * 0x1b873593 & word
        if at + 4 <= len(data):
            h = ((h << 13 | h >> 19) * 5 + 0xe6546b64) & word
    h ^= len(data)
    for shift, factor in (16, 0x85ebca6b), (13, 0xc2b2ae35):
        h = (h ^ h >> shift) * factor & word
    return (h ^ h >> 16) * 10000 >> 32

def hget(*names):
    with socket.create_connection((os.environ.get("REDIS_HOST", "127.0.0.1"), int(os.environ.get("REDIS_PORT", 6379)))) as redis:
        redis.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(name), name) for name in (b"HGET", *map(os.fsencode, names))))
        answer = redis.makefile("rb")
        return json.loads(answer.read(max(int(answer.readline()[1:]), 0)) or "null")

rule = hget(os.environ.get("REDIS_PREFIX", "models:") + "routing", sys.argv[1]) or sys.exit("no such model")
group, key = rule["group"], (rule["key"] or "").encode()       # no key where nothing is drawn
for unit in (line.rstrip(b"\n") for line in sys.stdin.buffer):  # bytes: lines end with \n alone
    inside = unit and (not group or 0 <= bucket(group["key"].encode() + unit) - group["from"] < group["slots"])
    drawn = [draw["version"] for draw in rule["draw"] if inside and bucket(key + unit) < draw["below"]]
    sys.stdout.buffer.write(((drawn + [rule["version"]])[0] or "").encode() + b"\n")

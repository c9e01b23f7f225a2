#!/usr/bin/env python3
"""route.py MODEL < units: the version that serves each unit, from the mirror in Redis alone, as route_version() would say."""
import json, os, socket, sys

def bucket(text):
    data, h = text.encode(), 0                      # MurmurHash3 x86 32-bit, seed 0
    for at in range(0, len(data), 4):
        k = int.from_bytes(data[at:at + 4], "little") * 0xcc9e2d51 & 0xffffffff
        h ^= (k << 15 | k >> 17) * 0x1b873593 & 0xffffffff
        if at + 4 <= len(data):
            h = ((h << 13 | h >> 19) * 5 + 0xe6546b64) & 0xffffffff
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85ebca6b & 0xffffffff
    h = (h ^ h >> 13) * 0xc2b2ae35 & 0xffffffff
    return (h ^ h >> 16) * 10000 >> 32

def hget(key, field):
    with socket.create_connection((os.environ.get("REDIS_HOST", "127.0.0.1"), int(os.environ.get("REDIS_PORT", 6379)))) as redis:
        parts = [b"HGET", key.encode(), field.encode()]
        redis.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        answer = redis.makefile("rb")
        length = int(answer.readline()[1:])
        return json.loads(answer.read(length)) if length >= 0 else None

def route(rule, unit):
    group = rule["group"]
    if unit and not (group and not 0 <= bucket(group["key"] + unit) - group["from"] < group["slots"]):
        for draw in rule["draw"]:
            if bucket(rule["key"] + unit) < draw["below"]:
                return draw["version"]
    return rule["version"]

if __name__ == "__main__":
    found = hget(os.environ.get("REDIS_PREFIX", "models:") + "routing", sys.argv[1]) or sys.exit("no such model")
    for line in sys.stdin:
        print(route(found, line.rstrip("\n")) or "")

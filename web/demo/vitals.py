#!/usr/bin/env python3
"""Publish how this machine is, once a second, for the dashboard.

    vitals.py [--every SECONDS] URL CHANNEL

As ticker.py, whose publisher it uses: nothing is lost, nothing twice.
"""

import json
import secrets
import sys

from ticker import run


def read_cpu():
    """Time that the processors were busy, and all of it."""
    with open("/proc/stat", encoding="ascii") as f:
        times = [int(word) for word in f.readline().split()[1:9]]
    return sum(times) - times[3] - times[4], sum(times)


def read_memory():
    """Per cent of memory that is in use."""
    with open("/proc/meminfo", encoding="ascii") as f:
        sizes = {name: int(rest.split()[0]) for name, rest in
                 (line.split(":") for line in f)}
    return 100 * (1 - sizes["MemAvailable"] / sizes["MemTotal"])


def read_load():
    with open("/proc/loadavg", encoding="ascii") as f:
        return float(f.read().split()[0])


def publish_vitals(publisher, every, stop):
    name, n = secrets.token_hex(4), 0
    before = read_cpu()
    while not stop.wait(every):
        now = read_cpu()
        busy, whole = (b - a for a, b in zip(before, now))
        before = now
        body = json.dumps({"cpu": round(100 * busy / max(whole, 1), 1),
                           "memory": round(read_memory(), 1),
                           "load": read_load()})
        n += 1
        publisher.publish(body, f"vitals-{name}-{n}", stop)
    return n


if __name__ == "__main__":
    sys.exit(run("Publish how this machine is.", publish_vitals))

#!/usr/bin/env python3
"""Publish how this machine is, once a second, for the dashboard.

    vitals.py [--every SECONDS] URL CHANNEL

As ticker.py, whose publisher it uses: nothing is lost, nothing twice.
"""

import argparse
import json
import logging
import secrets
import signal
import sys
import threading

from ticker import Publisher, Refused


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
    run, n = secrets.token_hex(4), 0
    before = read_cpu()
    while not stop.wait(every):
        now = read_cpu()
        busy, whole = (b - a for a, b in zip(before, now))
        before = now
        body = json.dumps({"cpu": round(100 * busy / max(whole, 1), 1),
                           "memory": round(read_memory(), 1),
                           "load": read_load()})
        n += 1
        publisher.publish(body, f"vitals-{run}-{n}", stop)


def main():
    parser = argparse.ArgumentParser(
        description="Publish how this machine is.")
    parser.add_argument("url", help="such as http://127.0.0.1:8081")
    parser.add_argument("channel")
    parser.add_argument("--every", type=float, default=1, metavar="SECONDS")
    options = parser.parse_args()

    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s",
                        level=logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        publisher = Publisher(options.url, options.channel)
        publish_vitals(publisher, options.every, stop)
    except (Refused, ValueError) as error:
        logging.getLogger("vitals").error("the gateway refuses: %s", error)
        return 1
    publisher.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""What a backend in trouble costs those who only listen: nothing, it should.

    SPILLWAY=build/spillway tests/bench/trouble.py [SUBSCRIBERS [SECONDS]]

While a crowd of WebSockets and one stream listen, messages for the backend and
requests to it come all the time. The backend's states are measured in turn, twice, and
compared with a healthy backend: latencies of what is published meanwhile, and
what those who ask it are told, and when.
"""

import collections
import http.client
import multiprocessing
import statistics
import sys
import threading
import time

from live import Crowd, gateway, latencies

from bridge_backend import SECRET, Backend
from gateway import free_ports

ASKERS = 4
PAUSE = 0.02  # of each between two questions
STATES = ("healthy", "500", "slow", "flapping", "dead")


def answer(state):
    """What that backend says, or None: it is not there."""
    def say(_):
        if state == "slow":
            time.sleep(3)
        return (500 if state == "500" else 200), "text/plain", b"ok"
    return None if state == "dead" else say


def be_backend(port, state, stop):
    """Until it is told to stop; one that flaps comes and goes."""
    while not stop.is_set():
        say = answer(state)
        backend = Backend(say, port) if say else None
        stop.wait(0.5 if state == "flapping" else None)
        if backend:
            backend.close()
        if state == "flapping":
            stop.wait(0.5)


def listen(port, count, ready, stop):
    crowd = Crowd(port, count, "live")
    ready.set()
    while not stop.is_set():
        for key, _ in crowd.selector.select(0.2):
            crowd.read(key.data)
    crowd.close()


class Askers:
    """Half send messages, half are passed on; what becomes of them."""

    def __init__(self, port):
        self.port, self.stop = int(port), threading.Event()
        self.told, self.slowest = collections.Counter(), 0
        self.threads = [threading.Thread(target=self.ask, args=(i % 2,))
                        for i in range(ASKERS)]
        for t in self.threads:
            t.start()

    def ask(self, sends):
        while not self.stop.wait(PAUSE):
            began = time.monotonic()
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            c.request("POST", "/stream/sent" if sends else "/page", b"hello")
            self.told[c.getresponse().status] += 1
            c.close()
            self.slowest = max(self.slowest, time.monotonic() - began)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()


def measure(state, subscribers, seconds):
    port, = free_ports(1)
    stop, ready = multiprocessing.Event(), multiprocessing.Event()
    with gateway(f"""
backend = "http://127.0.0.1:{port}"
bridge-secret = "{SECRET}"
bridge-timeout = 2s
backend-response-timeout = 2s
backend-fail-time = 1s
channel "sent" {{ send = bridge }}
""") as g:
        others = [
            multiprocessing.Process(target=be_backend,
                                    args=(port, state, stop)),
            multiprocessing.Process(target=listen, args=(
                g.plain_port, subscribers, ready, stop))]
        for p in others:
            p.start()
        ready.wait()
        askers = Askers(g.plain_port)
        p50, p99 = latencies(g, seconds)
        askers.end()
        stop.set()
        for p in others:
            p.join()
    return p50, p99, askers


def main():
    subscribers = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5
    rows = {state: [] for state in STATES}
    for _ in range(2):
        for state in STATES:
            rows[state].append(measure(state, subscribers, seconds))
    base = statistics.median(r[1] for r in rows["healthy"])
    print(f"| backend, {subscribers} listen | p50 ms | p99 ms | of healthy | "
          "asked | told | slowest answer s |")
    print("|---|---|---|---|---|---|---|")
    for state, found in rows.items():
        p99 = statistics.median(r[1] for r in found)
        told = sum((r[2].told for r in found), collections.Counter())
        print(f"| {state} | {statistics.median(r[0] for r in found):.2f} | "
              f"{p99:.2f} | {p99 / base:.2f} | 1.5 | " +
              ", ".join(f"{n} x {status}" for status, n in
                        sorted(told.items())) +
              f" | {max(r[2].slowest for r in found):.2f} |")


if __name__ == "__main__":
    main()

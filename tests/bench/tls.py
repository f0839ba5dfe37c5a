#!/usr/bin/python3
"""What TLS costs: wss beside ws, in one run each, by the daemon's own CPU time.

    SPILLWAY=build/spillway tests/bench/tls.py [SUBSCRIBERS [EVENTS]]

Clients are Python's, and their cost does not count: what is measured is what
the daemon uses for it, so that other work on the machine disturbs little.
"""

import multiprocessing
import socket
import statistics
import sys
import time

from live import PAYLOAD, Crowd, cpu, gateway, latencies


def fan_out(secure, subscribers, events):
    """Deliveries for each second of the daemon's CPU."""
    with gateway() as g:
        crowd = Crowd(g.secure_port if secure else g.plain_port, subscribers)
        frame = len(PAYLOAD) + 2
        began = cpu(g)
        for n in range(events):
            g.publish("a", PAYLOAD, Content_Type="text/plain")
            crowd.wait((n + 1) * frame * subscribers)
        used = cpu(g) - began
        crowd.close()
        # What publishing costs by itself, on its own connection each time.
        began = cpu(g)
        for _ in range(events):
            g.publish("b", PAYLOAD, Content_Type="text/plain")
        used -= cpu(g) - began
        return subscribers * events / used


def idle(secure, connections):
    """Bytes that one more idle stream costs."""
    with gateway() as g:
        port = g.secure_port if secure else g.plain_port
        first = Crowd(port, 50)
        before = g.memory()
        rest = Crowd(port, connections)
        grown = g.memory() - before
        first.close()
        rest.close()
        return grown / connections


def shake(port, rate, seconds):
    """New sessions at a pace, from another process."""
    due = end = time.monotonic()
    end += seconds
    while due < end:
        time.sleep(max(0, due - time.monotonic()))
        due += 1 / rate
        with socket.create_connection(("127.0.0.1", int(port))) as s:
            port.wrap(s).close()


def handshakes(rate, seconds):
    """Full ones for each second of CPU; live p99 without and with them."""
    with gateway() as g:
        _, alone = latencies(g, seconds)
        before, began = cpu(g), time.monotonic()
        client = multiprocessing.Process(
            target=shake, args=(g.secure_port, rate, seconds))
        client.start()
        _, crowded = latencies(g, seconds)
        used, passed = cpu(g) - before, time.monotonic() - began
        done = g.metric("tls_handshakes_total", '{result="full"}')
        client.join()
        return done / used, done / passed, alone, crowded


def main():
    subscribers = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    events = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    ratios, rows = [], []
    for _ in range(3):
        plain, secure = (fan_out(s, subscribers, events)
                         for s in (False, True))
        ratios.append(secure / plain)
        rows.append((plain, secure))
    print("| wss and ws, one worker | figure | asked |")
    print("|---|---|---|")
    print(f"| deliveries a CPU second, ws ({subscribers} streams) | "
          f"{statistics.median(r[0] for r in rows):,.0f} | |")
    print(f"| deliveries a CPU second, wss | "
          f"{statistics.median(r[1] for r in rows):,.0f} | |")
    print(f"| ratio | {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f}-{max(ratios):.2f}) | 0.6 |")
    for secure, name in (False, "ws"), (True, "wss"):
        print(f"| idle {name}, KiB | "
              f"{idle(secure, subscribers) / 1024:.1f} | "
              f"{18 if secure else ''} |")
    per_cpu, per_second, alone, crowded = handshakes(500, 5)
    print(f"| new handshakes a CPU second, publishing beside them | "
          f"{per_cpu:,.0f} | 500 |")
    print(f"| live p99, ms: alone, with {per_second:,.0f} handshakes/s | "
          f"{alone:.1f}, {crowded:.1f} | 3 x |")


if __name__ == "__main__":
    main()

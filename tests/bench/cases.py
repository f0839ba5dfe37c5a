"""What is measured: each case is a table, each of its rows a way to load."""

from dataclasses import dataclass, field

STREAMS = ("ws", "sse")
WAITING = ("ws", "sse", "long")
ALL = ("limit", "nchan", "spillway")
PROXIES = ("nginx", "pushpin", "spillway")


@dataclass
class Row:
    label: str
    load: dict
    settings: dict = field(default_factory=dict)  # of the servers
    only: dict = field(default_factory=dict)      # load, for one server
    program: str = "load"
    everywhere: bool = False  # server and load share all cores


@dataclass
class Case:
    name: str
    title: str
    rows: list
    counts: str = "deliveries"  # the figure that is divided by CPU seconds
    table: str = "rate"         # how it is shown
    servers: tuple = ALL


def over(transports, load, **more):
    """The same over several transports."""
    return [Row(t, dict(load, transport=t), **more) for t in transports]


CASES = [
    Case("fanout", "1,000 subscribers of one channel, one event at a time",
         over(WAITING, dict(subs=1000, window=1, warm=30))),
    Case("fanout-wide", "5,000 subscribers of one channel, one event at a time",
         over(WAITING, dict(subs=5000, window=1, warm=5))),
    Case("fanout-deep", "1,000 subscribers of one channel, 16 events at a time",
         over(STREAMS, dict(subs=1000, window=16, depth=16, warm=30))),
    Case("channels", "1,000 channels with one subscriber each, 64 events at "
         "a time over all",
         over(WAITING, dict(subs=1000, channels=1000, window=64, warm=3,
                            pubs=8, depth=8))),
    # What a delivery costs two workers, of what it costs one: twice that is
    # what two cores carry when the load comes from elsewhere.
    Case("workers", "one worker and two, beside the load on all cores",
         [Row("one channel of 1,000, ws",
              dict(subs=1000, window=1, warm=30), everywhere=True),
          Row("one channel of 1,000, sse",
              dict(subs=1000, window=1, warm=30, transport="sse"),
              everywhere=True),
          Row("one channel of 5,000, ws",
              dict(subs=5000, window=1, warm=5), everywhere=True),
          Row("1,000 channels, ws",
              dict(subs=1000, channels=1000, window=64, warm=3, pubs=8,
                   depth=8), everywhere=True)],
         table="workers", servers=("spillway", "two")),
    Case("small", "one subscriber, 64 bytes an event, 64 events at a time",
         # More than 32,767 events of a channel in a second confuse nchan.
         over(STREAMS, dict(subs=1, size=64, window=64, depth=64, warm=2000),
              only={"nchan": dict(rate=30000)})),
    Case("large", "one subscriber, 100,000 bytes an event, 8 events at a time",
         over(STREAMS, dict(subs=1, size=100000, window=8, depth=8, warm=20),
              settings={"keep": 100})),
    Case("latency", "time from publishing to delivery, at a fixed rate",
         [Row("ws, 1,000 x 10/s", dict(subs=1000, rate=10, warm=5)),
          Row("ws, 100 x 100/s", dict(subs=100, rate=100, warm=20)),
          Row("sse, 100 x 100/s",
              dict(subs=100, rate=100, warm=20, transport="sse")),
          Row("long, 100 x 100/s",
              dict(subs=100, rate=100, warm=20, transport="long"))],
         table="latency"),
    Case("publish", "8 publishers, one request at a time each",
         [Row("no subscriber", dict(subs=0, channels=8, pubs=8, warm=200)),
          Row("one each, ws", dict(subs=8, channels=8, pubs=8, warm=200))],
         counts="acks"),
    Case("batches", "4 publishers of NDJSON, 100 events in a request",
         [Row(f"durability {d}",
              dict(subs=0, channels=100, pubs=4, depth=2, batch=100, warm=100),
              {"spillway": {"durability": d}}) for d in ("normal", "full")],
         counts="acks", servers=("limit", "spillway")),
    Case("short", "200 clients that poll as fast as they are answered, 2 "
         "events a second",
         over(("short",), dict(subs=200, rate=2)), counts="polls"),
    Case("churn", "100 clients that connect, subscribe, leave, at once again",
         over(STREAMS, dict(mode="churn", subs=100)), counts="cycles"),
    Case("catchup", "100 clients come back at once, 1,000 events missed each",
         over(WAITING, dict(mode="catchup", subs=100, away=1000, rounds=10,
                            depth=64))),
    Case("reconnect", "200 clients, 100 events a second; each leaves every "
         "two seconds, for 300 ms",
         over(WAITING, dict(mode="reconnect", subs=200, rate=100, drop=0.5,
                            gap_ms=300, warm=2)), table="reconnect"),
    Case("slow", "10 of 1,000 subscribers do not read at all, 1,000 bytes "
         "an event",
         [Row(f"ws, {n} of them", dict(subs=990 + n, slow=n, size=1000,
                                       window=1, warm=10))
          for n in (0, 10)], table="slow"),
    Case("idle", "10,000 silent connections; then 5 events for all of them",
         over(WAITING, dict(mode="idle", subs=10000, each=5)), table="idle"),
    Case("broadcast", "18,000 silent connections; then 5 events for all of "
         "them",
         over(WAITING, dict(mode="idle", subs=18000, each=5)), table="idle"),
    # The window of 4 MB has what the near half missed, and no more.
    Case("storm", "10,000 clients come back at once, 100 events missed each, "
         "half of them from the store; beside it 100 subscribers, 100 events "
         "a second",
         over(WAITING, dict(mode="storm", subs=10000, channels=100, away=100,
                            filler=80000, live=100, rate=100, depth=64),
              settings={"spillway": {"window-bytes": '"4m"'}}),
         table="storm"),
    Case("proxied", "a page of 1,024 bytes through the reverse proxy",
         [Row(f"{n} at a time", dict(clients=n), program="proxied")
          for n in (64, 1)],
         counts="requests", table="proxied", servers=PROXIES),
    # Pushpin makes WebSocket-over-HTTP of it, Spillway signed CloudEvents.
    Case("bridged", "a message of 100 bytes over a WebSocket to the backend, "
         "and its answer back",
         [Row(f"{n} at a time", dict(clients=n, size=100,
                                     websocket="/stream/bench"),
              {"spillway": {
                  "send": "bridge", "message-rate": 0,
                  "bridge-secret":
                  '"whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3A="'}},
              only={"spillway": dict(protocol="spillway.raw")},
              program="proxied")
          for n in (64, 1)],
         counts="requests", table="bridged", servers=("pushpin", "spillway")),
]

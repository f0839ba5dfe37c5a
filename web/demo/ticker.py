#!/usr/bin/env python3
"""Publish an event a second, and lose none.

    ticker.py [--every SECONDS] URL CHANNEL

URL is the gateway's api-listen address, such as http://127.0.0.1:8081. An event
is published under one Idempotency-Key again and again until the gateway says
that it is stored: one that was stored although its answer was lost is then
found to be a duplicate, and no restart of the gateway loses or doubles any. The
token of an API that wants one is read from SPILLWAY_API_TOKEN.

Ends at SIGTERM and SIGINT, after the event under way.
"""

import argparse
import http.client
import json
import logging
import os
import secrets
import signal
import sys
import threading
import time
import urllib.parse

TIMEOUT = 10  # seconds for one answer
RETRY_FIRST, RETRY_LAST = 0.1, 2  # seconds between attempts

SAYINGS = (
    "Water finds its way.",
    "A dam holds, a spillway lets go.",
    "One stream, four ways to drink.",
    "You cannot publish into the same river twice.",
    "Still waters are caught up.",
    "What was acknowledged stays.",
    "A cursor remembers for you.",
)

log = logging.getLogger("publisher")


class Refused(Exception):
    """An answer that another attempt would not change."""


class Publisher:
    """One connection to the API, opened again as often as needed."""

    def __init__(self, url, channel):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url}: not an http address")
        self.connect = (http.client.HTTPSConnection if parts.scheme == "https"
                        else http.client.HTTPConnection)
        self.address = parts.hostname, parts.port
        self.path = (f"{parts.path.rstrip('/')}/v1/channels/"
                     f"{urllib.parse.quote(channel)}/events")
        self.headers = {"Content-Type": "application/json"}
        token = os.environ.get("SPILLWAY_API_TOKEN")
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        self.connection = None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def attempt(self, body, key):
        """Status, answer, and the seconds to wait before another attempt."""
        if self.connection is None:
            self.connection = self.connect(*self.address, timeout=TIMEOUT)
        self.connection.request("POST", self.path, body,
                                self.headers | {"Idempotency-Key": key})
        response = self.connection.getresponse()
        after = response.getheader("Retry-After", "")
        answer = json.loads(response.read())
        return response.status, answer, int(after) if after.isdigit() else 0

    def publish(self, body, key, stop):
        """The answer, once it is stored; None if `stop` was set before."""
        pause = RETRY_FIRST
        while True:
            wait = pause
            try:
                status, answer, after = self.attempt(body, key)
                if status in (200, 201):
                    return answer
                why = f"{status} {answer.get('detail', '')}"
                if status < 500 and status not in (408, 429):
                    raise Refused(why)
                wait = max(pause, after)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.close()
                why = str(error) or type(error).__name__
            log.warning("key=%s not stored yet, again in %.1f s: %s", key,
                        wait, why)
            if stop.wait(wait):
                return None
            pause = min(2 * pause, RETRY_LAST)


def tick(publisher, every, stop):
    # With the run, a reader can tell a lost event from a new beginning.
    run = secrets.token_hex(4)
    due = time.monotonic()
    n = 1
    while not stop.is_set():
        body = json.dumps({"n": n, "text": SAYINGS[n % len(SAYINGS)],
                           "run": run})
        answer = publisher.publish(body, f"ticker-{run}-{n}", stop)
        if answer is None:
            log.warning("n=%d may not be stored: told to stop", n)
            return n - 1
        log.info("n=%d id=%s%s", n, answer["id"],
                 " (stored before, its answer was lost)"
                 if answer["duplicate"] else "")
        n += 1
        # After a pause of the gateway the beat goes on, it does not catch up.
        due = max(due + every, time.monotonic())
        stop.wait(due - time.monotonic())
    return n - 1


def told_to_stop():
    """Set by SIGTERM and SIGINT; to be called before other threads begin.

    By a thread that waits for them: a handler might be called while it is
    called, inside of set(), and wait for itself.
    """
    stop = threading.Event()
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    def wait():
        signal.sigwait(signals)
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    return stop


def run(description, publish):
    """A program that publishes until it is told to stop."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("url", help="such as http://127.0.0.1:8081")
    parser.add_argument("channel")
    parser.add_argument("--every", type=float, default=1, metavar="SECONDS")
    options = parser.parse_args()

    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s",
                        level=logging.INFO)
    stop = told_to_stop()
    try:
        publisher = Publisher(options.url, options.channel)
        log.info("publishing to %s as channel %s", options.url, options.channel)
        n = publish(publisher, options.every, stop)
    except (Refused, ValueError) as error:
        log.error("the gateway refuses: %s", error)
        return 1
    publisher.close()
    log.info("stopped after %d events", n)
    return 0


if __name__ == "__main__":
    sys.exit(run("Publish an event a second, and lose none.", tick))

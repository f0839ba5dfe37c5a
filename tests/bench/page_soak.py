#!/usr/bin/python3
"""The compare page, left to run: what it holds should not grow.

    SPILLWAY=build/spillway tests/bench/page_soak.py [MINUTES [RATE]]

A gateway with the fault lab, Debian's chromium with /spillway/compare/, all five
panes reading RATE events a second. Once a minute its garbage is collected, and
what is left is counted: bytes of JavaScript, nodes of the document, listeners,
and what the renderer's processes have of the machine's memory. The page counts
by itself what is missing or came twice: that decides the exit status, while
sizes and times are printed only.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import websockets

from live import gateway

from gateway import GUARD

WEB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                   "web")
# The histories of the page (half a minute, 500 lines) are full by then.
WARM = 2
COUNTS = """JSON.stringify({
    verdict: document.getElementById("verdict").textContent,
    counts: [...document.querySelectorAll(".pane")].map((pane) =>
        Object.fromEntries([...pane.querySelectorAll(".counts > div")].map(
            (row) => [...row.children].map((e) => e.textContent))))})"""


def children(pid):
    """That process and all that come from it."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)],
                           capture_output=True, text=True, check=False)
    return [pid] + [p for child in found.stdout.split()
                    for p in children(int(child))]


def renderers(pid):
    """Their share of the memory, in MB."""
    total = 0
    for p in children(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{p}/cmdline", "rb") as f:
                if b"--type=renderer" not in f.read():
                    continue
            with open(f"/proc/{p}/smaps_rollup", encoding="ascii") as f:
                total += next(int(line.split()[1]) for line in f
                              if line.startswith("Pss:"))
    return total / 1024


@contextlib.contextmanager
def chromium():
    """The process, and the address at which it is told what to do."""
    home = tempfile.mkdtemp(prefix="spillway-soak-")
    process = subprocess.Popen(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
         "--no-first-run", "--disable-background-networking",
         "--disable-dev-shm-usage", f"--user-data-dir={home}",
         "--window-size=1400,1000", "--remote-debugging-port=0",
         "about:blank"],
        env=dict(os.environ, HOME=home), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        for line in process.stderr:
            if "DevTools listening on" in line:
                break
        else:
            sys.exit("page_soak: chromium has ended")
        # What it says from now on is nobody's concern, but has to go.
        with subprocess.Popen(["cat"], stdin=process.stderr,
                              stdout=subprocess.DEVNULL):
            yield process.pid, line.split()[-1]
            os.killpg(process.pid, signal.SIGKILL)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(GUARD)
        shutil.rmtree(home, ignore_errors=True)


class Page:
    """The only page of a browser, by the protocol of its developer tools."""

    def __init__(self, socket):
        self.socket, self.last, self.session = socket, 0, None

    async def ask(self, method, **params):
        self.last += 1
        question = {"id": self.last, "method": method, "params": params}
        if self.session:
            question["sessionId"] = self.session
        await self.socket.send(json.dumps(question))
        while True:
            answer = json.loads(await self.socket.recv())
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    async def open(self, url):
        targets = (await self.ask("Target.getTargets"))["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        self.session = (await self.ask(
            "Target.attachToTarget", targetId=page,
            flatten=True))["sessionId"]
        await self.ask("Performance.enable")
        await self.ask("Page.enable")
        await self.ask("Page.navigate", url=url)
        while json.loads(await self.socket.recv()).get("method") != \
                "Page.loadEventFired":
            pass

    async def sample(self, pid):
        await self.ask("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in
                   (await self.ask("Performance.getMetrics"))["metrics"]}
        dom = await self.ask("Memory.getDOMCounters")
        said = await self.ask("Runtime.evaluate", expression=COUNTS)
        return {
            "at": time.monotonic(), "heap": metrics["JSHeapUsedSize"],
            "busy": metrics["TaskDuration"], "nodes": dom["nodes"],
            "listeners": dom["jsEventListeners"], "memory": renderers(pid),
            **json.loads(said["result"]["value"])}


def number(text):
    return int(text.replace(",", ""))


def line(minute, sample, before):
    received = [number(c["Received"]) for c in sample["counts"]]
    busy = "" if before is None else \
        f"{(sample['busy'] - before['busy']) / (sample['at'] - before['at']):.0%}"
    return (f"| {minute} | {sample['heap'] / 1e6:.2f} | {sample['nodes']} | "
            f"{sample['listeners']} | {sample['memory']:.0f} | {busy} | "
            f"{min(received)}-{max(received)} | "
            f"{sum(number(c['Missing']) for c in sample['counts'])} | "
            f"{sum(number(c['Twice']) for c in sample['counts'])} |")


def growth(samples, name):
    """From the median of the first half to that of the second, in percent."""
    half = len(samples) // 2
    before = statistics.median(s[name] for s in samples[:half])
    return 100 * (statistics.median(s[name] for s in samples[-half:]) /
                  before - 1)


async def watch(pid, address, url, minutes):
    samples = []
    print("| minute | JavaScript MB | nodes | listeners | renderer MB | "
          "main thread | received | missing | twice |")
    print("|---|---|---|---|---|---|---|---|---|")
    async with websockets.connect(address, max_size=None,
                                  ping_interval=None) as socket:
        page = Page(socket)
        await page.open(url)
        began = time.monotonic()
        for minute in range(minutes + 1):
            await asyncio.sleep(
                max(0, began + minute * 60 - time.monotonic()))
            sample = await page.sample(pid)
            print(line(minute, sample, samples[-1] if samples else None),
                  flush=True)
            samples.append(sample)
    return samples


def main():
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with gateway(f"""
demo = yes
web-root = "{WEB}"
channel "compare-*" {{
	durability = memory
	history-events = 20000
	history-age = 1h
	send = publish
}}
""") as g, chromium() as (pid, address):
        samples = asyncio.run(watch(
            pid, address, f"http://127.0.0.1:{g.plain_port}/spillway/compare/"
            f"#run=1&rate={rate}", minutes))
    warm = samples[WARM:]
    if len(warm) > 1:
        print(f"\nFrom minute {WARM} on, the second half beside the first: "
              f"{growth(warm, 'heap'):+.1f} % of JavaScript, "
              f"{growth(warm, 'nodes'):+.1f} % of nodes, "
              f"{growth(warm, 'listeners'):+.1f} % of listeners, "
              f"{growth(warm, 'memory'):+.1f} % of the renderer.")
    last = samples[-1]
    print(last["verdict"])
    if any(number(c[what]) for c in last["counts"]
           for what in ("Missing", "Twice")):
        sys.exit("page_soak: the page has lost events, or has them twice")


if __name__ == "__main__":
    main()

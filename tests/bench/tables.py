"""What was measured, as Markdown. Nothing here decides anything."""

NONE = "-"


def big(x):
    return f"{x:,.0f}" if x < 1e6 else f"{x / 1e6:,.2f} M"


def ms(us):
    return f"{us / 1000:.2f}" if us < 1e4 else f"{us / 1000:.0f}"


def ratio(a, b):
    return f"{a / b:.2f}" if a is not None and b else NONE


def per(r, what, key="cpu_s"):
    return r[what] / r[key] if r and r.get(key) else None


def rate(case, r, others):
    mine = per(r, case.counts)
    # Of publishing, the time until the answer; of polls, none is due.
    which = "ack_" if case.counts == "acks" else ""
    times = [ms(r[f"{which}{p}_us"]) if r.get(f"{which}{p}_us") else NONE
             for p in ("p50", "p99")]
    return [big(per(r, case.counts, "seconds")), big(mine),
            ratio(mine, per(others.get("limit"), case.counts)),
            ratio(mine, per(others.get("nchan"), case.counts)), *times,
            f"{r['load_busy']:.0%}"]


def latency(_case, r, others):
    def against(name):
        other = others.get(name)
        return ratio(r["p99_us"], other["p99_us"] if other else None)
    return [ms(r["p50_us"]), ms(r["p99_us"]), ms(r["max_us"]),
            against("limit"), against("nchan")]


def idle(_case, r, _others):
    return [big(r["bytes_per_connection"]),
            big(r["bytes_per_connection_after"]),
            f"{r['idle_cpu_ms_per_s']:.1f}",
            big(per(r, "deliveries")), ms(r["p50_us"]), ms(r["max_us"])]


def slow(_case, r, _others):
    return [big(per(r, "deliveries")), ms(r["p50_us"]), ms(r["p99_us"]),
            big(r["grown"] / 1024)]


def workers(_case, r, others):
    mine = per(r, "deliveries")
    return [big(per(r, "deliveries", "seconds")), big(mine),
            ratio(mine, per(others.get("spillway"), "deliveries")),
            ms(r["p50_us"]), ms(r["p99_us"])]


def reconnect(_case, r, _others):
    return [big(r["cycles"]), big(r["deliveries"]), big(per(r, "deliveries")),
            big(r["lost"]), big(r["again"]), ms(r["p50_us"])]


def storm(_case, r, _others):
    return [f"{r['seconds']:.2f}", big(per(r, "deliveries")),
            ms(r["quiet_p99_us"]), ms(r["p99_us"]),
            ratio(r["p99_us"], r["quiet_p99_us"]),
            big(r["from_store"]) if "from_store" in r else NONE]


def proxied(case, r, others):
    mine = per(r, case.counts)
    return [big(per(r, case.counts, "seconds")), big(mine),
            ratio(mine, per(others.get("nginx"), case.counts)),
            ratio(mine, per(others.get("pushpin"), case.counts)),
            f"{r['p50_us']:.0f}", f"{r['direct_p50_us']:.0f}",
            f"{r['p50_us'] - r['direct_p50_us']:.0f}",
            f"{r['load_busy']:.0%}"]


def bridged(case, r, others):
    of_nginx = 2  # no peer for messages
    cells = proxied(case, r, others)
    return cells[:of_nginx] + cells[of_nginx + 1:]


TABLES = {
    "bridged": (bridged, ["{counts}/s", "{counts} per CPU s", "of pushpin",
                          "p50 us", "direct p50 us", "added us",
                          "load busy"]),
    "proxied": (proxied, ["{counts}/s", "{counts} per CPU s", "of nginx",
                          "of pushpin", "p50 us", "direct p50 us",
                          "added us", "load busy"]),
    "rate": (rate, ["{counts}/s", "{counts} per CPU s", "of limit",
                    "of nchan", "p50 ms", "p99 ms", "load busy"]),
    "latency": (latency, ["p50 ms", "p99 ms", "max ms", "p99 / limit's",
                          "p99 / nchan's"]),
    "idle": (idle, ["bytes a connection", "after the events",
                    "CPU ms per s, silent", "deliveries per CPU s", "p50 ms",
                    "last ms"]),
    "slow": (slow, ["deliveries per CPU s", "p50 ms", "p99 ms", "grown KiB"]),
    "reconnect": (reconnect, ["leaves", "deliveries", "per CPU s", "lost",
                              "again or late", "p50 ms"]),
    "workers": (workers, ["deliveries/s", "deliveries per CPU s",
                          "of one worker's", "p50 ms", "p99 ms"]),
    "storm": (storm, ["all caught up s", "deliveries per CPU s",
                      "p99 ms before", "p99 ms meanwhile", "ratio",
                      "from the store"]),
}


def table(case, results, failed):
    """`results`: by label of the row and name of the server."""
    show, columns = TABLES[case.table]
    head = ["", "server"] + [c.format(counts=case.counts) for c in columns]
    lines = [f"### {case.name}: {case.title}", "",
             "| " + " | ".join(head) + " |",
             "|---|---|" + "---:|" * len(columns)]
    for row in case.rows:
        of_row = results.get(row.label, {})
        for server in case.servers:
            if (row.label, server) in failed:
                cells = ["**failed**"] + [NONE] * (len(columns) - 1)
            elif server in of_row:
                cells = show(case, of_row[server], of_row)
            else:
                continue
            lines.append(f"| {row.label} | {server} | "
                         + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"

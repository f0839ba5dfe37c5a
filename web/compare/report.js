/* What was measured, to take away: JSON, CSV, and a page that needs nothing. */

import { BUCKETS, formatBytes, formatCount, formatMs, formatTime, perEvent }
	from "./measure.js";
import { element } from "./view.js";

/*
 * All that a run has shown. What an event costs and how late it is depends on
 * the settings: bytes and latencies are those of `events`, which came since the
 * settings changed last.
 */
export function collect(run, panes, log, verdict, link) {
	return {
		about: "Spillway: what each transport costs",
		began: new Date(run.began).toISOString(),
		seconds: Number(((run.ended ?? Date.now()) - run.began) / 1000),
		browser: navigator.userAgent,
		again: link,
		settings: run.settings,
		measuredFrom: run.anew ? (run.anew.at - run.began) / 1000 : 0,
		published: run.published,
		verdict,
		clock: {
			offsetMs: run.clock.offset, errorMs: run.clock.error,
			probes: run.clock.probes,
		},
		panes: panes.map((pane) => ({
			transport: pane.kind,
			name: pane.title,
			received: pane.tally.received,
			missing: pane.tally.missed,
			caughtUp: pane.tally.caughtUp,
			late: pane.tally.late,
			duplicates: pane.tally.duplicates,
			gaps: pane.gaps,
			reconnects: pane.reconnects,
			requests: pane.counted?.requests ?? null,
			connections: pane.counted?.connections ?? null,
			...pane.measured(),
			latencyMs: pane.latency.summary(),
			waitingMs: pane.waiting.count ? pane.waiting.summary() : null,
			...pane.rungs && { rungs: Object.fromEntries([...pane.rungs]
				.map(([name, { state, why }]) => [name, { state, why }])) },
		})),
		log: log.map(({ time, who, text }) => ({ time, who, text })),
	};
}

/* RFC 4180, and no cell that a spreadsheet would take for a formula. */
function cell(value) {
	const text = value === null ? "" : String(value);
	const safe = /^[=+@\t\r-]/.test(text) && !/^-?\d/.test(text) ?
		`'${text}` : text;

	return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function toCsv(data) {
	const rows = [["transport", "received", "missing", "caught_up", "late",
		"duplicates", "gaps", "reconnects", "requests", "connections",
		"measured_from_s", "events", ...BUCKETS.map(([bucket]) => `bytes_${bucket}`), "p50_ms", "p95_ms",
		"p99_ms", "max_ms", "clock_error_ms"]];

	for (const pane of data.panes)
		rows.push([pane.transport, pane.received, pane.missing,
			pane.caughtUp, pane.late, pane.duplicates, pane.gaps,
			pane.reconnects, pane.requests, pane.connections,
			data.measuredFrom, pane.events,
			...BUCKETS.map(([bucket]) => pane.bytes?.[bucket] ?? null),
			pane.latencyMs.p50, pane.latencyMs.p95, pane.latencyMs.p99,
			pane.latencyMs.max, data.clock.errorMs]);
	return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

function table(head, rows, className = "") {
	const t = element("table", "", className);
	const line = (name, cells) => {
		const row = document.createElement("tr");

		row.append(...cells.map((text, i) =>
			element(i === 0 ? "th" : name, String(text))));
		return row;
	};

	t.append(line("th", head), ...rows.map((cells) => line("td", cells)));
	return t;
}

const STYLE = `body{font:1rem/1.5 system-ui,sans-serif;max-width:64rem;
margin:2rem auto;padding:0 1rem;color:#1a1f27;background:#fff}
table{border-collapse:collapse;margin:.5rem 0 1.5rem;display:block;
overflow-x:auto}a{overflow-wrap:anywhere}
th,td{padding:.25rem .8rem;border-bottom:1px solid #c9ced6;text-align:right}
th:first-child{text-align:left}h1,h2{line-height:1.2}
td{white-space:nowrap}.words td{text-align:left;white-space:normal}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f5f6f8;
padding:1rem}svg{width:22rem;max-width:100%}
.h-bars{fill:#0b5cad}.h-waits{fill:none;stroke:#8a5300}
.h-axis{stroke:#c9ced6}.h-marks{stroke:#1a1f27;stroke-dasharray:3 2}
.h-label{font-size:9px;fill:#545d6b}`;

/*
 * One file, without scripts: made in a document of its own, where all that was
 * measured is text. `cost` is the table as it stands, for so many clients.
 */
export function toHtml(data, charts, cost, clients) {
	const page = document.implementation.createHTMLDocument(data.about);
	const all = document.createElement("details");
	const charset = page.createElement("meta");
	const viewport = page.createElement("meta");
	const link = element("a", data.again);

	charset.setAttribute("charset", "utf-8");
	viewport.name = "viewport";
	viewport.content = "width=device-width, initial-scale=1";
	all.append(element("summary", "All of it, as JSON"),
		element("pre", JSON.stringify(data, null, "\t")));
	link.href = data.again;
	page.head.prepend(charset, viewport);
	page.documentElement.lang = "en";
	page.body.append(element("h1", data.about),
		element("p", `${data.began}, ${data.seconds.toFixed(1)} s: ` +
			`${data.settings.rate} events a second with ` +
			`${data.settings.size} bytes each, ${data.settings.burst} at a ` +
			`time; short polls every ${data.settings.poll} ms` +
			(data.measuredFrom > 0 ? `, since ${data.measuredFrom.toFixed(1)}` +
				" s: bytes and latencies are of that time" : "") +
			`. Clocks agree to ±${formatTime(data.clock.errorMs)}. ` +
			data.browser),
		element("p", `${formatCount(data.published)} events were ` +
			`published. ${data.verdict}`),
		element("h2", "What arrived, and how late"),
		table(["Transport", "Received", "Missing", "Caught up", "Twice",
			"p50 ms", "p95 ms", "p99 ms", "Max ms"],
		data.panes.map((p) => [p.name, p.received, p.missing, p.caughtUp,
			p.duplicates, ...["p50", "p95", "p99", "max"]
				.map((q) => formatMs(p.latencyMs[q] ?? NaN))])),
		element("h2", "Bytes on the socket for an event"),
		table(["Transport", ...BUCKETS.map(([, name]) => name), "In all",
			"Requests"],
		data.panes.map((p) => {
			const each = BUCKETS.map(([b]) =>
				perEvent(p.bytes?.[b], p.events));

			return [p.name, ...each.map(formatCount),
				formatBytes(each.reduce((a, b) => a + b, 0)),
				formatCount(p.requests ?? NaN)];
		})),
		element("h2", `For ${formatCount(clients)} clients`),
		cost.cloneNode(true),
		element("h2", "Latency, ms"));
	data.panes.forEach((pane, i) => {
		const chart = charts[i].cloneNode(true);

		chart.setAttribute("xmlns", "http://www.w3.org/2000/svg");
		page.body.append(element("h3", pane.name), chart);
	});
	page.body.append(element("h2", "What happened"),
		table(["At, s", "Who", "What"],
			data.log.map((l) => [l.time.toFixed(2), l.who, l.text]), "words"),
		element("h2", "Again"), link, all);
	/* As text: the policy of this page would refuse it as an element. */
	return "<!doctype html>\n" + page.documentElement.outerHTML
		.replace("</head>", () => `<style>${STYLE}</style></head>`) + "\n";
}

export function save(name, type, text) {
	const link = document.createElement("a");

	link.href = URL.createObjectURL(new Blob([text], { type }));
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

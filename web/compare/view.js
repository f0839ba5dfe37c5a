/* How a pane looks. All that comes from a stream is set as text. */

import { ByteBar, bucketSample, HistogramChart, Tape } from "./charts.js";
import { BUCKETS, formatBytes, formatCount, formatMs, formatTime }
	from "./measure.js";
import { RUNGS } from "./auto.js";

const COUNTS = [
	["Received", (pane) => pane.tally.received],
	["Missing", (pane) => pane.tally.missed, "bad"],
	["Caught up", (pane) => pane.tally.caughtUp],
	["Twice", (pane) => pane.tally.duplicates, "bad"],
	["Requests", (pane) => pane.counted?.requests ?? NaN],
	["Reconnects", (pane) => pane.reconnects],
];

const STATES = {
	idle: "not started", connecting: "connecting", live: "connected",
	away: "reconnecting", stopped: "stopped", refused: "refused",
};

const RUNG_STATES = {
	waiting: "not tried", trying: "trying", used: "in use",
	failed: "failed",
};

const KINDS = {
	"live": "", "caught-up": "caught up", "late": "late",
	"duplicate": "twice", "gap": "gap", "other": "",
};

export function element(name, text = "", className = "") {
	const e = document.createElement(name);

	e.textContent = text;
	e.className = className;
	return e;
}

/* The rows of a list, made once and filled in again. */
class Rows {
	constructor(list) {
		this.list = list;
	}

	paint(rows, chosen) {
		while (this.list.children.length < rows.length) {
			const item = document.createElement("li");

			item.append(element("span", "", "what"),
				element("span", "", "kind"), element("span", "", "ms"));
			this.list.append(item);
		}
		while (this.list.children.length > rows.length)
			this.list.lastElementChild.remove();
		[...rows].reverse().forEach(({ kind, text, ms, n }, i) => {
			const item = this.list.children[i];
			const texts = [text, KINDS[kind] ?? kind,
				Number.isFinite(ms) ? formatTime(ms) : ""];

			item.className = `k-${kind}`;
			if (n === undefined)
				delete item.dataset.n;
			else
				item.dataset.n = n;
			if (String(n) === chosen)
				item.setAttribute("aria-current", "true");
			else
				item.removeAttribute("aria-current");
			texts.forEach((value, j) => {
				if (item.children[j].textContent !== value)
					item.children[j].textContent = value;
			});
		});
	}
}

export class PaneView {
	constructor(pane, template, chosen) {
		const root = template.content.cloneNode(true);
		const find = (selector) => root.querySelector(selector);

		this.pane = pane;
		this.chosen = chosen; /* the event to look at, as text */
		this.root = find(".pane");
		this.root.dataset.kind = pane.kind;
		this.root.setAttribute("aria-label", pane.title);
		find("h2").textContent = pane.title;
		this.state = find(".state");
		this.waited = find(".waited");
		this.perEvent = find(".per-event");
		this.numbers = COUNTS.map(([name, of, bad]) => {
			const row = document.createElement("div");
			const value = element("dd");

			row.append(element("dt", name), value);
			find(".counts").append(row);
			return { row, value, of, bad };
		});
		this.tape = new Tape(find(".tape"));
		this.histogram = new HistogramChart(find(".histogram"));
		this.bar = new ByteBar(find(".bytes"));
		this.quantiles = this.makeQuantiles(find(".quantiles"));
		this.buckets = this.makeBuckets(find(".buckets"));
		this.list = find(".events");
		this.list.setAttribute("aria-label",
			`Events by ${pane.title}, newest first`);
		this.rows = new Rows(this.list);
		this.rungs = this.makeRungs(find(".rungs"));
	}

	makeQuantiles(place) {
		return ["p50", "p95", "p99", "max"].map((name) => {
			const row = document.createElement("div"), value = element("dd");

			row.append(element("dt", name), value);
			place.append(row);
			return { name, value };
		});
	}

	makeBuckets(place) {
		place.append(element("caption",
			`Bytes for an event by ${this.pane.title}`, "hidden"));
		return BUCKETS.map(([bucket, name]) => {
			const row = document.createElement("tr");
			const value = element("td"), head = element("th");

			head.scope = "row";
			head.append(bucketSample(bucket), name);
			row.append(head, value);
			place.append(row);
			return { bucket, value };
		});
	}

	makeRungs(place) {
		if (!this.pane.rungs)
			return [];
		place.hidden = false;
		place.setAttribute("aria-label", "What the client tries, best first");
		return RUNGS.map(([name, title]) => {
			const item = document.createElement("li");
			const state = element("span", "", "rung-state");
			const meter = document.createElement("meter");

			meter.setAttribute("aria-label", `Time used up by ${title}`);
			item.append(element("span", title), meter, state);
			place.append(item);
			return { name, item, state, meter };
		});
	}

	/* With every frame: what moves. */
	paint() {
		const pane = this.pane;

		this.state.dataset.state = pane.state;
		this.state.textContent = STATES[pane.state] +
			(pane.state === "refused" ? `: ${pane.why}` : "");
		this.state.title = pane.why;
		for (const { row, value, of, bad } of this.numbers) {
			const n = of(pane), text = formatCount(n);

			if (value.textContent !== text)
				value.textContent = text;
			row.dataset.bad = Boolean(bad) && n > 0;
		}
		this.tape.paint(pane.tally.marks);
		this.rows.paint(pane.rows, this.chosen());
		for (const { name, item, state, meter } of this.rungs) {
			const rung = pane.rungs.get(name);

			item.dataset.state = rung.state;
			state.textContent = RUNG_STATES[rung.state] +
				(rung.why ? `: ${rung.why}` : "");
			meter.value = pane.progress(rung);
			meter.hidden = rung.state !== "trying";
		}
	}

	/* Now and then: what is computed. `most` is the longest bar's bytes. */
	paintSums(most) {
		const pane = this.pane, each = pane.each();
		const summary = pane.latency.summary();

		this.histogram.paint(pane.latency, pane.waiting);
		for (const { name, value } of this.quantiles)
			value.textContent = formatMs(summary[name] ?? NaN);
		this.waited.textContent = pane.waiting.count === 0 ? "" :
			"outline: waiting for a poll, " +
			formatTime(pane.waiting.quantile(0.5));
		this.bar.paint(each.bytes, most);
		this.perEvent.textContent = formatBytes(each.total);
		for (const { bucket, value } of this.buckets)
			value.textContent = formatCount(each.bytes[bucket]);
	}
}

/* What is drawn: as SVG, which a report can keep, and the ladder on a canvas. */

import { BUCKETS, formatCount, formatTime } from "./measure.js";

const NS = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
	const element = document.createElementNS(NS, name);

	for (const [key, value] of Object.entries(attributes))
		element.setAttribute(key, value);
	element.append(...children);
	return element;
}

/*
 * The newest events, one mark each: their shapes differ as well as their
 * colours.
 */
const MARKS = {
	"live": (x) => `M${x} 3h5v14h-5z`,
	"caught-up": (x) => `M${x} 17l2.5 -14l2.5 14z`,
	"late": (x) => `M${x} 10h5v7h-5z`,
	"missing": (x) => `M${x} 4l5 12M${x + 5} 4l-5 12`,
	"duplicate": (x) => `M${x + 2.5} 7a2.5 2.5 0 1 0 .01 0z`,
};
const MARK_STEP = 7, MARKS_SHOWN = 60;

export class Tape {
	constructor(place) {
		this.paths = Object.keys(MARKS).map((kind) =>
			svg("path", { class: `m-${kind}` }));
		this.root = svg("svg", { role: "img", preserveAspectRatio: "none",
			viewBox: `0 0 ${MARK_STEP * MARKS_SHOWN} 20` }, ...this.paths);
		place.append(this.root);
	}

	paint(marks) {
		const shown = marks.slice(-MARKS_SHOWN);
		const free = MARKS_SHOWN - shown.length;
		const lines = Object.fromEntries(
			Object.keys(MARKS).map((kind) => [kind, ""]));
		const count = {};

		shown.forEach(({ kind }, i) => {
			lines[kind] += MARKS[kind]((free + i) * MARK_STEP + 1);
			count[kind] = (count[kind] ?? 0) + 1;
		});
		Object.keys(MARKS).forEach((kind, i) =>
			this.paths[i].setAttribute("d", lines[kind]));
		this.root.setAttribute("aria-label", `The newest ${shown.length}: ` +
			(Object.entries(count).map(([kind, n]) => `${n} ${kind}`)
				.join(", ") || "none"));
	}
}

/* One example of each, for the legend. */
export function markSample(kind) {
	return svg("svg", { class: "sample mark", viewBox: "-1 1 8 18" },
		svg("path", { class: `m-${kind}`, d: MARKS[kind](0.5) }));
}

/* Latencies from 0.1 ms to 100 s, each bar a fifth of a power of ten. */
const PARTS = 5, LOW = -1, HIGH = 5, ORIGIN = -2;
const WIDTH = 300, HEIGHT = 64, FLOOR = 50;

const xOf = (ms) => (Math.log10(Math.min(Math.max(ms, 0.1), 1e5)) - LOW) /
	(HIGH - LOW) * WIDTH;

export class HistogramChart {
	constructor(place) {
		this.bars = svg("path", { class: "h-bars" });
		this.waits = svg("path", { class: "h-waits" });
		this.marks = svg("path", { class: "h-marks" });
		this.root = svg("svg", { role: "img",
			viewBox: `0 0 ${WIDTH} ${HEIGHT}` },
			svg("path", { class: "h-axis", d: `M0 ${FLOOR}.5H${WIDTH}` }),
			this.bars, this.waits, this.marks);
		for (const ms of [1, 10, 100, 1000, 10000])
			this.root.append(svg("text", { class: "h-label", x: xOf(ms),
				y: HEIGHT - 2, "text-anchor": "middle" },
			ms < 1000 ? String(ms) : `${ms / 1000} s`),
			svg("path", { class: "h-axis", d: `M${xOf(ms)} ${FLOOR}v3` }));
		place.append(this.root);
	}

	static line(histogram, most) {
		const skip = (LOW - ORIGIN) * PARTS;
		const step = WIDTH / ((HIGH - LOW) * PARTS);
		let d = "";

		histogram.bars(PARTS).forEach((n, i) => {
			const height = n === 0 ? 0 :
				Math.max(n / most * (FLOOR - 4), 1.5);
			const at = Math.max(i - skip, 0) * step;

			if (height > 0 && at < WIDTH)
				d += `M${at.toFixed(1)} ${FLOOR}v-${height.toFixed(1)}` +
					`h${(step - 1).toFixed(1)}V${FLOOR}z`;
		});
		return d;
	}

	paint(latency, waiting) {
		const most = Math.max(...latency.bars(PARTS), 1);
		const { count, p50, p95, p99 } = latency.summary();

		this.bars.setAttribute("d", HistogramChart.line(latency, most));
		this.waits.setAttribute("d", waiting.count > 0 ?
			HistogramChart.line(waiting, most) : "");
		this.marks.setAttribute("d", count === 0 ? "" : [p50, p95, p99]
			.map((ms) => `M${xOf(ms).toFixed(1)} 0V${FLOOR}`).join(""));
		this.root.setAttribute("aria-label", count === 0 ? "No events yet" :
			`${count} events: half within ${formatTime(p50)}, 95 percent ` +
			`within ${formatTime(p95)}, 99 within ${formatTime(p99)}`);
	}
}

const FILLS = {
	handshake: "url(#hatch-handshake)",
	request_headers: "url(#hatch-request)",
	response_headers: "url(#hatch-response)",
	framing: "url(#hatch-framing)",
	heartbeat: "url(#hatch-heartbeat)",
};

/* Payload is plain; its colour comes from the style sheet. */
const fill = (bucket) => FILLS[bucket] ? { fill: FILLS[bucket] } :
	{ class: "b-payload" };

export class ByteBar {
	constructor(place) {
		this.parts = BUCKETS.map(([bucket]) => svg("rect", { y: 0,
			height: 16, ...fill(bucket) }));
		this.root = svg("svg", { role: "img", viewBox: "0 0 300 16",
			preserveAspectRatio: "none" }, ...this.parts);
		place.append(this.root);
	}

	/* `most` is what a bar of full width stands for. */
	paint(each, most) {
		let at = 0;

		BUCKETS.forEach(([bucket], i) => {
			const width = most > 0 && each[bucket] / most * 300 || 0;

			this.parts[i].setAttribute("x", at.toFixed(2));
			this.parts[i].setAttribute("width", width.toFixed(2));
			at += width;
		});
		this.root.setAttribute("aria-label", BUCKETS.map(([bucket, name]) =>
			`${name} ${formatCount(each[bucket])}`).join(", "));
	}
}

export function bucketSample(bucket) {
	return svg("svg", { class: "sample", viewBox: "0 0 16 16",
		"aria-hidden": "true" },
	svg("rect", { width: 16, height: 16, ...fill(bucket) }));
}

/* Numbers: times and what becomes of them, the clocks, the gateway's counts. */

/* 50 for each power of ten: a quantile is right to 2.4 %. */
const STEPS = 50, FROM = -2, TO = 6; /* 10 us to 1000 s, in ms */

export class Histogram {
	constructor() {
		this.counts = new Array((TO - FROM) * STEPS + 1).fill(0);
		this.count = 0;
		this.max = 0;
		this.sum = 0;
	}

	add(ms) {
		const place = Math.round((Math.log10(Math.max(ms, 0.01)) - FROM) *
			STEPS);

		this.counts[Math.min(place, this.counts.length - 1)]++;
		this.count++;
		this.sum += ms;
		this.max = Math.max(this.max, ms);
	}

	/* NaN while there is nothing. */
	quantile(q) {
		const rank = Math.ceil(q * this.count);
		let seen = 0;

		if (this.count === 0)
			return NaN;
		for (let i = 0; i < this.counts.length; i++) {
			seen += this.counts[i];
			if (seen >= rank)
				return Math.min(10 ** (i / STEPS + FROM), this.max);
		}
		return this.max;
	}

	/* How many there are between powers of ten that have `parts` each. */
	bars(parts) {
		const bars = new Array((TO - FROM) * parts).fill(0);

		this.counts.forEach((n, i) => {
			const bar = Math.floor(i * parts / STEPS);

			bars[Math.min(bar, bars.length - 1)] += n;
		});
		return bars;
	}

	summary() {
		const of = (q) => round(this.quantile(q));

		return { count: this.count, p50: of(0.5), p95: of(0.95),
			p99: of(0.99), max: round(this.max) };
	}
}

const round = (n) => Number.isFinite(n) ? Number(n.toPrecision(4)) : null;

/*
 * How far the gateway's clock is from ours: told by the fastest of some
 * questions. It may be off by half of the time that one took.
 */
export class Clock {
	constructor() {
		this.offset = 0;
		this.error = NaN;
		this.probes = 0;
	}

	/* Ours, in Unix milliseconds with fractions. */
	static now() {
		return performance.timeOrigin + performance.now();
	}

	/* The gateway's. */
	now() {
		return Clock.now() + this.offset;
	}

	async probe(count) {
		for (let i = 0; i < count; i++) {
			const sent = Clock.now();
			const answer = await ask("GET", "clock");
			const error = (Clock.now() - sent) / 2;
			const offset = answer.now - (sent + error);
			const moved = Math.abs(offset - this.offset);

			this.probes++;
			/* A better one, or both cannot be true: clocks drift, and
			 * ours stands still while a laptop sleeps. */
			if (!(error > this.error) || moved > error + this.error) {
				this.error = error;
				this.offset = offset;
			}
		}
	}
}

/* The lab's requests; see proxy/lab_api.h. */
export async function ask(method, path, params = {}) {
	const query = new URLSearchParams(params);
	const response = await fetch(`../lab/${path}?${query}`,
		{ method, cache: "no-store" });
	const answer = await response.json().catch(() => null);

	if (!response.ok)
		throw new Error(response.status === 404 && answer?.detail
			?.startsWith("There is no such page") ?
			"The gateway has no demo: write demo = yes." :
			answer?.detail ?? `The gateway answers ${response.status}.`);
	return answer;
}

export const BUCKETS = [
	["handshake", "Handshake"],
	["request_headers", "Request headers"],
	["response_headers", "Response headers"],
	["framing", "Framing, envelope"],
	["heartbeat", "Heartbeats"],
	["payload", "Payload"],
];

/* Of all workers together, by the name of the pane. */
export async function countPanes(prefix) {
	const { panes } = await ask("GET", `panes/${prefix}`);
	const sums = new Map();

	for (const pane of panes) {
		const sum = sums.get(pane.name) ?? { requests: 0, connections: 0,
			faults: pane.faults,
			bytes: Object.fromEntries(BUCKETS.map(([b]) => [b, 0])) };

		sum.requests += pane.requests;
		sum.connections += pane.connections;
		for (const bucket in pane.bytes)
			sum.bytes[bucket] += pane.bytes[bucket];
		sums.set(pane.name, sum);
	}
	return sums;
}

/* NaN if that is not known, or if there was none. */
export const perEvent = (n, events) => events > 0 ? (n ?? NaN) / events : NaN;

/* For people. */

/* Milliseconds as they are; what takes longer with its unit. */
export function formatMs(ms) {
	if (!Number.isFinite(ms))
		return "–";
	if (ms < 9.95)
		return ms.toFixed(1);
	return ms < 999.5 ? String(Math.round(ms)) :
		`${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s`;
}

export const formatTime = (ms) =>
	Number.isFinite(ms) && ms < 999.5 ? `${formatMs(ms)} ms` : formatMs(ms);

export function formatBytes(n) {
	const units = ["B", "kB", "MB", "GB", "TB"];
	let unit = 0;

	if (!Number.isFinite(n))
		return "–";
	while (n >= 9999.5 && unit < units.length - 1) {
		n /= 1000;
		unit++;
	}
	return `${n < 9.95 && unit > 0 ? n.toFixed(1) :
		Math.round(n).toLocaleString("en")} ${units[unit]}`;
}

export function formatCount(n) {
	return !Number.isFinite(n) ? "–" : n >= 9.95 || Number.isInteger(n) ?
		Math.round(n).toLocaleString("en") : n.toFixed(1);
}

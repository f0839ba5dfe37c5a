/* One reader of the stream: what it saw, how late, and what it lost. */

import { sleep, pauseAfter, Refusal } from "../transports.js";
import { BUCKETS, Histogram, perEvent } from "./measure.js";

const MARKS_KEPT = 120;
/* What the ladder may still show. */
const KEPT_MS = 31000;
/* Numbers that are waited for; those lost before them stay lost. */
const MISSING_KEPT = 10000;

export class Tally {
	constructor(first) {
		this.expected = first;
		this.received = this.duplicates = this.caughtUp = this.late = 0;
		this.missing = new Set();
		this.lost = 0;
		this.marks = [];
	}

	mark(n, kind) {
		this.marks.push({ n, kind });
		if (this.marks.length > MARKS_KEPT)
			this.marks.shift();
		return kind;
	}

	/* What an event is: live, caught-up, late or duplicate. */
	take(n, resuming) {
		if (n < this.expected && !this.missing.delete(n)) {
			this.duplicates++;
			return this.mark(n, "duplicate");
		}
		this.received++;
		if (n < this.expected) {
			const mark = this.marks.find((m) => m.n === n &&
				m.kind === "missing");

			this.late++;
			if (mark)
				mark.kind = "late";
			return "late";
		}
		this.skipTo(n - MISSING_KEPT);
		for (; this.expected < n; this.expected++) {
			this.missing.add(this.expected);
			this.mark(this.expected, "missing");
			if (this.missing.size > MISSING_KEPT) {
				this.missing.delete(this.missing.values().next().value);
				this.lost++;
			}
		}
		this.expected = n + 1;
		if (resuming)
			this.caughtUp++;
		return this.mark(n, resuming ? "caught-up" : "live");
	}

	/* What is lost for good is not gone through: anybody may name a number. */
	skipTo(n) {
		if (n <= this.expected)
			return;
		this.lost += this.missing.size + n - this.expected;
		this.missing.clear();
		this.expected = n;
	}

	get missed() {
		return this.missing.size + this.lost;
	}
}

/* Drop what has fallen out of the ladder. */
function forget(list, before, time) {
	let n = 0;

	while (n < list.length && time(list[n]) < before)
		n++;
	if (n > 256 || n === list.length)
		list.splice(0, n);
}

export class Pane {
	constructor(kind, title) {
		this.kind = kind; /* ws, sse, long, short, auto */
		this.title = title;
		this.changed = () => {};
		this.log = () => {};
		this.clear();
	}

	clear() {
		this.tally = new Tally(1);
		this.latency = new Histogram();
		this.waiting = new Histogram();
		this.rows = [];
		this.arrivals = []; /* { n, sent, at }: by the gateway's clock */
		this.asks = []; /* { at, end }: requests; end null: not answered */
		this.requests = 0;
		this.gaps = 0;
		this.reconnects = 0;
		this.counted = null;
		this.before = { received: 0, bytes: null };
		this.state = "idle";
		this.why = "";
	}

	/* Begin at a cursor; `first` is the number of the first event. */
	start(run, cursor, first) {
		this.clear();
		this.run = run;
		this.cursor = cursor;
		this.tally = new Tally(first);
		this.resuming = this.wasLive = false;
		this.life = new AbortController();
		this.setState("connecting");
		this.read(this.life.signal);
	}

	stop() {
		this.life?.abort();
		if (this.state !== "refused")
			this.setState("stopped");
	}

	get name() {
		return `${this.run.id}-${this.kind}`;
	}

	setState(state, why = "") {
		const said = { live: "connected", away: "lost the connection",
			refused: "was refused", stopped: "" }[state];

		if (state !== this.state && said)
			this.log(this, why ? `${said}: ${why}` : said);
		this.state = state;
		this.why = why;
		this.changed();
	}

	/* What a transport tells; see ../transports.js. */

	url(transport, more = {}) {
		const url = new URL(`/stream/${this.run.channel}`, location.href);

		url.search = new URLSearchParams({ transport, format: "json",
			after: this.cursor, lab: this.name, ...more });
		return url;
	}

	opened() {
		if (this.state === "live")
			return;
		if (this.wasLive)
			this.reconnects++;
		this.wasLive = true;
		this.attempt = 0;
		this.setState("live");
	}

	away(why) {
		this.resuming = true;
		this.answered();
		this.setState("away", why);
	}

	asked() {
		const now = this.run.clock.now();

		forget(this.asks, now - KEPT_MS, (a) => a.end ?? Infinity);
		this.asks.push({ at: now, end: null });
	}

	answered() {
		const last = this.asks[this.asks.length - 1];

		if (last && last.end === null)
			last.end = this.run.clock.now();
	}

	/* A poll has told all there is. */
	caughtUp() {
		this.resuming = false;
	}

	hear(type, event) {
		if (type === "spillway.hello")
			this.answered();
		else if (type === "spillway.caughtup")
			this.caughtUp();
		else if (type === "spillway.gap")
			this.gap(event);
		else if (!type.startsWith("spillway."))
			this.take(event);
	}

	gap(event) {
		this.gaps++;
		this.log(this, `gap: ${event.reason}`);
		this.row("gap", `gap: ${event.reason}`, NaN);
	}

	take(event) {
		this.cursor = event.id;

		const { data } = event;

		if (Number.isSafeInteger(data?.n) && Number.isFinite(data.t))
			this.takeNumber(data.n, data.t);
		else /* Somebody's own message: text, whatever it says. */
			this.row("other", typeof data === "string" ? data :
				JSON.stringify(data), NaN);
	}

	takeNumber(n, sent) {
		const now = this.run.clock.now();
		const kind = this.tally.take(n, this.resuming);
		const ms = Math.max(now - sent, 0);

		if (kind !== "duplicate") {
			this.latency.add(ms);
			this.countWait(sent);
		}
		forget(this.arrivals, now - KEPT_MS, (a) => a.at);
		this.arrivals.push({ n, sent, at: now });
		this.row(kind, `#${n}`, ms, n);
	}

	/* How much of it was waiting for the next poll? */
	countWait(sent) {
		const asked = this.asks[this.asks.length - 1];

		if (this.kind === "short" && asked)
			this.waiting.add(Math.max(asked.at - sent, 0.01));
	}

	/* Other settings have other costs: what was measured before is over. */
	measureAnew() {
		this.before = { received: this.tally.received,
			bytes: this.counted?.bytes ?? null };
		this.latency = new Histogram();
		this.waiting = new Histogram();
	}

	/* What was counted since then; bytes null: nothing yet. */
	measured() {
		const { counted, before } = this;

		return {
			events: this.tally.received - before.received,
			bytes: counted && Object.fromEntries(BUCKETS.map(([b]) =>
				[b, counted.bytes[b] - (before.bytes?.[b] ?? 0)])),
		};
	}

	/* What an event costs, by bucket and in all. */
	each() {
		const { events, bytes: sums } = this.measured();
		const bytes = {};
		let total = 0;

		for (const [bucket] of BUCKETS) {
			bytes[bucket] = perEvent(sums?.[bucket], events);
			total += bytes[bucket];
		}
		return { bytes, total };
	}

	row(kind, text, ms, n) {
		this.rows.push({ kind, text, ms, n });
		if (this.rows.length > 8)
			this.rows.shift();
		this.changed();
	}
}

/* A transport by itself: one connection after the other, with the cursor. */
export class TransportPane extends Pane {
	constructor(kind, title, transport) {
		super(kind, title);
		this.transport = transport;
	}

	get pollInterval() {
		return this.run.settings.poll;
	}

	async read(signal) {
		this.attempt = 0;
		while (!signal.aborted) {
			try {
				await this.transport.read(this, signal);
			} catch (error) {
				if (signal.aborted)
					return;
				if (error instanceof Refusal) {
					this.setState("refused", error.message);
					return;
				}
				this.away(error.message);
			}
			await sleep(pauseAfter(this.attempt++), signal);
		}
	}
}

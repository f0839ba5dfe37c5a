/*
 * The demo: one channel, read in four ways.
 *
 * Every pane keeps a cursor, the id of the last event it saw, and asks for what
 * comes after it whenever it connects.
 */
import { Ledger } from "./ledger.js";
import { Place } from "./place.js";
import { fetchJson, pauseAfter, Refusal, sleep, transports }
	from "./transports.js";

const EVENTS_SHOWN = 50;

const byId = (id) => document.getElementById(id);

const counters = [
	{ name: "Events", of: (pane) => pane.events },
	{ name: "Missed", of: (pane) => pane.missed, bad: true },
	{ name: "Gaps told", of: (pane) => pane.gaps, bad: true },
	{ name: "Duplicates", of: (pane) => pane.duplicates, bad: true },
	{ name: "Reconnects", of: (pane) => pane.reconnects },
	{ name: "Requests", of: (pane) => pane.requests },
];

const stateNames = {
	connecting: "connecting",
	live: "connected",
	away: "reconnecting",
	paused: "disconnected",
	resting: "resting, for other tabs of this page",
	refused: "refused",
};

/* One transport: where it stands, what it counted, and how that looks. */
class Pane {
	constructor(transport, page) {
		this.transport = transport;
		this.page = page;
		this.life = new AbortController();
		this.build();
	}

	build() {
		const root = byId("pane").content.cloneNode(true);
		const find = (selector) => root.querySelector(selector);

		this.element = find(".pane");
		find("h2").textContent = this.transport.name;
		this.element.setAttribute("aria-label", this.transport.name);
		this.stateElement = find(".state");
		this.list = find(".events");
		this.list.setAttribute("aria-label",
			`Events by ${this.transport.name}, newest first`);
		this.toggle = find(".toggle");
		this.toggle.addEventListener("click", () => {
			if (this.life.signal.aborted)
				this.connect();
			else
				this.disconnect("paused");
		});
		this.numbers = counters.map((counter) => {
			const row = document.createElement("div");
			const term = document.createElement("dt");
			const number = document.createElement("dd");

			term.textContent = counter.name;
			row.append(term, number);
			find(".counters").append(row);
			return { counter, row, number };
		});
		byId("panes").append(root);
	}

	/* Begin with nothing at a cursor. */
	start(channel, cursor, ledger) {
		this.channel = channel;
		this.cursor = cursor;
		this.ledger = ledger;
		this.position = ledger.start;
		this.events = this.missed = this.gaps = this.duplicates = 0;
		this.reconnects = this.requests = 0;
		this.rows = [];
		this.list.replaceChildren();
		ledger.panes.push(this);
		if (this.mayConnect())
			this.connect();
		else
			this.disconnect("resting");
	}

	mayConnect() {
		return !this.transport.holds || this.page.place.found;
	}

	/* The page has found its place among the tabs, or lost it. */
	settle() {
		if (this.state === "resting" && this.mayConnect())
			this.connect();
		else if (!this.life.signal.aborted && !this.mayConnect())
			this.disconnect("resting");
	}

	url(transport, more = {}) {
		const url = new URL(`/stream/${this.channel}`, location.href);

		url.search = new URLSearchParams(
			{ transport, format: "json", after: this.cursor, ...more });
		return url;
	}

	/* Hold a connection, and make another one whenever it ends. */
	async connect() {
		const life = this.life = new AbortController();

		this.attempt = 0;
		this.wasLive = this.events > 0;
		this.setState("connecting", "");
		while (!life.signal.aborted) {
			try {
				await this.transport.read(this, life.signal);
			} catch (error) {
				if (life.signal.aborted)
					return;
				if (error instanceof Refusal) {
					this.disconnect("refused", error.message);
					return;
				}
				this.away(error.message);
			}
			await sleep(pauseAfter(this.attempt++), life.signal);
		}
	}

	disconnect(state, why = "") {
		this.life.abort();
		this.setState(state, why);
	}

	opened() {
		if (this.state === "live")
			return;
		if (this.wasLive)
			this.reconnects++;
		this.wasLive = true;
		this.attempt = 0;
		this.setState("live", "");
	}

	away(why) {
		this.setState("away", why);
	}

	setState(state, why) {
		this.state = state;
		this.why = why;
		this.page.changed();
	}

	/* An event or a notice, whatever it came by. */
	hear(type, event) {
		if (type === "spillway.gap") {
			this.gaps++;
			this.addRow("", `gap (${event.reason}): after ${event.after}, ` +
				`on from ${event.first ?? "the next event"}`, null);
		} else if (type === "message") {
			this.take(event);
		}
		/*
		 * Other types are left out: an EventSource tells a page only of
		 * those that it knows by name, and the panes are to be the same.
		 */
	}

	take(event) {
		this.cursor = event.id;
		if (!this.ledger.take(this, event)) {
			this.duplicates++;
			return;
		}
		this.events++;
		this.addRow(event.id, describe(event.data),
			Date.now() - event.time);
	}

	addRow(id, data, latency) {
		this.rows.push({ id, data, latency });
		if (this.rows.length > EVENTS_SHOWN)
			this.rows.shift();
		this.page.changed();
	}

	paint() {
		const off = this.life.signal.aborted;

		this.stateElement.dataset.state = this.state;
		this.stateElement.textContent = stateNames[this.state];
		this.stateElement.title = this.why;
		if (this.state === "refused")
			this.stateElement.textContent += `: ${this.why}`;
		this.toggle.textContent = off ? "Connect" : "Disconnect";
		this.toggle.setAttribute("aria-label",
			`${this.toggle.textContent} ${this.transport.name}`);
		for (const { counter, row, number } of this.numbers) {
			const value = counter.of(this);

			number.textContent = value.toLocaleString("en");
			row.dataset.bad = Boolean(counter.bad) && value > 0;
		}
		for (const row of this.rows)
			this.list.prepend(makeRow(row));
		this.rows = [];
		while (this.list.children.length > EVENTS_SHOWN)
			this.list.lastElementChild.remove();
	}
}

/* Text, always: what is published is never read as HTML. */
function makeRow({ id, data, latency }) {
	const row = document.createElement("li");
	const parts = latency === null ? [["gap", data]] :
		[["id", id], ["data", data], ["latency", formatMs(latency)]];

	for (const [name, text] of parts) {
		const part = document.createElement("span");

		part.className = name;
		part.textContent = text;
		row.append(part);
	}
	row.className = latency === null ? "gap" : "";
	row.title = data;
	return row;
}

/* The ticker's events as a sentence, all others as they are. */
function describe(data) {
	if (Number.isInteger(data?.n) && typeof data.text === "string")
		return `${data.n}. ${data.text}`;
	return typeof data === "string" ? data : JSON.stringify(data);
}

const formatMs = (ms) =>
	Math.abs(ms) < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;

/* The page as a whole: which channel, and what the panes say together. */
class Page {
	constructor() {
		this.panes = transports.map((t) => new Pane(t, this));
		this.painting = false;
		this.place = new Place(() =>
			this.ledger?.panes.forEach((pane) => pane.settle()));
	}

	/* Something is to be shown, with the next frame. */
	changed() {
		if (this.painting)
			return;
		this.painting = true;
		requestAnimationFrame(() => {
			this.painting = false;
			this.paint();
		});
	}

	/* All panes begin at the same place: that is what a cursor is for. */
	async subscribe(channel) {
		this.beginning?.abort();
		for (const pane of this.panes)
			pane.life.abort();

		const beginning = this.beginning = new AbortController();
		const cursor = await this.findHead(channel, beginning.signal);

		if (cursor === null)
			return;
		this.ledger = new Ledger(cursor);
		for (const pane of this.panes)
			pane.start(channel, cursor, this.ledger);
		showCommands(channel, cursor);
		this.changed();
	}

	/* The head of the log, as soon as the gateway tells; null: not any more. */
	async findHead(channel, signal) {
		this.say("wait", "Asking the gateway where its log stands.");
		for (let attempt = 0; !signal.aborted; attempt++) {
			try {
				const answer = await fetchJson(
					`/stream/${channel}?transport=short`, { signal });

				return signal.aborted ? null : answer.cursor;
			} catch (error) {
				if (signal.aborted)
					return null;
				this.say(error instanceof Refusal ? "bad" : "wait",
					`The gateway does not answer: ${error.message}`);
				if (error instanceof Refusal)
					return null;
				await sleep(pauseAfter(attempt), signal);
			}
		}
		return null;
	}

	/* Read aloud when it changes, so it does not change with every event. */
	say(state, text) {
		const verdict = byId("verdict");

		if (verdict.textContent !== text)
			verdict.textContent = text;
		verdict.dataset.state = state;
	}

	paint() {
		if (this.ledger === undefined)
			return;
		for (const pane of this.panes)
			pane.paint();
		this.paintVerdict();
		byId("progress").textContent = this.progress();
	}

	paintVerdict() {
		const sum = (of) => this.panes.reduce((n, p) => n + of(p), 0);
		const missed = sum((p) => p.missed) + this.ledger.lostByAll();
		const doubled = sum((p) => p.duplicates);
		const away = this.panes.filter((p) => p.state === "away");

		if (missed > 0 || doubled > 0)
			this.say("bad", `${missed} missed, ${doubled} twice.`);
		else if (away.length === this.panes.length)
			this.say("wait", "The gateway is away. Every pane keeps its " +
				"cursor and tries again.");
		else if (away.length > 0)
			this.say("wait", "Some panes are reconnecting.");
		else if (sum((p) => p.gaps) > 0)
			this.say("wait", "None that is known of is missing, but the " +
				"gateway told of a gap in its history.");
		else
			this.say("good", "Nothing missed, nothing twice.");
	}

	progress() {
		const late = this.panes
			.map((pane) => [pane, this.ledger.behind(pane)])
			.filter(([, behind]) => behind > 0)
			.map(([pane, behind]) =>
				`${pane.transport.name} is ${behind} behind`);
		const total = this.ledger.total;

		return [`${total.toLocaleString("en")} ` +
			`${total === 1 ? "event" : "events"} on the channel since the ` +
			"page subscribed", ...late].join("; ") + ".";
	}
}

function showCommands(channel, cursor) {
	const stream = `${location.origin}/stream/${channel}`;
	const commands = [
		["WebSocket", "curl -N --output - -H 'Connection: Upgrade' " +
			"-H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' " +
			"-H 'Sec-WebSocket-Key: c3BpbGx3YXktZGVtby0xNg==' " + stream],
		["Server-sent events",
			`curl -N -H 'Accept: text/event-stream' '${stream}?last=3'`],
		["Long poll", `curl '${stream}?wait=25&after=${cursor}'`],
		["Short poll", `curl '${stream}?last=3'`],
		["Publish", `curl -d 'Hello' ${stream}`],
	];

	byId("commands").replaceChildren(...commands.flatMap(([name, line]) => {
		const term = document.createElement("dt");
		const value = document.createElement("dd");
		const code = document.createElement("code");

		term.textContent = name;
		code.textContent = line;
		value.append(code);
		return [term, value];
	}));
}

/* Publishing: the same number with every attempt, so that it counts once. */
class Publisher {
	constructor() {
		const bytes = crypto.getRandomValues(new Uint8Array(12));

		this.session = Array.from(bytes,
			(b) => b.toString(16).padStart(2, "0")).join("");
		this.seq = 0;
	}

	async publish(channel, text, retrying) {
		const query = new URLSearchParams(
			{ session: this.session, seq: ++this.seq });
		const options = {
			method: "POST",
			headers: { "Content-Type": contentType(text) },
			body: text,
		};

		for (let attempt = 0;; attempt++) {
			try {
				return await fetchJson(`/stream/${channel}?${query}`, options);
			} catch (error) {
				if (error instanceof Refusal || attempt >= 20)
					throw error;
				retrying(error);
				await sleep(pauseAfter(attempt));
			}
		}
	}
}

function contentType(text) {
	try {
		JSON.parse(text);
		return "application/json";
	} catch {
		return "text/plain; charset=utf-8";
	}
}

function main() {
	const page = new Page();
	const publisher = new Publisher();
	const channel = byId("channel"), message = byId("message");
	const published = byId("published");
	const tell = (state, text) => {
		published.dataset.state = state;
		published.textContent = text;
	};

	/* A link may name the channel. */
	if (location.hash.length > 1)
		channel.value = location.hash.slice(1);
	if (!channel.checkValidity())
		channel.value = channel.defaultValue;
	byId("channel-form").addEventListener("submit", (submit) => {
		submit.preventDefault();
		history.replaceState(null, "", `#${channel.value}`);
		page.subscribe(channel.value);
	});
	byId("publish-form").addEventListener("submit", async (submit) => {
		const button = submit.target.querySelector("button");
		const began = performance.now();

		submit.preventDefault();
		button.disabled = true;
		tell("wait", "Publishing.");
		try {
			const answer = await publisher.publish(channel.value,
				message.value, (error) => tell("wait",
					`Not stored yet, trying again: ${error.message}`));

			tell("good", `Stored as ${answer.id}, after ` +
				formatMs(Math.round(performance.now() - began)) + ".");
			submit.target.reset();
		} catch (error) {
			tell("bad", `Not stored: ${error.message}`);
		}
		button.disabled = false;
		message.focus();
	});
	page.subscribe(channel.value);
}

main();

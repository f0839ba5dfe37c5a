/*
 * The fifth pane: the client itself, with its own state machine. What it tries
 * is seen by standing between it and the browser.
 */

import { Stream } from "../spillway.mjs";
import { Clock } from "./measure.js";
import { Pane } from "./pane.js";

export const RUNGS = [
	["ws", "WebSocket"],
	["sse", "Server-sent events"],
	["long", "Long poll"],
	["short", "Short poll"],
];

const PROOF_MS = 10000; /* the client's own limit for a transport's proof */

export class AutoPane extends Pane {
	constructor() {
		super("auto", "Auto: the client chooses");
	}

	clear() {
		super.clear();
		this.rungs = new Map(RUNGS.map(([name]) =>
			[name, { state: "waiting", why: "", since: 0 }]));
	}

	read(signal) {
		const stream = this.stream = new Stream(
			`/stream/${this.run.channel}?lab=${this.name}`, {
				after: this.cursor,
				storage: null, /* each run begins at the top */
				pollInterval: this.run.settings.poll,
				WebSocket: this.watchSockets(),
				/* Any will do; it is asked again when one expires. */
				getToken: (why) => {
					if (why.refresh)
						this.log(this, "asked for a new token");
					return null;
				},
				fetch: (url, init) => this.watchFetch(url, init),
			});

		stream.onmessage = (message) => this.take(message);
		stream.oncaughtup = () => this.caughtUp();
		stream.ongap = (gap) => this.gap(gap);
		stream.ontransport = (change) => this.changeTransport(change);
		stream.onstate = (change) => this.changeState(change);
		stream.onclose = (close) => {
			if (!close.wasClean)
				this.setState("refused", close.reason);
		};
		signal.addEventListener("abort", () => stream.close(),
			{ once: true });
	}

	/* A rung is tried from the first request of its kind. */
	tries(name) {
		const rung = this.rungs.get(name);

		this.requests++;
		this.asked();
		if (rung.state !== "used")
			this.setRung(name, "trying", "");
	}

	setRung(name, state, why) {
		const rung = this.rungs.get(name);

		if (rung.state !== state || state === "trying")
			rung.since = Clock.now();
		if (state === "failed" && rung.state !== "failed")
			this.log(this, `${name} failed: ${why}`);
		rung.state = state;
		rung.why = why;
		this.changed();
	}

	watchSockets() {
		const pane = this;

		return class extends WebSocket {
			constructor(...args) {
				super(...args);
				pane.tries("ws");
				this.addEventListener("message", () => pane.answered(),
					{ once: true });
				this.addEventListener("close", (close) => {
					pane.answered();
					/* By ourselves; the token's end, not the rung's. */
					if (close.code === 1000 || close.code === 4401)
						return;
					pane.ended("ws", close.reason ||
						`closed with ${close.code}`);
				});
			}
		};
	}

	async watchFetch(url, init) {
		const name = new URL(url, location.href).searchParams
			.get("transport");

		/* What was missed while asleep, beside a stream: no rung's. */
		if (name === "short" && ["ws", "sse"].includes(
			this.stream.transport)) {
			this.requests++;
			return fetch(url, init);
		}

		/* A long poll's first question is a short one, and it has one. */
		const long = this.rungs.get("long").state;
		const rung = name !== "short" ? name :
			this.stream.transport !== "short" &&
			(long === "waiting" || long === "used") ? "long" : "short";

		let silent = "no answer";

		this.tries(rung);
		init.signal?.addEventListener("abort", () =>
			this.givenUp(rung, () => silent), { once: true });
		try {
			const response = await fetch(url, init);

			this.answered();
			if (response.ok)
				silent = "answered, and stayed silent";
			else
				this.ended(rung, `answered ${response.status}`);
			return response;
		} catch (error) {
			this.answered();
			/* It ends by itself what it does not need any more. */
			if (!init.signal?.aborted)
				this.ended(rung, "no answer");
			throw error;
		}
	}

	/*
	 * By the client: it says at once, in the same turn, if that is because
	 * another one won. What it had in use it may follow with its like.
	 */
	givenUp(name, why) {
		queueMicrotask(() => {
			if (this.rungs.get(name).state === "trying" &&
				!this.life.signal.aborted)
				this.setRung(name, "failed", why());
		});
	}

	ended(name, why) {
		const state = this.rungs.get(name).state;

		if (state === "trying" || state === "used")
			this.setRung(name, "failed", why);
	}

	changeTransport({ transport, failed }) {
		let better = true;

		for (const [name, rung] of this.rungs) {
			if (name === transport) {
				this.setRung(name, "used", "");
				better = false;
			} else if (name in failed) {
				this.setRung(name, "failed", String(failed[name]));
			} else if (rung.state === "used" ||
				rung.state === "trying" && !better) {
				/* A better one may still prove itself. */
				this.setRung(name, "waiting", "");
			}
		}
		this.log(this, `uses ${transport}`);
		this.opened();
	}

	changeState({ state }) {
		if (state === "open")
			return;
		if (state === "waiting")
			this.away(this.stream.getSnapshot().error ?? "");
		else if (state === "connecting")
			this.setState(this.wasLive ? "away" : "connecting");
	}

	/* How much of its time a rung has used up, from 0 to 1. */
	progress(rung) {
		return rung.state === "trying" ?
			Math.min((Clock.now() - rung.since) / PROOF_MS, 1) : 0;
	}
}

/*
 * Four ways to read one stream, with what a browser has by itself.
 *
 * Each holds a connection until it ends, by an error that says why or because
 * `signal` was aborted, and tells the pane what it hears: opened(), away(why),
 * hear(type, event). pane.cursor says from where on to read. A pane may have a
 * pollInterval, and asked(), answered(), caughtUp(), to be told of requests.
 */

const POLL_WAIT_S = 25;
const PAUSE_FIRST_MS = 250, PAUSE_LAST_MS = 3000;
/* Heartbeats of silence after which a stream is taken for dead. */
const HEARTBEATS = 2.5;

/* Wait, or until the signal is aborted. */
export const sleep = (ms, signal) => new Promise((done) => {
	const end = () => {
		clearTimeout(timer);
		signal?.removeEventListener("abort", end);
		done();
	};
	const timer = setTimeout(end, ms);

	signal?.addEventListener("abort", end);
});

/* Twice as long each time, and not all clients in the same moment. */
export const pauseAfter = (attempt) =>
	Math.min(PAUSE_FIRST_MS * 2 ** attempt, PAUSE_LAST_MS) *
	(0.75 + Math.random() / 2);

/* An end of a connection that another attempt would not change. */
export class Refusal extends Error {}

/* Ends a stream that is silent for longer than its heartbeats allow. */
class Watch {
	constructor(expire) {
		this.expire = expire;
		this.ms = 0; /* until a hello says more: not watched */
	}

	heard(message) {
		if (message?.heartbeat)
			this.ms = message.heartbeat * HEARTBEATS;
		clearTimeout(this.timer);
		if (this.ms > 0)
			this.timer = setTimeout(this.expire, this.ms);
	}

	end() {
		clearTimeout(this.timer);
	}
}

async function readWebSocket(pane, signal) {
	const url = pane.url("ws");

	url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
	pane.requests++;
	pane.asked?.();
	await new Promise((done, fail) => {
		const socket = new WebSocket(url);
		const watch = new Watch(() => socket.close());
		const over = new AbortController();

		socket.onopen = () => pane.opened();
		socket.onmessage = (message) => {
			const event = JSON.parse(message.data);

			watch.heard(event);
			pane.hear(event.type, event);
		};
		socket.onclose = (close) => {
			over.abort();
			watch.end();
			fail(closeError(close));
		};
		signal.addEventListener("abort", () => {
			watch.end();
			socket.onmessage = null;
			socket.close(1000);
			done();
		}, { once: true, signal: over.signal });
	});
}

/* 44xx mirrors the statuses of HTTP: only a timeout is worth a retry. */
function closeError(close) {
	const why = `closed with ${close.code} ${close.reason}`.trim();
	const final = close.code >= 4400 && close.code < 4500 &&
		close.code !== 4408;

	return final ? new Refusal(why) : new Error(why);
}

async function readEventStream(pane, signal) {
	pane.requests++;
	pane.asked?.();
	await new Promise((done, fail) => {
		const source = new EventSource(pane.url("sse"));
		const watch = new Watch(() => end(new Error("silent")));
		const over = new AbortController();
		const end = (error) => {
			over.abort();
			watch.end();
			source.close();
			if (error)
				fail(error);
			else
				done();
		};
		let seen = false;

		source.onopen = () => pane.opened();
		source.onmessage = (message) => {
			seen = true;
			watch.heard();
			pane.hear("message", JSON.parse(message.data));
		};
		for (const name of ["hello", "caughtup", "gap", "heartbeat"])
			source.addEventListener(`spillway.${name}`, (message) => {
				const notice = JSON.parse(message.data);

				watch.heard(notice);
				pane.hear(`spillway.${name}`, notice);
			});
		source.onerror = () => {
			/*
			 * The browser comes back by itself, with the id of the
			 * last event: if it saw one, and unless it gave up.
			 */
			if (source.readyState === EventSource.CLOSED || !seen) {
				end(new Error("the stream ended"));
				return;
			}
			watch.end();
			pane.requests++;
			pane.away("the stream ended, the browser reconnects");
			pane.asked?.();
		};
		signal.addEventListener("abort", () => end(),
			{ once: true, signal: over.signal });
	});
}

async function readLongPolls(pane, signal) {
	/* The first one soon shows whether there is a connection. */
	for (let wait = 1; !signal.aborted; wait = POLL_WAIT_S)
		await poll(pane, pane.url("long", { wait }), (wait + 10) * 1000,
			signal);
}

async function readShortPolls(pane, signal) {
	while (!signal.aborted) {
		const answer = await poll(pane, pane.url("short"), 10000, signal);

		if (!answer?.more)
			await sleep(pane.pollInterval ?? answer?.retry ?? 1000, signal);
	}
}

/* One poll; its cursor is where the next one goes on. */
async function poll(pane, url, timeout, signal) {
	const request = new AbortController();
	const abort = () => request.abort();
	const timer = setTimeout(abort, timeout);

	signal.addEventListener("abort", abort);
	try {
		pane.requests++;
		pane.asked?.();

		const answer = await fetchJson(url, { signal: request.signal });

		if (signal.aborted)
			return null;
		pane.answered?.();
		pane.opened();
		if (answer.gap)
			pane.hear("spillway.gap", answer.gap);
		for (const event of answer.events)
			pane.hear(event.type, event);
		pane.cursor = answer.cursor;
		if (!answer.more)
			pane.caughtUp?.();
		return answer;
	} finally {
		clearTimeout(timer);
		signal.removeEventListener("abort", abort);
	}
}

/* The answer, or why there is none: an RFC 9457 problem has a `detail`. */
export async function fetchJson(url, options) {
	const response = await fetch(url, { cache: "no-store", ...options });
	const answer = await response.json().catch(() => null);

	if (response.ok && answer !== null)
		return answer;

	const why = `${response.status} ${answer?.detail ?? "unreadable answer"}`;
	const retry = response.ok || response.status >= 500 ||
		response.status === 408 || response.status === 429;

	throw retry ? new Error(why) : new Refusal(why);
}

/*
 * Some hold one of the connections that a browser has for requests, see
 * place.js; WebSockets are counted apart.
 */
export const transports = [
	{ name: "WebSocket", read: readWebSocket },
	{ name: "Server-sent events", read: readEventStream, holds: true },
	{ name: "Long poll", read: readLongPolls, holds: true },
	{ name: "Short poll", read: readShortPolls },
];

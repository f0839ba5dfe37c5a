/*
 * A world for the client: a clock that tests move, and a gateway in memory
 * that speaks the contract over sockets and requests, with faults to order.
 */
'use strict';

const Spillway = require('../../web/spillway.js');

class Clock {
	constructor() {
		this.time = 1e12;
		this.timers = new Map();
		this.last = 0;
	}

	now() {
		return this.time;
	}

	setTimeout(run, ms) {
		this.timers.set(++this.last, { at: this.time + (ms || 0), run });
		return this.last;
	}

	clearTimeout(timer) {
		this.timers.delete(timer);
	}

	/* Promises have their turn between timers. */
	async advance(ms) {
		const end = this.time + ms;

		for (;;) {
			await settle();

			let next = null;

			for (const [id, t] of this.timers)
				if (t.at <= end && (!next || t.at < next.at))
					next = { id, at: t.at, run: t.run };
			if (!next)
				break;
			this.timers.delete(next.id);
			this.time = Math.max(this.time, next.at);
			next.run();
		}
		this.time = end;
	}
}

async function settle() {
	for (let i = 0; i < 20; i++)
		await null;
}

/* Numbers that look random, and are the same for the same seed. */
function randomFrom(seed) {
	let state = seed >>> 0;

	return () => {
		state = (state + 0x6d2b79f5) >>> 0;

		let t = Math.imul(state ^ (state >>> 15), 1 | state);

		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

const seqOf = (cursor) => Number(cursor.split('-')[1]);

/*
 * `faults[transport]` is one of: refuse (an error), swallow (no answer), mute
 * (it opens and says nothing), hold (the first notice alone), status: an HTTP
 * status or a close code at once. `down` refuses all.
 */
class Gateway {
	constructor(clock, heartbeat) {
		this.clock = clock;
		this.epoch = 'ep1';
		this.events = [];
		this.seq = 0;
		this.oldest = 0;
		this.faults = {};
		this.down = false;
		this.upSince = 0;
		this.open = new Set();
		this.asked = [];
		this.tokens = null;
		this.sent = new Map();
		this.heartbeats = true;
		this.heartbeat = heartbeat;
		this.retry = 500;
		this.beat();
	}

	cursor(seq) {
		return `${this.epoch}-${seq}`;
	}

	beat() {
		this.clock.setTimeout(() => {
			if (this.heartbeats)
				for (const c of [...this.open])
					c.say?.({ type: 'spillway.heartbeat',
						time: this.clock.now() });
			this.beat();
		}, this.heartbeat);
	}

	publish(data, type = 'message', contentType = undefined) {
		const event = { id: this.cursor(++this.seq), channel: 'a', type,
			time: this.clock.now(), ...(contentType && { contentType }),
			data };

		this.events.push(event);
		for (const c of [...this.open])
			c.deliver();
		return event.id;
	}

	/* A new log, which knows nothing of the old one. */
	restart() {
		this.kill();
		this.epoch = `${this.epoch}x`;
		this.events = [];
		this.seq = this.oldest = 0;
	}

	trim(oldest) {
		this.oldest = oldest;
		this.events = this.events.filter((e) => seqOf(e.id) > oldest);
	}

	/* All connections end, as with kill -9. */
	kill(code = 1006, which = () => true) {
		for (const c of [...this.open])
			if (which(c))
				c.die(code);
	}

	/* Where a client starts: position, and the gap if there is one. */
	begin(params) {
		const after = params.get('after'), last = params.get('last');

		if (after === 'start')
			return { at: 0, hello: 0 };
		if (after === null && last !== null)
			return { at: Math.max(0, this.seq - last), hello: 0 };
		if (after === null)
			return { at: this.seq, hello: this.seq };

		const at = seqOf(after);
		const reason = !after.startsWith(`${this.epoch}-`) ? 'epoch' :
			at > this.seq ? 'ahead' :
				at < this.oldest ? 'trimmed' : null;
		const from = reason && reason !== 'trimmed' ? 0 : at;

		return {
			at: from, hello: from,
			gap: reason && { reason, after,
				first: this.events[0]?.id ?? null }
		};
	}

	behind(at) {
		return this.events.filter((e) => seqOf(e.id) > at);
	}

	fault(name, url) {
		this.asked.push({ name, at: this.clock.now(), url });
		return this.down ? 'refuse' : this.faults[name];
	}

	command(m, session) {
		const key = `${session}:${m.seq}`, known = this.sent.get(key);
		const refused = this.refuse?.(m);

		if (refused)
			return { op: 'error', ref: m.ref, code: refused };
		if (!known)
			this.sent.set(key, this.publish(m.data));
		return { op: 'ok', ref: m.ref, id: this.sent.get(key),
			duplicate: !!known };
	}
}

/* One stream towards a client, over a socket or a response. */
class Line {
	constructor(gateway, name, url, fault, say, die) {
		const { at, hello, gap } = gateway.begin(url.searchParams);

		Object.assign(this, { gateway, name, at });
		this.mute = fault === 'mute';
		this.say = (m) => {
			if (this.mute || !gateway.open.has(this))
				return;
			say(m);
			if (fault === 'hold')
				this.mute = true;
		};
		this.die = (code) => {
			if (gateway.open.delete(this))
				die(code);
		};
		gateway.open.add(this);
		this.say({ type: 'spillway.hello', connection: '1',
			cursor: gateway.cursor(hello), transport: name,
			heartbeat: gateway.heartbeat, retry: gateway.retry,
			channels: ['a'] });
		if (gap)
			this.say({ type: 'spillway.gap', ...gap });
		this.deliver();
		this.say({ type: 'spillway.caughtup',
			cursor: gateway.cursor(gateway.seq) });
	}

	deliver() {
		for (const e of this.gateway.behind(this.at)) {
			this.at = seqOf(e.id);
			this.say(e);
		}
	}
}

function webSocketOf(gateway) {
	return class {
		constructor(url, protocols) {
			const u = new URL(url), fault = gateway.fault('ws', u);

			if (fault === 'throw')
				throw new Error('blocked by policy');
			this.session = u.searchParams.get('session');
			gateway.clock.setTimeout(() => {
				if (this.shut || fault === 'swallow')
					return;
				/* Of packages for Node it ends the process. */
				if (fault === 'refuse' && !this.onerror)
					throw new Error('nobody listens');
				if (fault === 'refuse')
					this.onclose?.({ code: 1006 });
				else if (fault > 0)
					this.onclose?.({ code: fault,
						reason: 'refused' });
				else
					this.connect(u, fault, protocols);
			}, 10);
		}

		connect(u, fault, protocols) {
			const g = gateway;

			if (g.tokens && !g.tokens.some((t) =>
				protocols.includes(`bearer.${t}`))) {
				this.onclose?.({ code: 4401, reason: 'token' });
				return;
			}
			this.onopen?.({});
			this.line = new Line(g, 'ws', u, fault,
				(m) => this.onmessage?.({
					data: JSON.stringify(m) }),
				(code) => this.onclose?.({ code, reason: '' }));
		}

		send(text) {
			const m = JSON.parse(text);

			if (!gateway.swallowSends)
				gateway.clock.setTimeout(
					() => this.arrive(m), 1);
		}

		arrive(m) {
			const line = this.line;

			if (!gateway.open.has(line))
				return;
			if (gateway.isTooLong?.(m)) {
				line.die(1009);
				return;
			}
			if (m.op === 'auth')
				gateway.auth(m.token);
			line.say(m.op === 'send' ?
				gateway.command(m, this.session) :
				{ op: 'ok', ref: m.ref });
		}

		close() {
			this.shut = true;
			gateway.open.delete(this.line);
		}
	};
}

function answerOf(gateway, url) {
	const { at, gap } = gateway.begin(url.searchParams);
	const all = gateway.behind(at);
	const limit = Number(url.searchParams.get('limit') ?? 5);
	const events = all.slice(0, limit), more = all.length > limit;

	return {
		cursor: more ? events.at(-1).id : gateway.cursor(gateway.seq),
		events, ...(gap && { gap }), ...(more && { more }), retry: 2000
	};
}

function response(status, body, type = 'application/json', headers = {}) {
	const names = { 'content-type': type, ...headers };

	return {
		status,
		headers: { get: (n) => names[n.toLowerCase()] ?? null },
		body: null,
		text: async () => body
	};
}

const problem = (status, headers) => response(status,
	JSON.stringify({ status, detail: 'no' }), 'application/problem+json',
	headers);

/* A body that is written while it is read. */
function streaming() {
	const parts = [];
	let waiting = null, over = null;
	const step = () => {
		if (!waiting || (!parts.length && !over))
			return;

		const { done, fail } = waiting;

		waiting = null;
		if (parts.length)
			done({ done: false, value: parts.shift() });
		else if (over === 'cut')
			fail(new Error('cut'));
		else
			done({ done: true });
	};

	return {
		body: { getReader: () => ({
			read: () => new Promise((done, fail) => {
				waiting = { done, fail };
				step();
			})
		}) },
		write(text) {
			parts.push(new TextEncoder().encode(text));
			step();
		},
		end(how) {
			over = how;
			step();
		}
	};
}

function block(m) {
	const { type, ...rest } = m;

	return m.id ?
		`id: ${m.id}\n` + (type === 'message' ? '' :
			`event: ${type}\n`) + `data: ${JSON.stringify(m)}\n\n` :
		`event: ${type}\ndata: ${JSON.stringify(rest)}\n\n`;
}

function openResponse(gateway, url, fault, options) {
	const stream = streaming();

	stream.write(':\nretry: 500\n');

	const line = new Line(gateway, 'sse', url, fault,
		(m) => stream.write(block(m)), () => stream.end('cut'));

	options.signal?.addEventListener('abort', () => {
		gateway.open.delete(line);
		stream.end('cut');
	});
	return { ...response(200, '', 'text/event-stream'), body: stream.body };
}

/* Waits for news, as a long poll does. */
function held(gateway, url, options) {
	return new Promise((done, fail) => {
		const wait = Number(url.searchParams.get('wait')) * 1000;
		const line = {
			name: 'long',
			deliver: () => end(),
			die: () => {
				gateway.open.delete(line);
				gateway.clock.clearTimeout(timer);
				fail(new Error('cut'));
			}
		};
		const end = () => {
			if (line.mute)
				return;
			gateway.open.delete(line);
			gateway.clock.clearTimeout(timer);
			done(response(200,
				JSON.stringify(answerOf(gateway, url))));
		};
		const timer = gateway.clock.setTimeout(end, wait);

		gateway.open.add(line);
		options.signal?.addEventListener('abort', line.die);
	});
}

function fetchOf(gateway) {
	const pause = () => new Promise((done) =>
		gateway.clock.setTimeout(done, 10));

	return async (text, options) => {
		const url = new URL(text);
		const name = options.method === 'POST' ? 'post' :
			url.searchParams.get('transport');
		const fault = gateway.fault(name, url);

		await pause();
		if (options.signal?.aborted || fault === 'refuse')
			throw new TypeError('failed');
		if (fault === 'swallow' || (fault && name !== 'sse' &&
			typeof fault === 'string'))
			return new Promise((done, fail) => options.signal
				?.addEventListener('abort', fail));
		if (fault?.status)
			return problem(fault.status, fault.headers);
		if (fault > 0)
			return fault < 300 ? response(fault, '') : response(
				fault, '<h1>a proxy</h1>', 'text/html');
		if (gateway.tokens && !gateway.tokens.some((t) =>
			options.headers.Authorization === `Bearer ${t}`))
			return problem(401);
		if (name === 'post') {
			const m = {
				seq: url.searchParams.get('seq'),
				data: options.body instanceof Blob ?
					{ bytes: await options.body.text() } :
					JSON.parse(options.body)
			};
			const said = gateway.backend?.(m);

			if (said)
				return response(...said);

			const { op, code, id, duplicate } = gateway.command(m,
				url.searchParams.get('session'));

			return op === 'error' ? problem(
				code === 'forbidden' ? 403 : 503) :
				response(duplicate ? 200 : 201, JSON.stringify({
					id, time: Math.floor(gateway.clock.now()),
					duplicate
				}));
		}
		if (name === 'sse')
			return openResponse(gateway, url, fault, options);

		const answer = answerOf(gateway, url);

		if (name === 'long' && !answer.events.length && !answer.gap)
			return held(gateway, url, options);
		return response(200, JSON.stringify(answer));
	};
}

/* A gateway, a clock, and a stream between them with all that it told. */
class World {
	constructor(seed = 1, heartbeat = 15000) {
		this.clock = new Clock();
		this.gateway = new Gateway(this.clock, heartbeat);
		this.random = randomFrom(seed);
		this.storage = new Map();
	}

	options(more) {
		return {
			clock: this.clock, random: this.random, window: null,
			WebSocket: webSocketOf(this.gateway),
			fetch: fetchOf(this.gateway), XMLHttpRequest: undefined,
			EventSource: undefined,
			storage: {
				getItem: (k) => this.storage.get(k) ?? null,
				setItem: (k, v) => this.storage.set(k, v),
				removeItem: (k) => this.storage.delete(k)
			},
			...more
		};
	}

	stream(more, Stream = Spillway.Stream) {
		const stream = new Stream('http://gw/stream/a',
			this.options(more));

		this.ids = [];
		this.told = [];
		stream.onmessage = (e) => this.ids.push(e.id);
		for (const type of ['open', 'error', 'close', 'state',
			'transport', 'retry', 'gap', 'caughtup'])
			stream.addEventListener(type, (e) =>
				this.told.push(e));
		return stream;
	}

	all(type) {
		return this.told.filter((e) => e.type === type);
	}
}

module.exports = { Spillway, World, randomFrom };

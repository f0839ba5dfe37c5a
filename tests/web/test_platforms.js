/* Platforms of all ages, the life of a page, and the platform's own faces. */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { World, Spillway } = require('./world.js');
const { eventSourceOf, windowOf, xhrOf } = require('./platforms.js');

const SECOND = 1000, MINUTE = 60000;

/* Events over restarts and faults: all of them, once, in order. */
async function survives(w, s) {
	for (let i = 0; i < 30; i++) {
		w.gateway.publish(i, i % 3 ? 'message' : 'tick');
		if (i % 10 === 9)
			w.gateway.kill();
		await w.clock.advance(SECOND);
	}
	await w.clock.advance(MINUTE);
	assert.deepEqual(w.ids, w.gateway.events.map((e) => e.id));
	s.close();
}

async function sendOver(w, s) {
	const message = s.send('sent');

	await w.clock.advance(SECOND);
	return message;
}

async function echoes(w, StreamWebSocket) {
	const told = [], texts = ['{"a":[1]}', 'gr\u00fcn', ''];
	const socket = new StreamWebSocket('http://gw/stream/a', w.options());

	socket.onmessage = (e) => told.push(e.data);
	await w.clock.advance(SECOND);
	texts.forEach((text) => socket.send(text));
	await w.clock.advance(SECOND);
	assert.deepEqual(told, texts);
	assert.equal(socket.bufferedAmount, 0);
	socket.close();
}

/* The other tests are of spillway.js: what is made of the same is as good. */
for (const file of ['spillway.min.js', 'spillway.mjs', 'spillway.min.mjs',
	'spillway-reader.mjs', 'spillway-reader.min.mjs',
	'spillway-tabs.min.js', 'spillway-tabs.min.mjs'])
	test(`${file} reads, sends, renews its token, and has its faces`,
		async () => {
			const made = await import(`../../web/${file}`);
			const { Stream, StreamWebSocket } = made.default ?? made;

			for (const name of ['ws', 'sse', 'long', 'short']) {
				const w = new World(), window = windowOf();
				let token = 'a';
				const s = w.stream({ window, transports: [name],
					getToken: (why) => token =
						why.refresh ? 'b' : token }, Stream);

				w.gateway.tokens = ['b'];
				await w.clock.advance(SECOND);
				if (s.send)
					assert.equal((await sendOver(w, s)).status,
						'acknowledged');
				window.document.fire('visibilitychange');
				await survives(w, s);
				assert.equal(s.state, 'closed');
			}
			if (StreamWebSocket)
				await echoes(new World(), StreamWebSocket);
		});

for (const [what, transports] of [['anything', undefined], ['SSE', ['sse']],
	['long polls', ['long']], ['short polls', ['short']]])
	test(`without fetch, XMLHttpRequest does: ${what}`, async () => {
		const w = new World(), o = w.options();
		const s = w.stream({ fetch: undefined,
			XMLHttpRequest: xhrOf(o.fetch), WebSocket: undefined,
			...(transports && { transports }) });

		await w.clock.advance(SECOND);
		assert.equal(s.transport, transports?.[0] ?? 'sse');

		const m = s.send('posted');

		await w.clock.advance(SECOND);
		assert.equal(m.status, 'acknowledged');
		await survives(w, s);
	});

test('an EventSource that is given is used, with the types it is told',
	async () => {
		const w = new World(), o = w.options();
		const s = w.stream({ transports: ['sse'], types: ['tick'],
			EventSource: eventSourceOf(o.fetch) });

		await w.clock.advance(SECOND);
		assert.equal(s.transport, 'sse');
		await survives(w, s);
	});

test('with nothing at all it says so', async () => {
	const w = new World();

	w.stream({ fetch: undefined, WebSocket: undefined });
	await w.clock.advance(SECOND);
	assert.match(w.all('close')[0].reason, /no transport/);
});

test('a transport that there is not is an error that says which there are',
	() => {
		const w = new World();

		assert.throws(() => w.stream({ transports: ['ws', 'websocket'] }), {
			name: 'TypeError', message: 'transports: ws,sse,long,short'
		});
	});

test('awake again, a dead socket is found within two seconds', async () => {
	const w = new World(), window = windowOf();
	const s = w.stream({ window });

	await w.clock.advance(SECOND);
	for (const line of w.gateway.open)
		line.mute = true;
	w.gateway.publish('missed');
	window.document.fire('visibilitychange');
	/* Caught up at once, by a poll beside it. */
	await w.clock.advance(100);
	assert.equal(w.ids.length, 1);
	assert.equal(s.state, 'open');
	await w.clock.advance(2 * SECOND);
	assert.match(w.all('error')[0].reason, /silent/);
	await w.clock.advance(2 * SECOND);
	assert.equal(s.state, 'open');
	assert.equal(w.ids.length, 1);
	assert.equal(w.gateway.asked.at(-1).name, 'ws');
});

test('a healthy socket survives waking up', async () => {
	const w = new World(), window = windowOf();
	const s = w.stream({ window });

	await w.clock.advance(SECOND);
	window.document.fire('visibilitychange');
	/* It comes over the socket, and by the poll beside it. */
	w.gateway.publish('both ways');
	await w.clock.advance(MINUTE);
	assert.equal(s.stats.duplicates, 1);
	assert.deepEqual(w.ids, ['ep1-1']);
	assert.equal(w.all('error').length, 0);
	assert.equal(w.gateway.asked.filter((a) => a.name === 'ws').length, 1);
});

test('a clock that is set back does not hide a dead socket', async () => {
	const w = new World(), c = w.clock;
	let back = 0;
	const s = w.stream({ clock: {
		now: () => c.now() - back,
		setTimeout: (run, ms) => c.setTimeout(run, ms),
		clearTimeout: (timer) => c.clearTimeout(timer)
	} });

	await c.advance(20 * SECOND);
	back = 60 * MINUTE;
	/* A healthy one survives it. */
	await c.advance(5 * MINUTE);
	assert.equal(w.all('error').length, 0);
	back = 120 * MINUTE;
	for (const line of w.gateway.open)
		line.mute = true;
	w.gateway.publish('missed');
	await c.advance(MINUTE);
	assert.equal(w.ids.length, 1);
	s.close();
});

test('online ends the wait', async () => {
	const w = new World(), window = windowOf();

	w.gateway.down = true;

	const s = w.stream({ window });

	await w.clock.advance(10 * MINUTE);
	w.gateway.down = false;
	window.fire('online');
	await w.clock.advance(100);
	assert.equal(s.state, 'open');
});

test('put away with its page, and back with it', async () => {
	const w = new World(), window = windowOf();
	const s = w.stream({ window });

	await w.clock.advance(SECOND);
	window.fire('pagehide');
	assert.equal(w.gateway.open.size, 0);
	await w.clock.advance(10 * MINUTE);
	assert.equal(w.gateway.asked.length, 1);
	w.gateway.publish('missed');
	window.fire('pageshow', { persisted: true });
	await w.clock.advance(SECOND);
	assert.equal(w.ids.length, 1);
	s.close();
	/* Nothing of it stays behind. */
	for (const t of [window, window.document, window.navigator.connection])
		for (const set of Object.values(t.listeners))
			assert.equal(set.size, 0);
	assert.equal(window.listeners.unload, undefined);
});

test('a fetch that is given is used, also where it cannot stream',
	async (t) => {
		const w = new World(), kept = globalThis.ReadableStream;
		class Other {
			constructor() {
				throw new Error('not asked for');
			}
		}

		globalThis.ReadableStream = undefined;
		t.after(() => {
			globalThis.ReadableStream = kept;
		});

		const s = w.stream({ transports: ['long'],
			XMLHttpRequest: Other });

		await w.clock.advance(SECOND);
		assert.equal(s.transport, 'long');
		await survives(w, s);
	});

test('what XMLHttpRequest keeps is given back, also where fetch cannot stream',
	async (t) => {
		const w = new World(), o = w.options();

		const kept = globalThis.ReadableStream;

		globalThis.ReadableStream = undefined;
		t.after(() => {
			globalThis.ReadableStream = kept;
		});

		const s = w.stream({ transports: ['sse'],
			XMLHttpRequest: xhrOf(o.fetch) });

		await w.clock.advance(SECOND);
		for (let i = 0; i < 30; i++) {
			w.gateway.publish('x'.repeat(1e5));
			await w.clock.advance(SECOND);
		}
		assert.equal(w.ids.length, 30);
		assert.equal(s.stats.connects, 4);
		s.close();
	});

test('StreamEventSource: its states, named events, text', async () => {
	const w = new World(), told = [];
	const source = new Spillway.StreamEventSource('http://gw/stream/a',
		w.options());

	for (const type of ['open', 'message', 'tick', 'error'])
		source.addEventListener(type, (e) => told.push(
			[type, source.readyState, e.data, e.lastEventId]));
	assert.equal(source.readyState, Spillway.StreamEventSource.CONNECTING);
	await w.clock.advance(SECOND);
	w.gateway.publish({ a: 1 });
	w.gateway.publish('text', 'tick');
	w.gateway.publish({ b: 2 }, 'message', 'application/ld+json');
	w.gateway.kill();
	await w.clock.advance(10 * SECOND);
	assert.deepEqual(told, [
		['open', 1, undefined, undefined],
		['message', 1, '{"a":1}', 'ep1-1'],
		['tick', 1, 'text', 'ep1-2'],
		['message', 1, '{"b":2}', 'ep1-3'],
		['error', 0, undefined, undefined],
		['open', 1, undefined, undefined]
	]);
	source.close();
	assert.equal(source.readyState, source.CLOSED);
	assert.equal(w.gateway.open.size, 0);
});

test('a listener that listens once does so, and is not in the way later',
	async () => {
		const w = new World(), told = [];
		const source = new Spillway.StreamEventSource(
			'http://gw/stream/a', w.options());
		const hear = (e) => told.push(e.data);

		source.addEventListener('message', hear, { once: true });
		await w.clock.advance(SECOND);
		for (const n of [1, 2])
			w.gateway.publish(n);
		await w.clock.advance(SECOND);
		assert.deepEqual(told, ['1']);
		source.addEventListener('message', hear);
		for (const n of [3, 4])
			w.gateway.publish(n);
		await w.clock.advance(SECOND);
		assert.deepEqual(told, ['1', '3', '4']);
		source.close();
	});

test('listeners come and go while an event is told, as in the platform',
	async () => {
		const w = new World(), told = [], over = new AbortController();
		const s = w.stream(), never = () => told.push('never');
		const again = (e) => {
			told.push(`again ${e.data}`);
			s.addEventListener('message', again, { once: true });
			s.removeEventListener('message', never);
		};

		s.addEventListener('message', again, { once: true });
		s.addEventListener('message', never);
		s.addEventListener('message', { handleEvent(e) {
			told.push(`object ${e.data}`);
		} }, { signal: over.signal });
		s.addEventListener('message', never,
			{ signal: AbortSignal.abort() });
		await w.clock.advance(SECOND);
		w.gateway.publish(1);
		await w.clock.advance(SECOND);
		over.abort();
		w.gateway.publish(2);
		await w.clock.advance(SECOND);
		assert.deepEqual(told, ['again 1', 'object 1', 'again 2']);
		s.close();
	});

test('one that listens once is not told of what it brings about', async () => {
	const w = new World(), told = [], s = w.stream();

	s.addEventListener('state', (e) => {
		told.push(e.state);
		s.close();
	}, { once: true });
	await w.clock.advance(SECOND);
	assert.equal(s.state, 'closed');
	assert.deepEqual(told, ['connecting']);
});

test('an event may be called anything that objects have by themselves',
	async () => {
		const w = new World(), told = [];
		const source = new Spillway.StreamEventSource(
			'http://gw/stream/a', w.options());
		const types = ['constructor', 'toString', '__proto__'];
		const hear = (e) => told.push([e.type, e.data]);

		for (const type of types) {
			source.addEventListener(type, hear);
			source.stream.addEventListener(type, hear);
		}
		await w.clock.advance(SECOND);
		types.forEach((type, i) => w.gateway.publish(i, type));
		await w.clock.advance(SECOND);
		assert.deepEqual(told, types.map((type, i) => [type, `${i}`]));
		for (const type of types)
			source.removeEventListener(type, hear);
		w.gateway.publish('unheard', 'constructor');
		await w.clock.advance(SECOND);
		assert.equal(told.length, types.length);
		assert.equal(source.stream.stats.events, types.length + 1);
		source.close();
	});

test('StreamWebSocket: opens once, closes once, sends and receives text',
	async () => {
		const w = new World(), told = [];
		const socket = new Spillway.StreamWebSocket('ws://gw/stream/a',
			[], w.options());

		for (const type of ['open', 'message', 'error', 'close'])
			socket[`on${type}`] = (e) => told.push(
				[type, e.data ?? e.code]);
		assert.throws(() => socket.send('too soon'));
		await w.clock.advance(SECOND);
		for (const text of ['hello', '{"a":[1]}', '"quoted"', '17'])
			socket.send(text);
		socket.send(new TextEncoder().encode('\x01').buffer);
		assert.equal(socket.bufferedAmount, 25);
		await w.clock.advance(SECOND);
		assert.equal(socket.bufferedAmount, 0);
		w.gateway.kill();
		await w.clock.advance(10 * SECOND);
		assert.equal(socket.readyState, socket.OPEN);
		socket.close(3000, 'bye');
		await w.clock.advance(0);
		assert.deepEqual(told, [['open', undefined],
			['message', 'hello'], ['message', '{"a":[1]}'],
			['message', '"quoted"'], ['message', '17'],
			['message', '{"bytes":"\\u0001"}'],
			['close', 3000]]);
		assert.equal(socket.readyState, 3);
	});

test('StreamWebSocket: what is sent is counted in bytes, mostly by its length',
	async (t) => {
		const w = new World(), Blob = globalThis.Blob;
		const socket = new Spillway.StreamWebSocket('http://gw/stream/a',
			w.options());
		let made = 0;

		globalThis.Blob = class extends Blob {
			constructor(...args) {
				super(...args);
				made++;
			}
		};
		t.after(() => {
			globalThis.Blob = Blob;
		});
		await w.clock.advance(SECOND);
		for (const [data, bytes, blobs] of [
			['', 0, 0], ['~ \0\n', 4, 0], [17, 2, 0],
			['{"a":[1]}', 9, 0], [null, 4, 0], ['\x7f', 1, 1],
			['gr\u00fcn', 5, 1], ['\ud83d\ude00 \ud83d', 8, 1]
		]) {
			const before = socket.bufferedAmount;

			made = 0;
			socket.send(data);
			assert.equal(socket.bufferedAmount - before, bytes);
			assert.equal(made, blobs, JSON.stringify(data));
		}
		for (const data of [new ArrayBuffer(3), new Uint16Array(2),
			new Blob(['\u20ac'])]) {
			const before = socket.bufferedAmount;

			socket.send(data);
			assert.equal(socket.bufferedAmount - before,
				data.size ?? data.byteLength);
		}
		await w.clock.advance(10 * SECOND);
		assert.equal(socket.bufferedAmount, 0);
		socket.close();
	});

test('StreamWebSocket: text comes out as it went in, whatever JSON makes of it',
	async () => {
		const w = new World(), told = [];
		const socket = new Spillway.StreamWebSocket('ws://gw/stream/a',
			w.options());
		const texts = ['{"price":1.10}', '[12345678901234567890]',
			'{ "spaced": true }', '{"b":1,"1":2}', '{"a":1,"a":2}',
			'"\\u0041"', '1.0', 'null', 'false', '{', '', 'gr\u00fcn \u20ac'];

		socket.onmessage = (e) => told.push(e.data);
		await w.clock.advance(SECOND);
		texts.forEach((text) => socket.send(text));
		/* As bytes, which is what the platform's own counts. */
		assert.equal(socket.bufferedAmount,
			new Blob(texts).size);
		await w.clock.advance(SECOND);
		assert.deepEqual(told, texts);
		assert.equal(socket.bufferedAmount, 0);

		/* What JSON writes alike is no text for those behind. */
		socket.send('{"a":[1]}');
		await w.clock.advance(SECOND);
		assert.deepEqual(w.gateway.events.at(-1).data, { a: [1] });
		socket.close();
	});

test('awake again, it comes no sooner than the server has said', async () => {
	const w = new World(), window = windowOf();

	w.gateway.faults.short = { status: 503,
		headers: { 'retry-after': '60' } };

	const s = w.stream({ window, transports: ['short'] });

	await w.clock.advance(SECOND);
	for (let i = 0; i < 20; i++) {
		window.document.fire('visibilitychange');
		await w.clock.advance(SECOND);
	}
	assert.equal(w.gateway.asked.length, 1);
	w.gateway.faults = {};
	await w.clock.advance(41 * SECOND);
	assert.equal(s.state, 'open');
	assert.equal(w.gateway.asked[1].at - w.gateway.asked[0].at >= MINUTE,
		true);
});

test('StreamWebSocket: whoever closes it goes on before that is told',
	async () => {
		const w = new World(), told = [];
		const socket = new Spillway.StreamWebSocket('ws://gw/stream/a',
			w.options());

		socket.onclose = (e) => told.push(e.code, e.wasClean);
		await w.clock.advance(SECOND);
		socket.close(3001, 'enough');
		assert.equal(socket.readyState, socket.CLOSING);
		assert.deepEqual(told, []);
		await w.clock.advance(SECOND);
		assert.equal(socket.readyState, socket.CLOSED);
		assert.deepEqual(told, [3001, true]);
	});

test('StreamEventSource is connecting while its token is refreshed',
	async () => {
		const w = new World(), g = w.gateway;

		g.tokens = ['old'];

		const source = new Spillway.StreamEventSource(
			'http://gw/stream/a', w.options({
				getToken: ({ refresh }) => !refresh ? 'old' :
					new Promise((done) => w.clock.setTimeout(
						() => done('new'), MINUTE))
			}));

		await w.clock.advance(SECOND);
		assert.equal(source.readyState, source.OPEN);
		g.tokens = ['new'];
		g.kill(4401);
		await w.clock.advance(SECOND);
		assert.equal(source.readyState, source.CONNECTING);
		await w.clock.advance(MINUTE);
		assert.equal(source.readyState, source.OPEN);
		source.close();
	});

for (const name of ['ws', 'sse', 'long', 'short'])
	test(`StreamWebSocket: what was sent before it is closed arrives, by ${
		name}`, async () => {
		const w = new World(), told = [];
		const socket = new Spillway.StreamWebSocket('ws://gw/stream/a',
			w.options({ transports: [name] }));

		for (const type of ['message', 'error', 'close'])
			socket.addEventListener(type, (e) => told.push(type));
		await w.clock.advance(SECOND);
		socket.send('one');
		socket.send('');
		socket.send('bye');
		socket.close();
		socket.send('too late');
		assert.equal(socket.readyState, socket.CLOSING);
		await w.clock.advance(5 * SECOND);
		assert.deepEqual(w.gateway.events.map((e) => e.data),
			['one', '', 'bye']);
		assert.deepEqual(told, ['close']);
		assert.equal(socket.bufferedAmount, 0);
		assert.equal(socket.readyState, socket.CLOSED);
	});

test('StreamWebSocket: a gateway that is away does not keep it from closing',
	async () => {
		const w = new World(), told = [];
		const socket = new Spillway.StreamWebSocket('ws://gw/stream/a',
			w.options());

		for (const type of ['error', 'close'])
			socket.addEventListener(type, (e) => told.push(type));
		await w.clock.advance(SECOND);
		w.gateway.down = true;
		w.gateway.kill();
		socket.send('lost');
		socket.close(3000);
		await w.clock.advance(31 * SECOND);
		assert.deepEqual(told, ['error', 'close']);
		assert.equal(socket.readyState, socket.CLOSED);
	});

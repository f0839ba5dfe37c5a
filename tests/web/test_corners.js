/* What a reader of the client would take for needless, and is not. */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { World, Spillway } = require('./world.js');
const { eventSourceOf, windowOf, xhrOf } = require('./platforms.js');

const SECOND = 1000, MINUTE = 60000;

const param = (a, name) => new URL(a.url).searchParams.get(name);
const asked = (w, name) => w.gateway.asked.filter((a) => a.name === name);

/* The gateway's own beat stays. */
const timersOf = (w) => w.clock.timers.size - 1;

for (const crypto of [globalThis.crypto, undefined])
	test(`sessions have names of their own, ${crypto ? 'with' : 'without'} ` +
		'crypto', async (t) => {
		const w = new World(), s = w.stream({ autoConnect: false });
		const kept = Object.getOwnPropertyDescriptor(globalThis, 'crypto');

		Object.defineProperty(globalThis, 'crypto',
			{ value: crypto, configurable: true });
		t.after(() => kept ?
			Object.defineProperty(globalThis, 'crypto', kept) :
			delete globalThis.crypto);
		for (let i = 0; i < 9; i++)
			w.stream();
		s.connect();
		await w.clock.advance(SECOND);

		const names = asked(w, 'ws').map((a) => param(a, 'session'));

		assert.equal(new Set(names).size, 10);
		for (const name of names)
			assert.match(name, /^[0-9.e-]{20,128}$/);
	});

test('it connects when it is told to, and once', async () => {
	const w = new World(), window = windowOf();
	const s = w.stream({ autoConnect: false, window });

	assert.deepEqual(s.stats,
		{ events: 0, duplicates: 0, gaps: 0, connects: 0 });
	await w.clock.advance(MINUTE);
	assert.equal(s.state, 'idle');
	s.connect();
	s.connect();
	await w.clock.advance(SECOND);
	s.connect();
	await w.clock.advance(SECOND);
	assert.equal(w.gateway.asked.length, 1);
	assert.equal(w.all('state').length, 2);
	s.close();
	assert.equal(Object.values(window.listeners)
		.reduce((n, set) => n + set.size, 0), 0);
});

for (const name of ['ws', 'sse', 'long', 'short'])
	test(`closed, it leaves no timer behind, over ${name}`, async () => {
		const w = new World();
		const s = w.stream({ transports: [name], getToken: () => null });

		await w.clock.advance(5 * SECOND);
		s.send('never acknowledged');
		s.close();
		await w.clock.advance(20);
		assert.equal(timersOf(w), 0);
		assert.equal(w.gateway.open.size, 0);
	});

const NUMBERS = ['stagger', 'proofTimeout', 'retryMin', 'retryMax', 'pollWait',
	'pollInterval', 'queueMax', 'queueAge', 'sendTimeout'];

/* What is asked when: nobody answers, nobody is there, all is well. */
async function life(value) {
	const w = new World(), g = w.gateway, options = { queueMax: value };

	for (const name of [...NUMBERS, 'transports'])
		options[name] = value;
	for (const name of ['ws', 'sse', 'long', 'short'])
		g.faults[name] = 'swallow';

	const s = w.stream(value === 0 ? {} : options);

	await w.clock.advance(MINUTE);
	g.down = true;
	await w.clock.advance(MINUTE);
	g.down = false;
	g.faults = { ws: 'refuse', sse: 'refuse', long: 'refuse' };
	await w.clock.advance(MINUTE);
	s.send('said');
	await w.clock.advance(MINUTE);
	assert.equal(g.seq, 1);
	s.close();
	return g.asked.map((a) => [a.name, a.at]);
}

test('an option that is undefined, or null, is as if it were left out',
	async () => {
		const asked = await life(0);

		assert.ok(asked.length < 200, `${asked.length} requests`);
		assert.deepEqual(await life(undefined), asked);
		assert.deepEqual(await life(null), asked);
	});

for (const name of NUMBERS)
	test(`no number is an error that says of what: ${name}`, () => {
		for (const value of [NaN, -1, 'soon', {}])
			assert.throws(() => new World().stream({ [name]: value }),
				{ name: 'TypeError', message: name });
	});

test('a number may come as text', async () => {
	const w = new World();

	w.gateway.faults.ws = 'mute';
	w.stream({ transports: ['ws'], proofTimeout: '3000' });
	await w.clock.advance(4 * SECOND);
	assert.match(w.all('error')[0].reason, /silent/);
});

test('closed while a token is asked for, it opens nothing', async () => {
	const w = new World();
	let give;
	const s = w.stream({ getToken: () => new Promise((done) => {
		give = done;
	}) });

	await w.clock.advance(SECOND);
	s.close();
	give('late');
	await w.clock.advance(MINUTE);
	assert.equal(s.state, 'closed');
	assert.equal(w.gateway.asked.length, 0);
});

test('closed by a listener, it tells of no event that came with the one',
	async () => {
		const w = new World(), s = w.stream({ transports: ['short'] });

		await w.clock.advance(SECOND);
		for (let i = 0; i < 3; i++)
			w.gateway.publish(i);
		s.addEventListener('message', () => s.close());
		await w.clock.advance(MINUTE);
		assert.deepEqual(w.ids, ['ep1-1']);
		assert.equal(s.cursor, 'ep1-1');
	});

for (const type of ['snapshot', 'state', 'error'])
	test(`closed while it tells of a ${type}, it tells nothing behind that`,
		async () => {
			const w = new World(), s = w.stream();

			await w.clock.advance(SECOND);
			s.addEventListener(type, () => {
				if (s.state === 'waiting')
					s.close();
			});
			w.told.length = 0;
			w.gateway.kill();
			await w.clock.advance(MINUTE);
			assert.equal(s.state, 'closed');
			assert.deepEqual(w.told.slice(w.told.findIndex(
				(e) => e.type === 'close')).map((e) => e.type),
			['close']);
			assert.deepEqual(w.all('state').map((e) => e.state),
				type === 'snapshot' ? ['closed'] :
					['waiting', 'closed']);
			assert.equal(timersOf(w), 0);
		});

test('an error whose listener connects anew promises no retry', async () => {
	const w = new World(), s = w.stream();

	await w.clock.advance(SECOND);
	s.onerror = () => s.reconnect();
	w.gateway.kill();
	await w.clock.advance(SECOND);
	assert.equal(s.state, 'open');
	assert.equal(w.all('error').length, 1);
	assert.equal(w.all('retry').length, 0);
	s.close();
});

test('with nothing possible it is closed, and stays so', async () => {
	const w = new World();
	const s = w.stream({ fetch: undefined, WebSocket: undefined });

	await w.clock.advance(MINUTE);
	assert.equal(s.state, 'closed');
	assert.equal(w.all('close').length, 1);
});

test('also the only transport has ten seconds, the second time as well',
	async () => {
		const w = new World();

		w.gateway.faults.ws = 'mute';
		w.stream({ transports: ['ws'] });
		await w.clock.advance(10 * SECOND);
		assert.match(w.all('error')[0].reason, /silent/);
		await w.clock.advance(12 * SECOND);
		assert.match(w.all('error')[1].reason, /silent/);
	});

/* A fetch whose bodies come in pieces of at most that size. */
const inPieces = (fetch, size, read = () => {}) => async (...args) => {
	const answer = await fetch(...args);
	const reader = answer.body.getReader();
	let rest = new Uint8Array();

	return { ...answer, body: { getReader: () => ({
		async read() {
			if (!rest.length)
				rest = (await reader.read()).value;

			const value = rest.slice(0, size);

			rest = rest.slice(size);
			read(value.length);
			return { done: false, value };
		}
	}) } };
};

test('an event stream is read in any pieces', async () => {
	for (const size of [1, 2, 7]) {
		const w = new World(), o = w.options();
		const s = w.stream({ transports: ['sse'],
			fetch: inPieces(o.fetch, size) });

		/* Letters of more than one byte. */
		for (const data of ['größer', { a: '✓' }])
			w.gateway.publish(data);
		s.addEventListener('message', (e) => w.told.push(e));
		for (let i = 0; i < 40; i++)
			await w.clock.advance(20);
		for (const data of ['größer', { a: '✓' }])
			w.gateway.publish(data, 'tick');
		for (let i = 0; i < 40; i++)
			await w.clock.advance(20);
		assert.deepEqual(w.all('message').map((e) => [e.event, e.data]),
			[['tick', 'größer'], ['tick', { a: '✓' }]]);
		s.close();
	}
});

test('what is long and comes in small pieces is looked through once',
	async (t) => {
		const w = new World(), o = w.options(), split = String.prototype.split;
		let looked = 0, total = 0;

		w.stream({ transports: ['sse'],
			fetch: inPieces(o.fetch, 100, (n) => total += n) });
		await w.clock.advance(SECOND);
		String.prototype.split = function (...args) {
			looked += this.length;
			return split.apply(this, args);
		};
		t.after(() => {
			String.prototype.split = split;
		});
		w.gateway.publish('long'.repeat(2500));
		while (!w.ids.length && w.clock.time < 1e12 + 5 * SECOND)
			await w.clock.advance(10);
		assert.deepEqual(w.ids, ['ep1-1']);
		assert.ok(looked < 2 * total, `${looked} of ${total}`);
	});

test('an end that the gateway has announced is waited for as it says',
	async () => {
		const w = new World();
		const s = w.stream({ transports: ['sse'], random: () => 1 });

		await w.clock.advance(SECOND);
		for (const line of w.gateway.open)
			line.say({ type: 'spillway.bye\nretry: 7000' });
		w.gateway.kill(1012);
		await w.clock.advance(SECOND);

		const { delay } = w.all('retry')[0];

		/* Not all at once, though. */
		assert.equal(delay, 7250);
		s.close();
	});

test('204 is the end of an event stream', async () => {
	const w = new World();

	w.gateway.faults.sse = 204;

	const s = w.stream({ transports: ['sse'] });

	await w.clock.advance(SECOND);
	assert.equal(s.state, 'closed');
	assert.equal(w.all('close')[0].code, 4410);
});

for (const status of [406, 408, 426, 429])
	test(`${status} of the gateway is no end`, async () => {
		const w = new World();

		w.gateway.faults.short = { status };

		const s = w.stream({ transports: ['short'] });

		await w.clock.advance(SECOND);
		w.gateway.faults = {};
		await w.clock.advance(MINUTE);
		assert.equal(s.state, 'open');
	});

for (const [code, most] of [[4000, 0], [1006, 500], [1001, 1000],
	[1012, 1000]])
	test(`how late it comes back after ${code}`, async () => {
		const w = new World();
		const s = w.stream({ transports: ['ws'], random: () => 1 });

		await w.clock.advance(MINUTE);
		w.gateway.kill(code);
		await w.clock.advance(5 * SECOND);

		const { delay } = w.all('retry')[0];

		assert.equal(delay, most);
		assert.equal(s.state, 'open');
	});

test('the gateway says how late that may be', async () => {
	const w = new World();

	w.gateway.retry = 3000;

	const s = w.stream({ transports: ['ws'], random: () => 1 });

	await w.clock.advance(MINUTE);
	w.gateway.kill();
	await w.clock.advance(5 * SECOND);
	assert.equal(w.all('retry')[0].delay, 3000);
	s.close();
});

test('one that falls silent again and again is not relied on', async () => {
	const w = new World(), s = w.stream();

	await w.clock.advance(SECOND);
	for (let i = 0; i < 3; i++) {
		w.gateway.kill(4408);
		await w.clock.advance(30 * SECOND);
	}
	assert.equal(s.transport, 'sse');
	s.close();
});

test('one that opens and dies at once is tried less and less often',
	async () => {
		const w = new World(), s = w.stream({ transports: ['ws'] });

		s.addEventListener('open', () => w.clock.setTimeout(
			() => w.gateway.kill(4408), 1));
		await w.clock.advance(10 * MINUTE);
		assert.ok(w.all('open').length < 100,
			`${w.all('open').length} times`);
		s.close();
	});

test('after a good while it is as if it had never failed', async () => {
	const w = new World();

	w.gateway.down = true;

	const s = w.stream({ transports: ['ws'] });

	await w.clock.advance(MINUTE);
	w.gateway.down = false;
	await w.clock.advance(2 * MINUTE);
	w.gateway.kill();
	await w.clock.advance(1);
	assert.equal(w.all('retry').at(-1).attempt, 1);
	s.close();
	s.connect();
	assert.equal(s.attempts, 0);
	s.close();
});

/* Polls. */

test('a poll is held longer and longer', async () => {
	const w = new World();

	w.stream({ transports: ['long'] });
	await w.clock.advance(2 * MINUTE);
	assert.deepEqual(asked(w, 'long').slice(0, 7)
		.map((a) => Number(param(a, 'wait'))), [1, 2, 4, 8, 16, 25, 25]);
});

test('who cuts polls that wait gets shorter ones', async () => {
	const w = new World(), o = w.options();

	w.stream({ transports: ['long'], fetch: (url, options) => {
		const cut = new AbortController();

		options.signal.addEventListener('abort', () => cut.abort());
		w.clock.setTimeout(() => cut.abort(), 10 * SECOND);
		return o.fetch(url, { ...options, signal: cut.signal });
	} });
	await w.clock.advance(10 * MINUTE);

	const waits = asked(w, 'long').map((a) => Number(param(a, 'wait')));

	/* The one of 16 was cut after ten. */
	assert.deepEqual(waits.slice(0, 9), [1, 2, 4, 8, 16, 1, 2, 4, 8]);
	assert.equal(w.all('error').length, 1);
	assert.equal(waits.at(-1), 8);
});

test('polls that nobody holds do not spin', async () => {
	const w = new World(), o = w.options();

	w.stream({ transports: ['long'], fetch: (url, options) =>
		o.fetch(url.replace('transport=long', 'transport=short'),
			options) });
	await w.clock.advance(MINUTE);
	assert.ok(w.gateway.asked.length <= 61);
	assert.ok(w.gateway.asked.length > 50);
});

test('polls that bring something follow each other at once', async () => {
	const w = new World();

	w.stream({ transports: ['long'] });
	await w.clock.advance(SECOND);
	for (let i = 0; i < 50; i++) {
		w.gateway.publish(i);
		await w.clock.advance(20);
	}
	assert.equal(w.ids.length, 50);
});

test('once it has caught up, a poll tells so no more', async () => {
	for (const name of ['long', 'short']) {
		const w = new World();

		for (let i = 0; i < 12; i++)
			w.gateway.publish(i);

		const s = w.stream({ transports: [name], after: 'start' });

		await w.clock.advance(MINUTE);
		assert.equal(w.ids.length, 12);
		assert.deepEqual(w.all('caughtup').map((e) => e.cursor),
			['ep1-12']);
		s.close();
	}
});

/* Which transport. */

test('what failed where another one works is left out for five minutes',
	async () => {
		const w = new World();

		w.gateway.faults.ws = 'refuse';

		const s = w.stream({ storage: null, transports: ['ws', 'long'] });

		await w.clock.advance(SECOND);
		s.reconnect();
		await w.clock.advance(SECOND);
		assert.equal(asked(w, 'ws').length, 1);
		s.close();
	});

test('what is better is tried again and again, each time later', async () => {
	const w = new World();

	w.gateway.faults.ws = 'refuse';

	const s = w.stream({ transports: ['ws', 'sse'] });

	await w.clock.advance(120 * MINUTE);

	const times = asked(w, 'ws').map((a) => a.at);
	const pauses = times.slice(1).map((t, i) => t - times[i]);

	for (const [i, ms] of pauses.entries()) {
		const about = Math.min(MINUTE * 2 ** i, 15 * MINUTE);

		assert.ok(ms >= about * 0.75 && ms <= about * 1.25 + SECOND,
			`${i}: ${ms}`);
	}
	assert.ok(pauses.length > 7);
	s.close();
});

test('what has won is not tried any more, and nothing has failed', async () => {
	const w = new World();

	w.gateway.faults.ws = 'refuse';

	const s = w.stream();

	await w.clock.advance(SECOND);
	w.gateway.faults = {};
	await w.clock.advance(60 * MINUTE);
	assert.equal(asked(w, 'ws').length, 2);
	assert.deepEqual(w.all('transport').map((e) => Object.keys(e.failed)),
		[['ws'], []]);
	s.close();
});

test('a token that cannot be had now ends no stream that works', async () => {
	const w = new World();
	let times = 0;

	w.gateway.faults.ws = 'refuse';

	const s = w.stream({ getToken: () => {
		if (times++)
			throw new Error('the login is down');
		return 'opaque';
	} });

	await w.clock.advance(10 * MINUTE);
	assert.ok(times > 2);
	assert.equal(s.transport, 'sse');
	assert.equal(w.all('error').length, 0);
	s.close();
});

test('what has won again is not held to have failed', async () => {
	const w = new World();

	w.gateway.faults.ws = 'refuse';

	const s = w.stream({ storage: null });

	await w.clock.advance(SECOND);
	w.gateway.faults = {};
	await w.clock.advance(2 * MINUTE);
	assert.equal(s.transport, 'ws');
	w.gateway.kill();
	await w.clock.advance(2 * SECOND);
	assert.equal(s.transport, 'ws');
	/* And there is nothing better to be tried. */
	await w.clock.advance(60 * MINUTE);
	assert.equal(asked(w, 'ws').length, 3);
	s.close();
});

test('on another network nothing is held against any transport', async () => {
	const w = new World(), window = windowOf();

	w.gateway.faults.ws = 'refuse';

	const s = w.stream({ window });

	await w.clock.advance(SECOND);
	assert.equal(s.transport, 'sse');
	assert.equal(w.storage.size, 1);
	w.gateway.faults = {};
	w.gateway.down = true;
	w.gateway.kill();
	await w.clock.advance(MINUTE);
	/* Where none works, none is better than another. */
	assert.equal(w.storage.size, 0);
	w.gateway.down = false;
	window.fire('online');
	assert.equal(s.attempts, 0);
	await w.clock.advance(100);
	assert.equal(s.transport, 'ws');
	s.close();
});

test('the network is another one while a stream is in use', async () => {
	const w = new World(), window = windowOf();

	w.gateway.faults.ws = 'refuse';

	const s = w.stream({ window }), network = window.navigator.connection;

	await w.clock.advance(SECOND);
	w.gateway.faults = {};
	/* Browsers tell of each other speed, too, and some of nothing else. */
	network.fire('change');
	assert.equal(w.storage.size, 1);
	assert.equal(asked(w, 'short').length, 0);
	network.type = 'cellular';
	network.fire('change');
	assert.equal(w.storage.size, 0);
	w.gateway.kill();
	await w.clock.advance(SECOND);
	assert.equal(s.transport, 'ws');
	s.close();
});

test('a page that wakes up twice asks twice what it missed', async () => {
	const w = new World(), window = windowOf();

	w.stream({ window, after: 'start' });
	w.gateway.publish(1);
	await w.clock.advance(SECOND);
	for (let i = 1; i <= 2; i++) {
		window.document.fire('visibilitychange');
		await w.clock.advance(10 * SECOND);
		assert.equal(asked(w, 'short').length, i);
	}
	/* A socket that is only quiet says so when it is asked. */
	assert.equal(w.all('error').length, 0);
	window.document.fire('visibilitychange');
	for (let i = 2; i <= 4; i++)
		w.gateway.publish(i);
	await w.clock.advance(SECOND);
	assert.deepEqual(w.ids, [1, 2, 3, 4].map((n) => `ep1-${n}`));
});

for (const name of ['long', 'short'])
	test(`a page that wakes up polls at once: ${name}`, async () => {
		const w = new World(), window = windowOf();
		const s = w.stream({ window, transports: [name],
			pollInterval: MINUTE });

		await w.clock.advance(2.5 * MINUTE);

		const polls = w.gateway.asked.length;

		/* Held on a socket that nobody is behind any more. */
		for (const line of w.gateway.open)
			line.mute = true;
		w.gateway.publish(1);
		window.document.fire('visibilitychange');
		await w.clock.advance(SECOND);
		assert.deepEqual(w.ids, ['ep1-1']);
		assert.equal(asked(w, 'short').length > 0, true);
		/* It goes on as before. */
		w.gateway.publish(2);
		await w.clock.advance(name === 'long' ? SECOND : MINUTE);
		assert.deepEqual(w.ids, ['ep1-1', 'ep1-2']);
		assert.equal(w.gateway.asked.length - polls,
			name === 'long' ? 3 : 2);
		assert.equal(w.all('error').length, 0);
		assert.equal(s.stats.connects, 1);
		s.close();
	});

test('a stream that is only read, and was heard lately, is left in peace',
	async () => {
		const w = new World(), window = windowOf();

		w.stream({ window, transports: ['sse'] });
		await w.clock.advance(SECOND);
		window.document.fire('visibilitychange');
		await w.clock.advance(10 * SECOND);
		assert.equal(w.all('error').length, 0);
		assert.equal(asked(w, 'sse').length, 1);
	});

test('what is asked for beside a stream ends with it', async () => {
	const w = new World(), window = windowOf();
	const s = w.stream({ window, after: 'start' });

	w.gateway.publish(1);
	await w.clock.advance(SECOND);
	w.gateway.faults.short = 'swallow';
	window.document.fire('visibilitychange');
	s.reconnect();
	await w.clock.advance(SECOND);
	w.gateway.faults = {};
	window.document.fire('visibilitychange');
	await w.clock.advance(SECOND);
	assert.equal(asked(w, 'short').length, 2);
	s.close();
});

test('other channels go on behind the cursor', async () => {
	const w = new World();
	let rooms = 'a';
	const s = new Spillway.Stream(() => `http://gw/stream/${rooms}`,
		w.options({ transports: ['ws'] }));

	w.gateway.publish(1);
	await w.clock.advance(SECOND);
	w.gateway.publish(2);
	await w.clock.advance(SECOND);
	rooms = 'a,b';
	s.reconnect();
	await w.clock.advance(SECOND);

	const [first, second] = asked(w, 'ws');

	assert.equal(new URL(first.url).pathname, '/stream/a');
	assert.equal(new URL(second.url).pathname, '/stream/a,b');
	assert.equal(param(second, 'after'), 'ep1-2');
	s.close();
});

test('a gap is counted once', async () => {
	const w = new World();

	w.gateway.publish(1);
	w.gateway.publish(2);
	w.gateway.trim(1);

	const s = w.stream({ after: 'ep1-0' });

	await w.clock.advance(SECOND);
	assert.equal(s.stats.gaps, 1);
	assert.deepEqual(w.ids, ['ep1-2']);
	s.close();
});

test('put away after a refusal for now, it comes back at once', async () => {
	const w = new World(), window = windowOf();

	w.gateway.faults.short = { status: 503, headers: { 'retry-after': '60' } };

	const s = w.stream({ transports: ['short'], window });

	await w.clock.advance(SECOND);
	window.document.fire('visibilitychange');
	await w.clock.advance(SECOND);
	assert.equal(w.gateway.asked.length, 1);
	window.fire('pagehide');
	w.gateway.faults = {};
	window.fire('pageshow', { persisted: true });
	await w.clock.advance(100);
	assert.equal(s.state, 'open');
	s.close();
});

/* Tokens. */

test('a renewal that throws leaves the token that there is', async () => {
	const w = new World(), exp = Math.floor(w.clock.now() / SECOND) + 60;
	const token = `e30.${Buffer.from(`{"exp":${exp}}`)
		.toString('base64url')}.sig`;
	const s = w.stream({ transports: ['sse'], getToken: ({ refresh }) => {
		if (refresh)
			throw new Error('by policy');
		return token;
	} });

	w.gateway.tokens = [token];
	await w.clock.advance(50 * SECOND);
	assert.equal(asked(w, 'sse').length, 1);

	const m = s.send('with it');

	await w.clock.advance(SECOND);
	assert.equal(m.status, 'acknowledged');
	s.close();
});

/* What is sent. */

test('a message says from the beginning all that it will', () => {
	const { done, ...m } = new World().stream().send(1);

	assert.ok(done instanceof Promise);
	for (const name in m)
		if (name.startsWith('_'))
			delete m[name];
	assert.deepEqual(m, { seq: 1, status: 'queued', id: null,
		duplicate: false, reply: null, error: null });
});

test('what fails for now is sent again, each time later, until it works',
	async () => {
		const w = new World(11);
		const s = w.stream({ transports: ['sse'], queueAge: 10 * MINUTE,
			random: () => 1 });

		await w.clock.advance(SECOND);
		w.gateway.faults.post = { status: 503 };

		const first = s.send(1), second = s.send(2);

		await w.clock.advance(16 * SECOND);

		const times = asked(w, 'post').map((a) => a.at);

		assert.deepEqual(times.slice(1).map((t, i) =>
			Math.floor((t - times[i]) / 100) / 10), [0.5, 1, 2, 4, 8]);
		w.gateway.faults.post = undefined;
		await w.clock.advance(20 * SECOND);
		assert.equal(first.status, 'acknowledged');
		assert.equal(second.status, 'acknowledged');
		/* That was not the second one's fault. */
		w.gateway.faults.post = { status: 503 };
		s.send(3);
		await w.clock.advance(700);
		assert.equal(asked(w, 'post').length, 10);
		s.close();
	});

test('Retry-After of what is sent is the least', async () => {
	const w = new World(), s = w.stream({ transports: ['sse'] });

	await w.clock.advance(SECOND);
	w.gateway.faults.post = { status: 503, headers: { 'retry-after': '9' } };

	const m = s.send(1);

	await w.clock.advance(8 * SECOND);
	assert.equal(asked(w, 'post').length, 1);
	w.gateway.faults.post = undefined;
	await w.clock.advance(2 * SECOND);
	assert.equal(m.status, 'acknowledged');
	s.close();
});

test('an answer that does not come is not waited for', async () => {
	const w = new World(), s = w.stream();

	await w.clock.advance(SECOND);
	w.gateway.swallowSends = true;

	const m = s.send(1);

	await w.clock.advance(9 * SECOND);
	w.gateway.swallowSends = false;
	assert.equal(m.status, 'queued');
	await w.clock.advance(2 * SECOND);
	assert.equal(m.status, 'acknowledged');
	s.close();
});

test('what is sent again was not left under way', async () => {
	const w = new World(), o = w.options(), signals = [];
	const s = w.stream({ transports: ['sse'], fetch: (url, options) => {
		if (options.method === 'POST')
			signals.push(options.signal);
		return o.fetch(url, options);
	} });

	await w.clock.advance(SECOND);
	w.gateway.faults.post = 'swallow';

	const m = s.send(1);

	await w.clock.advance(SECOND);
	w.gateway.faults.post = undefined;
	s.reconnect();
	assert.deepEqual(signals.map((a) => a.aborted), [true]);
	await w.clock.advance(SECOND);
	assert.equal(m.status, 'acknowledged');
	s.close();
});

test('an answer to another message is none to this one', async () => {
	const w = new World(), s = w.stream();

	await w.clock.advance(SECOND);
	w.gateway.swallowSends = true;

	const m = s.send(1);

	for (const line of w.gateway.open)
		line.say({ op: 'ok', ref: 7 });
	await w.clock.advance(SECOND);
	assert.equal(m.status, 'queued');
	s.close();
});

/* Platforms. */

test('where fetch can stream, nothing older is touched', async (t) => {
	const w = new World();
	class Older {
		constructor() {
			throw new Error('touched');
		}
	}
	const kept = globalThis.EventSource;

	globalThis.EventSource = Older;
	t.after(() => {
		globalThis.EventSource = kept;
	});

	const s = w.stream({ transports: ['sse'], XMLHttpRequest: Older,
		EventSource: Older });

	await w.clock.advance(SECOND);
	s.send(1);
	await w.clock.advance(SECOND);
	assert.equal(w.ids.length, 1);
	assert.equal(w.all('error').length, 0);
	s.close();
});

test('an EventSource of the page\'s own is preferred to fetch', async () => {
	const w = new World(), o = w.options();
	let made = 0;
	class Own extends eventSourceOf(o.fetch) {
		constructor(...args) {
			super(...args);
			made++;
		}
	}
	const s = w.stream({ transports: ['sse'], EventSource: Own });

	await w.clock.advance(SECOND);
	assert.equal(s.transport, 'sse');
	assert.equal(made, 1);
	w.gateway.kill();
	await w.clock.advance(5 * SECOND);
	assert.equal(w.all('error')[0].code, 1006);
	s.close();
});

test('old browsers, which read in blocks, get a prelude', async () => {
	const w = new World(), o = w.options();
	const s = w.stream({ transports: ['sse'], fetch: undefined,
		XMLHttpRequest: xhrOf(o.fetch), getToken: () => 'mine' });

	w.gateway.tokens = ['mine'];
	await w.clock.advance(SECOND);
	assert.equal(s.state, 'open');
	assert.equal(param(asked(w, 'sse')[0], 'padding'), '1');
	s.close();
	await w.clock.advance(SECOND);
	assert.equal(w.gateway.open.size, 0);
	assert.equal(w.all('error').length, 0);
});

test('an address that is relative is that of the document', async (t) => {
	const w = new World();

	globalThis.document = {
		createElement: () => ({
			set href(url) {
				this.url = new URL(url, 'https://gw/page');
			},
			get href() {
				return this.url.href;
			}
		})
	};
	t.after(() => delete globalThis.document);

	const s = new Spillway.Stream('../stream/a', w.options());

	await w.clock.advance(SECOND);
	assert.equal(s.transport, 'ws');
	assert.match(String(w.gateway.asked[0].url), /^wss:\/\/gw\/stream\/a\?/);
	s.close();

	const { StreamEventSource, StreamWebSocket } = Spillway;

	assert.equal(new StreamEventSource('/a', w.options()).url,
		'https://gw/a');
	assert.equal(new StreamWebSocket('/a', w.options()).url, 'wss://gw/a');
});

test('the faces have what the platform\'s own have', () => {
	const w = new World(), at = 'http://gw/stream/a';
	const source = new Spillway.StreamEventSource(new URL(at), w.options());
	const socket = new Spillway.StreamWebSocket(at, [], w.options());

	assert.equal(source.url, at);
	assert.equal(source.withCredentials, false);
	assert.equal(new Spillway.StreamEventSource(at, w.options(
		{ withCredentials: true })).withCredentials, true);
	assert.equal(socket.url, 'ws://gw/stream/a');
	assert.equal(socket.binaryType, 'blob');
	assert.equal(socket.bufferedAmount, 0);
	assert.equal(socket.protocol + socket.extensions, '');
});

/* The stream: which transport it uses, when it changes, what that costs. */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { World } = require('./world.js');

const SECOND = 1000, MINUTE = 60000;

/* Publish some, and see them all, once, in order. */
async function follows(w, stream, count = 20) {
	const ids = [...w.ids];

	for (let i = 0; i < count; i++) {
		ids.push(w.gateway.publish({ i }));
		await w.clock.advance(100);
	}
	await w.clock.advance(3 * SECOND);
	assert.deepEqual(w.ids, ids);
}

test('a WebSocket that works is used at once, and nothing else is tried',
	async () => {
		const w = new World(), s = w.stream();

		await w.clock.advance(SECOND);
		assert.equal(s.transport, 'ws');
		assert.equal(s.state, 'open');
		await w.clock.advance(10 * MINUTE);
		assert.deepEqual(w.gateway.asked.map((a) => a.name), ['ws']);
		await follows(w, s);
	});

test('every transport carries the session',
	async () => {
		const w = new World();

		w.gateway.faults.ws = 'refuse';
		w.gateway.faults.sse = 404;

		const s = w.stream({ session: 'mine' });

		await w.clock.advance(10 * SECOND);
		assert.equal(s.transport, 'long');
		assert.deepEqual(new Set(w.gateway.asked.map((a) => a.name)),
			new Set(['ws', 'sse', 'short', 'long']));
		for (const { name, url } of w.gateway.asked)
			assert.equal(new URL(url).searchParams.get('session'),
				'mine', name);
	});

for (const fault of ['refuse', 'throw'])
	test(`a WebSocket that fails (${fault}) is followed by SSE at once`,
		async () => {
			const w = new World();

			w.gateway.faults.ws = fault;

			const s = w.stream();

			await w.clock.advance(100);
			assert.equal(s.transport, 'sse');
			assert.ok(w.all('transport')[0].failed.ws);
			await follows(w, s);
		});

for (const fault of ['swallow', 'mute', 'hold'])
	test(`a WebSocket that is silent (${fault}) costs two seconds`,
		async () => {
			const w = new World();

			w.gateway.faults.ws = fault;

			const s = w.stream();

			await w.clock.advance(1900);
			assert.equal(s.state, 'connecting');
			await w.clock.advance(200);
			assert.equal(s.transport, 'sse');
			await follows(w, s);
		});

test('without WebSocket and SSE it is a long poll, then a short one',
	async () => {
		const w = new World();

		w.gateway.faults = { ws: 'swallow', sse: 'mute' };

		const s = w.stream();

		await w.clock.advance(4100);
		assert.equal(s.transport, 'long');
		await follows(w, s);

		const held = w.gateway.asked.filter((a) => a.name === 'long');

		assert.ok(held.length > 0);
		s.close();

		const v = new World();

		v.gateway.faults = { ws: 'refuse', sse: 'refuse',
			long: 'swallow' };

		const t = v.stream();

		await v.clock.advance(MINUTE);
		assert.equal(t.transport, 'short');
		await follows(v, t);
	});

test('what a proxy buffers is no proof: SSE whose hello comes alone',
	async () => {
		const w = new World();

		w.gateway.faults = { ws: 'refuse', sse: 'hold' };

		const s = w.stream();

		await w.clock.advance(2200);
		assert.equal(s.transport, 'long');
	});

test('a request that throws is one that failed, and is tried again',
	async () => {
		for (const name of ['sse', 'long', 'short']) {
			const w = new World(), o = w.options();
			let broken = true;
			const s = w.stream({ transports: [name],
				fetch: (...args) => {
					if (broken)
						throw new Error('by policy');
					return o.fetch(...args);
				} });

			await w.clock.advance(SECOND);
			assert.equal(s.state, 'waiting');
			assert.match(w.all('error')[0].reason, /by policy/);
			broken = false;
			await w.clock.advance(MINUTE);
			assert.equal(s.transport, name);
			await follows(w, s);
			s.close();
		}
	});

test('a better transport takes over once it works again', async () => {
	const w = new World();

	w.gateway.faults.ws = 'refuse';

	const s = w.stream();

	await w.clock.advance(SECOND);
	assert.equal(s.transport, 'sse');
	w.gateway.faults = {};

	const ids = [];

	for (let i = 0; i < 120; i++) {
		ids.push(w.gateway.publish(i));
		await w.clock.advance(SECOND);
	}
	assert.equal(s.transport, 'ws');
	assert.deepEqual(w.ids, ids);
	/* Nobody was told of an interruption, for there was none. */
	assert.equal(w.all('open').length, 1);
	assert.equal(w.all('error').length, 0);
});

test('a connection that falls silent is left after 2.5 heartbeats',
	async () => {
		const w = new World(), s = w.stream();

		await w.clock.advance(MINUTE);
		for (const line of w.gateway.open)
			line.mute = true;

		const ids = [w.gateway.publish(1)];

		await w.clock.advance(40 * SECOND);
		assert.equal(s.state, 'open');
		assert.match(w.all('error')[0].reason, /silent/);
		assert.deepEqual(w.ids, ids);
	});

test('a WebSocket that keeps dying is left for SSE, and tried again',
	async () => {
		const w = new World(), s = w.stream();

		await w.clock.advance(SECOND);
		for (let i = 0; i < 3; i++) {
			w.gateway.kill();
			await w.clock.advance(30 * SECOND);
		}
		assert.equal(s.transport, 'sse');
		await w.clock.advance(2 * MINUTE);
		assert.equal(s.transport, 'ws');
	});

test('a server that is down blocks nothing', async () => {
	const w = new World();

	w.gateway.down = true;

	const s = w.stream();

	await w.clock.advance(3 * MINUTE);
	assert.notEqual(s.state, 'open');
	w.gateway.down = false;
	await w.clock.advance(MINUTE);
	assert.equal(s.transport, 'ws');
	assert.equal(w.storage.size, 0);
});

test('the winner is remembered, for a time', async () => {
	const w = new World();

	w.gateway.faults.ws = 'swallow';

	const first = w.stream();

	await w.clock.advance(3 * SECOND);
	assert.equal(first.transport, 'sse');
	first.close();

	const next = w.stream();

	await w.clock.advance(100);
	assert.equal(next.transport, 'sse');
	next.close();
	await w.clock.advance(31 * MINUTE);
	w.gateway.faults = {};

	const later = w.stream();

	await w.clock.advance(100);
	assert.equal(later.transport, 'ws');
});

test('delays are random below a limit that doubles, and never end',
	async () => {
		const w = new World(7);

		w.gateway.down = true;

		const s = w.stream({ transports: ['ws'] });

		await w.clock.advance(30 * MINUTE);

		const delays = w.all('retry').map((e) => e.delay);

		assert.ok(delays.length > 60, String(delays.length));
		delays.forEach((d, n) => {
			assert.ok(d >= 250, String(d));
			assert.ok(d <= Math.min(30000, 500 * 2 ** n),
				`${n}: ${d}`);
		});
		/* Jitter after the cap: they are not all the cap. */
		assert.ok(new Set(delays.slice(10)).size > 40);
		s.close();
	});

test('Retry-After is the least', async () => {
	const w = new World();

	w.gateway.faults.short = { status: 503,
		headers: { 'retry-after': '7' } };
	w.stream({ transports: ['short'] });
	await w.clock.advance(SECOND);

	const delay = w.all('retry')[0].delay;

	assert.ok(delay >= 7000 && delay < 7500, String(delay));
});

test('only what is over counts as over', async () => {
	for (const code of [4403, 4404, 4410]) {
		const w = new World();

		w.gateway.faults.ws = code;

		const s = w.stream();

		await w.clock.advance(SECOND);
		assert.equal(s.state, 'closed');
		assert.equal(w.all('close')[0].code, code);
	}
	for (const code of [1000, 1011, 1012, 1013, 4000, 4100, 4408, 4429]) {
		const w = new World(), s = w.stream();

		await w.clock.advance(SECOND);
		w.gateway.kill(code);
		await w.clock.advance(MINUTE);
		assert.equal(s.state, 'open', String(code));
	}
});

test('the refusal of some proxy is that of one transport, ours of all',
	async () => {
		const w = new World();

		w.gateway.faults = { ws: 'refuse', sse: 403 };

		const s = w.stream();

		await w.clock.advance(SECOND);
		assert.equal(s.transport, 'long');
		s.close();
		w.gateway.faults.sse = { status: 403 };
		w.storage.clear();

		const t = w.stream();

		await w.clock.advance(SECOND);
		assert.equal(t.state, 'closed');
		assert.equal(w.all('close')[0].code, 4403);
	});

test('a token is asked for with each connect, and refreshed once', async () => {
	const w = new World();
	const asked = [];

	w.gateway.tokens = ['b'];

	const s = w.stream({
		getToken: async ({ refresh }) => {
			asked.push(refresh);
			return refresh ? 'b' : 'a';
		}
	});

	await w.clock.advance(SECOND);
	assert.deepEqual(asked, [false, true]);
	assert.equal(s.state, 'open');
	await w.clock.advance(MINUTE);
	/* Expired, and nobody has a better one. */
	w.gateway.tokens = ['c'];
	w.gateway.kill(4401);
	await w.clock.advance(MINUTE);
	assert.deepEqual(asked, [false, true, true]);
	assert.equal(s.state, 'closed');
	assert.equal(w.all('close')[0].code, 4401);
});

test('a token that cannot be had is asked for again', async () => {
	const w = new World();
	let broken = true;
	const s = w.stream({
		getToken: async () => {
			if (broken)
				throw new Error('no network');
			return 'x';
		}
	});

	await w.clock.advance(MINUTE);
	assert.notEqual(s.state, 'open');
	broken = false;
	await w.clock.advance(MINUTE);
	assert.equal(s.state, 'open');
});

test('a gap is told, and ids that begin again are taken', async () => {
	const w = new World(), s = w.stream();

	await w.clock.advance(SECOND);
	w.gateway.publish(1);
	await w.clock.advance(SECOND);
	w.gateway.down = true;
	w.gateway.kill();
	w.gateway.publish(2);
	w.gateway.publish(3);
	w.gateway.trim(2);
	w.gateway.down = false;
	await w.clock.advance(MINUTE);
	assert.equal(w.all('gap')[0].reason, 'trimmed');
	assert.deepEqual(w.ids, ['ep1-1', 'ep1-3']);

	for (const transport of ['ws', 'sse', 'long']) {
		w.gateway.faults = { ws: 'refuse', sse: 'refuse' };
		delete w.gateway.faults[transport];
		w.gateway.restart();
		w.gateway.publish('new');
		await w.clock.advance(MINUTE);
		assert.equal(w.ids.at(-1), w.gateway.cursor(1));
		assert.equal(w.all('gap').at(-1).reason, 'epoch');
	}
	assert.equal(w.ids.length, 5);
	s.close();
});

for (const name of ['ws', 'sse', 'long', 'short'])
	test('who connects anew when told of another log misses nothing of it, ' +
		`over ${name}`, async () => {
		const w = new World(), s = w.stream({ transports: [name] });

		await w.clock.advance(SECOND);
		w.gateway.publish('of the old one');
		await w.clock.advance(5 * SECOND);
		s.addEventListener('gap', () => s.reconnect('another log'));
		w.gateway.restart();
		for (let i = 0; i < 7; i++)
			w.gateway.publish(i);
		await w.clock.advance(MINUTE);
		assert.deepEqual(w.ids.slice(1),
			w.gateway.events.map((e) => e.id));
		assert.equal(w.all('gap').length, 1);
		s.close();
	});

test('after a start at the newest few, nothing comes twice', async () => {
	for (const name of ['ws', 'sse', 'long', 'short']) {
		const w = new World();

		for (let i = 0; i < 20; i++)
			w.gateway.publish(i);

		const s = w.stream({ last: 3, transports: [name] });

		await w.clock.advance(5 * SECOND);
		w.gateway.kill();
		await w.clock.advance(MINUTE);
		assert.deepEqual(w.ids, ['ep1-18', 'ep1-19', 'ep1-20'], name);
		s.close();
	}
});

test('closed means closed, and may be opened again', async () => {
	const w = new World(), s = w.stream();

	await w.clock.advance(SECOND);
	s.close();
	s.close();
	assert.equal(w.gateway.open.size, 0);
	await w.clock.advance(10 * MINUTE);
	assert.equal(w.gateway.asked.length, 1);
	assert.equal(w.all('close').length, 1);
	w.gateway.publish('missed');
	s.connect();
	await w.clock.advance(SECOND);
	assert.deepEqual(w.ids, ['ep1-1']);
});

test('made and closed at once, as StrictMode does, it opens nothing',
	async () => {
		const w = new World();

		w.stream().close();
		await w.clock.advance(MINUTE);
		assert.equal(w.gateway.asked.length, 0);
	});

test('a snapshot is another one only when something changed', async () => {
	const w = new World(), s = w.stream();
	const seen = [];
	const end = s.subscribe(() => seen.push(s.getSnapshot().state));

	assert.equal(s.getSnapshot(), s.getSnapshot());
	await w.clock.advance(SECOND);
	assert.deepEqual(seen, ['connecting', 'open']);

	const open = s.getSnapshot();

	w.gateway.publish(1);
	await w.clock.advance(SECOND);
	assert.equal(s.getSnapshot(), open);
	end();
	s.close();
	assert.equal(seen.length, 2);
	assert.equal(s.getSnapshot().state, 'closed');
});

test('an exception of a listener is the page\'s, not ours', async () => {
	const w = new World(), s = w.stream();
	const caught = [];
	const before = process.listeners('uncaughtException');

	process.removeAllListeners('uncaughtException');
	process.on('uncaughtException', (e) => caught.push(e.message));
	s.addEventListener('message', () => {
		throw new Error('of the page');
	});
	await w.clock.advance(SECOND);
	w.gateway.publish(1);
	w.gateway.publish(2);
	await w.clock.advance(SECOND);
	await new Promise((done) => setTimeout(done, 0));
	await new Promise((done) => setTimeout(done, 0));
	process.removeAllListeners('uncaughtException');
	before.forEach((l) => process.on('uncaughtException', l));
	assert.deepEqual(w.ids, ['ep1-1', 'ep1-2']);
	assert.deepEqual(caught, ['of the page', 'of the page']);
});

for (const [after, least, most] of [['-5', 250, 500], ['nonsense', 250, 500],
	['99999999999', 1e9, Infinity]])
	test(`no Retry-After makes it hurry: ${after}`, async () => {
		const w = new World();

		w.gateway.faults.short = { status: 503,
			headers: { 'retry-after': after } };
		w.stream({ transports: ['short'] });
		await w.clock.advance(100);

		const { delay } = w.all('retry')[0];

		assert.ok(delay >= least && delay <= most, String(delay));
		/* More than 2^31 ms would be over at once. */
		for (const { at } of w.clock.timers.values())
			assert.ok(at - w.clock.now() < 2 ** 31);
	});

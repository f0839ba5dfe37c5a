/* What is sent: told truly, in order, once. */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { Spillway, World } = require('./world.js');
const { windowOf } = require('./platforms.js');

const SECOND = 1000, MINUTE = 60000;

for (const name of ['ws', 'sse', 'long', 'short'])
	test(`what is sent is acknowledged with its id, over ${name}`,
		async () => {
			const w = new World();
			const s = w.stream({ transports: [name] });
			const sent = [s.send({ n: 1 }), s.send('two')];

			assert.equal(sent[0].status, 'queued');
			await w.clock.advance(5 * SECOND);
			assert.deepEqual(sent.map((m) => m.status),
				['acknowledged', 'acknowledged']);
			assert.deepEqual(sent.map((m) => m.id), w.ids);
			assert.deepEqual(w.gateway.events.map((e) => e.data),
				[{ n: 1 }, 'two']);
			assert.equal((await sent[0].done).id, w.ids[0]);
		});

test('an answer that is lost does not send it twice', async () => {
	const w = new World(), s = w.stream();

	await w.clock.advance(SECOND);
	for (const line of w.gateway.open)
		line.mute = true; /* it arrives, the answer does not */

	const m = s.send('once');

	await w.clock.advance(SECOND);
	assert.equal(w.gateway.events.length, 1);
	w.gateway.kill();
	await w.clock.advance(20 * SECOND);
	assert.equal(m.status, 'acknowledged');
	assert.equal(m.duplicate, true);
	assert.equal(w.gateway.events.length, 1);
});

test('a full queue refuses, and what is too old is given up', async () => {
	const w = new World();

	w.gateway.down = true;

	const s = w.stream({ queueMax: 2 });
	const sent = [1, 2, 3].map((n) => s.send(n));

	assert.deepEqual(sent.map((m) => m.status),
		['queued', 'queued', 'failed']);
	assert.equal(sent[2].error, 'queue full');
	await w.clock.advance(31 * SECOND);
	assert.deepEqual(sent.map((m) => m.status),
		['failed', 'failed', 'failed']);
	assert.equal((await sent[0].done).error, 'expired');
	w.gateway.down = false;
	await w.clock.advance(MINUTE);
	assert.equal(w.gateway.events.length, 0);
});

test('thousands may be too old at once', async () => {
	const w = new World();

	w.gateway.down = true;

	const s = w.stream({ queueMax: 20000 });
	const sent = Array.from({ length: 20000 }, (_, n) => s.send(n));

	await w.clock.advance(31 * SECOND);
	assert.ok(sent.every((m) => m.error === 'expired'));
});

test('what went out without an answer is unknown, not failed', async () => {
	const w = new World(), s = w.stream();

	await w.clock.advance(SECOND);
	w.gateway.swallowSends = true;

	const m = s.send('where is it');

	await w.clock.advance(35 * SECOND);
	assert.equal(m.status, 'unknown');
	assert.equal(s.send(undefined).status, 'failed');
	s.close();
	assert.equal(s.send(1).error, 'closed');
});

test('a refusal fails one message, a full queue of theirs holds the order',
	async () => {
		for (const name of ['ws', 'long']) {
			const w = new World();
			const s = w.stream({ transports: [name] });
			let busy = 2;

			w.gateway.refuse = (m) => m.data === 'bad' ?
				'forbidden' : m.data === 'first' &&
					busy-- > 0 ? 'overloaded' : null;

			const sent = ['first', 'bad', 'last'].map((d) =>
				s.send(d));

			await w.clock.advance(20 * SECOND);
			assert.deepEqual(sent.map((m) => m.status),
				['acknowledged', 'failed', 'acknowledged']);
			assert.deepEqual(w.gateway.events.map((e) => e.data),
				['first', 'last']);
		}
	});

test('a token that is too old is refreshed for what is sent', async () => {
	const w = new World();

	w.gateway.tokens = ['a'];

	const s = w.stream({ transports: ['sse'],
		getToken: ({ refresh }) => refresh ? 'b' : 'a' });

	await w.clock.advance(MINUTE);
	w.gateway.tokens = ['b'];

	const m = s.send('again');

	await w.clock.advance(10 * SECOND);
	assert.equal(m.status, 'acknowledged');
	assert.equal(s.state, 'open');
});

test('a token that expires again and again is refreshed each time',
	async () => {
		const w = new World();
		let token = 'first';

		w.gateway.tokens = [token];

		const s = w.stream({ transports: ['sse'],
			getToken: ({ refresh }) => {
				if (refresh)
					token = w.gateway.tokens[0];
				return token;
			} });

		for (const next of ['second', 'third', 'fourth']) {
			await w.clock.advance(MINUTE);
			w.gateway.tokens = [next];

			/* Nothing but its refusal tells that it expired. */
			const m = s.send(next);

			await w.clock.advance(10 * SECOND);
			assert.equal(m.status, 'acknowledged');
			assert.equal(s.state, 'open');
		}
		s.close();
	});

test('bytes are sent as such, whatever the transport, in order', async () => {
	for (const name of ['ws', 'long']) {
		const w = new World();
		const s = w.stream({ transports: [name] });
		const bytes = new TextEncoder().encode('as it was');
		const sent = [s.send('before'), s.send(bytes),
			s.send(new Blob(['blob'])), s.send([0])];

		bytes.fill(0);
		await w.clock.advance(5 * SECOND);
		assert.deepEqual(sent.map((m) => m.status),
			Array(4).fill('acknowledged'));
		assert.deepEqual(w.gateway.events.map((e) => e.data),
			['before', { bytes: 'as it was' }, { bytes: 'blob' },
				[0]]);
		s.close();
	}
});

for (const [what, said, reply] of [
	['JSON', [200, '{"answer":42}'], { answer: 42 }],
	['JSON that is text', [200, '"text"'], 'text'],
	['JSON like an answer of ours', [200, '{"op":"ok","ref":0,"id":"a-1"}'],
		{ op: 'ok', ref: 0, id: 'a-1' }],
	['null', [200, 'null'], null],
	['text', [200, '42 words', 'text/plain; charset=utf-8'], '42 words'],
	['nothing', [204, '', 'text/plain'], null]
])
	test(`a backend's reply to a message that is posted: ${what}`,
		async () => {
			const w = new World(), s = w.stream({ transports: ['sse'] });

			w.gateway.backend = () => said;

			const m = s.send('question');

			await w.clock.advance(SECOND);
			assert.equal(m.status, 'acknowledged');
			assert.deepEqual(m.reply, reply);
			assert.equal(m.id, null);
		});

for (const [status, error] of [[400, 'bad'], [413, 'bad'], [502, 'bad'],
	[504, 'bad']])
	test(`what the gateway refuses for good fails: ${status}`, async () => {
		const w = new World(), s = w.stream({ transports: ['long'] });

		w.gateway.backend = () => [status, '{"detail":"bad"}',
			'application/problem+json'];

		const m = s.send('question');

		await w.clock.advance(2 * SECOND);
		assert.equal(m.status, 'failed');
		assert.equal(m.error, error);
	});

test("a proxy's page in the place of an answer is tried again", async () => {
	const w = new World(), s = w.stream({ transports: ['long'] });
	let times = 2;

	w.gateway.backend = () => times-- > 0 &&
		[502, '<h1>Bad Gateway</h1>', 'text/html'];

	const m = s.send('question');

	await w.clock.advance(5 * SECOND);
	assert.equal(m.status, 'acknowledged');
	assert.equal(w.gateway.events.length, 1);
});

for (const name of ['sse', 'long', 'short'])
	test(`who may read but not send goes on reading, over ${name}`,
		async () => {
			const w = new World();
			const s = w.stream({ transports: [name],
				getToken: () => null });

			await w.clock.advance(SECOND);
			w.gateway.faults.post = { status: 401 };

			const m = s.send('may I?');

			await w.clock.advance(SECOND);
			assert.equal(m.status, 'failed');
			assert.equal(s.state, 'open');
			w.gateway.publish('read');
			await w.clock.advance(5 * SECOND);
			assert.equal(w.ids.length, 1);
		});

test('online again, what waits is sent at once', async () => {
	const w = new World(), window = windowOf();
	const s = w.stream({ transports: ['sse'], window });

	await w.clock.advance(SECOND);
	w.gateway.faults.post = 'refuse';

	const m = s.send('from the tunnel');

	await w.clock.advance(20 * SECOND);
	assert.equal(m.status, 'queued');
	w.gateway.faults.post = null;
	window.fire('online');
	await w.clock.advance(100);
	assert.equal(m.status, 'acknowledged');
	assert.equal(w.gateway.events.length, 1);
});

for (const name of ['ws', 'long'])
	test(`a page that keeps its session sends on behind a reload, by ${name}`,
		async () => {
			const w = new World();

			for (const said of ['before', 'after']) {
				const s = w.stream({ session: 'mine',
					transports: [name] });
				const m = s.send(said);

				await w.clock.advance(SECOND);
				assert.equal(m.status, 'acknowledged');
				assert.equal(m.duplicate, false);
				s.close();
			}
			assert.deepEqual(w.gateway.events.map((e) => e.data),
				['before', 'after']);
		});

test('what is too long for a WebSocket fails, and ends it once', async () => {
	const w = new World(), s = w.stream({ transports: ['ws'] });

	w.gateway.isTooLong = (m) => m.data?.length > 100;
	await w.clock.advance(SECOND);

	const sent = ['one', 'x'.repeat(101), 'two'].map((m) => s.send(m));

	await w.clock.advance(5 * SECOND);
	assert.deepEqual(sent.map((m) => m.status),
		['acknowledged', 'failed', 'acknowledged']);
	assert.equal(sent[1].error, '1009');
	assert.equal(w.all('error').length, 1);
	assert.deepEqual(w.gateway.events.map((e) => e.data), ['one', 'two']);
	assert.equal(w.ids.length, 2);
	s.close();
});

test('a StreamWebSocket takes hundreds in one turn, as the platform\'s own',
	async () => {
		const w = new World(), socket = new Spillway.StreamWebSocket(
			'http://gw/stream/a', w.options());
		const sent = Array.from({ length: 900 }, (_, i) => `m${i}`);

		await w.clock.advance(1000);
		sent.forEach((text) => socket.send(text));
		assert.ok(socket.bufferedAmount > 0);
		await w.clock.advance(10000);
		assert.deepEqual(w.gateway.events.map((e) => e.data), sent);
		assert.equal(socket.bufferedAmount, 0);
		socket.close();
	});

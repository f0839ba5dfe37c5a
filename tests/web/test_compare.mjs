/* What the compare page counts, and what it writes. */

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

/* Pages know what is a module; older Node.js has to be told. */
const place = mkdtempSync(path.join(tmpdir(), 'spillway-compare-'));

after(() => rmSync(place, { recursive: true }));
cpSync(fileURLToPath(new URL('../../web', import.meta.url)), place,
	{ recursive: true });
writeFileSync(path.join(place, 'package.json'), '{ "type": "module" }');

const load = (name) =>
	import(pathToFileURL(path.join(place, 'compare', name)));
const { Clock, countPanes, formatBytes, formatCount, formatMs, formatTime,
	Histogram } = await load('measure.js');
const { AutoPane } = await load('auto.js');
const { Ladder } = await load('ladder.js');
const { LESSONS, Player } = await load('lessons.js');
const { Pane, Tally, TransportPane } = await load('pane.js');
const { Refusal } = await load('../transports.js');
const { toCsv } = await load('report.js');

const kinds = (tally) => tally.marks.map((m) => `${m.n} ${m.kind}`);

test('an event that does not come is missing, until it comes late', () => {
	const tally = new Tally(1);

	assert.equal(tally.take(1, false), 'live');
	assert.equal(tally.take(4, false), 'live');
	assert.equal(tally.missed, 2);
	assert.equal(tally.take(3, false), 'late');
	assert.equal(tally.missed, 1);
	assert.deepEqual(kinds(tally),
		['1 live', '2 missing', '3 late', '4 live']);
	assert.deepEqual([tally.received, tally.late], [3, 1]);
});

test('an event that comes twice is counted as a duplicate alone', () => {
	const tally = new Tally(5);

	tally.take(5, false);
	assert.equal(tally.take(5, false), 'duplicate');
	assert.equal(tally.take(4, false), 'duplicate');
	assert.deepEqual([tally.received, tally.duplicates, tally.missed],
		[1, 2, 0]);
});

test('what comes while resuming is caught up', () => {
	const tally = new Tally(1);

	tally.take(1, true);
	tally.take(2, false);
	assert.equal(tally.caughtUp, 1);
	assert.deepEqual(kinds(tally), ['1 caught-up', '2 live']);
});

test('a hole of any size is counted without going through it', () => {
	const tally = new Tally(1);

	tally.take(3, false);
	tally.take(1e15, false);
	assert.equal(tally.missed, 1e15 - 2);
	assert.equal(tally.missing.size, 10000);
	assert.deepEqual(kinds(tally).slice(-2),
		['999999999999999 missing', '1000000000000000 live']);
	assert.equal(tally.marks.length, 120);
	assert.equal(tally.take(1e15 - 10000, false), 'late');
	assert.equal(tally.take(1e15 - 10001, false), 'duplicate');
	assert.equal(tally.missed, 1e15 - 3);
});

test('the oldest of ten thousand that are missing is lost', () => {
	const tally = new Tally(1);

	tally.take(10001, false);
	assert.equal(tally.missing.size, 10000);
	tally.take(10003, false);
	assert.deepEqual([tally.missing.size, tally.lost], [10000, 1]);
	assert.equal(tally.take(1, false), 'duplicate');
	assert.equal(tally.take(2, false), 'late');
});

test('what somebody else says is shown, and not measured', () => {
	const pane = new Pane('ws', 'WebSocket');
	const others = ['text', null, [1], { n: '1', t: 1 }, { n: 2 },
		{ n: 2, t: 'now' }, { n: 2 ** 53 + 4, t: 1 }];

	pane.run = { clock: { now: () => 100 } };
	pane.take({ id: 'e-1', data: { n: 1, t: 90 } });
	for (const data of others)
		pane.take({ id: 'e-2', data });
	pane.take({ id: 'e-3', data: { n: 2, t: 80 } });
	assert.deepEqual(pane.rows.slice(-8).map((r) => r.text),
		[...others.map((data) => typeof data === 'string' ? data :
			JSON.stringify(data)), '#2']);
	assert.deepEqual([pane.tally.received, pane.tally.missed], [2, 0]);
	assert.equal(pane.latency.sum, 30);
	assert.equal(pane.cursor, 'e-3');
});

test('a pane says how it is, and what it lost on the way', (t) => {
	const pane = new Pane('short', 'Short polls'), log = [];
	let now = 1000;

	pane.log = (_, text) => log.push(text);
	pane.read = (signal) => t.after(() => assert.ok(signal.aborted));
	pane.start({ clock: { now: () => now } }, 'e-0', 1);
	assert.equal(pane.state, 'connecting');
	pane.asked();
	now += 20;
	pane.hear('spillway.hello', {});
	assert.deepEqual(pane.asks, [{ at: 1000, end: 1020 }]);
	pane.opened();
	assert.deepEqual([pane.state, pane.reconnects], ['live', 0]);
	pane.hear('message', { id: 'e-1', data: { n: 1, t: 900 } });
	/* A hundred of it went by before it was asked for. */
	assert.equal(pane.waiting.sum, 100);

	pane.asked();
	pane.away('cut');
	assert.deepEqual([pane.state, pane.why], ['away', 'cut']);
	assert.equal(pane.asks.at(-1).end, 1020);
	pane.opened();
	pane.opened();
	assert.deepEqual([pane.state, pane.why, pane.reconnects],
		['live', '', 1]);
	pane.hear('spillway.gap', { reason: 'trimmed' });
	pane.hear('message', { id: 'e-3', data: { n: 3, t: 1000 } });
	pane.hear('spillway.caughtup', {});
	pane.hear('message', { id: 'e-4', data: { n: 4, t: 1000 } });
	assert.deepEqual([pane.gaps, pane.tally.missed, pane.tally.caughtUp],
		[1, 1, 1]);
	assert.deepEqual(kinds(pane.tally),
		['1 live', '2 missing', '3 caught-up', '4 live']);
	pane.stop();
	assert.equal(pane.state, 'stopped');
	assert.deepEqual(log, ['connected', 'lost the connection: cut',
		'connected', 'gap: trimmed']);
});

test('what the ladder does not show any more is forgotten', () => {
	const pane = new Pane('sse', 'SSE');
	let now = 0;
	const take = (first, last) => {
		for (let n = first; n <= last; n++)
			pane.take({ id: `e-${n}`, data: { n, t: now } });
	};

	pane.run = { clock: { now: () => now } };
	take(1, 1000);
	now = 30000;
	take(1001, 1010);
	assert.equal(pane.arrivals.length, 1010);
	/* Not each by itself. */
	now = 32000;
	take(1011, 1011);
	assert.deepEqual([pane.arrivals.length, pane.arrivals[0].n],
		[11, 1001]);
	now = 62000;
	take(1012, 1012);
	assert.equal(pane.arrivals.length, 12);
	now = 99000;
	take(1013, 1013);
	assert.equal(pane.arrivals.length, 1);
});

test('a transport is tried again until it is refused', async (t) => {
	const told = [];
	const pane = new TransportPane('ws', 'WebSocket', {
		read: async (reader) => {
			told.push(reader.state);
			if (told.length === 3)
				throw new Refusal('forbidden');
			if (told.length === 1)
				throw new Error('cut');
		}
	});

	t.mock.method(globalThis, 'setTimeout', setImmediate);
	t.mock.method(globalThis, 'clearTimeout', clearImmediate);
	pane.run = { clock: { now: () => 0 } };
	await pane.read(new AbortController().signal);
	assert.deepEqual(told, ['idle', 'away', 'away']);
	assert.deepEqual([pane.state, pane.why], ['refused', 'forbidden']);
	pane.life = new AbortController();
	pane.stop();
	assert.equal(pane.state, 'refused');
});

test('what all workers have counted is added up', async (t) => {
	const pane = (name, n) => ({ name, requests: n, connections: 2 * n,
		faults: ['cap'], bytes: { payload: 3 * n, framing: n } });
	const asked = [];

	t.mock.method(globalThis, 'fetch', async (url) => {
		asked.push(url);

		const panes = [pane('r-ws', 1), pane('r-sse', 5),
			pane('r-ws', 10)];

		return { ok: true, json: async () => ({ panes }) };
	});

	const sums = await countPanes('r-');

	assert.match(asked[0], /lab\/panes\/r-/);
	assert.deepEqual([...sums.keys()], ['r-ws', 'r-sse']);

	const { requests, connections, faults, bytes } = sums.get('r-ws');

	assert.deepEqual([requests, connections, faults], [11, 22, ['cap']]);
	assert.deepEqual(bytes, { handshake: 0, request_headers: 0,
		response_headers: 0, framing: 11, heartbeat: 0, payload: 33 });
});

test('quantiles are right to 2.4 percent', () => {
	const histogram = new Histogram();

	for (let ms = 1; ms <= 1000; ms++)
		histogram.add(ms);
	for (const q of [0.5, 0.95, 0.99])
		assert.ok(Math.abs(histogram.quantile(q) / (1000 * q) - 1) < 0.024,
			`${q}: ${histogram.quantile(q)}`);
	assert.equal(histogram.max, 1000);
	assert.equal(histogram.bars(5).reduce((a, b) => a + b), 1000);
	assert.ok(Number.isNaN(new Histogram().quantile(0.5)));
	assert.equal(new Histogram().summary().p50, null);
});

test('a clock that slept, or drifts, is set again', async (t) => {
	const clock = new Clock();
	let ours = 0, theirs = 5000, took = 0.5;
	const probe = (ms) => {
		took = ms;
		return clock.probe(1);
	};

	t.mock.method(Clock, 'now', () => ours);
	t.mock.method(globalThis, 'fetch', async () => {
		ours += took / 2;
		theirs += took / 2;

		const now = theirs;

		ours += took / 2;
		theirs += took / 2;
		return { ok: true, json: async () => ({ now }) };
	});
	await probe(1);
	assert.deepEqual([clock.offset, clock.error], [5000, 0.5]);
	/* A slow answer that says the same changes nothing. */
	await probe(40);
	assert.deepEqual([clock.offset, clock.error], [5000, 0.5]);
	theirs += 60000;
	await probe(2);
	assert.deepEqual([clock.offset, clock.error], [65000, 1]);
	assert.equal(clock.probes, 3);
});

test('numbers look as people write them', () => {
	assert.deepEqual([0.04, 9.94, 12.3, 999.6, 12345].map(formatMs),
		['0.0', '9.9', '12', '1.00 s', '12.3 s']);
	assert.equal(formatTime(12.3), '12 ms');
	assert.equal(formatTime(1200), '1.20 s');
	assert.deepEqual([0, 99.97, 5.25, 1234.5, NaN].map(formatCount),
		['0', '100', '5.3', '1,235', '–']);
	assert.deepEqual([0, 1006, 12345, 99e6].map(formatBytes),
		['0 B', '1,006 B', '12 kB', '99 MB']);
});

test('what no event has cost is not known', () => {
	const pane = new Pane('ws', 'WebSocket');

	assert.ok(Number.isNaN(pane.each().total));
	pane.counted = { bytes: { handshake: 500, request_headers: 0,
		response_headers: 0, framing: 100, heartbeat: 0, payload: 0 } };
	assert.ok(Number.isNaN(pane.each().total));
	assert.ok(Number.isNaN(pane.each().bytes.handshake));
	pane.tally.take(1, false);
	pane.tally.take(2, false);
	assert.equal(pane.each().bytes.handshake, 250);
	assert.equal(pane.each().total, 300);
});

const bytesOf = (payload, framing) => ({ handshake: 0, request_headers: 0,
	response_headers: 0, framing, heartbeat: 0, payload });

test('with other settings costs and latencies are measured anew', () => {
	const pane = new Pane('ws', 'WebSocket');
	const take = (from, to, ms) => {
		for (let n = from; n <= to; n++) {
			pane.tally.take(n, false);
			pane.latency.add(ms);
		}
	};

	take(1, 10, 100);
	pane.counted = { bytes: bytesOf(640, 1000) };
	assert.deepEqual(pane.measured(),
		{ events: 10, bytes: pane.counted.bytes });
	pane.measureAnew();
	assert.equal(pane.measured().events, 0);
	assert.equal(pane.latency.count, 0);
	take(11, 12, 5);
	pane.counted = { bytes: bytesOf(640 + 8192, 1200) };
	assert.deepEqual(pane.measured(),
		{ events: 2, bytes: bytesOf(8192, 200) });
	assert.equal(pane.each().total, 4196);
	assert.equal(pane.latency.max, 5);
	/* What was counted is all that there was. */
	assert.equal(pane.tally.received, 12);
});

/* What a player does with three steps, when told to do this. */
async function play(tell) {
	const said = [];
	const player = new Player({ step: (lesson, step) => said.push(step.say),
		over: () => said.push('over') });

	player.play({ steps: [{ at: 0, say: 'a' }, { at: 1e6, say: 'b' },
		{ at: 2e6, say: 'c' }] });
	await new Promise((done) => setTimeout(done, 5));
	tell(player);
	player.stop();
	return said;
}

test('a lesson can wait, go on, and be hurried', async () => {
	assert.deepEqual(await play(() => {}), ['a']);
	assert.deepEqual(await play((player) => {
		assert.ok(player.playing && !player.paused);
		player.pause();
		assert.ok(player.playing && player.paused);
		player.resume();
		assert.ok(!player.paused);
		player.skip();
		player.pause();
		/* What is next is next, and goes on by itself from there. */
		player.skip();
		assert.ok(!player.paused);
		assert.equal(player.reached, 2e6);
	}), ['a', 'b', 'c']);
	assert.deepEqual(await play((player) => {
		for (let i = 0; i < 3; i++)
			player.skip();
		assert.ok(!player.playing && !player.paused);
	}), ['a', 'b', 'c', 'over']);
});

test('what a lesson has left while it waits is as much as before', async () => {
	const said = [];
	const player = new Player({ step: () => said.push('step'),
		over: () => {} });

	player.play({ steps: [{ at: 0 }, { at: 100 }] });
	await new Promise((done) => setTimeout(done, 5));
	player.pause();
	const { reached } = player;
	assert.ok(reached >= 0 && reached <= 100);
	await new Promise((done) => setTimeout(done, 5));
	player.resume();
	assert.equal(player.reached, reached);
	player.stop();
	assert.deepEqual(said, ['step']);
});

test('every step of every lesson comes before its end, in order', () => {
	for (const { name, steps } of LESSONS) {
		const times = steps.map((step) => step.at);

		assert.deepEqual(times, [...times].sort((a, b) => a - b), name);
		assert.equal(times[0], 0, name);
		assert.ok(times.at(-1) <= 120, name);
	}
});

test('cells of the CSV are quoted, and none is a formula', () => {
	const pane = { transport: '=1+1', received: 'a"b,c', missing: -3,
		caughtUp: 0, late: 0, duplicates: 0, gaps: 0, reconnects: 0,
		requests: null, connections: 1, bytes: null, latencyMs: {} };
	const lines = toCsv({ panes: [pane], clock: { errorMs: 1 } })
		.split('\r\n');

	assert.equal(lines.length, 3);
	assert.equal(lines[0].split(',').length,
		lines[1].replace('"a""b,c"', '').split(',').length);
	assert.ok(lines[1].startsWith('\'=1+1,"a""b,c",-3,0,'));
});

/* A rung that is tried, is answered or not, and is given up by the client. */
async function rungGivenUp(answer, meanwhile) {
	const pane = new AutoPane(), attempt = new AbortController();

	globalThis.location = { href: 'http://gw/' };
	globalThis.fetch = () => answer;
	pane.run = { clock: { now: () => 0 } };
	pane.stream = { transport: null };
	pane.life = new AbortController();
	pane.watchFetch('http://gw/stream/a?transport=sse',
		{ signal: attempt.signal }).catch(() => {});
	await new Promise(setImmediate);
	assert.equal(pane.rungs.get('sse').state, 'trying');
	meanwhile(pane, () => attempt.abort());
	await new Promise(setImmediate);
	const { state, why } = pane.rungs.get('sse');
	return why ? `${state}: ${why}` : state;
}

test('a rung that proves nothing has failed, and says how', async () => {
	const ok = Promise.resolve({ ok: true });
	const never = new Promise(() => {});
	const wins = (transport) => (pane, abort) => {
		/* The client drops what is worse, and then tells who won. */
		if (transport === 'ws')
			abort();
		pane.changeTransport({ transport, failed: {} });
		if (transport !== 'ws')
			abort();
	};

	assert.equal(await rungGivenUp(ok, (pane, abort) => abort()),
		'failed: answered, and stayed silent');
	assert.equal(await rungGivenUp(never, (pane, abort) => abort()),
		'failed: no answer');
	/* A poll is in use, and the stream was waited for all the same. */
	assert.equal(await rungGivenUp(ok, (pane) =>
		pane.changeTransport({ transport: 'long', failed: {} })), 'trying');
	assert.equal(await rungGivenUp(ok, wins('long')),
		'failed: answered, and stayed silent');
	/* Not needed any more, or all is over. */
	assert.equal(await rungGivenUp(ok, wins('ws')), 'waiting');
	assert.equal(await rungGivenUp(ok, (pane, abort) => {
		pane.life.abort();
		abort();
	}), 'trying');
});

/* The pane whose client uses a transport, and the rungs after one request. */
async function rungsAfter(transport, asked) {
	const pane = new AutoPane();

	globalThis.location = { href: 'http://gw/' };
	globalThis.fetch = async () => ({ ok: true });
	pane.run = { clock: { now: () => 0 } };
	pane.stream = { transport };
	if (transport)
		pane.rungs.get(transport).state = 'used';
	await pane.watchFetch(`http://gw/stream/a?transport=${asked}`, {});
	assert.equal(pane.requests, 1);
	return [...pane.rungs].filter(([, rung]) => rung.state === 'trying')
		.map(([name]) => name);
}

test('a poll beside a stream, for what was missed, is no rung that is tried',
	async () => {
		assert.deepEqual(await rungsAfter('ws', 'short'), []);
		assert.deepEqual(await rungsAfter('sse', 'short'), []);
		assert.deepEqual(await rungsAfter(null, 'short'), ['long']);
		assert.deepEqual(await rungsAfter('sse', 'long'), ['long']);
	});

/* How often the ladder's pen is put to paper for so many events and requests. */
function strokesFor(count) {
	let strokes = 0;
	const pen = new Proxy({}, {
		get: (_, name) => () => {
			strokes += name === 'stroke' || name === 'fill';
		},
		set: () => true
	});
	const canvas = { clientWidth: 1000, style: {}, getContext: () => pen };
	const all = Array.from({ length: count }, (_, n) => n);

	globalThis.devicePixelRatio = 1;
	globalThis.getComputedStyle = () => ({ fontSize: '16px',
		fontFamily: 'serif', getPropertyValue: () => 'black' });
	globalThis.Path2D = class {
		moveTo() {}
		lineTo() {}
		rect() {}
	};
	new Ladder(canvas).paint([{ kind: 'long',
		asks: all.map((n) => ({ at: n, end: n + 100 })),
		arrivals: all.map((n) => ({ n, sent: n, at: n + 5 })) }], 1000, 1);
	return strokes;
}

test('a thousand events are drawn in as many strokes as one', () => {
	assert.ok(strokesFor(1) > 0);
	assert.equal(strokesFor(1000), strokesFor(1));
});

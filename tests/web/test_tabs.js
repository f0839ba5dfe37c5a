/* Tabs that share a connection: whoever leads, nothing lost, nothing twice. */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { Browser } = require('./tabs.js');
const { randomFrom } = require('./world.js');

const SECOND = 1000, MINUTE = 60000;
const RUNS = Number(process.env.SPILLWAY_FAULT_RUNS ?? 100);
const FIRST = Number(process.env.SPILLWAY_FAULT_SEED ?? 1);

const streams = (b) => [...b.world.gateway.open].length;

async function publishes(b, count = 20) {
	for (let i = 0; i < count; i++) {
		b.world.gateway.publish(i);
		await b.world.clock.advance(100);
	}
	await b.world.clock.advance(SECOND);
}

function sawAll(b) {
	const all = b.world.gateway.events.map((e) => e.id);

	for (const tab of b.tabs)
		assert.deepEqual(tab.ids, all);
}

for (const [how, locks] of [['a lock', true], ['a lease', false]]) {
	test(`seven tabs have one connection (${how})`, async () => {
		const b = new Browser(1, locks);

		for (let i = 0; i < 7; i++)
			b.tab();
		await b.world.clock.advance(20 * SECOND);
		for (const tab of b.tabs)
			assert.equal(tab.stream.state, 'open');

		const before = b.world.gateway.asked.length;

		await publishes(b);
		/* All of it over the one. */
		assert.equal(b.world.gateway.asked.length, before);
		assert.equal(streams(b), 1);
		assert.equal(b.leaders.length, 1);
		for (const tab of b.tabs) {
			assert.equal(tab.stream.state, 'open');
			assert.equal(tab.stream.transport,
				b.leaders.includes(tab) ? 'ws' : 'tab');
		}
		sawAll(b);
		await b.world.clock.advance(10 * MINUTE);
		await publishes(b);
		sawAll(b);
		assert.equal(b.world.gateway.asked.filter((a) =>
			a.name === 'ws').length, 1);
	});

	for (const end of ['crash', 'shut'])
		test(`the next tab leads when one is gone: ${end} (${how})`,
			async () => {
				const b = new Browser(2, locks);

				for (let i = 0; i < 4; i++)
					b.tab();
				await b.world.clock.advance(20 * SECOND);
				for (let i = 0; i < 3; i++) {
					await publishes(b, 5);
					b.leaders[0][end]();
					await publishes(b, 5);
					await b.world.clock.advance(20 * SECOND);
					sawAll(b);
					assert.equal(b.leaders.length, 1);
					assert.equal(streams(b), 1);
				}
			});

	test(`what followers send is acknowledged once it is stored (${how})`,
		async () => {
			const b = new Browser(3, locks);

			for (let i = 0; i < 3; i++)
				b.tab();
			await b.world.clock.advance(20 * SECOND);

			const sent = [...b.tabs].map((t, n) =>
				t.stream.send({ n }));

			await b.world.clock.advance(SECOND);
			for (const m of sent) {
				assert.equal(m.status, 'acknowledged');
				assert.ok(b.world.gateway.events.some((e) =>
					e.id === m.id));
			}
			b.world.gateway.refuse = () => 'forbidden';
			for (const tab of b.tabs) {
				const m = tab.stream.send('no');

				await b.world.clock.advance(SECOND);
				assert.equal(m.status, 'failed');
			}
			sawAll(b);
		});
}

test('two that claim the lease in one moment have one connection',
	async () => {
		const b = new Browser(20, false), kept = b.world.options().storage;
		let looks = 0;

		b.tab();
		/* What others wrote meanwhile it does not see yet. */
		b.tab({ storage: { ...kept, getItem: (name) =>
			++looks <= 2 ? null : kept.getItem(name) } });
		await b.world.clock.advance(10 * SECOND);
		assert.ok(looks > 2);
		assert.equal(b.world.gateway.asked.filter((a) =>
			a.name === 'ws').length, 1);
		await publishes(b, 2);
		sawAll(b);
	});

test('who follows one that says goodbye does not wait for its lease',
	async () => {
		const b = new Browser(21, false);

		b.tab();
		b.tab();
		await b.world.clock.advance(20 * SECOND);
		b.leaders[0].stream.close();
		await b.world.clock.advance(SECOND / 2);
		assert.equal(b.leaders.length, 1);
		assert.equal(streams(b), 1);
	});

test('of two that lead with a lease the one with the lesser name gives way',
	async () => {
		const b = new Browser(22, false), tab = b.tab();

		await b.world.clock.advance(SECOND);

		const port = new (b.channelOf({}))(b.channels[0].name);

		port.postMessage({ kind: 'up', from: '' });
		await b.world.clock.advance(1);
		assert.deepEqual(b.leaders, [tab]);
		port.postMessage({ kind: 'up', from: '~' });
		await b.world.clock.advance(1);
		assert.deepEqual(b.leaders, []);
		assert.equal(streams(b), 0);
	});

test('what comes while a follower catches up is not lost', async () => {
	const b = new Browser(23), { clock, gateway } = b.world;
	const { fetch } = b.world.options();

	b.tab();
	await clock.advance(SECOND);
	await publishes(b, 12);

	/* Its answers are a while on their way. */
	b.tab({
		after: 'start', fetch: async (...request) => {
			const answer = await fetch(...request);

			await new Promise((done) => clock.setTimeout(done, 5));
			return answer;
		}
	});

	/* At every moment of its polls. */
	for (let i = 0; i < 40; i++) {
		gateway.publish(i);
		await clock.advance(4);
	}
	sawAll(b);
});

test('who is closed while it catches up asks no more', async () => {
	const b = new Browser(24), { asked } = b.world.gateway;

	b.tab();
	await b.world.clock.advance(SECOND);
	await publishes(b, 12);

	const follower = b.tab({ after: 'start' });

	while (asked.at(-1).name !== 'short')
		await b.world.clock.advance(1);
	follower.stream.close();
	assert.ok(follower.aborts.at(-1).signal.aborted);
});

test('a change of leaders is no failure for those who follow', async () => {
	const b = new Browser(14);

	for (let i = 0; i < 4; i++)
		b.tab();
	await b.world.clock.advance(SECOND);
	for (let i = 0; i < 2; i++) {
		const before = b.leaders[0];

		before.shut();
		/* Quiet for longer than they wait for a proof. */
		await b.world.clock.advance(MINUTE);
		assert.notEqual(b.leaders[0], before);
		for (const tab of b.tabs)
			assert.deepEqual(tab.told.filter((e) =>
				e.type === 'error'), []);
	}
	await publishes(b, 3);
	sawAll(b);
});

for (const [how, locks] of [['a lock', true], ['a lease', false]])
	test(`what a leader says that thaws leads nobody astray (${how})`,
		async () => {
			const b = new Browser(13, locks), old = b.tab();

			await b.world.clock.advance(SECOND);
			old.frozen = true;
			/* Both ask to join it: it will answer, too late. */
			b.tab();
			b.tab();
			await b.world.clock.advance(10 * SECOND);
			old.thaw();
			await publishes(b, 5);
			assert.equal(b.leaders.length, 1);
			/* At the latest when the new one answers. */
			await b.world.clock.advance(20 * SECOND);
			sawAll(b);
		});

test('hidden tabs with timers by the minute have a leader again (a lease)',
	async () => {
		const b = new Browser(18, false), c = b.world.clock;
		let hidden = false;
		/* As browsers have it for pages in the background. */
		const slow = (shift) => ({
			now: () => c.now(),
			clearTimeout: (timer) => c.clearTimeout(timer),
			setTimeout: (run, ms = 0) => c.setTimeout(run, !hidden ?
				ms : ms + MINUTE -
					(c.now() + ms - shift) % MINUTE)
		});

		for (let i = 0; i < 4; i++)
			b.tab({ clock: slow(i * 7 * SECOND) });
		await c.advance(20 * SECOND);
		hidden = true;
		b.leaders[0].crash();
		for (let i = 0; i < 10; i++) {
			b.world.gateway.publish(i);
			await c.advance(MINUTE);
		}
		sawAll(b);
		hidden = false;
		await c.advance(MINUTE + 20 * SECOND);
		await publishes(b);
		assert.equal(b.leaders.length, 1);
		assert.equal(streams(b), 1);
		sawAll(b);
	});

test('an answer that a leader took along does not store it twice',
	async () => {
		const b = new Browser(4);

		for (let i = 0; i < 3; i++)
			b.tab();
		await b.world.clock.advance(SECOND);

		const follower = [...b.tabs].find((t) => !b.leaders.includes(t));
		const m = follower.stream.send('once');

		/* Posted, and the answer still on its way. */
		await b.world.clock.advance(5);
		b.leaders[0].crash();
		await b.world.clock.advance(MINUTE);
		assert.equal(m.status, 'acknowledged');
		assert.equal(b.world.gateway.events.length, 1);
	});

test('a frozen leader is replaced, and follows when it thaws', async () => {
	const b = new Browser(5);

	for (let i = 0; i < 3; i++)
		b.tab();
	await b.world.clock.advance(SECOND);

	const leader = b.leaders[0];

	leader.frozen = true;
	await publishes(b, 5);
	await b.world.clock.advance(3 * MINUTE);
	assert.equal(b.leaders.filter((t) => !t.frozen).length, 1);
	leader.thaw();
	await b.world.clock.advance(MINUTE);
	assert.equal(b.leaders.length, 1);
	await publishes(b, 5);
	sawAll(b);
	assert.equal(streams(b), 1);
});

test('what the channel loses is noticed and fetched', async () => {
	const b = new Browser(6);
	let n = 0;

	for (let i = 0; i < 3; i++)
		b.tab();
	await b.world.clock.advance(SECOND);
	b.lost = (m) => m.kind === 'event' && ++n % 3 === 0;
	await publishes(b, 30);
	b.lost = () => false;
	await publishes(b, 1);
	sawAll(b);
});

test('a tab that comes later begins where it wants to', async () => {
	const b = new Browser(7);

	b.tab();
	await b.world.clock.advance(SECOND);
	await publishes(b, 12);

	const from = { start: b.tab({ after: 'start' }), newest: b.tab({ last: 3 }),
		now: b.tab() };
	const all = b.world.gateway.events.map((e) => e.id);

	await b.world.clock.advance(SECOND);
	assert.deepEqual(from.start.ids, all);
	assert.deepEqual(from.newest.ids, all.slice(-3));
	assert.deepEqual(from.now.ids, []);
	await publishes(b, 2);
	assert.equal(from.start.ids.length, 14);
	assert.equal(from.newest.ids.length, 5);
	assert.equal(from.now.ids.length, 2);
	assert.equal(streams(b), 1);
});

test('a gap is told to each tab, a server that is down too', async () => {
	const b = new Browser(8);

	for (let i = 0; i < 3; i++)
		b.tab();
	await b.world.clock.advance(SECOND);
	await publishes(b, 3);
	b.world.gateway.down = true;
	b.world.gateway.kill();
	await b.world.clock.advance(SECOND);
	for (const tab of b.tabs)
		assert.notEqual(tab.stream.state, 'open');
	b.world.gateway.publish('trimmed');
	b.world.gateway.publish('kept');
	b.world.gateway.trim(4);
	b.world.gateway.down = false;
	await b.world.clock.advance(2 * MINUTE);
	for (const tab of b.tabs) {
		assert.equal(tab.stream.state, 'open');
		assert.deepEqual(tab.ids, ['ep1-1', 'ep1-2', 'ep1-3', 'ep1-5']);
		assert.equal(tab.told.filter((e) => e.type === 'gap').length, 1);
	}
	assert.equal(b.leaders.length, 1);
});

test('followers are back as soon as the one that leads is', async () => {
	const b = new Browser(26), { gateway, clock } = b.world;

	for (let i = 0; i < 4; i++)
		b.tab();
	await clock.advance(SECOND);
	gateway.down = true;
	gateway.kill();
	/* Each waits longer and longer. */
	await clock.advance(5 * MINUTE);
	gateway.down = false;
	while (!streams(b))
		await clock.advance(1);
	await clock.advance(50);
	for (const tab of b.tabs)
		assert.equal(tab.stream.state, 'open');
});

test('what waited in another log is not told in the next one', async () => {
	const b = new Browser(27), { gateway, clock } = b.world;

	b.tab();
	b.tab();
	await clock.advance(SECOND);
	/* They miss one, and what is behind it waits for the poll. */
	gateway.faults.short = 'swallow';
	b.lost = (m) => m.kind === 'event';
	gateway.publish('missed');
	await clock.advance(10);
	b.lost = () => false;
	gateway.publish('waits');
	await clock.advance(10);
	gateway.restart();
	gateway.faults = {};
	await clock.advance(2 * MINUTE);
	await publishes(b, 3);

	const follower = [...b.tabs].find((tab) => !b.leaders.includes(tab));

	assert.deepEqual(follower.ids, ['ep1x-1', 'ep1x-2', 'ep1x-3']);
});

test('closed streams leave nothing behind, and may come back', async () => {
	const b = new Browser(9), tabs = [b.tab(), b.tab()];
	const listeners = () => tabs.map((tab) =>
		Object.values(tab.stream._listeners).flat().length);

	await b.world.clock.advance(SECOND);

	const heard = listeners();

	for (const tab of tabs) {
		tab.stream.close();
		await b.world.clock.advance(SECOND);
	}
	assert.equal(b.channels.length, 0);
	assert.equal(streams(b), 0);
	for (const tab of tabs)
		assert.equal(tab.window.listeners.pagehide.size, 0);
	await publishes(b, 3);
	tabs.forEach((tab) => tab.stream.connect());
	await b.world.clock.advance(SECOND);
	sawAll(b);
	assert.equal(streams(b), 1);
	assert.deepEqual(listeners(), heard);
});

test('a refusal that comes late does not wake a leader that is closed',
	async () => {
		const b = new Browser(11), g = b.world.gateway;
		const more = { getToken: () => g.tokens[0] };

		g.tokens = ['a'];
		b.tab(more);
		b.tab(more);
		await b.world.clock.advance(SECOND);

		const [leader] = b.leaders;
		const follower = [...b.tabs].find((tab) => tab !== leader);
		const m = follower.stream.send('hello');

		/* Posted by the leader, and the answer still on its way. */
		await b.world.clock.advance(5);
		assert.equal(g.asked.at(-1).name, 'post');
		g.tokens = ['b'];
		leader.stream.close();
		await b.world.clock.advance(MINUTE);
		assert.equal(leader.stream.state, 'closed');
		assert.deepEqual(b.leaders, [follower]);
		assert.equal(streams(b), 1);
		assert.equal(m.status, 'acknowledged');
	});

test('where nothing can be shared each tab has its own connection',
	async () => {
		const b = new Browser(10, false);

		for (const share of [true, true, false])
			b.tab({ share, storage: null });
		await b.world.clock.advance(SECOND);
		assert.equal(streams(b), 3);
	});

test('where locks are forbidden each tab has its own connection', async () => {
	const b = new Browser(12);

	b.locks.request = () => Promise.reject(new Error('SecurityError'));
	for (let i = 0; i < 3; i++)
		b.tab();
	await b.world.clock.advance(20 * SECOND);
	for (const tab of b.tabs)
		assert.equal(tab.stream.transport, 'ws');
	await publishes(b);
	sawAll(b);
	assert.equal(streams(b), 3);
	/* None gave way to another. */
	assert.equal(b.world.gateway.asked.length, 3);

	/* One that is closed at once does not come back for it. */
	const tab = b.tab();

	tab.stream.connect();
	tab.stream.close();
	await b.world.clock.advance(20 * SECOND);
	assert.equal(tab.stream.state, 'closed');
	assert.equal(streams(b), 3);
});

test('where the channel is forbidden each tab has its own connection',
	async () => {
		const b = new Browser(15);
		const forbidden = class {
			constructor() {
				throw new Error('SecurityError');
			}
		};

		for (let i = 0; i < 2; i++)
			b.tab({ BroadcastChannel: forbidden });
		await b.world.clock.advance(SECOND);
		await publishes(b);
		sawAll(b);
		assert.equal(streams(b), 2);
	});

test('where storage is forbidden each tab has its own connection', async () => {
	const b = new Browser(19, false);
	const forbidden = () => {
		throw new Error('SecurityError');
	};

	for (let i = 0; i < 2; i++)
		b.tab({ storage: { getItem: forbidden, setItem: forbidden,
			removeItem: forbidden } });
	await b.world.clock.advance(SECOND);
	await publishes(b);
	sawAll(b);
	assert.equal(streams(b), 2);
});

test('where storage is full each tab has its own connection', async () => {
	const b = new Browser(25, false);
	const storage = { ...b.world.options().storage, setItem() {
		throw new Error('QuotaExceededError');
	} };

	for (let i = 0; i < 3; i++)
		b.tab({ storage });
	await b.world.clock.advance(20 * SECOND);
	await publishes(b);
	sawAll(b);
	assert.equal(streams(b), 3);
	assert.equal(b.world.gateway.asked.length, 3);
});

test('followers hear what came, whatever the leader makes of it', async () => {
	const b = new Browser(16), heard = [];

	b.tab();
	b.tab();
	await b.world.clock.advance(SECOND);

	const [leader] = b.leaders;
	const follower = [...b.tabs].find((tab) => tab !== leader);

	leader.stream.onmessage = (e) => {
		e.data.shown = () => true; /* which no channel takes */
		leader.ids.push(e.id);
	};
	follower.stream.addEventListener('message', (e) => heard.push(e.data));
	b.world.gateway.publish({ n: 1 });
	await b.world.clock.advance(SECOND);
	assert.deepEqual(heard, [{ n: 1 }]);
	sawAll(b);
});

test('streams that come and go behind a leader leave no request for its lock',
	async () => {
		const b = new Browser(17);

		b.tab();
		await b.world.clock.advance(SECOND);
		for (let i = 0; i < 5; i++) {
			const tab = b.tab();

			await b.world.clock.advance(SECOND);
			assert.equal(b.locks.queue.length, 1);
			tab.stream.close();
			await b.world.clock.advance(SECOND);
			assert.equal(b.locks.queue.length, 0);
		}
		assert.equal(b.leaders.length, 1);
	});

/* The names of tabs are what decides between two that lead. */
function namesFrom(random) {
	Object.defineProperty(globalThis, 'crypto', { configurable: true,
		value: { getRandomValues: (words) =>
			words.map(() => random() * 2 ** 32) } });
}

async function run(seed) {
	namesFrom(randomFrom(seed ^ 0x4a3e));

	const b = new Browser(seed, seed % 2 === 0);
	const random = randomFrom(seed ^ 0x7ab5), g = b.world.gateway;
	const pick = (list) => list[Math.floor(random() * list.length)];
	const sent = [];

	g.publish('before');
	for (let i = 0; i < 4; i++)
		b.tab({ after: 'start', queueAge: 1e9 });
	for (let step = 0; step < 40; step++) {
		const what = random(), tabs = [...b.tabs];

		if (what < 0.3)
			g.publish(step);
		else if (what < 0.45)
			sent.push(pick(tabs).stream.send(step));
		else if (what < 0.55)
			pick(tabs)[pick(['crash', 'shut'])]();
		else if (what < 0.65)
			b.tab({ after: 'start', queueAge: 1e9 });
		else if (what < 0.75)
			pick(tabs).frozen = true;
		else if (what < 0.85)
			tabs.forEach((tab) => tab.thaw());
		else if (what < 0.9)
			g.down = !g.down;
		else if (what < 0.95)
			g.kill();
		else
			g.faults.ws = pick([undefined, 'refuse', 'swallow']);
		if (!b.tabs.size)
			b.tab({ after: 'start', queueAge: 1e9 });
		await b.world.clock.advance(random() *
			(random() < 0.2 ? MINUTE : SECOND));
	}
	g.down = false;
	g.faults = {};
	[...b.tabs].forEach((tab) => tab.thaw());
	await b.world.clock.advance(5 * MINUTE);
	g.publish('end');
	await b.world.clock.advance(MINUTE);

	const all = g.events.map((e) => e.id);

	for (const tab of b.tabs)
		assert.deepEqual(tab.ids, all, `seed ${seed}`);
	assert.equal(b.leaders.length, 1, `seed ${seed}`);
	assert.equal(streams(b), 1, `seed ${seed}`);
	/* Stored once each, whoever carried it. */
	for (const m of sent)
		if (m.status === 'acknowledged')
			assert.equal(g.events.filter((e) => e.id === m.id).length,
				1, `seed ${seed}`);

	const numbers = g.events.map((e) => e.data).filter((n) => n >= 0);

	assert.equal(new Set(numbers).size, numbers.length, `seed ${seed}`);
}

test(`${RUNS} schedules of tabs that come and go, from seed ${FIRST} on`,
	async () => {
		for (let seed = FIRST; seed < FIRST + RUNS; seed++)
			await run(seed);
	});

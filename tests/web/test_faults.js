/* Faults at random: whatever happens, nothing is lost, nothing comes twice. */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { World, randomFrom } = require('./world.js');
const { windowOf } = require('./platforms.js');

const RUNS = Number(process.env.SPILLWAY_FAULT_RUNS ?? 300);
const FIRST = Number(process.env.SPILLWAY_FAULT_SEED ?? 1);
const FAULTS = [undefined, undefined, 'refuse', 'throw', 'swallow', 'mute',
	'hold', 503];

/* While polls work, a race is won when their turn has come, and one answered. */
const RACE_MS = 6000 + 50;

/* The longest race, but for the time in which nothing could be won. */
function watchRaces(w, s) {
	let began = null, longest = 0;

	s.addEventListener('state', ({ state }) => {
		if (began !== null && state === 'open')
			longest = Math.max(longest, w.clock.now() -
				Math.max(began, w.gateway.upSince));
		began = state === 'connecting' ? w.clock.now() : null;
	});
	return () => longest;
}

async function run(seed) {
	const w = new World(seed), random = randomFrom(seed ^ 0x5eed);
	const pick = (list) => list[Math.floor(random() * list.length)];
	const ids = [], sent = [], settled = [], window = windowOf();

	w.gateway.publish('before');

	const s = w.stream({ window, queueAge: 1e9, after: 'start' });

	const longestRace = watchRaces(w, s);

	ids.push(...w.gateway.events.map((e) => e.id));
	for (let step = 0; step < 40; step++) {
		const what = random();

		if (what < 0.3) {
			w.gateway.publish(step);
		} else if (what < 0.45) {
			const m = s.send({ step }, { done: (r) =>
				settled.push(r.status) });

			sent.push(m);
		} else if (what < 0.6) {
			w.gateway.faults[pick(['ws', 'sse', 'long'])] =
				pick(FAULTS);
		} else if (what < 0.75) {
			w.gateway.kill(pick([1006, 1012, 4000, 4408]),
				() => random() < 0.7);
		} else if (what < 0.85) {
			for (const line of w.gateway.open)
				line.mute = true;
		} else if (what < 0.95) {
			w.gateway.down = !w.gateway.down;
			w.gateway.upSince = w.clock.now();
		} else {
			window.document.fire('visibilitychange');
		}
		await w.clock.advance(random() * (random() < 0.2 ? 60000 : 900));
	}
	w.gateway.down = false;
	w.gateway.upSince = w.clock.now();
	w.gateway.faults = {};
	await w.clock.advance(5 * 60000);
	s.close();

	const got = w.ids, all = w.gateway.events.map((e) => e.id);

	assert.deepEqual(got, all, `seed ${seed}`);
	assert.equal(w.all('gap').length, 0, `seed ${seed}`);
	assert.ok(longestRace() <= RACE_MS,
		`seed ${seed}: a race of ${longestRace()} ms`);
	assert.deepEqual(settled, sent.map(() => 'acknowledged'),
		`seed ${seed}`);
	/* In the order in which they were sent, each once. */
	assert.deepEqual(w.gateway.events.filter((e) => e.data.step >= 0)
		.map((e) => e.data.step), sent.map((m) =>
		JSON.parse(m._data).step), `seed ${seed}`);
	return longestRace();
}

test(`${RUNS} schedules of faults from seed ${FIRST} on`, async (t) => {
	let longest = 0;

	for (let seed = FIRST; seed < FIRST + RUNS; seed++)
		longest = Math.max(longest, await run(seed));
	t.diagnostic(`the longest race took ${longest} ms`);
});

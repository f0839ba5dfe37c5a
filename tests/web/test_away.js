/*
 * How long a page is without a transport that works, in virtual time. Each
 * fault hits the transport in use, while others work, and stays; an event is
 * published ten times a second. What counts is not what the client
 * believes, but the longest time that an event has waited.
 *
 * Streams are noticed to be dead by their heartbeats, and polls by the end of
 * their hold. Both take a second here: with others it takes as much longer.
 */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { World, Spillway } = require('./world.js');

const BOUND_MS = 6000;
const ALL = ['ws', 'sse', 'long', 'short'];
const FACES = ['Stream', 'StreamEventSource', 'StreamWebSocket'];
const SECOND = 1000, MINUTE = 60000, OFTEN = 100;

const end = (code) => (w, name) =>
	w.gateway.kill(code, (line) => line.name === name);

function silence(w, name) {
	for (const line of w.gateway.open)
		line.mute ||= line.name === name;
}

/* What becomes of the one in use, and of those who try it again. */
const then = (first, fault) => (w, name) => {
	w.gateway.faults[name] = fault;
	first(w, name);
};

const FAULTS = {
	'cut': end(1006),
	'restarted': end(1012),
	'token expired': end(4401),
	'refused': then(end(1006), 'refuse'),
	'a proxy\'s 403': then(end(1006), 403),
	'a proxy\'s 503': then(end(1006), 503),
	'swallowed': then(end(1006), 'swallow'),
	'mute': then(end(1006), 'mute'),
	'first notice alone': then(end(1006), 'hold'),
	'silent, then refused': then(silence, 'refuse'),
	'silent, then mute': then(silence, 'mute'),
	'silent, then swallowed': then(silence, 'swallow')
};

function follow(w, face, name) {
	const ids = [], told = new Spillway[face]('http://gw/stream/a',
		w.options({
			transports: ALL.slice(ALL.indexOf(name)),
			after: 'start', pollInterval: 250, pollWait: 1,
			getToken: () => null
		}));

	told.addEventListener('message', (e) => ids.push(e.lastEventId));
	return { told, ids, stream: told.stream || told };
}

/* For that long; what one event has waited at most, by each. */
async function publish(w, all, ms, pause) {
	const longest = all.map(() => 0);

	for (const over = w.clock.now() + ms; w.clock.now() < over;) {
		w.gateway.publish('news');
		await w.clock.advance(pause);
		all.forEach(({ ids }, i) => {
			const next = w.gateway.events[ids.length];

			longest[i] = Math.max(longest[i], next ?
				w.clock.now() - next.time : 0);
		});
	}
	return longest;
}

/* All faces at once: the longest waits at first, and when it is tried again. */
async function away(name, fault) {
	const w = new World(1, SECOND);
	const all = FACES.map((face) => follow(w, face, name));

	await publish(w, all, 5 * SECOND, OFTEN);
	for (const { stream } of all)
		assert.equal(stream.transport, name);
	fault(w, name);

	const soon = await publish(w, all, 12 * SECOND, OFTEN);
	const later = await publish(w, all, 2 * MINUTE, SECOND);

	w.gateway.faults = {};
	await w.clock.advance(5 * MINUTE);
	for (const { told, ids } of all) {
		assert.deepEqual(ids, w.gateway.events.map((e) => e.id));
		told.close();
	}
	return { soon, later };
}

for (const name of ALL.slice(0, -1))
	for (const [what, fault] of Object.entries(FAULTS))
		test(`${name}, ${what}: there is another way in six seconds`,
			async (t) => {
				const { soon, later } = await away(name, fault);

				t.diagnostic(`away for ${Math.max(...soon)} ms`);
				for (const ms of soon)
					assert.ok(ms <= BOUND_MS, `${ms} ms`);
				/* What is proven to work is kept meanwhile. */
				for (const ms of later)
					assert.ok(ms <= SECOND, `later ${ms} ms`);
			});

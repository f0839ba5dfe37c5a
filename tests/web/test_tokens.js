/* Tokens that expire: renewed in place, with nothing lost on the way. */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { World } = require('./world.js');
const { windowOf } = require('./platforms.js');

const SECOND = 1000, MINUTE = 60000;

/* Who gives out tokens that are good for a minute, of which some accept. */
class Issuer {
	constructor(w) {
		this.w = w;
		this.issued = [];
		this.told = [];
		this.broken = false;
		Object.defineProperty(w.gateway, 'tokens', {
			get: () => this.issued.filter((t) =>
				t.exp * SECOND > w.clock.now()).map((t) => t.text)
		});
		w.gateway.auth = (token) => this.told.push(token);
	}

	async token() {
		if (this.broken)
			throw new Error('no network');

		const exp = Math.floor(this.w.clock.now() / SECOND) + 60;
		/* Characters that only the URLs' alphabet has, too. */
		const claims = Buffer.from(JSON.stringify({ exp,
			sub: 'ü?>~', n: this.issued.length }));
		const text = `e30.${claims.toString('base64url')}.sig`;

		this.issued.push({ exp, text });
		return text;
	}
}

/* Ten minutes of events, a second apart. */
async function follows(w, s) {
	for (let i = 0; i < 600; i++) {
		w.gateway.publish(i);
		await w.clock.advance(SECOND);
	}
	assert.deepEqual(w.ids, w.gateway.events.map((e) => e.id));
	assert.equal(w.all('error').length, 0);
	assert.equal(w.all('open').length, 1);
	assert.equal(w.all('transport').length, 1);
	s.close();
	/* Whoever is closed asks for nothing. */
	await w.clock.advance(10 * MINUTE);
}

for (const name of ['ws', 'sse', 'long', 'short'])
	test(`a token is renewed before it expires, over ${name}`, async () => {
		const w = new World(), issuer = new Issuer(w);
		const s = w.stream({ transports: [name],
			getToken: () => issuer.token() });

		await w.clock.advance(SECOND);
		await follows(w, s);
		/* Each is used for four fifths of its time. */
		assert.ok(issuer.issued.length >= 12);
		assert.ok(issuer.issued.length <= 14);

		const asked = w.gateway.asked.filter((a) => a.name === name);
		const renewed = issuer.issued.slice(1).map((t) => t.text);

		if (name === 'ws') {
			assert.equal(asked.length, 1);
			assert.deepEqual(issuer.told, renewed);
		} else if (name === 'sse') {
			assert.equal(asked.length, issuer.issued.length);
		}
	});

test('a renewal that fails is tried again while the token is good',
	async () => {
		const w = new World(), issuer = new Issuer(w);
		const s = w.stream({ getToken: () => issuer.token() });

		await w.clock.advance(SECOND);
		issuer.broken = true;
		await w.clock.advance(55 * SECOND);
		assert.equal(s.state, 'open');
		issuer.broken = false;
		await w.clock.advance(4 * SECOND);
		assert.equal(issuer.told.length, 1);
		assert.equal(w.all('error').length, 0);
		s.close();
	});

test('a stream whose renewal is swallowed stays in use', async () => {
	const w = new World(), issuer = new Issuer(w);
	const s = w.stream({ transports: ['sse'],
		getToken: () => issuer.token() });

	await w.clock.advance(SECOND);
	w.gateway.faults.sse = 'mute';
	await w.clock.advance(49 * SECOND);
	w.gateway.publish('still there');
	await w.clock.advance(SECOND);
	assert.deepEqual(w.ids, ['ep1-1']);
	s.close();
});

test('a token that nobody can read is kept', async () => {
	const w = new World();
	let asked = 0;

	w.gateway.tokens = ['opaque'];

	const s = w.stream({ getToken: () => {
		asked++;
		return 'opaque';
	} });

	await w.clock.advance(30 * MINUTE);
	assert.equal(s.state, 'open');
	assert.equal(asked, 1);
	s.close();
});

test('a refresh that fails for now is no end of the stream', async () => {
	const w = new World();
	let asked = 0;

	w.gateway.tokens = ['new'];

	const s = w.stream({ getToken: ({ refresh }) => {
		if (!refresh)
			return 'old';
		if (asked++ < 2)
			throw new Error('the login is down');
		return 'new';
	} });

	await w.clock.advance(MINUTE);
	assert.equal(s.state, 'open');
	assert.equal(asked, 3);
	assert.equal(w.all('close').length, 0);
});

test('a token that never comes is asked for again', async () => {
	const w = new World();
	let asked = 0, late;

	w.gateway.tokens = ['late'];

	const s = w.stream({ getToken: () => new Promise((done) => {
		asked++;
		late ??= done;
	}) });

	await w.clock.advance(35 * SECOND);
	assert.equal(asked, 2);
	/* Of those that wait, the first that comes is taken, and one only. */
	late('late');
	await w.clock.advance(SECOND);
	assert.equal(s.state, 'open');
	assert.equal(s.stats.connects, 1);
	await w.clock.advance(5 * MINUTE);
	assert.equal(asked, 2);
	assert.equal(w.all('error').length, 0);
	s.close();
});

test('of two tokens that come, one is taken', async () => {
	const w = new World(), waiting = [];
	const s = w.stream({ getToken: () => new Promise((done) =>
		waiting.push(done)) });

	await w.clock.advance(35 * SECOND);
	waiting.forEach((done) => done('a token'));
	await w.clock.advance(SECOND);
	assert.equal(s.state, 'open');
	assert.equal(s.stats.connects, 1);
	s.close();
});

test('a page that is put away while it refreshes may refresh again',
	async () => {
		const w = new World(), window = windowOf();
		let kept = 'old';

		w.gateway.tokens = ['new'];

		const s = w.stream({ window, getToken: async ({ refresh }) => {
			if (refresh) {
				await new Promise((done) =>
					w.clock.setTimeout(done, SECOND));
				/* Asked by a page that is not there any more. */
				if (s.state === 'waiting')
					return new Promise(() => {});
				kept = 'new';
			}
			return kept;
		} });

		await w.clock.advance(500);
		window.fire('pagehide');
		await w.clock.advance(MINUTE);
		window.fire('pageshow', { persisted: true });
		await w.clock.advance(MINUTE);
		assert.equal(s.state, 'open');
		assert.equal(w.all('close').length, 0);
	});

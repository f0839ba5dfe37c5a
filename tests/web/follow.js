/*
 * Follows a stream with our client, for tests/scenarios/test_client.py:
 *
 *	node follow.js URL TRANSPORT[,TRANSPORT...]
 *
 * Prints a line of JSON for everything it is told, and sends each line that it
 * reads. `ws` is looked for where it is started: Node's own came late. With a
 * SECRET in its environment it has tokens that are good for two seconds.
 */
'use strict';

const { createRequire } = require('node:module');
const { createHmac } = require('node:crypto');
const readline = require('node:readline');
const Spillway = require('../../web/spillway.js');

const { WebSocket } = createRequire(`${process.cwd()}/`)('ws');
const [url, transports] = process.argv.slice(2);
const say = (m) => process.stdout.write(`${JSON.stringify(m)}\n`);
const b64 = (data) => Buffer.from(JSON.stringify(data)).toString('base64url');

function getToken({ refresh }) {
	const text = `${b64({ alg: 'HS256' })}.${b64({
		sub: 'node', channels: { subscribe: ['*'], send: ['*'] },
		exp: Math.floor(Date.now() / 1000) + 2
	})}`;

	say({ token: refresh });
	return Promise.resolve(`${text}.${createHmac('sha256',
		process.env.SECRET).update(text).digest('base64url')}`);
}

const stream = new Spillway.Stream(url, {
	transports: transports.split(','), WebSocket, after: 'start',
	retryMin: 100, pollInterval: 50,
	getToken: process.env.SECRET && getToken
});

stream.onmessage = (e) => say({ message: { id: e.id, data: e.data } });
stream.ontransport = (e) => say({ transport: e.transport,
	previous: e.previous, failed: e.failed });
stream.ongap = (e) => say({ gap: e.reason, after: e.after });
stream.onerror = (e) => say({ error: e.reason });
stream.onclose = (e) => say({ closed: e.code });
readline.createInterface({ input: process.stdin }).on('line', (line) => {
	stream.send(JSON.parse(line), {
		done: (sent) => say({ sent: sent.status, id: sent.id,
			seq: sent.seq, reply: sent.reply,
			duplicate: sent.duplicate, error: sent.error })
	});
});

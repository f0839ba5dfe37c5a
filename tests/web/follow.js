/*
 * Follows a stream with our client, for tests/scenarios/test_client.py:
 *
 *	node follow.js URL TRANSPORT[,TRANSPORT...]
 *
 * Prints a line of JSON for everything it is told, and sends each line that it
 * reads. `ws` is looked for where it is started: Node's own came late.
 */
'use strict';

const { createRequire } = require('node:module');
const readline = require('node:readline');
const Spillway = require('../../web/spillway.js');

const { WebSocket } = createRequire(`${process.cwd()}/`)('ws');
const [url, transports] = process.argv.slice(2);
const say = (m) => process.stdout.write(`${JSON.stringify(m)}\n`);
const stream = new Spillway.Stream(url, {
	transports: transports.split(','), WebSocket, after: 'start',
	retryMin: 100, pollInterval: 50
});

stream.onmessage = (e) => say({ message: { id: e.id, data: e.data } });
stream.ontransport = (e) => say({ transport: e.transport,
	previous: e.previous });
stream.ongap = (e) => say({ gap: e.reason });
stream.onerror = (e) => say({ error: e.reason });
stream.onclose = (e) => say({ closed: e.code });
readline.createInterface({ input: process.stdin }).on('line', (line) => {
	stream.send(JSON.parse(line), {
		done: (sent) => say({ sent: sent.status, id: sent.id,
			seq: sent.seq, error: sent.error })
	});
});

// Follows a channel with our client, in all its ways at once. An event of the
// type "report" has each of them send what it saw up to there to the channel
// `report`, where the test reads it.
'use strict';

const outbox = new Spillway.Stream('/stream/report', { last: 1 });

class Follower {
	constructor(name, stream) {
		this.name = name;
		this.ids = [];
		this.opened = 0;
		stream.addEventListener('open', () => this.opened++);
	}

	seen(id, type, stage) {
		this.ids.push(id);
		if (type === 'report')
			outbox.send({ transport: this.name, stage,
				ids: this.ids, opened: this.opened,
				notices: [] });
	}
}

function follow(name, options, library = Spillway) {
	const stream = new library.Stream('/stream/a',
		{ after: 'start', ...options });
	const f = new Follower(name, stream);

	stream.onmessage = (e) => f.seen(e.id, e.event, e.data);
}

for (const name of ['ws', 'sse', 'long', 'short'])
	follow(name, { transports: [name], pollInterval: 100 });
follow('sse with XMLHttpRequest', { transports: ['sse'], fetch: undefined });
follow('sse with EventSource', { transports: ['sse'], types: ['report'],
	EventSource: window.EventSource });

const source = new Spillway.StreamEventSource('/stream/a', { after: 'start' });
const seen = new Follower('StreamEventSource', source);

for (const type of ['message', 'report'])
	source.addEventListener(type, (e) =>
		seen.seen(e.lastEventId, type,
			type === 'report' && JSON.parse(e.data)));

import('./spillway.mjs').then((module) => follow('a module', {}, module));

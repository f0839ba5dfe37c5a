// Follows a channel over each transport, with the stream itself and with a face
// of the platform's: a pane of the fault lab for each, and all at once six
// connections, which is what browsers have. An event {report: STAGE} has each
// of them send what it saw since the last one, losses that it was told of
// included, to the channel `report`, where the test reads it.
'use strict';

const outbox = new Spillway.Stream('/stream/report', { last: 1 });

function follow(transport, face) {
	const name = `${transport}-${face.name.toLowerCase()}`;
	const told = new face(`/stream/a?lab=t-${name}`, {
		after: 'start', transports: [transport], pollInterval: 100,
		retryMin: 100, retryMax: 2000, storage: null,
		getToken: () => null
	});
	let seen = [];

	(told.stream || told).addEventListener('gap', (gap) =>
		seen.push({ gap: gap.reason, after: gap.after }));
	told.addEventListener('message', (e) => {
		const data = told.stream ? JSON.parse(e.data) : e.data;

		seen.push(e.lastEventId);
		if (data.report === undefined)
			return;
		outbox.send({ name, stage: data.report, seen });
		seen = [];
	});
	/* There is no coming back from that: let the test see it. */
	told.addEventListener('close', (e) =>
		outbox.send({ name, stage: 'closed', seen: [e.code] }));
}

for (const [transport, face] of [['ws', Spillway.StreamWebSocket],
	['sse', Spillway.StreamEventSource],
	['long', Spillway.StreamEventSource],
	['short', Spillway.StreamWebSocket]]) {
	follow(transport, Spillway.Stream);
	follow(transport, face);
}

// Follows a channel with the stream and both faces of the platform's, and says
// how long one of them was without an event while there were some.
//
// Its clock is what the page and the gateway can do: a round is an event that
// this page has published, over a WebSocket of its own, and a pause of 50 ms. On
// a busy machine rounds take longer, so six seconds are as many of them at most.
//
// {fresh: STAGE, first: TRANSPORT} has it begin anew with that transport and
// those below it; {report: STAGE} has each tell the channel `report` what it saw
// until then, by which transport, and for how many rounds it was away.
'use strict';

const PAUSE_MS = 50;
const TRANSPORTS = ['ws', 'sse', 'long', 'short'];
const FACES = [Spillway.Stream, Spillway.StreamEventSource,
	Spillway.StreamWebSocket];
const outbox = new Spillway.Stream('/stream/report',
	{ transports: ['ws'], last: 1, storage: null });
let round = 0, cursor = null, panes = [];

function pace() {
	const socket = new WebSocket(`ws://${location.host}/stream/a` +
		'?session=pace' + (cursor ? `&after=${cursor}` : ''),
	['spillway.v1']);
	const publish = () => socket.send(JSON.stringify({ op: 'send',
		ref: round, seq: round + 1, data: { round } }));

	socket.onopen = publish;
	socket.onclose = () => setTimeout(pace, PAUSE_MS);
	socket.onmessage = (message) => {
		const said = JSON.parse(message.data);

		if (said.id && !said.op)
			cursor = said.id;
		if (said.data && said.data.fresh !== undefined)
			begin(said);
		if (said.op !== 'ok' || said.ref !== round)
			return;
		round++;
		for (const pane of panes)
			pane.away = Math.max(pane.away, round - pane.last);
		setTimeout(() => {
			if (socket.readyState === WebSocket.OPEN)
				publish();
		}, PAUSE_MS);
	};
}

function begin({ id, data: { fresh, first } }) {
	for (const pane of panes)
		pane.told.close();
	panes = FACES.map((face) => follow(face, id, fresh, first));
}

function follow(face, after, stage, first) {
	const name = face.name.toLowerCase();
	const told = new face(`/stream/a?lab=t${stage}-${name}`, {
		after, transports: TRANSPORTS.slice(TRANSPORTS.indexOf(first)),
		pollWait: 1, pollInterval: 250, retryMin: 100, storage: null,
		getToken: () => null
	});
	const stream = told.stream || told;
	const pane = { told, last: round, away: 0, seen: [] };

	told.addEventListener('message', (e) => {
		const data = told.stream ? JSON.parse(e.data) : e.data;

		pane.last = round;
		pane.seen.push(e.lastEventId);
		if (data.report !== undefined)
			outbox.send({ name, stage, report: data.report,
				transport: stream.transport, away: pane.away,
				seen: pane.seen });
	});
	/* There is no coming back from that: let the test see it. */
	told.addEventListener('close', (e) => {
		if (!e.wasClean)
			outbox.send({ name, stage, closed: e.code });
	});
	return pane;
}

pace();

// Follows a channel over everything that a browser has. An event of the type
// "report" has each transport send what it saw up to there to the channel
// `report`, where the test reads it.
'use strict';
const AGAIN_MS = 100;
const STREAM = '/stream/a';

function again(follow) {
	setTimeout(follow, AGAIN_MS);
}

async function report(what) {
	try {
		const answer = await fetch('/stream/report', {
			method: 'POST', body: JSON.stringify(what),
			headers: { 'Content-Type': 'application/json' } });

		if (!answer.ok)
			throw new Error(answer.status);
	} catch {
		setTimeout(report, AGAIN_MS, what);
	}
}

class Follower {
	constructor(transport) {
		this.transport = transport;
		this.cursor = 'start';
		this.ids = [];
		this.opened = 0; // how often it was told that it is open
		this.notices = [];
	}

	seen(event) {
		this.cursor = event.id;
		this.ids.push(event.id);
		if (event.type === 'report')
			report({ transport: this.transport, stage: event.data,
				ids: this.ids, opened: this.opened,
				notices: [...new Set(this.notices)] });
	}

	take(text) {
		const message = JSON.parse(text);

		if (message.id !== undefined)
			this.seen(message);
		else
			this.notices.push(message.type);
	}
}

function followWebSocket(f) {
	const socket = new WebSocket(
		`ws://${location.host}${STREAM}?after=${f.cursor}`);

	socket.onopen = () => f.opened++;
	socket.onmessage = (e) => f.take(e.data);
	socket.onclose = () => again(() => followWebSocket(f));
}

// Comes back by itself, with Last-Event-ID.
function followEventSource(f) {
	const source = new EventSource(`${STREAM}?after=start&format=json`);

	source.onopen = () => f.opened++;
	for (const type of ['message', 'report'])
		source.addEventListener(type, (e) => f.take(e.data));
	for (const name of ['hello', 'caughtup', 'heartbeat', 'gap'])
		source.addEventListener(`spillway.${name}`,
			(e) => f.notices.push(e.type));
}

async function followPolls(f, wait) {
	try {
		const answer = await fetch(
			`${STREAM}?wait=${wait}&after=${f.cursor}`);
		const body = await answer.json();

		f.opened++;
		body.events.forEach((e) => f.seen(e));
		f.cursor = body.cursor;
		if (wait > 0) {
			followPolls(f, wait);
			return;
		}
	} catch {
		// Refused, or cut off.
	}
	again(() => followPolls(f, wait));
}

async function followStream(f) {
	try {
		const answer = await fetch(`${STREAM}?format=json`, { headers: {
			'Accept': 'text/event-stream',
			'Last-Event-ID': f.cursor } });
		const reader = answer.body.getReader();
		const decoder = new TextDecoder();
		let text = '';

		f.opened++;
		for (;;) {
			const { value, done } = await reader.read();

			if (done)
				break;
			const blocks = (text + decoder.decode(value,
				{ stream: true })).split('\n\n');

			text = blocks.pop();
			for (const block of blocks)
				for (const line of block.split('\n'))
					if (line.startsWith('data: '))
						f.take(line.slice(6));
		}
	} catch {
		// Refused, or cut off.
	}
	again(() => followStream(f));
}

followWebSocket(new Follower('WebSocket'));
followEventSource(new Follower('EventSource'));
followPolls(new Follower('long poll'), 20);
followPolls(new Follower('short poll'), 0);
followStream(new Follower('fetch stream'));

// Follows a channel with somebody else's client and prints what arrives:
//
//	node follow.js ws|eventsource|fetch|fetch-stream URL
//
// A line of JSON for each event, as it is in its envelope. Where the client
// does not come back by itself, this does, with the last cursor: what anybody
// would write.
import { EventSource } from 'eventsource';
import { WebSocket } from 'ws';

const [kind, base] = process.argv.slice(2);
const AGAIN_MS = 100;
let cursor = 'start';

function seen(event) {
	cursor = event.id;
	console.log(JSON.stringify(event));
}

// Notices have no id; see the stream's first message for what they are.
function take(text) {
	const message = JSON.parse(text);

	if (message.id !== undefined)
		seen(message);
}

function again(follow) {
	setTimeout(follow, AGAIN_MS);
}

function followWebSocket() {
	const url = base.replace(/^http/, 'ws') + `?after=${cursor}`;
	const socket = new WebSocket(url, 'spillway.v1');

	socket.on('message', (data, binary) => binary || take(data.toString()));
	socket.on('error', () => {});
	socket.on('close', () => again(followWebSocket));
}

// Comes back by itself, with Last-Event-ID.
function followEventSource() {
	const source = new EventSource(`${base}?after=start&format=json`);

	source.onmessage = (e) => {
		const event = JSON.parse(e.data);

		if (e.lastEventId !== event.id)
			throw new Error(`id ${e.lastEventId}: ${e.data}`);
		seen(event);
	};
}

async function followPolls() {
	try {
		const answer = await fetch(`${base}?wait=20&after=${cursor}`);
		const body = await answer.json();

		body.events.forEach(seen);
		cursor = body.cursor;
		setImmediate(followPolls);
	} catch {
		again(followPolls);
	}
}

async function followStream() {
	try {
		const answer = await fetch(`${base}?format=json`, { headers: {
			'Accept': 'text/event-stream', 'Last-Event-ID': cursor } });
		const decoder = new TextDecoder();
		let text = '';

		for await (const chunk of answer.body) {
			const blocks = (text + decoder.decode(chunk,
				{ stream: true })).split('\n\n');

			text = blocks.pop();
			for (const block of blocks)
				for (const line of block.split('\n'))
					if (line.startsWith('data: '))
						take(line.slice(6));
		}
	} catch {
		// Cut off: the same as an end.
	}
	again(followStream);
}

({
	'ws': followWebSocket,
	'eventsource': followEventSource,
	'fetch': followPolls,
	'fetch-stream': followStream,
})[kind]();

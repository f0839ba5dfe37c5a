/* Compiles, or a type is wrong: see test_types.js. */
import { Stream, StreamEventSource, StreamWebSocket, Outcome,
	TransportName } from '../../web/spillway';
import { StreamEventSource as Imported } from '../../web/spillway.mjs';
import { Stream as Shared } from '../../web/spillway-tabs.mjs';
import { Stream as Reader } from '../../web/spillway-reader.mjs';

interface Chat { text: string }

const stream = new Stream<Chat>('/stream/room-7', {
	after: 'start', transports: ['ws', 'long'], share: 'user-7',
	getToken: async ({ refresh }) => refresh ? 'new' : null,
	headers: { 'X-Page': '1' }, withCredentials: true, types: ['tick'],
	clock: { now: () => 0, setTimeout: () => 1, clearTimeout: () => {} }
});

stream.onmessage = (e) => {
	const text: string = e.data.text, id: string = e.id;

	stream.send({ text: text + id });
};
stream.addEventListener('transport', (e) => {
	const now: TransportName = e.transport;
	const before: TransportName | null = e.previous;

	return [now, before, e.failed.ws];
});
stream.addEventListener('close', { handleEvent: (e) => e.code.toFixed() });
stream.addEventListener('gap', (e) => e.reason === 'epoch');

const sent = stream.send(new Uint8Array(3), { channel: 'b',
	done: (outcome: Outcome) => outcome.status === 'unknown' });

sent.done.then((outcome) => outcome.id?.length);

const end: () => void = stream.subscribe(() => stream.getSnapshot().state);

end();

new Stream(() => new URL('http://x/stream/a'));

const source = new StreamEventSource(new URL('http://x/stream/a'), { last: 3 });

source.onmessage = (e) => e.lastEventId;
source.readyState === StreamEventSource.CLOSED && source.close();

const socket = new StreamWebSocket('/stream/a', ['x'], { stagger: 100 });

socket.binaryType = 'arraybuffer';
socket.send('text');
socket.send(new ArrayBuffer(1));
socket.close(1000, 'bye');

/* Modules are of the same types, the one that reads has less. */

new Imported('/stream/a').close();
new Shared<Chat>('/stream/a', { share: true }).send('text');

const reader: Reader<Chat> = new Reader<Chat>('/stream/a', { last: 3 });

reader.onmessage = (e) => e.data.text;
reader.addEventListener('gap', (e) => e.reason === 'epoch');

/* And what is no use of them. */

// @ts-expect-error: it does not send
reader.send('text');

// @ts-expect-error: no such transport
new Stream('/', { transports: ['carrier pigeon'] });
// @ts-expect-error: `tab` is not chosen, it comes with `share`
new Stream('/', { transports: ['tab'] });
// @ts-expect-error: no such event
stream.addEventListener('opened', () => {});
// @ts-expect-error: it is what the platform says it is
stream.state = 'open';
// @ts-expect-error: a chat has a text
stream.onmessage = (e) => e.data.txt;
// @ts-expect-error: a number is no frame
socket.send(1);

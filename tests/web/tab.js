// A tab that shares its connection, an event stream: of those a browser has
// six to an origin. It says what it saw when it is asked to, and the one with
// the connection leaves when it is told to.
'use strict';

const name = location.hash.slice(1);
const ids = [];
let hasLeft = false;
const stream = new Spillway.Stream('/stream/a', {
	after: 'start', transports: ['sse'], share: true,
	...(name.endsWith('lease') && { locks: null })
});

stream.onmessage = (e) => {
	ids.push(e.id);
	if (hasLeft) /* what follows is asynchronous */
		return;
	if (e.event === 'report')
		stream.send({ name, stage: e.data, ids },
			{ channel: 'report' });
	if (e.event === 'leave' && stream.transport !== 'tab' &&
		!localStorage.getItem(e.id)) {
		hasLeft = true;
		localStorage.setItem(e.id, 'one is enough');
		location.replace('about:blank');
	}
};

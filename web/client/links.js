/*
 * Four ways to read the stream. A link is one of them in use: it tells the
 * stream take(s, link, message), answered(s, link, poll's answer), and once
 * fail(s, link, reason, code, after). `link._shut` ends it without a word,
 * `link._patience` is how long it may be silent.
 */

/* Its end is late: the next one, which is not held, has more time. */
var HOLD_GRACE_MS = 3000;
/* Polls are held longer and longer: some proxies swallow those that wait. */
var FIRST_HOLD = 1;

function retryAfter(header) {
	return Math.max(header('Retry-After') * 1000, 0) || 0;
}

/* The gateway's own words, if they are: a proxy on the way has others. */
function problemOf(text, header) {
	return /problem/.test(header('Content-Type')) && parse(text);
}

/* What an ordinary answer that is no stream means, as a close code. */
function failed(s, link, status, text, header) {
	var problem = problemOf(text, header);

	/* Other refusals are some proxy's, and that of this transport. */
	fail(s, link, status ?
		'HTTP ' + status + (problem ? ' ' + problem.detail : '') :
		'no answer', problem && /^4(?!0[68]|2[69])/.test(status) &&
		4000 + status, retryAfter(header));
}

function openWebSocket(s, link) {
	var socket = new s._o.WebSocket(address(s, {
		transport: 'ws', after: link._after
	}, link).replace('http', 'ws'), ['spillway.v1'].concat(
		s._token ? 'bearer.' + s._token : []));

	socket.onmessage = function (message) {
		take(s, link, parse(message.data));
	};
	/* A close follows; some end the process if nobody listens. */
	socket.onerror = nothing;
	socket.onclose = function (close) {
		fail(s, link, close.reason, close.code);
	};
	link._say = function (command) {
		socket.send(JSON.stringify(command));
	};
	link._shut = function () {
		socket.onmessage = socket.onclose = null;
		socket.close(1000);
	};
}

function takeEvent(s, link, type, data) {
	var read = parse(data);

	/* Of notices it is told beside them. */
	take(s, link, read && extend({ type: type }, read));
}

function openEvents(s, link, onText) {
	var rest = '', fields = {};

	function read(line) {
		var name = line.split(':', 1)[0];

		if (line.trim()) {
			fields[name] = (fields[name] || '') +
				line.slice(name.length + 1);
			return;
		}
		/* Behind the hello it means: the end is near, come then. */
		if (fields.retry && link._hello)
			link._again = +fields.retry;
		if (fields.data)
			takeEvent(s, link, (fields.event || '').trim(),
				fields.data);
		fields = {};
	}

	link._shut = ask(s, address(s, {
		transport: 'sse', format: 'json', after: link._after
	}, link), { Accept: 'text/event-stream' }, function (status, text,
		header) {
		if (status === 200 || status === 204)
			fail(s, link, 'ended', status === 204 && 4410);
		else
			failed(s, link, status, text, header);
	}, function (text) {
		/* It comes in any pieces: none is looked through twice. */
		var lines = text.split('\n');

		lines[0] = rest + lines[0];
		rest = lines.pop();
		lines.forEach(read);
		if (onText)
			onText(text);
	});
}

function openPolls(s, link) {
	var o = s._o, holds = link.name === 'long', timer = alarm(o);
	var abort;

	function pause(ms) {
		link._patience = ms + (link._held ?
			HOLD_GRACE_MS : s._o.proofTimeout);
		heard(s, link);
	}
	function poll(isShort) {
		/*
		 * The first one is answered at once, and proves the way: but
		 * not that one is which waits, to those who have another way.
		 */
		var wait = link._held = holds && !isShort &&
			(link._proven || s._link) ? s._hold : 0;

		link._shut();
		pause(wait * 1000);
		link._asked = now(s);
		link._after = s.cursor;
		abort = ask(s, address(s, {
			transport: wait ? 'long' : 'short', wait: wait || null,
			after: link._after
		}, link), {}, function (status, text, header) {
			var answer = status === 200 && parse(text);

			if (answer && answer.events)
				taken(answer);
			else
				failed(s, link, status, text, header);
		});
	}
	function taken(answer) {
		var ms = 0;

		if (link._held)
			s._hold = Math.min(s._holdMax, s._hold * 2);
		answered(s, link, answer);
		if (link._dead)
			return;
		if (!holds && !answer.more)
			ms = o.pollInterval || answer.retry || 2000;
		else if (!answer.events.length && link._held &&
			now(s) - link._asked < 500)
			ms = 1000; /* not held, by whomever: do not spin */
		pause(ms);
		timer(ms, poll);
	}
	poll(); /* if it throws, there is nothing to shut */
	link._poll = poll;
	link._shut = function () {
		timer();
		abort();
	};
}

var OPENERS = {
	ws: openWebSocket, sse: openEvents, long: openPolls, short: openPolls
};
var TRANSPORTS = Object.keys(OPENERS);

/*
 * Four ways to read the stream. A link is one of them in use: it tells the
 * stream take(link, message), answer(link, poll's answer), and once
 * fail(link, code, reason, after). `link.shut` ends it without a word,
 * `link.patience` is how long it may be silent.
 */

var POLL_GRACE_MS = 10000;
/* Polls are held longer and longer: some proxies swallow those that wait. */
var FIRST_HOLD = 5;
/* XMLHttpRequest keeps all that it read. */
var ROTATE = 1 << 20;

/* What an ordinary answer that is no stream means, as a close code. */
function failed(link, stream, status, text, header) {
	var problem = /problem\+json/.test(header('Content-Type') || '');
	var after = header('Retry-After');
	var detail = problem && parse(text);
	/* Other refusals are some proxy's, and that of this transport. */
	var final = problem && status >= 400 && status < 500 &&
		status !== 406 && status !== 408 && status !== 426 &&
		status !== 429;

	stream._fail(link, final ? 4000 + status : 1006,
		status === 0 ? 'no answer' :
			'HTTP ' + status + (detail && detail.detail ?
				' ' + detail.detail : ''),
		/^\d+$/.test(after || '') ? after * 1000 : 0);
}

function openWebSocket(link, stream, env) {
	var protocols = ['spillway.v1'], socket;

	if (stream._token)
		protocols.push('bearer.' + stream._token);
	socket = new env.WebSocket(stream._address({
		transport: 'ws', session: stream._session, after: link.after
	}, link).replace(/^http/i, 'ws'), protocols);
	socket.onmessage = function (message) {
		var read = typeof message.data === 'string' ?
			parse(message.data) : null;

		if (read)
			stream._take(link, read);
	};
	socket.onclose = function (close) {
		stream._fail(link, close.code || 1006, close.reason);
	};
	socket.onerror = nothing; /* a close follows */
	link.say = function (command) {
		socket.send(JSON.stringify(command));
	};
	link.shut = function () {
		socket.onmessage = socket.onclose = null;
		socket.close(1000);
	};
}

function takeEvent(link, stream, type, data) {
	var read = parse(data);

	if (!read)
		return;
	if (type.slice(0, 9) === 'spillway.')
		read.type = type;
	stream._take(link, read);
}

/* The browser's own: deaf to types that nobody named, and to statuses. */
function openEventSource(link, stream, env) {
	var source = new env.EventSource(stream._address({
		transport: 'sse', format: 'json', after: link.after,
		token: stream._token
	}, link), { withCredentials: !!stream._options.withCredentials });

	['message', 'spillway.hello', 'spillway.caughtup', 'spillway.gap',
		'spillway.heartbeat'].concat(stream._options.types)
		.forEach(function (type) {
			source.addEventListener(type, function (message) {
				takeEvent(link, stream, type, message.data);
			});
		});
	/* Coming back is our business, which knows the cursor. */
	source.onerror = function () {
		stream._fail(link, 1006, 'the stream ended');
	};
	link.shut = function () {
		source.onerror = null;
		source.close();
	};
}

function openEvents(link, stream, env) {
	var length = 0, feed;

	if (stream._options.EventSource || !canStream(env)) {
		openEventSource(link, stream, env);
		return;
	}
	feed = eventParser(function (type, data) {
		takeEvent(link, stream, type, data);
	}, function (ms) {
		/* Before the end of the stream: when to come back. */
		link.again = link.hello ? ms : 0;
	});
	link.shut = request(env, {
		method: 'GET',
		url: stream._address({
			transport: 'sse', format: 'json', after: link.after,
			padding: env.fetch ? null : 1
		}, link),
		headers: stream._headers({ Accept: 'text/event-stream' }),
		credentials: stream._options.withCredentials,
		onText: function (text) {
			length += text.length;
			feed(text);
			if (!env.fetch && length > ROTATE && link.proven)
				stream._rotate(link);
		}
	}, function (status, text, header) {
		if (status === 200)
			stream._fail(link, 1006, 'the stream ended');
		else if (status === 204)
			stream._fail(link, 4410, 'told to stop');
		else
			failed(link, stream, status, text, header);
	});
}

/* One poll. done(answer) if there is one, else the link fails. */
function poll(link, stream, env, params, done) {
	link.after = stream.cursor;
	params.after = link.after;
	return request(env, {
		method: 'GET',
		url: stream._address(params, link),
		headers: stream._headers({}),
		credentials: stream._options.withCredentials
	}, function (status, text, header) {
		var answer = status === 200 ? parse(text) : null;

		if (answer && answer.cursor && answer.events)
			done(answer);
		else
			failed(link, stream, status, text, header);
	});
}

function openPolls(link, stream, env) {
	var holds = link.name === 'long', first = true, timer = null, asked;
	var abort = nothing;

	function ask() {
		var wait = holds && !first ? stream._hold : 0;

		timer = null;
		link.patience = wait * 1000 + POLL_GRACE_MS;
		stream._heard(link);
		asked = env.now();
		link.held = wait;
		link.asked = asked;
		abort = poll(link, stream, env, {
			transport: wait ? 'long' : 'short', wait: wait || null
		}, take);
	}
	function take(answer) {
		var pause, empty = !answer.events.length;

		/* The first one is answered at once, and proves the way. */
		first = false;
		if (link.held)
			stream._hold = Math.min(stream._holdMax,
				stream._hold * 2);
		stream._answer(link, answer);
		if (link.dead)
			return;
		pause = answer.more ? 0 : holds ?
			/* Not held, by whomever: do not spin. */
			empty && link.held && env.now() - asked < 1000 ? 1000 :
				0 :
			stream._options.pollInterval || answer.retry || 2000;
		link.patience = pause + POLL_GRACE_MS;
		stream._heard(link);
		timer = env.after(pause, ask);
	}
	link.shut = function () {
		env.cancel(timer);
		abort();
	};
	ask();
}

var OPENERS = {
	ws: openWebSocket, sse: openEvents, long: openPolls, short: openPolls
};

function isPossible(name, env) {
	return name === 'ws' ? !!env.WebSocket :
		name === 'sse' ? !!(env.EventSource || canStream(env)) :
			!!(env.fetch || env.XMLHttpRequest);
}

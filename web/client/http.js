/* Requests, with fetch or XMLHttpRequest, and the syntax of event streams. */

var DECODE = { stream: true };

/* A mistake of ours must not hide in a promise. */
function rethrow(error) {
	setTimeout(function () {
		throw error;
	}, 0);
}

function readBody(response, onText) {
	var reader = response.body.getReader();
	var decoder = new root.TextDecoder();

	function next(part) {
		if (part.done)
			return '';
		onText(decoder.decode(part.value, DECODE));
		return reader.read().then(next);
	}
	return reader.read().then(next);
}

function fetchRequest(env, ask, end) {
	var abort = root.AbortController ? new root.AbortController() : null;
	var header = nothing, status = 0;
	var fetch = env.fetch; /* which is no method of ours */

	fetch(ask.url, {
		method: ask.method,
		headers: ask.headers,
		body: ask.body,
		cache: 'no-store',
		credentials: ask.credentials ? 'include' : 'same-origin',
		signal: abort ? abort.signal : undefined
	}).then(function (response) {
		header = function (name) {
			return response.headers.get(name);
		};
		status = response.status;
		return ask.onText && status === 200 && response.body ?
			readBody(response, ask.onText) : response.text();
	}).then(function (text) {
		end(status, text, header);
	}, function () {
		end(0, '', header);
	}).then(null, rethrow);
	return function () {
		if (abort)
			abort.abort();
	};
}

function xhrRequest(env, ask, end) {
	var x = new env.XMLHttpRequest(), seen = 0;

	function read() {
		var text;

		if (!ask.onText || x.readyState < 3 || x.status !== 200)
			return;
		text = x.responseText;
		if (text.length > seen) {
			ask.onText(text.slice(seen));
			seen = text.length;
		}
	}
	/* Old browsers keep answers in spite of what these say. */
	x.open(ask.method, withParams(ask.url, {
		t: env.now() + '.' + Math.floor(env.random() * 1e6)
	}), true);
	x.withCredentials = !!ask.credentials;
	for (var name in ask.headers)
		x.setRequestHeader(name, ask.headers[name]);
	x.onreadystatechange = read;
	x.onload = function () {
		read();
		end(x.status, x.responseText, function (name) {
			return x.getResponseHeader(name);
		});
	};
	x.onerror = x.onabort = function () {
		end(0, '', nothing);
	};
	x.send(ask.body || null);
	return function () {
		x.abort();
	};
}

function canStream(env) {
	return env.XMLHttpRequest || (env.fetch && root.TextDecoder &&
		root.ReadableStream);
}

/*
 * Ask { method, url, headers, body, credentials, onText }: onText hears the
 * body as it arrives, done(status, text, header) how it ended, with status 0
 * if there was no answer. Returns what ends it early, without a word.
 */
function request(env, ask, done) {
	var over = false, abort;
	var streams = ask.onText && !(root.TextDecoder && root.ReadableStream);
	var send = env.fetch && !(streams && env.XMLHttpRequest) ?
		fetchRequest : xhrRequest;

	abort = send(env, extend(extend({}, ask), {
		onText: ask.onText && function (text) {
			if (!over)
				ask.onText(text);
		}
	}), function (status, text, header) {
		if (over)
			return;
		over = true;
		done(status, text, header);
	});
	return function () {
		over = true;
		abort();
	};
}

/* Takes an event stream in any pieces; tells onEvent(type, data) and retry. */
function eventParser(onEvent, onRetry) {
	var rest = '', type = '', data = null;

	function line(text) {
		var match = /^(\w+)(?:: ?([^]*))?$/.exec(text);
		var value = match && match[2] || '';

		if (text === '') {
			if (data !== null)
				onEvent(type || 'message', data);
			type = '';
			data = null;
		} else if (match && match[1] === 'data') {
			data = data === null ? value : data + '\n' + value;
		} else if (match && match[1] === 'event') {
			type = value;
		} else if (match && match[1] === 'retry' &&
			/^\d+$/.test(value)) {
			onRetry(+value);
		}
	}
	return function (text) {
		/* A CR at the end may be half of a line's. */
		var lines = (rest + text).split(/\r\n|\n|\r(?!$)/);

		rest = lines.pop();
		lines.forEach(line);
	};
}

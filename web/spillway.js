/*
 * Spillway's client: one stream of events, over whichever transport works.
 *
 *	var stream = new Spillway.Stream('/stream/room-7');
 *	stream.onmessage = function (event) { show(event.data); };
 *	stream.send({ text: 'hello' });
 *
 * StreamEventSource and StreamWebSocket have the platform's own faces. MIT.
 */
/* Made from web/client by "make client": changes belong there. */
(function (root, factory) {
if (typeof module === 'object' && module.exports)
module.exports = factory();
else if (typeof define === 'function' && define.amd)
define([], factory);
else
root.Spillway = factory();
}(typeof self !== 'undefined' ? self : this, function () {
'use strict';

/* What all parts use: the platform, cursors, addresses, listeners. */

var TRANSPORTS = ['ws', 'sse', 'long', 'short'];

var root = typeof self !== 'undefined' ? self :
	typeof global !== 'undefined' ? global : {};

function extend(to, from) {
	for (var name in from)
		if (Object.prototype.hasOwnProperty.call(from, name))
			to[name] = from[name];
	return to;
}

function nothing() {}

/* The platform, with what the options put in the place of it. */
function environment(options) {
	var env = {}, clock = options.clock || root, storage = null;

	['WebSocket', 'EventSource', 'fetch', 'XMLHttpRequest', 'window']
		.forEach(function (name) {
			env[name] = name in options ? options[name] :
				root[name];
		});
	if (!('window' in options) && typeof window === 'undefined')
		env.window = null;
	try {
		storage = env.window && env.window.localStorage;
	} catch (refused) {
		storage = null; /* a sandboxed page */
	}
	env.storage = 'storage' in options ? options.storage : storage;
	env.random = options.random || Math.random;
	env.now = clock.now ? function () {
		return clock.now();
	} : Date.now;
	env.after = function (ms, run) {
		return clock.setTimeout(run, ms);
	};
	env.cancel = function (timer) {
		if (timer !== null)
			clock.clearTimeout(timer);
	};
	return env;
}

/* What cannot be read is null: it came through who knows what. */
function parse(text) {
	try {
		return JSON.parse(text);
	} catch (unreadable) {
		return null;
	}
}

/* EPOCH-SEQ; numbers of JavaScript would not hold every SEQ. */
function isNewer(id, cursor) {
	var at = id.lastIndexOf('-') + 1, seq = id.slice(at), other;

	if (!cursor || cursor.slice(0, at) !== id.slice(0, at))
		return true;
	other = cursor.slice(at);
	return seq.length === other.length ? seq > other :
		seq.length > other.length;
}

/* An absolute http(s) address, without a fragment. */
function absolute(url, env) {
	var link;

	if (!/^[a-z]+:/i.test(url) && env.window && env.window.document) {
		link = env.window.document.createElement('a');
		link.href = url;
		url = link.href;
	}
	return url.replace(/^ws/i, 'http').replace(/#.*/, '');
}

function withParams(url, params) {
	for (var name in params)
		if (params[name] !== null && params[name] !== undefined)
			url += (url.indexOf('?') < 0 ? '?' : '&') + name + '=' +
				encodeURIComponent(params[name]);
	return url;
}

/* 128 bits that nobody guesses, where the platform has them. */
function randomName(env) {
	var bytes = [], i, crypto = root.crypto, name = '';

	if (crypto && crypto.getRandomValues)
		bytes = crypto.getRandomValues(new Uint8Array(16));
	for (i = 0; i < 16; i++)
		name += (256 + (bytes.length ? bytes[i] :
			Math.floor(env.random() * 256))).toString(16).slice(1);
	return name;
}

/* Like an EventTarget. What a listener throws is the page's, not ours. */
function Emitter() {
	this._listeners = {};
}

Emitter.prototype.addEventListener = function (type, listener) {
	var list = this._listeners[type] || [];

	if (listener && list.indexOf(listener) < 0)
		this._listeners[type] = list.concat([listener]);
};

Emitter.prototype.removeEventListener = function (type, listener) {
	this._listeners[type] = (this._listeners[type] || [])
		.filter(function (other) {
			return other !== listener;
		});
};

function call(listener, self, argument) {
	try {
		if (typeof listener === 'function')
			listener.call(self, argument);
		else if (listener && listener.handleEvent)
			listener.handleEvent(argument);
	} catch (error) {
		setTimeout(function () {
			throw error;
		}, 0);
	}
}

Emitter.prototype._emit = function (type, details) {
	var self = this, event = extend({ type: type, target: self }, details);

	call(self['on' + type], self, event);
	(self._listeners[type] || []).forEach(function (listener) {
		call(listener, self, event);
	});
};

function inherit(child, parent) {
	child.prototype = Object.create(parent.prototype);
	child.prototype.constructor = child;
}
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
/*
 * What the page sends. One message is under way at a time: that keeps their
 * order, whatever refusal or reconnect comes between. Each has a number, and
 * is sent again under the same one until there is an answer, so the gateway
 * knows a repetition.
 */

var TRANSIENT = /^(overloaded|no-memory|store|again|io|corrupt|locked)$/;

function Outbox(stream) {
	this.stream = stream;
	this.queue = [];
	this.seq = 0;
	this.tries = 0;
	this.sending = null; /* what ends the attempt */
	this.timer = this.ageTimer = null;
}

/* What became of it: queued, acknowledged, failed, or unknown. */
function Sent(seq, data, options, now) {
	var self = this;

	self.seq = seq;
	self.status = 'queued';
	self.id = self.error = self.reply = null;
	self.duplicate = false;
	self._data = data;
	self._channel = options.channel || null;
	self._since = now;
	self._tried = false;
	self._done = options.done;
	if (root.Promise)
		self.done = new root.Promise(function (resolve) {
			self._resolve = resolve;
		});
}

Sent.prototype._settle = function (status, details) {
	this.status = status;
	extend(this, details);
	call(this._done, null, this);
	if (this._resolve)
		this._resolve({
			seq: this.seq, status: status, id: this.id,
			duplicate: this.duplicate, reply: this.reply,
			error: this.error
		});
};

Outbox.prototype.add = function (data, options) {
	var s = this.stream, message;

	message = new Sent(++this.seq, JSON.stringify(data), options,
		s._env.now());
	if (message._data === undefined) {
		message._settle('failed', { error: 'not JSON' });
	} else if (s.state === 'closed') {
		message._settle('failed', { error: 'closed' });
	} else if (this.queue.length >= s._options.queueMax) {
		message._settle('failed', { error: 'queue full' });
	} else {
		this.queue.push(message);
		this._age();
		this.flush();
	}
	return message;
};

/* Nobody wants to see what they said half an hour ago. */
Outbox.prototype._age = function () {
	var self = this, env = self.stream._env;
	var limit = self.stream._options.queueAge;

	if (self.ageTimer !== null || !self.queue.length)
		return;
	self.ageTimer = env.after(
		Math.max(self.queue[0]._since + limit - env.now(), 0),
		function () {
			var now = env.now();

			self.ageTimer = null;
			while (self.queue.length &&
				now - self.queue[0]._since >= limit)
				self._giveUp('expired');
			self._age();
			self.flush();
		});
};

/* What was tried without an answer may have arrived all the same. */
Outbox.prototype._giveUp = function (error) {
	var message = this.queue.shift();

	this._stop();
	message._settle(message._tried ? 'unknown' : 'failed',
		{ error: error });
};

Outbox.prototype.fail = function (error) {
	var env = this.stream._env;

	env.cancel(this.ageTimer);
	this.ageTimer = null;
	while (this.queue.length)
		this._giveUp(error);
	this._stop();
};

Outbox.prototype._stop = function () {
	var abort = this.sending;

	this.stream._env.cancel(this.timer);
	this.timer = this.sending = null;
	if (abort)
		abort();
};

/* The connection is gone: what had no answer is sent again. */
Outbox.prototype.lost = function () {
	this.tries = 0;
	this._stop();
};

Outbox.prototype.flush = function () {
	var self = this, s = self.stream, message = self.queue[0];

	if (!message || !s._link || self.sending || self.timer !== null)
		return;
	message._tried = true;
	self.sending = nothing;
	self.timer = s._env.after(s._options.sendTimeout, function () {
		self._again(0);
	});
	if (!s._link.say) {
		self._post(message);
		return;
	}
	try {
		s._link.say({
			op: 'send', ref: 's' + message.seq, seq: message.seq,
			channel: message._channel || undefined,
			data: JSON.parse(message._data)
		});
	} catch (error) {
		self._again(0); /* it is closing: the next link takes it */
	}
};

/* Pause, then the same again. */
Outbox.prototype._again = function (after) {
	var self = this, env = self.stream._env;

	self._stop();
	self.timer = env.after(Math.max(after, FLOOR_MS, env.random() *
		Math.min(30000, 500 * Math.pow(2, self.tries++))), function () {
		self.timer = null;
		self.flush();
	});
};

Outbox.prototype._settled = function (status, details) {
	var message = this.queue.shift();

	this.tries = 0;
	this._stop();
	this.stream._env.cancel(this.ageTimer);
	this.ageTimer = null;
	message._settle(status, details);
	this._age();
	this.flush();
};

/* A WebSocket's answer to a command. */
Outbox.prototype.answered = function (m) {
	var message = this.queue[0];

	if (!message || !this.sending || m.ref !== 's' + message.seq)
		return;
	if (m.op === 'error' && TRANSIENT.test(m.code))
		this._again(0);
	else if (m.op === 'error')
		this._settled('failed', { error: m.message || m.code });
	else
		this._settled('acknowledged', {
			id: m.id || null, duplicate: !!m.duplicate,
			reply: m.op === 'reply' ? m.data : null
		});
};

Outbox.prototype._post = function (message) {
	var self = this, s = self.stream, env = s._env;
	var url = s._address({ session: s._session, seq: message.seq });

	/* A message goes to one channel: the first, unless it says. */
	url = url.replace(/[^\/?]*(?=\?)/, function (channels) {
		return message._channel || channels.split(/,|%2C/i)[0];
	});
	self.sending = request(env, {
		method: 'POST', url: url, body: message._data,
		headers: s._headers({ 'Content-Type': 'application/json' }),
		credentials: s._options.withCredentials
	}, function (status, text, header) {
		var read = parse(text), after = header('Retry-After');
		var echoed = status === 200 && text === message._data;

		if (status === 401)
			s._unauthorized(4401, 'HTTP 401');
		else if (status === 0 || status === 408 || status === 429 ||
			status >= 500)
			self._again(/^\d+$/.test(after || '') ?
				after * 1000 : 0);
		else if (status >= 300)
			self._settled('failed', {
				error: read && read.detail || 'HTTP ' + status
			});
		else
			self._settled('acknowledged', {
				id: !echoed && read && read.id || null,
				duplicate: !echoed && !!(read && read.duplicate),
				reply: echoed ? read : null
			});
	});
};
/*
 * The stream: which transport is in use, and when another takes its place.
 *
 * A race begins with the best transport; each `stagger` later, or as soon as
 * one fails, the next one joins. A link is proven by a hello and whatever
 * follows it, a poll by its answer. The best one proven is used, the others
 * end. Each begins behind the cursor, and what lies before it is dropped, so
 * changing costs nothing. While a lesser one is used, better ones are tried
 * again in the background.
 */

var STABLE_MS = 10000, SHORT_LIFE_MS = 120000, STRIKES = 3;
var BLOCKED_MS = 300000, PROBE_MS = 60000, PROBE_MAX_MS = 900000;
var REMEMBER_MS = 1800000, WAKE_MS = 2000, FLOOR_MS = 250;

function Stream(url, options) {
	var o = extend({
		transports: TRANSPORTS, types: [], stagger: 2000,
		proofTimeout: 10000, retryMin: 500, retryMax: 30000,
		pollWait: 25, queueMax: 100, queueAge: 30000, sendTimeout: 10000
	}, options);

	Emitter.call(this);
	this._options = o;
	this._env = environment(o);
	this._url = url;
	this._session = o.session || randomName(this._env);
	this.cursor = o.after || null;
	this.state = 'idle';
	this.transport = null;
	this.attempts = 0;
	this.stats = { events: 0, duplicates: 0, gaps: 0, connects: 0 };
	this._links = [];
	this._link = null;
	this._blocked = {};
	this._strikes = {};
	this._failed = {};
	this._base = o.retryMin;
	this._holdMax = o.pollWait;
	this._hold = Math.min(FIRST_HOLD, o.pollWait);
	this._probeMs = PROBE_MS;
	this._ladder = [];
	this._stepTimer = this._timer = this._watchTimer = null;
	this._subscribers = [];
	this._turn = 0;
	this._outbox = new Outbox(this);
	this._changed({});
	if (o.autoConnect !== false) {
		var self = this;
		this._timer = this._env.after(0, function () {
			self.connect();
		});
	}
}

inherit(Stream, Emitter);

/* For React, Svelte, Vue: an object that is another when anything changed. */
Stream.prototype.subscribe = function (listener) {
	var self = this;

	/* By position: the same one may subscribe twice. */
	listener = { run: listener };
	self._subscribers = self._subscribers.concat([listener]);
	return function () {
		self._subscribers = self._subscribers.filter(function (other) {
			return other !== listener;
		});
	};
};

Stream.prototype.getSnapshot = function () {
	return this._snapshot;
};

Stream.prototype._changed = function (details) {
	var before = this._snapshot;

	this._snapshot = extend({
		state: this.state, transport: this.transport,
		attempts: this.attempts, error: null, retryAt: null
	}, details);
	this._subscribers.forEach(function (subscriber) {
		call(subscriber.run);
	});
	if (before && before.state !== this.state)
		this._emit('state', {
			oldState: before.state, state: this.state
		});
};

Stream.prototype._become = function (state, details) {
	this.state = state;
	this._changed(details || {});
};

/* Addresses and headers. */

Stream.prototype._address = function (params, link) {
	var url = typeof this._url === 'function' ? this._url() : this._url;

	if (!params.after && this._options.last && link)
		params.last = this._options.last;
	return withParams(absolute(String(url), this._env), params);
};

Stream.prototype._headers = function (headers) {
	if (this._token)
		headers.Authorization = 'Bearer ' + this._token;
	return extend(headers, this._options.headers);
};

/* Beginning and ending. */

Stream.prototype.connect = function () {
	if (this.state !== 'idle' && this.state !== 'closed')
		return;
	this._env.cancel(this._timer);
	this._refreshed = false;
	this.attempts = 0;
	listenToPage(this);
	this._race();
};

Stream.prototype.close = function (code, reason) {
	if (this.state !== 'closed')
		this._end(code || 1000, reason || 'closed', true);
};

/* A new connection, for a reason that only the caller knows. */
Stream.prototype.reconnect = function (reason) {
	if (this.state === 'idle' || this.state === 'closed')
		return this.connect();
	this._dropAll();
	this._race({ reason: reason });
};

Stream.prototype._end = function (code, reason, wasClean) {
	this._turn++;
	this._dropAll();
	if (this._forgetPage)
		this._forgetPage();
	this._become('closed', { error: wasClean ? null : reason });
	this._outbox.fail('closed');
	this._emit('close', { code: code, reason: reason, wasClean: wasClean });
};

Stream.prototype._drop = function (link) {
	var at = this._links.indexOf(link);

	link.dead = true;
	if (at >= 0)
		this._links.splice(at, 1);
	link.shut();
	if (this._link === link) {
		this._link = null;
		this.transport = null;
		this._outbox.lost();
	}
};

Stream.prototype._dropAll = function () {
	var env = this._env;

	env.cancel(this._timer);
	env.cancel(this._stepTimer);
	env.cancel(this._watchTimer);
	this._timer = this._stepTimer = this._watchTimer = null;
	if (this._catchUp)
		this._catchUp();
	this._catchUp = null;
	this._ladder = [];
	while (this._links.length)
		this._drop(this._links[0]);
};

/* The race. */

/* What is possible here, best first; without what was seen to be blocked. */
Stream.prototype._candidates = function () {
	var self = this, now = self._env.now(), possible, open;

	possible = self._options.transports.filter(function (name) {
		return isPossible(name, self._env);
	});
	open = possible.filter(function (name) {
		return !(self._blocked[name] > now);
	});
	return open.length ? open : possible;
};

Stream.prototype._race = function (context) {
	var names, remembered;

	names = this._candidates();
	remembered = names.indexOf(recall(this));
	this._failed = {};
	if (!names.length) {
		this._end(4400, 'no transport is possible here', false);
		return;
	}
	this._become('connecting');
	if (this.state !== 'connecting') /* a listener closed it */
		return;
	/* What is better is tried again once this one works. */
	this._climb(remembered > 0 ? names.slice(remembered) : names, context);
};

/* Try these, one after the other, once there is a token. */
Stream.prototype._climb = function (names, context) {
	var self = this, turn = ++self._turn, getToken = self._options.getToken;
	var token;

	function go(token) {
		if (turn !== self._turn)
			return;
		self._token = token;
		self._ladder = names.slice();
		self._step();
	}
	function refused(error) {
		if (turn === self._turn && !self._link)
			self._lost(1006, 'no token: ' +
				(error && error.message || error), 0);
	}
	if (!getToken)
		return go(null);
	try {
		token = getToken(extend({ refresh: false }, context));
	} catch (error) {
		return refused(error);
	}
	if (token && token.then)
		token.then(go, refused);
	else
		go(token);
};

Stream.prototype._step = function () {
	var self = this, name = self._ladder.shift();

	self._env.cancel(self._stepTimer);
	self._stepTimer = null;
	if (!name)
		return;
	if (self._ladder.length)
		self._stepTimer = self._env.after(self._options.stagger,
			function () {
				self._step();
			});
	self._open(name);
};

Stream.prototype._open = function (name) {
	var link = {
		name: name, rank: this._options.transports.indexOf(name),
		after: this.cursor, opened: this._env.now(), hello: null,
		proven: false, dead: false, again: 0,
		patience: this._options.proofTimeout, shut: nothing
	};

	this._links.push(link);
	this.stats.connects++;
	this._heard(link);
	try {
		OPENERS[name](link, this, this._env);
	} catch (error) {
		this._fail(link, 1006, String(error && error.message || error));
	}
	this._watch();
};

/* Deadlines by the clock on the wall: timers rest while a laptop sleeps. */

Stream.prototype._heard = function (link) {
	link.heardAt = this._env.now();
	/* An unproven one has its time once: noise is no proof. */
	link.due = (link.proven || link.name === 'long' ||
		link.name === 'short' ? link.heardAt : link.opened) +
		link.patience;
	if (this._watchDue && link.due < this._watchDue)
		this._watch();
};

Stream.prototype._watch = function () {
	var self = this, env = self._env, due = 0;

	env.cancel(self._watchTimer);
	self._watchTimer = null;
	self._links.forEach(function (link) {
		due = due && due < link.due ? due : link.due;
	});
	self._watchDue = due;
	if (due)
		self._watchTimer = env.after(Math.max(due - env.now(), 0),
			function () {
				self._expire();
			});
};

Stream.prototype._expire = function () {
	var self = this, now = self._env.now();

	self._watchTimer = null;
	self._links.slice().forEach(function (link) {
		if (!link.dead && link.due <= now)
			self._fail(link, 4408, 'silent');
	});
	self._watch();
};

/* Proof: from here on the link is used, unless there is a better one. */

/* May what it says be used? */
Stream.prototype._prove = function (link) {
	var self = this, before = self._link, start = link.hello;

	if (link.proven)
		return !link.dead;
	if (before && before.rank <= link.rank) {
		self._drop(link);
		return false;
	}
	/* It began where nobody was yet, and others went on since. */
	if (!link.after && self.cursor && start && start.cursor !== self.cursor) {
		self._drop(link);
		self._open(link.name);
		return false;
	}
	link.proven = true;
	link.provenAt = self._env.now();
	if (start)
		link.patience = Math.max(start.heartbeat * 2.5, 1000);
	self._links.slice().forEach(function (other) {
		if (other !== link && other.rank > link.rank)
			self._drop(other);
	});
	self._use(link, before);
	return !link.dead;
};

Stream.prototype._use = function (link, before) {
	var env = this._env;

	this._link = link;
	this.transport = link.name;
	env.cancel(this._timer);
	env.cancel(this._stepTimer);
	this._timer = this._stepTimer = null;
	this._ladder = [];
	for (var name in this._failed)
		this._block(name);
	remember(this, link);
	this._probeLater();
	this._watch();
	if (this.state === 'open')
		this._changed({});
	else
		this._become('open');
	if (link.dead)
		return;
	if (!before)
		this._emit('open', { transport: link.name });
	if (link.dead)
		return;
	this._emit('transport', {
		transport: link.name, previous: before ? before.name : null,
		failed: extend({}, this._failed)
	});
	this._outbox.flush();
};

/* It failed where another one works, so it is no matter of the server. */
Stream.prototype._block = function (name) {
	this._blocked[name] = this._env.now() + BLOCKED_MS;
};

/* What could be had here instead of it. */
Stream.prototype._better = function (link) {
	var env = this._env;

	return this._options.transports.slice(0, link.rank)
		.filter(function (name) {
			return isPossible(name, env);
		});
};

Stream.prototype._probeLater = function () {
	var self = this, better = self._better(self._link);

	if (!better.length)
		return;
	self._timer = self._env.after(
		self._probeMs * (0.75 + self._env.random() / 2), function () {
			self._timer = null;
			self._probeMs = Math.min(self._probeMs * 2,
				PROBE_MAX_MS);
			self._failed = {};
			self._probeLater();
			self._climb(better);
		});
};

/* Failure. */

/* What a close code asks for: stop, token, or a delay with these limits. */
function verdict(code) {
	if (code === 4401)
		return 'token';
	if (code >= 4400 && code < 4500 && code !== 4408 && code !== 4429)
		return 'stop';
	if (code >= 4000 && code < 4100)
		return 'now';
	return code === 1001 || code === 1012 ? 'soon' : 'backoff';
}

Stream.prototype._fail = function (link, code, reason, after) {
	var what = verdict(code), used = link === this._link;

	if (link.dead)
		return;
	if (link.held)
		this._holdFailed(link, code);
	this._drop(link);
	if (used && this._env.now() - link.provenAt >= STABLE_MS) {
		this.attempts = 0;
		this._refreshed = false;
	}
	if (what === 'stop') {
		this._end(code, reason, false);
	} else if (what === 'token') {
		this._unauthorized(code, reason);
	} else if (used) {
		this._strike(link, code);
		this._lost(code, reason, Math.max(after || 0, link.again));
	} else {
		this._failed[link.name] = reason || code;
		if (this._link) {
			this._block(link.name);
			this._step();
		} else if (this._ladder.length) {
			this._step();
		} else if (!this._links.length) {
			/* None works: the server is down, and none blocked. */
			this._blocked = {};
			this._strikes = {};
			forget(this);
			this._lost(code, reason, after);
		}
	}
};

/* Cut by somebody who does not wait so long, or swallowed. */
Stream.prototype._holdFailed = function (link, code) {
	var held = (this._env.now() - link.asked) / 1000;

	if (code === 4408 && link.held <= FIRST_HOLD)
		this._block('long');
	if (code === 1006 && held > 3)
		this._holdMax = Math.max(FIRST_HOLD, Math.floor(held * 0.8));
	this._hold = Math.min(FIRST_HOLD, this._holdMax);
};

/* The same again, since this one holds all that it read. */
Stream.prototype._rotate = function (link) {
	this._env.cancel(this._timer);
	this._timer = null;
	this._drop(link);
	this._open(link.name);
};

/* One that works and always dies soon is not to be relied on. */
Stream.prototype._strike = function (link, code) {
	var now = this._env.now(), life = now - link.provenAt;
	var name = link.name;

	if (life >= SHORT_LIFE_MS || (code !== 1006 && code !== 4408))
		this._strikes[name] = 0;
	else
		this._strikes[name] = (this._strikes[name] || 0) + 1;
	if (this._strikes[name] >= STRIKES) {
		this._strikes[name] = 0;
		this._block(name);
	}
};

Stream.prototype._unauthorized = function (code, reason) {
	if (!this._options.getToken || this._refreshed) {
		this._end(code, reason, false);
		return;
	}
	this._refreshed = true;
	this._dropAll();
	this._failed = {};
	this._become('connecting', { error: reason });
	if (this.state === 'connecting')
		this._climb(this._candidates(), { refresh: true });
};

Stream.prototype._delay = function (code, after) {
	var random = this._env.random(), what = verdict(code);
	var most = Math.min(this._options.retryMax,
		this._base * Math.pow(2, this.attempts));

	if (after)
		return after + random * 250;
	if (what === 'now' && this.attempts === 0)
		return 0;
	if (what === 'soon' && this.attempts === 0)
		most = 1000;
	return Math.max(FLOOR_MS, random * most);
};

Stream.prototype._lost = function (code, reason, after) {
	var self = this, delay = self._delay(code, after);

	self._dropAll();
	self._turn++;
	self.attempts++;
	self._become('waiting', {
		error: reason || String(code), retryAt: self._env.now() + delay
	});
	self._emit('error', { code: code, reason: reason });
	self._emit('retry', {
		delay: delay, attempt: self.attempts, code: code, reason: reason
	});
	if (self.state === 'waiting' && self._timer === null)
		self._timer = self._env.after(delay, function () {
			self._timer = null;
			self._race();
		});
};

/* What links hear. */

Stream.prototype._take = function (link, m) {
	var first;

	if (link.dead)
		return;
	if (m.type === 'spillway.hello') {
		link.hello = m;
		this._base = Math.max(this._options.retryMin, m.retry || 0);
		if (!this.cursor && !this._options.last)
			this.cursor = m.cursor;
		return;
	}
	if (!link.hello) /* somebody else's server */
		return this._fail(link, 1006, 'no hello');
	first = !link.proven;
	if (first && !this._prove(link))
		return;
	this._heard(link);
	if (m.op)
		this._outbox.answered(m);
	else if (m.type === 'spillway.gap')
		this._gap(m, link.hello.cursor);
	else if (m.type === 'spillway.caughtup')
		this._caughtUp(m.cursor);
	else if (m.id)
		this._event(m);
};

/* A poll is atomic, and proves itself. */
Stream.prototype._answer = function (link, answer) {
	var self = this, asked = link.after;

	if (link.dead || !self._prove(link))
		return;
	self._heard(link);
	/* Asked where nobody was yet, and others went on since. */
	if (!asked && self.cursor)
		return;
	self._apply(answer);
	if (!answer.more && !link.dead && !link.caughtUp) {
		link.caughtUp = true;
		self._caughtUp(answer.cursor);
	}
};

Stream.prototype._apply = function (answer) {
	if (answer.gap)
		this._gap(answer.gap, null);
	for (var i = 0; i < answer.events.length; i++)
		if (this.state !== 'closed')
			this._event(answer.events[i]);
	if (isNewer(answer.cursor, this.cursor))
		this.cursor = answer.cursor;
};

Stream.prototype._event = function (m) {
	if (!isNewer(m.id, this.cursor)) {
		this.stats.duplicates++;
		return;
	}
	this.cursor = m.id;
	this.stats.events++;
	this._emit('message', {
		data: m.data, id: m.id, lastEventId: m.id, channel: m.channel,
		event: m.type, time: m.time, contentType: m.contentType,
		encoding: m.encoding
	});
};

Stream.prototype._gap = function (m, start) {
	/* Another log, or one that lost its end: ids begin again. */
	if (m.reason !== 'trimmed' && m.after === this.cursor)
		this.cursor = start;
	this.stats.gaps++;
	this._emit('gap', {
		reason: m.reason, after: m.after, first: m.first,
		channel: m.channel
	});
};

Stream.prototype._caughtUp = function (cursor) {
	if (isNewer(cursor, this.cursor))
		this.cursor = cursor;
	this._emit('caughtup', { cursor: cursor });
};

Stream.prototype.send = function (data, options) {
	return this._outbox.add(data, options || {});
};
/* The page and its network: hidden, frozen, awake again; what worked here. */

var KEY = 'spillway:';

function memoryKey(stream) {
	return KEY + stream._address({}).replace(/^(\w+:\/\/[^\/?]*).*/, '$1');
}

/* The transport that won where a better one failed, for a while. */
function recall(stream) {
	var storage = stream._env.storage, kept;

	try {
		kept = storage && parse(storage.getItem(memoryKey(stream)));
	} catch (refused) {
		return null;
	}
	return kept && kept.until > stream._env.now() ? kept.name : null;
}

function remember(stream, link) {
	var storage = stream._env.storage;

	if (!storage)
		return;
	try {
		if (!stream._better(link).length)
			storage.removeItem(memoryKey(stream));
		else
			storage.setItem(memoryKey(stream), JSON.stringify({
				name: link.name,
				until: stream._env.now() + REMEMBER_MS
			}));
	} catch (full) {
		return; /* then the next page begins at the top */
	}
}

function forget(stream) {
	try {
		if (stream._env.storage)
			stream._env.storage.removeItem(memoryKey(stream));
	} catch (refused) {
		return;
	}
}

/* Another network: what was blocked may work, and the reverse. */
Stream.prototype._newNetwork = function () {
	this._blocked = {};
	this._strikes = {};
	this._probeMs = PROBE_MS;
	this.attempts = 0;
	forget(this);
	this._wake();
};

/*
 * Awake after nobody knows how long: a socket that seems open may be dead. A
 * poll fetches what was missed while the link has two seconds to show life.
 */
Stream.prototype._wake = function () {
	var self = this, link = self._link, now = self._env.now();

	if (self.state === 'waiting') {
		self._env.cancel(self._timer);
		self._timer = null;
		self._race();
		return;
	}
	if (!link || link.held !== undefined)
		return this._expire();
	if (link.say) {
		link.due = now + WAKE_MS;
		try {
			link.say({ op: 'ping', ref: 'wake' });
		} catch (closing) {
			return self._fail(link, 1006, 'closing');
		}
	} else if (link.hello && now - link.heardAt > link.hello.heartbeat) {
		link.due = now + WAKE_MS;
	}
	self._watch();
	self._fetch(link);
};

/* What is new, by a poll beside the link. */
Stream.prototype._fetch = function (link) {
	var self = this;

	if (self._catchUp || !self.cursor)
		return;
	self._catchUp = request(self._env, {
		method: 'GET',
		url: self._address({ transport: 'short', after: self.cursor }),
		headers: self._headers({}),
		credentials: self._options.withCredentials
	}, function (status, text) {
		var answer = status === 200 ? parse(text) : null;

		self._catchUp = null;
		if (!answer || !answer.events || link.dead || answer.gap)
			return; /* the link tells of losses itself */
		for (var i = 0; i < answer.events.length && !link.dead; i++)
			self._event(answer.events[i]);
	});
};

/* Closed with the page, which may be kept and shown again. */
Stream.prototype._sleep = function () {
	if (this.state === 'idle' || this.state === 'closed')
		return;
	this._turn++;
	this._dropAll();
	this._become('waiting', { error: 'the page is put away' });
};

function listenToPage(stream) {
	var w = stream._env.window, d = w && w.document, listening = [];
	var network = w && w.navigator && w.navigator.connection;

	function on(target, type, run) {
		if (!target || !target.addEventListener)
			return;
		target.addEventListener(type, run);
		listening.push([target, type, run]);
	}
	function wake() {
		stream._wake();
	}
	function change() {
		stream._newNetwork();
	}
	on(w, 'online', change);
	on(network, 'change', change);
	on(w, 'pagehide', function () {
		stream._sleep();
	});
	on(w, 'pageshow', function (event) {
		if (event.persisted)
			stream._wake();
	});
	on(d, 'resume', wake);
	on(d, 'visibilitychange', function () {
		if (!d.hidden)
			stream._wake();
	});
	stream._forgetPage = function () {
		listening.forEach(function (l) {
			l[0].removeEventListener(l[1], l[2]);
		});
		stream._forgetPage = null;
	};
}
/* The stream behind the platform's own two faces: change a name, no more. */

function Facade(options) {
	Emitter.call(this);
	this.readyState = 0;
	this._quiet = options && options.autoConnect === false;
}

inherit(Facade, Emitter);

/* The payload as it would be alone: text, or JSON. */
function payload(m) {
	return m.contentType ? m.data : JSON.stringify(m.data);
}

function StreamEventSource(url, options) {
	var self = this, stream;

	Facade.call(self, options);
	self.url = String(url);
	self.withCredentials = !!(options && options.withCredentials);
	self.lastEventId = '';
	self.stream = stream = new Stream(url, options);
	stream.addEventListener('open', function () {
		self.readyState = 1;
		self._emit('open');
	});
	stream.addEventListener('message', function (m) {
		self.lastEventId = m.id;
		self._emit(m.event, {
			data: payload(m), lastEventId: m.id
		});
	});
	stream.addEventListener('error', function () {
		self.readyState = 0;
		self._emit('error');
	});
	stream.addEventListener('close', function (close) {
		var wasClosed = self.readyState === 2;

		self.readyState = 2;
		if (!wasClosed && !close.wasClean)
			self._emit('error');
	});
}

inherit(StreamEventSource, Facade);

StreamEventSource.prototype.close = function () {
	this.readyState = 2;
	this.stream.close();
};

/* Base64 to bytes. */
function bytes(text) {
	var binary = root.atob(text), array = new Uint8Array(binary.length);

	for (var i = 0; i < binary.length; i++)
		array[i] = binary.charCodeAt(i);
	return array.buffer;
}

/*
 * Opens once and closes once: what happens to connections in between is the
 * stream's, which loses nothing.
 */
function StreamWebSocket(url, protocols, options) {
	var self = this, stream;

	if (protocols && typeof protocols === 'object' &&
		!Array.isArray(protocols))
		options = protocols;
	Facade.call(self, options);
	self.url = String(url);
	self.protocol = self.extensions = '';
	self.binaryType = 'blob';
	self._waiting = 0;
	self.stream = stream = new Stream(url, options);
	stream.addEventListener('open', function () {
		if (self.readyState !== 0)
			return;
		self.readyState = 1;
		self._emit('open');
	});
	stream.addEventListener('message', function (m) {
		var data = typeof m.data === 'string' ? m.data : payload(m);

		if (m.encoding === 'base64') {
			data = bytes(m.data);
			if (self.binaryType === 'blob' && root.Blob)
				data = new root.Blob([data]);
		}
		self._emit('message', { data: data, lastEventId: m.id });
	});
	stream.addEventListener('close', function (close) {
		self.readyState = 3;
		if (!close.wasClean)
			self._emit('error');
		self._emit('close', {
			code: close.code, reason: close.reason,
			wasClean: close.wasClean
		});
	});
}

inherit(StreamWebSocket, Facade);

Object.defineProperty(StreamWebSocket.prototype, 'bufferedAmount', {
	get: function () {
		return this._waiting;
	}
});

/* Text that is JSON is sent as such; a JSON string stays quoted text. */
StreamWebSocket.prototype.send = function (text) {
	var self = this, data, size;

	if (self.readyState === 0)
		throw new Error('InvalidStateError: still connecting');
	if (typeof text !== 'string')
		throw new TypeError('only text is sent');
	data = parse(text);
	size = text.length;
	self._waiting += size;
	self.stream.send(data === null || typeof data === 'string' ?
		text : data, {
		done: function (sent) {
			self._waiting -= size;
			if (sent.status !== 'acknowledged')
				self._emit('error', { message: sent.error });
		}
	});
};

StreamWebSocket.prototype.close = function (code, reason) {
	if (this.readyState > 1)
		return;
	this.readyState = 2;
	this.stream.close(code || 1000, reason || '');
};

[StreamEventSource, StreamWebSocket].forEach(function (facade) {
	(facade === StreamEventSource ? ['CONNECTING', 'OPEN', 'CLOSED'] :
		['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'])
		.forEach(function (name, i) {
			facade[name] = facade.prototype[name] = i;
		});
});

return {
	Stream: Stream,
	StreamEventSource: StreamEventSource,
	StreamWebSocket: StreamWebSocket
};
}));

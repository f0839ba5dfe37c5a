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
(function (root) {
'use strict';

/* Requests with fetch, and the syntax of event streams. */

/*
 * Takes the address and what fetch takes with it. done(status, text, header)
 * tells how it ended, with status 0 if there was no answer; onText hears the
 * body as it arrives. Returns what ends it early, without a word.
 */
function fetchRequest(o, url, init, done, onText) {
	var control = new root.AbortController(), over;

	function end(status, text, header) {
		if (!over)
			done(status, text, header);
	}
	function unanswered() {
		end(0, '', nothing);
	}
	init.signal = control.signal;
	/* It is no method of ours. */
	(0, o.fetch)(url, init).then(function (answer) {
		var decoder, reader;

		function header(name) {
			return answer.headers.get(name);
		}
		/* Not a chain of promises: it would grow with the stream. */
		function next() {
			reader.read().then(function (part) {
				if (part.done)
					return end(200, '', header);
				if (!over)
					onText(decoder.decode(part.value,
						{ stream: true }));
				next();
			}, unanswered);
		}
		if (onText && answer.status === 200 && answer.body) {
			decoder = new root.TextDecoder();
			reader = answer.body.getReader();
			next();
		} else {
			answer.text().then(function (text) {
				end(answer.status, text, header);
			}, unanswered);
		}
	}, unanswered);
	return function () {
		over = true;
		control.abort();
	};
}

/* A request of the stream's: a GET, or with a body a POST. */
function ask(s, url, headers, done, onText, body) {
	if (s._token)
		headers.Authorization = 'Bearer ' + s._token;
	return request(s._o, url, {
		method: body ? 'POST' : 'GET', body: body, cache: 'no-store',
		headers: extend(headers, s._o.headers),
		credentials: s._o.withCredentials ? 'include' : 'same-origin'
	}, done, onText);
}

/* What all parts use: timers, cursors, addresses, listeners. */

function nothing() {}

function now(s) {
	return (s._o.clock || Date).now();
}

/* A timer: what it was set to before is forgotten, without `run` all. */
function alarm(o) {
	var clock = o.clock || root, timer;

	return function (ms, run) {
		clock.clearTimeout(timer);
		/* More than 2^31 ms would be over at once. */
		timer = run && clock.setTimeout(run, Math.min(ms, 1e9));
	};
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
	var a = id.split('-'), b = (cursor || '').split('-');

	return a[0] !== b[0] ||
		(a[1].length - b[1].length || a[1] > b[1]) > 0;
}

/* 128 bits that nobody guesses, where the platform has them. */
function randomName(o) {
	return [].join.call(root.crypto ?
		root.crypto.getRandomValues(new Uint32Array(4)) :
		[o.random(), o.random()], '-');
}

/* Base64, of either alphabet, to a string of bytes. */
function fromBase64(text) {
	return root.atob(text.replace(/-/g, '+').replace(/_/g, '/'));
}

/* What a listener throws is the page's, not ours. */
function call(listener, self, argument) {
	try {
		if (listener)
			listener.handleEvent ? listener.handleEvent(argument) :
				listener.call(self, argument);
	} catch (error) {
		setTimeout(function () {
			throw error;
		});
	}
}

/* Like an EventTarget; those that inherit from it have _listeners. */
function Emitter() {}

Emitter.prototype.addEventListener = function (type, listener, options) {
	var self = this, o = options || {}, signal = o.signal;

	function gone() {
		self.removeEventListener(type, listener);
	}
	function run(event) {
		var heard = run._of;

		if (o.once)
			gone();
		call(heard, self, event);
	}
	gone();
	run._of = listener;
	self._listeners[type].push(run);
	if (signal) {
		signal.addEventListener('abort', gone);
		if (signal.aborted)
			gone();
	}
};

Emitter.prototype.removeEventListener = function (type, listener) {
	/* Another array: the one before may be under way, without it. */
	this._listeners[type] = (this._listeners[type] || [])
		.filter(function (other) {
			return other._of !== listener || (other._of = null);
		});
};

function emit(self, type, details) {
	var event = extend(extend({}, details), { type: type, target: self });

	[self['on' + type]].concat(self._listeners[type] || [])
		.forEach(function (listener) {
			call(listener, self, event);
		});
}

function inherit(child) {
	child.prototype = Object.create(Emitter.prototype);
}
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
/*
 * Tokens: asked for with each attempt, again before they expire, and once when
 * they are refused. A WebSocket is told of a new one, polls carry it by
 * themselves, and an event stream is followed by one that overlaps with it.
 */

var TOKEN_MS = 30000;

/*
 * go(), once there is a token; refused(reason), if there is none to be had.
 * What getToken() waits for may be swallowed: then it is asked once more, and
 * whichever answer comes first is taken.
 */
function withToken(s, why, go, refused) {
	var turn = ++s._turn, getToken = s._o.getToken;

	function got(token) {
		if (turn !== s._turn)
			return;
		turn = 0;
		renew(s, token);
		go();
	}
	function failed(error) {
		if (turn !== s._turn)
			return;
		renewLater(s);
		refused('no token: ' + error);
	}
	function ask() {
		var token;

		try {
			token = getToken && getToken(extend({ refresh: false },
				why));
		} catch (error) {
			return failed(error);
		}
		if (token && token.then) {
			s._tokenTimer(TOKEN_MS, ask);
			token.then(got, failed);
		} else {
			got(token);
		}
	}
	ask();
}

function renew(s, token) {
	var link = s._link, isNew = token !== s._token;

	s._token = token;
	renewLater(s);
	if (!link || !isNew)
		return;
	if (link._say)
		link._say({ op: 'auth', token: token });
	if (link.name === 'sse')
		open(s, link.name, link);
}

/* While it is good for a fifth of its time: that leaves time to try again. */
function renewLater(s) {
	var life;

	try {
		life = parse(fromBase64(s._token.split('.')[1])).exp * 1000 -
			now(s);
	} catch (opaque) {
		/* It is renewed when it is refused. */
	}
	s._tokenTimer(Math.max(life * 0.8, 1000), life > 0 && function () {
		withToken(s, { refresh: true }, nothing, nothing);
	});
}

function unauthorized(s, code, reason) {
	dropAll(s); /* one that was good for long may be refreshed */
	if (!s._o.getToken || s._refreshed)
		return end(s, code, reason);
	race(s, { refresh: true });
}
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

/* Of what is left out, is undefined, or null. */
var DEFAULTS = {
	transports: TRANSPORTS, stagger: 2000, proofTimeout: 10000,
	retryMin: 500, retryMax: 30000, pollWait: 25, pollInterval: 0,
	queueMax: 1000, queueAge: 30000, sendTimeout: 10000, random: Math.random
};

function Stream(url, options) {
	var self = this, o = self._o = extend(platform(), options);

	self._listeners = Object.create(null); /* any name will do */
	for (var name in DEFAULTS) {
		if (o[name] == null)
			o[name] = DEFAULTS[name];
		/* One that is no number would be over at once, or never. */
		if (DEFAULTS[name] >= 0 && !((o[name] = +o[name]) >= 0))
			throw new TypeError(name);
	}
	if (!o.transports.every(function (name) {
		return OPENERS[name];
	}))
		throw new TypeError('transports: ' + TRANSPORTS);
	self._url = url;
	self._session = o.session || randomName(o);
	self.cursor = o.after || null;
	self.transport = null;
	self.attempts = self._turn = self._tries = 0;
	/* Who keeps a name goes on behind what it sent before, as a page. */
	self._sent = o.session ? now(self) * 1000 : 0;
	self.stats = { events: 0, duplicates: 0, gaps: 0, connects: 0 };
	self._links = self._ladder = [];
	self._queue = [];
	self._forgetPage = nothing;
	self._base = o.retryMin;
	self._holdMax = o.pollWait;
	self._hold = Math.min(FIRST_HOLD, o.pollWait);
	/* Begins a race, or a try of better transports. */
	self._timer = alarm(o);
	self._stepTimer = alarm(o);
	self._watchTimer = alarm(o);
	self._tokenTimer = alarm(o);
	self._sendTimer = alarm(o);
	self._ageTimer = alarm(o);
	forgive(self);
	become(self, 'idle');
	if (o.autoConnect !== false)
		self._timer(0, function () {
			self.connect();
		});
}

inherit(Stream);

/* For React, Svelte, Vue: an object that is another when anything changed. */
Stream.prototype.subscribe = function (listener) {
	var self = this;

	/* One of its own: the same listener may subscribe twice. */
	function run() {
		listener();
	}
	self.addEventListener('snapshot', run);
	return function () {
		self.removeEventListener('snapshot', run);
	};
};

Stream.prototype.getSnapshot = function () {
	return this._snapshot;
};

Stream.prototype.connect = function () {
	if (/idle|closed/.test(this.state))
		this.reconnect();
};

Stream.prototype.close = function (code, reason) {
	if (this.state !== 'closed')
		end(this, code || 1000, reason || 'closed', true);
};

/* A new connection, for a reason that only the caller knows. */
Stream.prototype.reconnect = function (reason) {
	if (/idle|closed/.test(this.state)) {
		this._refreshed = false;
		this.attempts = 0;
		listenToPage(this);
	}
	dropAll(this);
	race(this, { reason: reason });
};

function become(s, state, details) {
	var before = s.state;

	s.state = state;
	s._snapshot = extend({
		state: state, transport: s.transport, attempts: s.attempts,
		error: null, retryAt: null
	}, details);
	emit(s, 'snapshot');
	if (before !== state && s.state === state)
		emit(s, 'state', { oldState: before, state: state });
}

/* What was held against transports: this may be another network. */
function forgive(s) {
	s._blocked = {};
	s._strikes = {};
	s._probeMs = PROBE_MS;
}

function address(s, params, link) {
	var url = s._url;

	if (link) {
		params.session = s._session;
		params.last = params.after ? null : s._o.last;
	}
	url = absolute(url.call ? url() : url);
	for (var name in params)
		/* Neither null nor undefined. */
		if (params[name] != null)
			url += (/\?/.test(url) ? '&' : '?') + name + '=' +
				encodeURIComponent(params[name]);
	return url;
}

/* Ending. */

function end(s, code, reason, wasClean) {
	dropAll(s);
	s._forgetPage();
	become(s, 'closed', { error: wasClean ? null : reason });
	age(s, 'closed');
	emit(s, 'close', {
		code: code, reason: reason, wasClean: !!wasClean
	});
}

function drop(s, link) {
	link._dead = true;
	s._links = s._links.filter(function (other) {
		return other !== link;
	});
	link._shut();
	if (s._link === link) {
		if (now(s) - link._provenAt >= STABLE_MS) {
			s.attempts = 0;
			s._refreshed = false;
		}
		s._link = s.transport = null;
		s._tries = 0;
		halt(s);
	}
}

function dropAll(s) {
	s._turn++;
	s._timer();
	s._stepTimer();
	s._watchTimer();
	s._tokenTimer();
	if (s._catchUp)
		s._catchUp();
	s._catchUp = null;
	s._ladder = [];
	s._links.forEach(function (link) {
		drop(s, link);
	});
}

/* The race. */

/* What is possible here, best first: all, or those above a rank. */
function possible(s, rank) {
	return s._o.transports.slice(0, rank).filter(function (name) {
		return isPossible(name, s._o);
	});
}

function race(s, why) {
	var names = possible(s), open = names.filter(function (name) {
		return !(s._blocked[name] > now(s));
	});

	s._timer();
	s._failed = {};
	if (!names.length)
		return end(s, 4400, 'no transport');
	if (open.length)
		names = open;
	become(s, 'connecting');
	if (s.state === 'connecting') /* no listener closed it */
		/* What is better is tried again once this one works. */
		climb(s, names.slice(Math.max(0,
			names.indexOf(memory(s, '')))), why);
}

/* Try these, one after the other, once there is a token. */
function climb(s, names, why) {
	withToken(s, why, function () {
		/* Now, and not while it is asked for: that may come to nothing. */
		s._refreshed = s._refreshed || why && why.refresh;
		s._ladder = names.slice();
		step(s);
	}, function (reason) {
		if (!s._link)
			lost(s, 1006, reason);
	});
}

function step(s) {
	var name = s._ladder.shift();

	if (!name)
		return;
	s._stepTimer(s._o.stagger, s._ladder.length && function () {
		step(s);
	});
	open(s, name);
}

/* `instead` of a link, which is used until this one is proven. */
function open(s, name, instead) {
	var link = {
		name: name, _rank: s._o.transports.indexOf(name),
		_after: s.cursor, _again: 0,
		_patience: s._o.proofTimeout, _shut: nothing,
		_instead: instead
	};

	s._links = s._links.concat(link);
	s.stats.connects++;
	heard(s, link);
	try {
		OPENERS[name](s, link);
	} catch (error) {
		fail(s, link, String(error));
	}
	watch(s);
}

/* Deadlines by the clock on the wall: timers rest while a laptop sleeps. */

function heard(s, link) {
	link._heardAt = now(s);
	link._due = link._heardAt + link._patience;
	if (link._due < s._watchDue)
		watch(s);
}

function watch(s) {
	s._watchDue = Infinity;
	s._links.forEach(function (link) {
		s._watchDue = Math.min(s._watchDue, link._due);
	});
	s._watchTimer(s._watchDue - now(s), s._links.length && function () {
		expire(s);
	});
}

function expire(s) {
	var time = now(s);

	s._links.forEach(function (link) {
		/* Heard in the future: the clock was set back meanwhile. */
		if (link._due <= time || link._heardAt > time)
			fail(s, link, 'silent', 4408);
	});
	watch(s);
}

/* Proof: from here on the link is used, unless there is a better one. */

/* May what it says be used? */
function prove(s, link) {
	var before = s._link, hello = link._hello;

	if (link._proven)
		return true;
	if (before && before._rank <= link._rank && before !== link._instead) {
		drop(s, link);
		return false;
	}
	/* It began where nobody was yet, and others went on since. */
	if (!link._after && s.cursor && hello && hello.cursor !== s.cursor) {
		drop(s, link);
		open(s, link.name);
		return false;
	}
	link._proven = true;
	link._provenAt = now(s);
	if (hello)
		link._patience = Math.max(hello.heartbeat * 2.5, 1000);
	s._links.forEach(function (other) {
		if (other !== link && other._rank >= link._rank)
			drop(s, other);
	});
	use(s, link, before);
	return !link._dead;
}

function use(s, link, before) {
	s._link = link;
	s.transport = link.name;
	s._ladder = [];
	for (var name in s._failed)
		block(s, name);
	s._blocked[link.name] = 0;
	memory(s, possible(s, link._rank).length ? link.name : null);
	probeLater(s);
	become(s, 'open');
	if (!before && !link._dead)
		emit(s, 'open', { transport: link.name });
	if (!link._dead && (!before || before.name !== link.name))
		emit(s, 'transport', {
			transport: link.name,
			previous: before ? before.name : null,
			failed: s._failed
		});
	flush(s);
}

/* It failed where another one works, so it is no matter of the server. */
function block(s, name) {
	s._blocked[name] = now(s) + BLOCKED_MS;
}

function probeLater(s) {
	var better = possible(s, s._link._rank);

	s._timer(s._probeMs * (0.75 + s._o.random() / 2), better.length &&
		function () {
			s._probeMs = Math.min(s._probeMs * 2, PROBE_MAX_MS);
			s._failed = {};
			probeLater(s);
			climb(s, better);
		});
}

/* Failure. */

function fail(s, link, reason, code, after) {
	var used = link === s._link;

	code = code || 1006;
	if (link._dead)
		return;
	if (link._held)
		holdFailed(s, link, code);
	if (code === 1009)
		giveUp(s, reason || '' + code);
	drop(s, link);
	if (code === 4401)
		unauthorized(s, code, reason);
	else if (/^44(?!08|29)/.test(code))
		end(s, code, reason);
	else if (used) {
		strike(s, link.name, code, now(s) - link._provenAt);
		lost(s, code, reason, Math.max(after || 0, link._again));
	} else {
		s._failed[link.name] = reason || code;
		if (s._link)
			block(s, link.name);
		if (s._link || s._ladder.length) {
			step(s);
		} else if (!s._links.length) {
			/* None works: the server is down, and none blocked. */
			forgive(s);
			memory(s, null);
			lost(s, code, reason, after);
		}
	}
}

/* Cut by somebody who does not wait so long, or swallowed. */
function holdFailed(s, link, code) {
	var held = (now(s) - link._asked) / 1000;

	if (code === 4408 && link._held <= FIRST_HOLD)
		block(s, 'long');
	if (code === 1006 && held > 3)
		s._holdMax = held * 0.8 | 0;
	s._hold = Math.min(FIRST_HOLD, s._holdMax);
}

/* One that works and always dies soon is not to be relied on. */
function strike(s, name, code, life) {
	s._strikes[name] = life < SHORT_LIFE_MS && /1006|4408/.test(code) ?
		(s._strikes[name] || 0) + 1 : 0;
	if (s._strikes[name] === STRIKES) {
		s._strikes[name] = 0;
		block(s, name);
	}
}

/* Before what failed `times` is tried again: the more, the longer. */
function jitter(s, times) {
	return Math.max(FLOOR_MS, s._o.random() * Math.min(s._o.retryMax,
		s._base * Math.pow(2, times)));
}

function delayOf(s, code, after) {
	if (after)
		return after + s._o.random() * 250;
	if (!s.attempts && /^40/.test(code))
		return 0;
	/* All have lost a gateway that goes away: they come back apart. */
	return jitter(s, s.attempts || +/^10(01|12)/.test(code));
}

function lost(s, code, reason, after) {
	var delay = delayOf(s, code, after), details = {
		delay: delay, attempt: ++s.attempts, code: code, reason: reason
	};

	dropAll(s);
	s._notBefore = now(s) + after;
	s._timer(delay, function () {
		race(s);
	});
	become(s, 'waiting', {
		error: reason || '' + code, retryAt: now(s) + delay
	});
	if (s.state === 'waiting') /* no listener closed it */
		emit(s, 'error', details);
	if (s.state === 'waiting')
		emit(s, 'retry', details);
}

/* What links hear. */

function take(s, link, m) {
	if (link._dead || !m)
		return;
	if (m.type === 'spillway.hello') {
		link._hello = m;
		s._base = Math.max(s._o.retryMin, m.retry || 0);
		if (!s.cursor && !s._o.last)
			s.cursor = m.cursor;
		return;
	}
	if (!link._hello) /* somebody else's server */
		return fail(s, link, 'no hello');
	if (!prove(s, link))
		return;
	heard(s, link);
	if (m.op)
		replied(s, m);
	else if (m.type === 'spillway.gap')
		gap(s, m, link._hello.cursor);
	else if (m.type === 'spillway.caughtup')
		caughtUp(s, m.cursor);
	else if (m.id)
		event(s, m);
}

/* A poll is atomic, and proves itself. */
function answered(s, link, answer) {
	if (link._dead || !prove(s, link))
		return;
	/* Asked where nobody was yet, and others went on since. */
	if (!link._after && s.cursor)
		return;
	if (answer.gap)
		gap(s, answer.gap, 'start');
	answer.events.forEach(function (m) {
		if (!link._dead)
			event(s, m);
	});
	if (link._dead)
		return;
	if (answer.more || link._caughtUp) {
		advance(s, answer.cursor);
	} else {
		link._caughtUp = true;
		caughtUp(s, answer.cursor);
	}
}

function advance(s, cursor) {
	var newer = isNewer(cursor, s.cursor);

	if (newer)
		s.cursor = cursor;
	return newer;
}

function event(s, m) {
	if (advance(s, m.id)) {
		s.stats.events++;
		emit(s, 'message',
			extend({ event: m.type, lastEventId: m.id }, m));
	} else {
		s.stats.duplicates++;
	}
}

function gap(s, m, start) {
	/* Another log, or one that lost its end: ids begin again. */
	if (m.reason !== 'trimmed' && m.after === s.cursor)
		s.cursor = start;
	s.stats.gaps++;
	emit(s, 'gap', m);
}

function caughtUp(s, cursor) {
	advance(s, cursor);
	emit(s, 'caughtup', { cursor: cursor });
}
/* The page and its network: hidden, frozen, awake again; what worked here. */

/*
 * The transport that won where a better one failed, for a while: kept, with
 * null forgotten, with '' asked for. Storage may be absent, full or forbidden:
 * then a page begins at the top, as the first one did.
 */
function memory(s, name) {
	var o = s._o, storage, key, kept;

	try {
		storage = o.storage === undefined ? o.window.localStorage :
			o.storage;
		key = 'spillway:' + address(s, {}).split('/')[2];
		if (name)
			storage.setItem(key,
				name + ' ' + (now(s) + REMEMBER_MS));
		else if (name === null)
			storage.removeItem(key);
		else
			kept = storage.getItem(key).split(' ');
		return kept[1] > now(s) && kept[0];
	} catch (none) {
		/* Nothing is remembered. */
	}
}

/*
 * Awake after nobody knows how long: a socket that seems open may be dead. A
 * poll fetches what was missed while the link has two seconds to show life. A
 * link that polls does so at once, and is not held: that may be on such a
 * socket.
 */
function wake(s) {
	var link = s._link, time = now(s);

	if (s.state === 'waiting')
		/* The timer goes on, if the server has named a time. */
		return s._notBefore > time || race(s);
	if (!link)
		return expire(s);
	if (link._poll)
		return link._poll(true);
	if (link._say || time - link._heardAt > link._hello.heartbeat)
		link._due = time + WAKE_MS;
	watch(s);
	fetchMissed(s, link);
	if (link._say)
		link._say({ op: 'ping' });
}

/* What is new, by a poll beside the link, which tells of losses itself. */
function fetchMissed(s, link) {
	if (s._catchUp || !s.cursor)
		return;
	s._catchUp = ask(s, address(s, {
		transport: 'short', after: s.cursor
	}), {}, function (status, text) {
		var answer = status === 200 && parse(text);

		s._catchUp = null;
		if (answer && answer.events && !answer.gap)
			answer.events.forEach(function (m) {
				if (!link._dead)
					event(s, m);
			});
	});
}

function listenToPage(s) {
	var w = s._o.window || {}, d = w.document;
	var network = (w.navigator || w).connection || w, type = network.type;

	function isAwake(event) {
		if (event.type === 'pageshow' ? event.persisted : !d.hidden)
			wake(s);
	}
	function isElsewhere() {
		forgive(s);
		s.attempts = 0;
		memory(s, null);
		halt(s);
		flush(s);
		wake(s);
	}
	/* It is told of other speeds, too, which are no other network. */
	function isOther() {
		if (type !== (type = network.type))
			isElsewhere();
	}
	/* Closed with the page, which may be kept and shown again. */
	function sleep() {
		dropAll(s);
		s._notBefore = 0;
		become(s, 'waiting', { error: 'put away' });
	}
	function each(method) {
		[
			[w, 'online', isElsewhere],
			[network, 'change', isOther],
			[w, 'pagehide', sleep], [w, 'pageshow', isAwake],
			[d, 'visibilitychange', isAwake]
		].forEach(function (l) {
			if (l[0] && l[0][method])
				l[0][method](l[1], l[2]);
		});
	}
	each('addEventListener');
	s._forgetPage = function () {
		each('removeEventListener');
	};
}
/*
 * What the page sends. One message is under way at a time: that keeps their
 * order, whatever refusal or reconnect comes between. Each has a number, and
 * is sent again under the same one until there is an answer, so the gateway
 * knows a repetition.
 */

var TRANSIENT = /^(overloaded|no-memory|store|again|io|corrupt|locked)$/;

function settle(message, status, details) {
	extend(message, details).status = status;
	call(message._options.done, null, message);
	call(message._resolve, null, message);
}

/* A view may be written to while it waits: what is sent is as it was. */
function isBinary(data) {
	return /Buffer|View|\d[AC]|Blob|File/.test({}.toString.call(data));
}

/* Returns what becomes of it: queued, acknowledged, failed, or unknown. */
Stream.prototype.send = function (data, options) {
	var s = this, message = {
		seq: ++s._sent, status: 'queued', id: null, duplicate: false,
		reply: null, error: null,
		_data: isBinary(data) ? new root.Blob([data]) :
			JSON.stringify(data),
		_options: options || {}, _since: now(s)
	};
	var error = message._data === undefined ? 'not JSON' :
		s.state === 'closed' ? 'closed' :
			s._queue.length >= s._o.queueMax && 'queue full';

	if (root.Promise)
		message.done = new root.Promise(function (resolve) {
			message._resolve = resolve;
		});
	if (error) {
		settle(message, 'failed', { error: error });
	} else {
		s._queue.push(message);
		age(s);
	}
	return message;
};

/*
 * Nobody wants to see what they said half an hour ago. With an error, all are
 * given up: what was tried without an answer may have arrived all the same.
 */
function age(s, error) {
	var first, left;

	s._ageTimer();
	while ((first = s._queue[0])) {
		left = first._since + s._o.queueAge - now(s);
		if (left > 0 && !error) {
			s._ageTimer(left, function () {
				age(s);
			});
			return flush(s);
		}
		settled(s, first._tried ? 'unknown' : 'failed',
			{ error: error || 'expired' });
	}
}

/* The attempt ends, or the pause after it: `s._sending` is what ends it. */
function halt(s) {
	var abort = s._sending;

	s._sendTimer();
	s._sending = null;
	if (abort)
		abort();
}

function settled(s, status, details) {
	var message = s._queue.shift();

	s._tries = 0;
	halt(s);
	settle(message, status, details);
}

/* What is too long for a WebSocket ends that, each time it is sent. */
function giveUp(s, reason) {
	if (s._sending)
		settled(s, 'failed', { error: reason });
}

/* Pause, then the same again. */
function again(s, after) {
	halt(s);
	s._sending = nothing;
	s._sendTimer(Math.max(after, jitter(s, s._tries++)), function () {
		s._sending = null;
		flush(s);
	});
}

/* An answer, as a WebSocket has it. */
function replied(s, m) {
	var message = s._queue[0];

	if (!message || !s._sending || m.ref !== message.seq)
		return;
	if (m.op !== 'error')
		settled(s, 'acknowledged', {
			id: m.id || null, duplicate: !!m.duplicate,
			reply: m.op === 'reply' ? m.data : null
		});
	else if (TRANSIENT.test(m.code))
		again(s, m.after || 0);
	else
		giveUp(s, m.message || m.code);
	age(s);
}

/* Posts a message; answer(s, m) is told the same as by a WebSocket. */
function post(s, message, answer) {
	/* A message goes to one channel: the first, unless it says. */
	return ask(s, address(s, {
		session: message._session || s._session, seq: message.seq
	}).replace(/[^\/?]*(?=\?)/, function (channels) {
		return message._options.channel || channels.split(/,|%2C/i)[0];
	}), {
		'Content-Type': isBinary(message._data) ?
			'application/octet-stream' : 'application/json'
	}, function (status, text, header) {
		var problem = problemOf(text, header);
		var read = /json/.test(header('Content-Type')) ?
			parse(text) : text;

		function told(op, details) {
			answer(s, extend({ op: op, ref: message.seq }, details));
		}
		if (status === 401 && s._token)
			unauthorized(s, 4401, 'HTTP 401');
		else if (/^(0|408|429|50[03])$/.test(status) ||
			(status > 499 && !problem))
			told('error', {
				code: 'again', after: retryAfter(header)
			});
		else if (status >= 300)
			told('error', {
				message: problem ? problem.detail :
					'HTTP ' + status
			});
		/* Of a message that it has the gateway says so, in its own way. */
		else if (status === 200 &&
			!/^{"id":"[^"]*","time":\d+,"duplicate":true}/.test(text))
			told('reply', { data: read });
		else
			told('ok', read);
	}, null, message._data);
}

function flush(s) {
	var message = s._queue[0];

	if (!message || !s._link || s._sending)
		return;
	message._tried = true;
	s._sending = nothing;
	s._sendTimer(s._o.sendTimeout, function () {
		again(s, 0);
	});
	/* Commands are JSON: bytes go beside them. */
	if (!s._link._say || isBinary(message._data))
		s._sending = post(s, message, replied);
	else
		s._link._say({
			op: 'send', ref: message.seq, seq: message.seq,
			channel: message._options.channel,
			data: JSON.parse(message._data)
		});
}
/* The stream behind the platform's own two faces: change a name, no more. */

/* The names of its states are on it and on what it makes. */
function facade(constructor, states) {
	inherit(constructor);
	states.forEach(function (name, i) {
		constructor[name] = constructor.prototype[name] = i;
	});
}

/* What both are: told on(type, run) to listen to the stream behind them. */
function face(self, url, options, on) {
	self._listeners = Object.create(null);
	self.url = absolute(url);
	self.readyState = 0;
	self.stream = new Stream(url, options);
	self.stream.addEventListener('close', function (close) {
		self.readyState = self.CLOSED;
		if (!close.wasClean)
			emit(self, 'error');
	});
	for (var type in on)
		self.stream.addEventListener(type, on[type]);
}

/*
 * The payload as it would be alone: text, bytes as base64, or JSON. (What was
 * published as a string in JSON is text: the envelope tells no difference.)
 */
function payload(m) {
	return typeof m.data === 'string' ? m.data : JSON.stringify(m.data);
}

function StreamEventSource(url, options) {
	var self = this;

	face(self, url, options, {
		state: function (e) {
			self.readyState = +(e.state === 'open');
		},
		open: function () {
			emit(self, 'open');
		},
		message: function (m) {
			emit(self, m.event, {
				data: payload(m), lastEventId: m.id
			});
		},
		error: function () {
			emit(self, 'error');
		}
	});
	self.withCredentials = !!self.stream._o.withCredentials;
}

facade(StreamEventSource, ['CONNECTING', 'OPEN', 'CLOSED']);

StreamEventSource.prototype.close = function () {
	this.stream.close();
};

/*
 * Opens once and closes once: what happens to connections in between is the
 * stream's, which loses nothing.
 */
function StreamWebSocket(url, protocols, options) {
	var self = this;

	face(self, url, protocols && !protocols.concat ? protocols : options, {
		open: function () {
			if (self.readyState)
				return;
			self.readyState = 1;
			emit(self, 'open');
		},
		message: function (m) {
			if (self.readyState < 2)
				emit(self, 'message', {
					data: m.encoding ?
						bytes(m.data, self.binaryType) :
						payload(m),
					lastEventId: m.id
				});
		},
		close: function (close) {
			emit(self, 'close', close);
		}
	});
	self.url = self.url.replace('http', 'ws');
	self.protocol = self.extensions = '';
	self.binaryType = 'blob';
	self.bufferedAmount = 0;
	self._drained = nothing;
}

facade(StreamWebSocket, ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED']);

function bytes(text, type) {
	var read = fromBase64(text), i = read.length;
	var array = new Uint8Array(i);

	while (i--)
		array[i] = read.charCodeAt(i);
	return type === 'blob' ? new root.Blob([array]) :
		array.buffer;
}

/*
 * What comes out at the other end is what was sent, to the letter: only text
 * that JSON would write in the same way travels as such.
 */
StreamWebSocket.prototype.send = function (data) {
	var self = this, isText = !isBinary(data), size, read;

	if (!self.readyState)
		throw new Error('connecting');
	if (self.readyState > 1)
		return; /* as the platform's own */
	if (isText)
		data = String(data);
	/* In bytes: a Blob has a copy made, which is rarely needed to know. */
	size = isText && !/[^\0-~]/.test(data) ? data.length :
		new root.Blob([data]).size;
	if (isText && /^[[{]/.test(data)) {
		read = parse(data);
		if (JSON.stringify(read) === data)
			data = read;
	}
	self.bufferedAmount += size;
	self.stream.send(data, {
		done: function (sent) {
			self.bufferedAmount -= size;
			if (sent.status !== 'acknowledged')
				emit(self, 'error', { message: sent.error });
			self._drained();
		}
	});
};

StreamWebSocket.prototype.close = function (code, reason) {
	var self = this, stream = self.stream;

	if (self.readyState < 2) {
		self.readyState = 2;
		/* Behind what was sent, and when whoever asks has gone on. */
		self._drained = function () {
			if (!stream._queue.length)
				alarm(stream._o)(0, function () {
					stream.close(code, reason);
				});
		};
		self._drained();
	}
};
/* The platform, whatever it has, as `root`: spillway.js. */

/* XMLHttpRequest keeps all that it read. */
var ROTATE = 1e6;

function extend(to, from) {
	for (var name in from)
		to[name] = from[name];
	return to;
}

function platform() {
	return {
		WebSocket: root.WebSocket, EventSource: root.EventSource,
		fetch: root.fetch, XMLHttpRequest: root.XMLHttpRequest,
		window: root.window
	};
}

/* An absolute http(s) address, without a fragment. */
function absolute(url) {
	var link;

	if (root.document) {
		link = document.createElement('a');
		link.href = url;
		url = link.href;
	}
	return String(url).replace(/^ws/, 'http').replace(/#.*/, '');
}

function xhrRequest(o, url, init, done, onText) {
	var x = new o.XMLHttpRequest(), seen = 0, over;

	function read() {
		var text = onText && x.status === 200 ?
			x.responseText.slice(seen) : '';

		seen += text.length;
		if (text && !over)
			onText(text);
	}
	function end() {
		if (over)
			return;
		done(x.status, x.responseText, function (name) {
			return x.getResponseHeader(name);
		});
	}
	/*
	 * Old browsers keep answers in spite of what these say, and show of a
	 * stream no beginning that is short.
	 */
	x.open(init.method, url + '&padding=1&t=' + o.random());
	x.withCredentials = o.withCredentials;
	for (var name in init.headers)
		x.setRequestHeader(name, init.headers[name]);
	x.onreadystatechange = read;
	x.onload = x.onerror = end;
	x.send(init.body);
	return function () {
		over = true;
		x.abort();
	};
}

function readsStreams(o) {
	return o.fetch && root.TextDecoder && root.ReadableStream &&
		root.AbortController;
}

function request(o, url, init, done, onText) {
	/* A whole answer comes by fetch: it may be one that the page gave. */
	return (o.XMLHttpRequest && !(onText ? readsStreams(o) :
		o.fetch && root.AbortController) ?
		xhrRequest : fetchRequest)(o, url, init, done, onText);
}

function canStream(o) {
	return o.XMLHttpRequest || readsStreams(o);
}

function isPossible(name, o) {
	return name === 'ws' ? o.WebSocket :
		name === 'sse' ? o.EventSource || canStream(o) :
			o.fetch || o.XMLHttpRequest;
}

/* The browser's own: deaf to types that nobody named, and to statuses. */
function openEventSource(s, link) {
	var source = new s._o.EventSource(address(s, {
		transport: 'sse', format: 'json', after: link._after,
		token: s._token
	}, link), { withCredentials: s._o.withCredentials });

	['message', 'spillway.hello', 'spillway.caughtup', 'spillway.gap',
		'spillway.heartbeat'].concat(s._o.types || [])
		.forEach(function (type) {
			source.addEventListener(type, function (message) {
				takeEvent(s, link, type, message.data);
			});
		});
	/* Coming back is our business, which knows the cursor. */
	source.onerror = function () {
		fail(s, link, 'ended');
	};
	link._shut = function () {
		source.onerror = null;
		source.close();
	};
}

OPENERS.sse = function (s, link) {
	var length = 0, o = s._o;

	if (o.EventSource &&
		(o.EventSource !== root.EventSource || !canStream(o)))
		openEventSource(s, link);
	else if (readsStreams(o))
		openEvents(s, link);
	else
		openEvents(s, link, function (text) {
			length += text.length;
			if (length > ROTATE && link._proven) {
				length = 0;
				open(s, link.name, link);
			}
		});
};
/*
 * Tabs that share one connection: `share` names those that may.
 *
 * One leads: it has the lock (or where there are no locks the lease, a line in
 * the storage with a date), uses a transport as always, and tells the others
 * what it hears. Those have one way, 'tab': they join the leader, and what lies
 * between their cursor and its own they fetch themselves, by polls. Each thing
 * told has a number, so one that is missing is noticed, and fetched. When the
 * leader closes, crashes or is frozen, the next one leads, behind its cursor,
 * and the others join it: the same catch-up as after any other change.
 *
 * What followers send is posted by the leader, with their names and numbers:
 * whoever leads when it is repeated, the gateway knows the repetition.
 */

var LEASE_MS = 6000, CLAIM_MS = 200, JOIN_MS = 3000, BEAT_MS = 15000;

/* What sharing needs, if it is there: storage and channel may be forbidden. */
function sharing(s) {
	var o = s._o, name = 'spillway:' + o.share + ':' + address(s, {});
	var channel = o.BroadcastChannel || root.BroadcastChannel;
	var locks = 'locks' in o ? o.locks : root.navigator &&
		root.navigator.locks;
	var storage;

	try {
		storage = o.storage === undefined ? o.window.localStorage :
			o.storage;
		storage.getItem(name);
	} catch (forbidden) {
		storage = null;
	}
	try {
		return (locks || storage) && {
			_name: name, _port: new channel(name),
			_locks: locks, _storage: storage
		};
	} catch (alone) {
		/* Each has a connection of its own. */
	}
}

function tell(t, message) {
	if (t._gone)
		return;
	message.from = t._id;
	t._port.postMessage(message);
}

/* Who leads. */

function lead(t) {
	var s = t._stream;

	t._leads = true;
	t._told = 0;
	dropAll(s);
	race(s, { reason: 'leads' });
}

/* Another one leads, or wants to. */
function resign(t) {
	var s = t._stream;

	t._leads = false;
	t._release();
	t._release = nothing;
	dropAll(s);
	claim(t);
	race(s, { reason: 'follows' });
}

function claim(t, steal) {
	if (t._locks)
		claimLock(t, steal);
	else
		claimLease(t, steal);
}

function claimLock(t, steal) {
	var mine = false;

	t._locks.request(t._name, steal ? { steal: true } : {
		signal: t._stays.signal
	}, function () {
		if (t._gone || t._leads)
			return null;
		mine = true;
		lead(t);
		return new root.Promise(function (done) {
			t._release = done;
		});
	}).then(null, function () {
		if (mine && t._leads) /* stolen */
			resign(t);
		else if (!mine && !t._gone && !t._leads)
			lead(t); /* forbidden: each has its own connection */
	});
}

function holder(t) {
	var kept = (t._storage.getItem(t._name) || '').split(' ');

	return kept[1] > now(t._stream) ? kept[0] : '';
}

function claimLease(t, steal) {
	var o = t._stream._o, other = holder(t);

	function again() {
		claimLease(t);
	}
	if (t._gone)
		return;
	if (other && other !== t._id && !steal) {
		/* Looked at again by chance, lest all claim it at once. */
		t._leaseTimer(LEASE_MS / 3 * (0.5 + o.random()), again);
		if (t._leads)
			resign(t);
		return;
	}
	try {
		t._storage.setItem(t._name, t._id + ' ' + (now(t._stream) + LEASE_MS));
	} catch (full) {
		/* Each has its own connection, begun behind this race. */
		return t._leads || t._leaseTimer(0, function () {
			lead(t);
		});
	}
	t._leaseTimer(t._leads ? LEASE_MS / 3 : CLAIM_MS, function () {
		/*
		 * Whoever wrote last has it. Timers of hidden tabs come by the
		 * minute: then nobody has it any more, and who follows nobody
		 * leads.
		 */
		if (!t._leads && (holder(t) || t._leader || t._id) === t._id) {
			t._release = function () {
				if (holder(t) === t._id)
					t._storage.removeItem(t._name);
			};
			lead(t);
		}
		again();
	});
}

/* What the leader says, and is asked. */

function welcome(t, id) {
	var s = t._stream;

	tell(t, s.state !== 'open' ? { kind: 'wait', to: id } : {
		kind: 'hello', to: id, number: t._told, cursor: s.cursor
	});
}

/* A follower's command: as its own request, for it has its own number. */
function obey(t, id, m, session) {
	function answer(s, details) {
		tell(t, { kind: 'answer', to: id, m: details });
	}
	if (m.op === 'send')
		post(t._stream, {
			seq: m.seq, _options: m, _session: session,
			_data: JSON.stringify(m.data)
		}, answer);
	else
		answer(t._stream, { op: 'ok' });
}

/* What followers hear. */

function join(t) {
	t._leader = null;
	tell(t, { kind: 'join' });
	t._joinTimer(JOIN_MS, function () {
		/* Frozen, or gone without giving the lock back. */
		claim(t, true);
	});
}

function joined(t, link, m) {
	var s = t._stream;

	t._joinTimer();
	t._leader = m.from;
	t._number = m.number;
	heard(s, link);
	take(s, link, {
		type: 'spillway.hello', cursor: m.cursor, heartbeat: BEAT_MS
	});
	if (s.cursor === m.cursor)
		take(s, link, { type: 'spillway.caughtup', cursor: m.cursor });
	else
		catchUp(t, link);
}

/* By polls from its own cursor; what is told meanwhile waits. */
function catchUp(t, link) {
	var s = t._stream;

	t._waiting = t._waiting || [];
	link._after = s.cursor;
	link._abort();
	link._abort = ask(s, address(s, {
		transport: 'short', after: link._after,
		last: link._after ? null : s._o.last
	}), {}, function (status, text, header) {
		var answer = status === 200 && parse(text), waiting = t._waiting;

		link._abort = nothing;
		if (!answer || !answer.events)
			return failed(s, link, status, text, header);
		answered(s, link, answer);
		if (link._dead)
			return;
		heard(s, link);
		if (answer.more)
			return catchUp(t, link);
		t._waiting = null;
		waiting.forEach(function (m) {
			take(s, link, m);
		});
	});
}

function heardEvent(t, link, m) {
	var missed = m.number !== ++t._number;

	t._number = m.number;
	if (!missed && !t._waiting)
		return take(t._stream, link, m.m);
	t._waiting = (t._waiting || []).concat(m.m);
	if (missed)
		catchUp(t, link);
}

/* Another one leads than was joined: that one was frozen, and late. */
function answeredBy(t, link, m) {
	take(t._stream, link, m.m);
	if (m.from !== t._leader && !link._dead)
		join(t);
}

function openTab(s, link) {
	var t = s._tabs;

	function beat() {
		t._beatTimer(BEAT_MS, beat);
		link._say({ op: 'ping' });
	}
	t._link = link;
	t._waiting = null;
	link._abort = nothing;
	link._say = function (command) {
		/* The leader has a token of its own. */
		if (command.op !== 'auth')
			tell(t, {
				kind: 'command', m: command,
				session: s._session
			});
	};
	link._shut = function () {
		t._link = null;
		t._beatTimer();
		t._joinTimer();
		link._abort();
	};
	t._beatTimer(BEAT_MS, beat);
	join(t);
}

OPENERS.tab = openTab;

/* What comes over the channel. */

function hearLeading(t, m) {
	if (m.kind === 'join')
		welcome(t, m.from);
	else if (m.kind === 'command')
		obey(t, m.from, m.m, m.session);
	else if (m.kind === 'up' && t._release !== nothing && m.from > t._id)
		/*
		 * Two lead, where there are no locks: the greater does. Not so
		 * if neither could have a lock or a lease.
		 */
		resign(t);
}

function hearFollowing(t, m) {
	var s = t._stream, link = t._link;

	if (m.kind === 'up' && s.state === 'waiting' && !link)
		race(s);
	else if (m.kind === 'bye' && !t._locks)
		claimLease(t);
	if (!link || link._dead)
		return;
	if (m.kind === 'up')
		join(t);
	else if (m.kind === 'hello')
		joined(t, link, m);
	else if (m.kind === 'wait')
		t._joinTimer();
	else if (m.kind === 'answer')
		answeredBy(t, link, m);
	else if (m.from !== t._leader)
		return;
	else if (m.kind === 'event')
		heardEvent(t, link, m);
	else if (m.kind === 'down')
		fail(s, link, m.reason);
}

/* Coming and going. */

function enter(s, means) {
	var o = s._o, listening, t = s._tabs = extend(means, {
		_stream: s, _id: randomName(o), _leads: false, _told: 0,
		_number: 0, _release: nothing, _leader: null, _link: null,
		_joinTimer: alarm(o), _beatTimer: alarm(o),
		_leaseTimer: alarm(o),
		/* Else requests would pile up behind a leader that stays. */
		_stays: means._locks && new root.AbortController()
	});

	t._port.onmessage = function (message) {
		var m = message.data;

		if (!t._gone && (!m.to || m.to === t._id))
			(t._leads ? hearLeading : hearFollowing)(t, m);
	};
	listening = {
		open: function () {
			if (t._leads)
				tell(t, { kind: 'up' });
		},
		/* They find out themselves what is lost to them. */
		gap: function () {
			if (t._leads)
				tell(t, { kind: 'up' });
		},
		error: function (e) {
			if (t._leads)
				tell(t, { kind: 'down', reason: e.reason });
		},
		close: function () {
			t._leave();
		}
	};
	for (var type in listening)
		s.addEventListener(type, listening[type]);
	t._leave = function () {
		tell(t, { kind: 'bye' });
		t._gone = true;
		t._leads = false;
		t._release();
		if (t._stays)
			t._stays.abort();
		t._port.close();
		t._leaseTimer();
		s._tabs = null;
		for (var name in listening)
			s.removeEventListener(name, listening[name]);
		if (o.window && o.window.removeEventListener)
			o.window.removeEventListener('pagehide', t._leave);
	};
	/* After the stream's own listener, which ends its links. */
	if (o.window && o.window.addEventListener)
		o.window.addEventListener('pagehide', t._leave);
	claim(t);
}

/* Followers have one way, and nothing to remember of it. */
var waysOf = possible, remembers = memory, refuses = unauthorized;
var hears = event;

/* As it came: listeners may change what they are given. */
event = function (s, m) {
	var t = s._tabs;

	if (t && t._leads && isNewer(m.id, s.cursor))
		tell(t, { kind: 'event', number: ++t._told, m: m });
	hears(s, m);
};

possible = function (s, rank) {
	var means = !s._tabs && s._o.share && sharing(s);

	if (means)
		enter(s, means);
	if (s._tabs && !s._tabs._leads)
		return rank === undefined ? ['tab'] : [];
	return waysOf(s, rank);
};

memory = function (s, name) {
	return s._tabs && !s._tabs._leads ? null : remembers(s, name);
};

/* What a leader posts for others may be answered when it is closed. */
unauthorized = function (s, code, reason) {
	if (s.state !== 'closed')
		refuses(s, code, reason);
};

var exported = {
	Stream: Stream,
	StreamEventSource: StreamEventSource,
	StreamWebSocket: StreamWebSocket
};

if (typeof module === 'object' && module.exports)
	module.exports = exported;
else if (typeof define === 'function' && define.amd)
	define(exported);
else
	root.Spillway = exported;
}(typeof self !== 'undefined' ? self : global));

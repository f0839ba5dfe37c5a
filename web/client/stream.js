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

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

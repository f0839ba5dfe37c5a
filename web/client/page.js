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

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

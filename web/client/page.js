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

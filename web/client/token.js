/*
 * Tokens: asked for with each attempt, again before they expire, and once when
 * they are refused. A WebSocket is told of a new one, polls carry it by
 * themselves, and an event stream is followed by one that overlaps with it.
 */

/* go(), once there is a token; refused(reason), if there is none to be had. */
function withToken(s, why, go, refused) {
	var turn = ++s._turn, getToken = s._o.getToken, token;

	function got(token) {
		if (turn !== s._turn)
			return;
		renew(s, token);
		go();
	}
	function failed(error) {
		if (turn === s._turn)
			refused('no token: ' + error);
	}
	try {
		token = getToken && getToken(extend({ refresh: false }, why));
	} catch (error) {
		return failed(error);
	}
	if (token && token.then)
		token.then(got, failed);
	else
		got(token);
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

/* Milliseconds until the token expires, if anybody can tell. */
function lifeOf(s) {
	try {
		return parse(fromBase64(s._token.split('.')[1])).exp * 1000 -
			now(s);
	} catch (opaque) {
		/* It is renewed when it is refused. */
	}
}

/* While it is good for a fifth of its time: that leaves time to try again. */
function renewLater(s) {
	var life = lifeOf(s);

	if (life > 0)
		s._tokenTimer(Math.max(life * 0.8, 1000), function () {
			withToken(s, { refresh: true }, nothing, function () {
				renewLater(s);
			});
		});
}

function unauthorized(s, code, reason) {
	dropAll(s); /* one that was good for long may be refreshed */
	if (!s._o.getToken || s._refreshed)
		return end(s, code, reason);
	race(s, { refresh: true });
}

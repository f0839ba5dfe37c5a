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

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

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

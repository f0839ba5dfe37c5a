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

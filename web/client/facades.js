/* The stream behind the platform's own two faces: change a name, no more. */

function Facade(options) {
	Emitter.call(this);
	this.readyState = 0;
	this._quiet = options && options.autoConnect === false;
}

inherit(Facade, Emitter);

/* The payload as it would be alone: text, or JSON. */
function payload(m) {
	return m.contentType ? m.data : JSON.stringify(m.data);
}

function StreamEventSource(url, options) {
	var self = this, stream;

	Facade.call(self, options);
	self.url = String(url);
	self.withCredentials = !!(options && options.withCredentials);
	self.lastEventId = '';
	self.stream = stream = new Stream(url, options);
	stream.addEventListener('open', function () {
		self.readyState = 1;
		self._emit('open');
	});
	stream.addEventListener('message', function (m) {
		self.lastEventId = m.id;
		self._emit(m.event, {
			data: payload(m), lastEventId: m.id
		});
	});
	stream.addEventListener('error', function () {
		self.readyState = 0;
		self._emit('error');
	});
	stream.addEventListener('close', function (close) {
		var wasClosed = self.readyState === 2;

		self.readyState = 2;
		if (!wasClosed && !close.wasClean)
			self._emit('error');
	});
}

inherit(StreamEventSource, Facade);

StreamEventSource.prototype.close = function () {
	this.readyState = 2;
	this.stream.close();
};

/* Base64 to bytes. */
function bytes(text) {
	var binary = root.atob(text), array = new Uint8Array(binary.length);

	for (var i = 0; i < binary.length; i++)
		array[i] = binary.charCodeAt(i);
	return array.buffer;
}

/*
 * Opens once and closes once: what happens to connections in between is the
 * stream's, which loses nothing.
 */
function StreamWebSocket(url, protocols, options) {
	var self = this, stream;

	if (protocols && typeof protocols === 'object' &&
		!Array.isArray(protocols))
		options = protocols;
	Facade.call(self, options);
	self.url = String(url);
	self.protocol = self.extensions = '';
	self.binaryType = 'blob';
	self._waiting = 0;
	self.stream = stream = new Stream(url, options);
	stream.addEventListener('open', function () {
		if (self.readyState !== 0)
			return;
		self.readyState = 1;
		self._emit('open');
	});
	stream.addEventListener('message', function (m) {
		var data = typeof m.data === 'string' ? m.data : payload(m);

		if (m.encoding === 'base64') {
			data = bytes(m.data);
			if (self.binaryType === 'blob' && root.Blob)
				data = new root.Blob([data]);
		}
		self._emit('message', { data: data, lastEventId: m.id });
	});
	stream.addEventListener('close', function (close) {
		self.readyState = 3;
		if (!close.wasClean)
			self._emit('error');
		self._emit('close', {
			code: close.code, reason: close.reason,
			wasClean: close.wasClean
		});
	});
}

inherit(StreamWebSocket, Facade);

Object.defineProperty(StreamWebSocket.prototype, 'bufferedAmount', {
	get: function () {
		return this._waiting;
	}
});

/* Text that is JSON is sent as such; a JSON string stays quoted text. */
StreamWebSocket.prototype.send = function (text) {
	var self = this, data, size;

	if (self.readyState === 0)
		throw new Error('InvalidStateError: still connecting');
	if (typeof text !== 'string')
		throw new TypeError('only text is sent');
	data = parse(text);
	size = text.length;
	self._waiting += size;
	self.stream.send(data === null || typeof data === 'string' ?
		text : data, {
		done: function (sent) {
			self._waiting -= size;
			if (sent.status !== 'acknowledged')
				self._emit('error', { message: sent.error });
		}
	});
};

StreamWebSocket.prototype.close = function (code, reason) {
	if (this.readyState > 1)
		return;
	this.readyState = 2;
	this.stream.close(code || 1000, reason || '');
};

[StreamEventSource, StreamWebSocket].forEach(function (facade) {
	(facade === StreamEventSource ? ['CONNECTING', 'OPEN', 'CLOSED'] :
		['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'])
		.forEach(function (name, i) {
			facade[name] = facade.prototype[name] = i;
		});
});

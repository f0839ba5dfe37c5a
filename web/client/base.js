/* What all parts use: the platform, cursors, addresses, listeners. */

var TRANSPORTS = ['ws', 'sse', 'long', 'short'];

var root = typeof self !== 'undefined' ? self :
	typeof global !== 'undefined' ? global : {};

function extend(to, from) {
	for (var name in from)
		if (Object.prototype.hasOwnProperty.call(from, name))
			to[name] = from[name];
	return to;
}

function nothing() {}

/* The platform, with what the options put in the place of it. */
function environment(options) {
	var env = {}, clock = options.clock || root, storage = null;

	['WebSocket', 'EventSource', 'fetch', 'XMLHttpRequest', 'window']
		.forEach(function (name) {
			env[name] = name in options ? options[name] :
				root[name];
		});
	if (!('window' in options) && typeof window === 'undefined')
		env.window = null;
	try {
		storage = env.window && env.window.localStorage;
	} catch (refused) {
		storage = null; /* a sandboxed page */
	}
	env.storage = 'storage' in options ? options.storage : storage;
	env.random = options.random || Math.random;
	env.now = clock.now ? function () {
		return clock.now();
	} : Date.now;
	env.after = function (ms, run) {
		return clock.setTimeout(run, ms);
	};
	env.cancel = function (timer) {
		if (timer !== null)
			clock.clearTimeout(timer);
	};
	return env;
}

/* What cannot be read is null: it came through who knows what. */
function parse(text) {
	try {
		return JSON.parse(text);
	} catch (unreadable) {
		return null;
	}
}

/* EPOCH-SEQ; numbers of JavaScript would not hold every SEQ. */
function isNewer(id, cursor) {
	var at = id.lastIndexOf('-') + 1, seq = id.slice(at), other;

	if (!cursor || cursor.slice(0, at) !== id.slice(0, at))
		return true;
	other = cursor.slice(at);
	return seq.length === other.length ? seq > other :
		seq.length > other.length;
}

/* An absolute http(s) address, without a fragment. */
function absolute(url, env) {
	var link;

	if (!/^[a-z]+:/i.test(url) && env.window && env.window.document) {
		link = env.window.document.createElement('a');
		link.href = url;
		url = link.href;
	}
	return url.replace(/^ws/i, 'http').replace(/#.*/, '');
}

function withParams(url, params) {
	for (var name in params)
		if (params[name] !== null && params[name] !== undefined)
			url += (url.indexOf('?') < 0 ? '?' : '&') + name + '=' +
				encodeURIComponent(params[name]);
	return url;
}

/* 128 bits that nobody guesses, where the platform has them. */
function randomName(env) {
	var bytes = [], i, crypto = root.crypto, name = '';

	if (crypto && crypto.getRandomValues)
		bytes = crypto.getRandomValues(new Uint8Array(16));
	for (i = 0; i < 16; i++)
		name += (256 + (bytes.length ? bytes[i] :
			Math.floor(env.random() * 256))).toString(16).slice(1);
	return name;
}

/* Like an EventTarget. What a listener throws is the page's, not ours. */
function Emitter() {
	this._listeners = {};
}

Emitter.prototype.addEventListener = function (type, listener) {
	var list = this._listeners[type] || [];

	if (listener && list.indexOf(listener) < 0)
		this._listeners[type] = list.concat([listener]);
};

Emitter.prototype.removeEventListener = function (type, listener) {
	this._listeners[type] = (this._listeners[type] || [])
		.filter(function (other) {
			return other !== listener;
		});
};

function call(listener, self, argument) {
	try {
		if (typeof listener === 'function')
			listener.call(self, argument);
		else if (listener && listener.handleEvent)
			listener.handleEvent(argument);
	} catch (error) {
		setTimeout(function () {
			throw error;
		}, 0);
	}
}

Emitter.prototype._emit = function (type, details) {
	var self = this, event = extend({ type: type, target: self }, details);

	call(self['on' + type], self, event);
	(self._listeners[type] || []).forEach(function (listener) {
		call(listener, self, event);
	});
};

function inherit(child, parent) {
	child.prototype = Object.create(parent.prototype);
	child.prototype.constructor = child;
}

/* What all parts use: timers, cursors, addresses, listeners. */

function nothing() {}

function now(s) {
	return (s._o.clock || Date).now();
}

/* A timer: what it was set to before is forgotten, without `run` all. */
function alarm(o) {
	var clock = o.clock || root, timer;

	return function (ms, run) {
		clock.clearTimeout(timer);
		/* More than 2^31 ms would be over at once. */
		timer = run && clock.setTimeout(run, Math.min(ms, 1e9));
	};
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
	var a = id.split('-'), b = (cursor || '').split('-');

	return a[0] !== b[0] ||
		(a[1].length - b[1].length || a[1] > b[1]) > 0;
}

/* 128 bits that nobody guesses, where the platform has them. */
function randomName(o) {
	return [].join.call(root.crypto ?
		root.crypto.getRandomValues(new Uint32Array(4)) :
		[o.random(), o.random()], '-');
}

/* Base64, of either alphabet, to a string of bytes. */
function fromBase64(text) {
	return root.atob(text.replace(/-/g, '+').replace(/_/g, '/'));
}

/* What a listener throws is the page's, not ours. */
function call(listener, self, argument) {
	try {
		if (listener)
			listener.handleEvent ? listener.handleEvent(argument) :
				listener.call(self, argument);
	} catch (error) {
		setTimeout(function () {
			throw error;
		});
	}
}

/* Like an EventTarget; those that inherit from it have _listeners. */
function Emitter() {}

Emitter.prototype.addEventListener = function (type, listener, options) {
	var self = this, o = options || {}, signal = o.signal;

	function gone() {
		self.removeEventListener(type, listener);
	}
	function run(event) {
		var heard = run._of;

		if (o.once)
			gone();
		call(heard, self, event);
	}
	gone();
	run._of = listener;
	self._listeners[type].push(run);
	if (signal) {
		signal.addEventListener('abort', gone);
		if (signal.aborted)
			gone();
	}
};

Emitter.prototype.removeEventListener = function (type, listener) {
	/* Another array: the one before may be under way, without it. */
	this._listeners[type] = (this._listeners[type] || [])
		.filter(function (other) {
			return other._of !== listener || (other._of = null);
		});
};

function emit(self, type, details) {
	var event = extend(extend({}, details), { type: type, target: self });

	[self['on' + type]].concat(self._listeners[type] || [])
		.forEach(function (listener) {
			call(listener, self, event);
		});
}

function inherit(child) {
	child.prototype = Object.create(Emitter.prototype);
}

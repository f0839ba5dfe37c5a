/* The platform, whatever it has, as `root`: spillway.js. */

/* XMLHttpRequest keeps all that it read. */
var ROTATE = 1e6;

function extend(to, from) {
	for (var name in from)
		to[name] = from[name];
	return to;
}

function platform() {
	return {
		WebSocket: root.WebSocket, EventSource: root.EventSource,
		fetch: root.fetch, XMLHttpRequest: root.XMLHttpRequest,
		window: root.window
	};
}

/* An absolute http(s) address, without a fragment. */
function absolute(url) {
	var link;

	if (root.document) {
		link = document.createElement('a');
		link.href = url;
		url = link.href;
	}
	return String(url).replace(/^ws/, 'http').replace(/#.*/, '');
}

function xhrRequest(o, url, init, done, onText) {
	var x = new o.XMLHttpRequest(), seen = 0, over;

	function read() {
		var text = onText && x.status === 200 ?
			x.responseText.slice(seen) : '';

		seen += text.length;
		if (text && !over)
			onText(text);
	}
	function end() {
		if (over)
			return;
		done(x.status, x.responseText, function (name) {
			return x.getResponseHeader(name);
		});
	}
	/*
	 * Old browsers keep answers in spite of what these say, and show of a
	 * stream no beginning that is short.
	 */
	x.open(init.method, url + '&padding=1&t=' + o.random());
	x.withCredentials = o.withCredentials;
	for (var name in init.headers)
		x.setRequestHeader(name, init.headers[name]);
	x.onreadystatechange = read;
	x.onload = x.onerror = end;
	x.send(init.body);
	return function () {
		over = true;
		x.abort();
	};
}

function readsStreams(o) {
	return o.fetch && root.TextDecoder && root.ReadableStream &&
		root.AbortController;
}

function request(o, url, init, done, onText) {
	/* A whole answer comes by fetch: it may be one that the page gave. */
	return (o.XMLHttpRequest && !(onText ? readsStreams(o) :
		o.fetch && root.AbortController) ?
		xhrRequest : fetchRequest)(o, url, init, done, onText);
}

function canStream(o) {
	return o.XMLHttpRequest || readsStreams(o);
}

function isPossible(name, o) {
	return name === 'ws' ? o.WebSocket :
		name === 'sse' ? o.EventSource || canStream(o) :
			o.fetch || o.XMLHttpRequest;
}

/* The browser's own: deaf to types that nobody named, and to statuses. */
function openEventSource(s, link) {
	var source = new s._o.EventSource(address(s, {
		transport: 'sse', format: 'json', after: link._after,
		token: s._token
	}, link), { withCredentials: s._o.withCredentials });

	['message', 'spillway.hello', 'spillway.caughtup', 'spillway.gap',
		'spillway.heartbeat'].concat(s._o.types || [])
		.forEach(function (type) {
			source.addEventListener(type, function (message) {
				takeEvent(s, link, type, message.data);
			});
		});
	/* Coming back is our business, which knows the cursor. */
	source.onerror = function () {
		fail(s, link, 'ended');
	};
	link._shut = function () {
		source.onerror = null;
		source.close();
	};
}

OPENERS.sse = function (s, link) {
	var length = 0, o = s._o;

	if (o.EventSource &&
		(o.EventSource !== root.EventSource || !canStream(o)))
		openEventSource(s, link);
	else if (readsStreams(o))
		openEvents(s, link);
	else
		openEvents(s, link, function (text) {
			length += text.length;
			if (length > ROTATE && link._proven) {
				length = 0;
				open(s, link.name, link);
			}
		});
};

/* The platform, where it is one of these days: spillway.mjs. */

var root = globalThis, extend = Object.assign;

function platform() {
	return {
		WebSocket: root.WebSocket, fetch: root.fetch,
		window: root.window
	};
}

/* An absolute http(s) address, without a fragment. */
function absolute(url) {
	return new URL(url, root.document ? document.baseURI : root.location)
		.href.replace(/^ws/, 'http').replace(/#.*/, '');
}

function isPossible(name, o) {
	return name === 'ws' ? o.WebSocket : o.fetch;
}

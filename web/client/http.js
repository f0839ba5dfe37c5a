/* Requests with fetch, and the syntax of event streams. */

/*
 * Takes the address and what fetch takes with it. done(status, text, header)
 * tells how it ended, with status 0 if there was no answer; onText hears the
 * body as it arrives. Returns what ends it early, without a word.
 */
function fetchRequest(o, url, init, done, onText) {
	var control = new root.AbortController(), over;

	function end(status, text, header) {
		if (!over)
			done(status, text, header);
	}
	function unanswered() {
		end(0, '', nothing);
	}
	init.signal = control.signal;
	/* It is no method of ours. */
	(0, o.fetch)(url, init).then(function (answer) {
		var decoder, reader;

		function header(name) {
			return answer.headers.get(name);
		}
		/* Not a chain of promises: it would grow with the stream. */
		function next() {
			reader.read().then(function (part) {
				if (part.done)
					return end(200, '', header);
				if (!over)
					onText(decoder.decode(part.value,
						{ stream: true }));
				next();
			}, unanswered);
		}
		if (onText && answer.status === 200 && answer.body) {
			decoder = new root.TextDecoder();
			reader = answer.body.getReader();
			next();
		} else {
			answer.text().then(function (text) {
				end(answer.status, text, header);
			}, unanswered);
		}
	}, unanswered);
	return function () {
		over = true;
		control.abort();
	};
}

/* A request of the stream's: a GET, or with a body a POST. */
function ask(s, url, headers, done, onText, body) {
	if (s._token)
		headers.Authorization = 'Bearer ' + s._token;
	return request(s._o, url, {
		method: body ? 'POST' : 'GET', body: body, cache: 'no-store',
		headers: extend(headers, s._o.headers),
		credentials: s._o.withCredentials ? 'include' : 'same-origin'
	}, done, onText);
}


/* Old platforms, on top of the gateway in memory: what they have, no more. */
'use strict';

/* XMLHttpRequest over its fetch. */
function xhrOf(fetch) {
	return class {
		open(method, url) {
			Object.assign(this, { method, url, headers: {},
				readyState: 1, status: 0, responseText: '' });
			this.control = new AbortController();
		}

		setRequestHeader(name, value) {
			this.headers[name] = value;
		}

		getResponseHeader(name) {
			return this.answer.headers.get(name);
		}

		async send(body) {
			try {
				this.answer = await fetch(this.url, {
					method: this.method, body,
					headers: this.headers,
					signal: this.control.signal
				});
				this.status = this.answer.status;
				await this.read();
			} catch (error) {
				if (!this.control.signal.aborted)
					this.onerror?.();
				return;
			}
			if (!this.control.signal.aborted)
				this.onload?.();
		}

		async read() {
			const reader = this.answer.body?.getReader();

			this.readyState = 3;
			for (let part; reader && !part?.done;) {
				part = await reader.read();
				this.responseText += part.done ? '' :
					new TextDecoder().decode(part.value);
				this.onreadystatechange?.();
			}
			if (!reader)
				this.responseText = await this.answer.text();
			this.readyState = 4;
		}

		abort() {
			this.control.abort();
			this.onabort?.();
		}
	};
}

/* EventSource over its fetch: it knows only types that somebody named. */
function eventSourceOf(fetch) {
	return class {
		constructor(url) {
			this.listeners = {};
			this.control = new AbortController();
			this.read(url).catch(() => this.onerror?.({}));
		}

		addEventListener(type, listener) {
			this.listeners[type] = listener;
		}

		async read(url) {
			const answer = await fetch(url, { method: 'GET',
				headers: {}, signal: this.control.signal });

			if (answer.status !== 200)
				throw new Error('refused');

			const reader = answer.body.getReader();

			for (let part; !part?.done;) {
				part = await reader.read();
				if (!part.done)
					this.block(new TextDecoder()
						.decode(part.value));
			}
			throw new Error('ended');
		}

		block(text) {
			const field = (name) => text.match(
				new RegExp(`^${name}: (.*)$`, 'm'))?.[1];

			if (field('data'))
				this.listeners[field('event') ?? 'message']?.(
					{ data: field('data') });
		}

		close() {
			this.control.abort();
		}
	};
}

/* A window whose events tests fire. */
function windowOf() {
	const target = () => {
		const listeners = {};

		return {
			listeners,
			addEventListener: (type, run) =>
				(listeners[type] ??= new Set()).add(run),
			removeEventListener: (type, run) =>
				listeners[type].delete(run),
			fire: (type, event = {}) => listeners[type]
				?.forEach((run) => run(event))
		};
	};

	return { ...target(), document: { hidden: false, ...target() },
		navigator: { connection: target() } };
}

module.exports = { xhrOf, eventSourceOf, windowOf };

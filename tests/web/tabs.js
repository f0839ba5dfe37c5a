/* A browser with tabs: what they share, and how one of them ends. */
'use strict';

const Spillway = require('../../web/spillway-tabs.js');
const { World } = require('./world.js');
const { windowOf } = require('./platforms.js');

/* Locks as navigator.locks has them: in the order of requests, or stolen. */
class Locks {
	constructor() {
		this.held = null;
		this.queue = [];
	}

	request(tab, options, run) {
		return new Promise((resolve, reject) => {
			const one = { tab, run, resolve, reject };

			options.signal?.addEventListener('abort', () => {
				if (this.held === one)
					return;
				this.queue = this.queue.filter((o) => o !== one);
				reject(options.signal.reason);
			});
			if (options.steal) {
				this.held?.reject(new Error('stolen'));
				this.held = null;
				this.queue.unshift(one);
			} else {
				this.queue.push(one);
			}
			queueMicrotask(() => this.next());
		});
	}

	next() {
		if (this.held || !this.queue.length)
			return;

		const one = this.held = this.queue.shift();

		Promise.resolve(one.tab.dead ? null : one.run()).then((v) => {
			one.resolve(v);
			this.release(one);
		});
	}

	release(one) {
		if (this.held !== one)
			return;
		this.held = null;
		this.next();
	}

	/* Whose tab is gone holds nothing, and asks for nothing. */
	forget(tab) {
		this.queue = this.queue.filter((one) => one.tab !== tab);
		if (this.held?.tab === tab)
			this.release(this.held);
	}
}

/* A tab: a stream whose timers, sockets and channel end with it. */
class Tab {
	constructor(browser, options) {
		const w = browser.world, o = w.options(), tab = this;
		const alive = (run) => (...args) =>
			tab.dead ? undefined : tab.frozen ?
				tab.later.push(() => run(...args)) : run(...args);

		Object.assign(this, { browser, dead: false, frozen: false,
			later: [], sockets: [], aborts: [], ids: [], told: [] });
		this.window = windowOf();
		this.stream = new Spillway.Stream('http://gw/stream/a', {
			...o, share: true, window: this.window,
			clock: {
				now: () => w.clock.now(),
				setTimeout(run, ms) {
					const timer = { run };

					timer.id = w.clock.setTimeout(
						alive(() => timer.run()), ms);
					return timer;
				},
				/* It may be due, in a tab that is frozen. */
				clearTimeout(timer) {
					w.clock.clearTimeout(timer?.id);
					if (timer)
						timer.run = () => {};
				}
			},
			locks: browser.locks && {
				request: (name, how, run) =>
					browser.locks.request(tab, how, run)
			},
			BroadcastChannel: browser.channelOf(tab, alive),
			WebSocket: tab.socketOf(o.WebSocket, alive),
			fetch: tab.fetchOf(o.fetch),
			...options
		});
		this.stream.onmessage = (e) => tab.ids.push(e.id);
		for (const type of ['error', 'open', 'transport', 'gap'])
			this.stream.addEventListener(type, (e) =>
				tab.told.push(e));
	}

	socketOf(WebSocket, alive) {
		const tab = this;

		return class extends WebSocket {
			constructor(...args) {
				super(...args);
				tab.sockets.push(this);
			}

			set onmessage(run) {
				this.heard = run && alive(run);
			}

			get onmessage() {
				return this.heard;
			}
		};
	}

	fetchOf(fetch) {
		return (url, init) => {
			const control = new AbortController();

			init.signal?.addEventListener('abort', () =>
				control.abort());
			this.aborts.push(control);
			return new Promise((done, fail) => {
				const ends = (run) => (v) =>
					this.dead || run(v);

				fetch(url, { ...init, signal: control.signal })
					.then(ends(done), ends(fail));
			});
		};
	}

	/* No farewell: as when its process is killed. */
	crash() {
		this.dead = true;
		for (const socket of this.sockets)
			socket.close();
		for (const control of this.aborts)
			control.abort();
		this.browser.channels = this.browser.channels.filter(
			(c) => c.tab !== this);
		this.browser.locks?.forget(this);
		this.browser.tabs.delete(this);
	}

	/* The platform closes it: the page hears of that. */
	shut() {
		this.window.fire('pagehide');
		this.crash();
	}

	thaw() {
		const later = this.later;

		this.frozen = false;
		this.later = [];
		later.forEach((run) => run());
	}
}

class Browser {
	constructor(seed, locks = true) {
		this.world = new World(seed);
		this.locks = locks ? new Locks() : null;
		this.channels = [];
		this.tabs = new Set();
		this.lost = () => false; /* of what is told between tabs */
	}

	tab(options) {
		const tab = new Tab(this, options);

		this.tabs.add(tab);
		return tab;
	}

	channelOf(tab, alive) {
		const browser = this;

		return class {
			constructor(name) {
				Object.assign(this, { name, tab });
				browser.channels.push(this);
			}

			postMessage(data) {
				const copy = structuredClone(data);

				for (const c of browser.channels)
					if (c !== this && c.name === this.name &&
						!browser.lost(copy))
						browser.world.clock.setTimeout(
							() => c.hear(copy),
							1);
			}

			hear(data) {
				if (!browser.channels.includes(this))
					return;
				if (this.tab.frozen)
					this.tab.later.push(() => this.hear(data));
				else
					this.onmessage({ data });
			}

			close() {
				browser.channels = browser.channels.filter(
					(c) => c !== this);
			}
		};
	}

	get leaders() {
		return [...this.tabs].filter((t) =>
			t.stream._tabs?._leads);
	}
}

module.exports = { Browser };

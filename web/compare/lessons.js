/*
 * Two minutes each, through the same controls and the same faults that anybody
 * may use. A step happens `at` so many seconds: it says something, and perhaps
 * changes the settings, breaks something (for all, or for some panes), or lets
 * the herd loose.
 */
export const LESSONS = [
	{
		name: "header-tax", title: "The header tax",
		settings: { rate: 1, size: 64, burst: 1, poll: 1000 },
		steps: [
			{ at: 0, say: "Small news, once a second. Look at the bars: what " +
				"an event costs on the socket, and what of it is news (plain)." },
			{ at: 15, say: "A WebSocket and an event stream paid for their " +
				"headers once. A long poll pays for each event: its request's " +
				"headers alone are several times the news." },
			{ at: 35, set: { size: 4096 }, say: "Now each event has 4 kB. " +
				"The headers are as long as before, but who cares?" },
			{ at: 60, set: { size: 64, rate: 20 }, say: "Small again, but " +
				"twenty a second. The long poll asks up to twenty times a " +
				"second; in the table, see what that is for 10,000 clients." },
			{ at: 90, set: { poll: 10000 }, say: "The short poll now asks " +
				"every ten seconds: it is the cheapest of all, and the latest. " +
				"Cheap or timely: a poll has to choose, a stream has not." },
			{ at: 115, say: "That is the header tax: it is paid for each " +
				"request, so pay for few." },
		],
	},
	{
		name: "hanging-get", title: "The hanging GET",
		settings: { rate: 1, size: 128, burst: 1, poll: 5000 },
		steps: [
			{ at: 0, say: "Look at the lanes below. A short poll (short) asks " +
				"every five seconds; what happens in between waits for it." },
			{ at: 20, say: "A long poll (long) asks as well, but the gateway " +
				"holds the request: the open bar. The event is the answer, so " +
				"it is hardly later than on a stream." },
			{ at: 45, set: { burst: 5, rate: 2 }, say: "Five events at a time: " +
				"one answer takes them all along. Polls are at their best " +
				"when news come in heaps." },
			{ at: 75, set: { burst: 1, rate: 50 }, say: "Fifty a second, one " +
				"at a time: while an answer is under way, more news arrives. " +
				"The next one takes several. It degrades gracefully." },
			{ at: 100, say: "For this the gateway keeps a request open, not a " +
				"thread: a held poll costs it about as much as a stream." },
		],
	},
	{
		name: "strip", title: "A proxy strips Upgrade",
		settings: { rate: 5, size: 128, burst: 1, poll: 2000 },
		steps: [
			{ at: 0, say: "All is well: the client (auto) uses a WebSocket." },
			{ at: 12, break: ["strip", "ws", ["ws", "auto"]], say: "A proxy on the way knows " +
				"no WebSocket: new requests lose their Upgrade header. The " +
				"connections that there are go on." },
			{ at: 24, break: ["cut", "ws", ["ws", "auto"]], say: "Now they are cut. The pane " +
				"WebSocket tries again and again, and is told 426. The client " +
				"is on an event stream at once, with its cursor." },
			{ at: 50, say: "Nothing is missing: what came in between was " +
				"caught up (the triangles). It still tries a WebSocket now " +
				"and then." },
			{ at: 70, heal: true, say: "The proxy has been repaired. The pane " +
				"WebSocket comes back and catches up all that it missed." },
			{ at: 100, say: "Had the proxy answered an Upgrade with history " +
				"in another format, somebody would have read it as news: so " +
				"a request that insists on ws gets 426 or a WebSocket." },
		],
	},
	{
		name: "antivirus", title: "An antivirus holds the first event",
		settings: { rate: 2, size: 128, burst: 1, poll: 2000 },
		steps: [
			{ at: 0, break: ["refuse", "ws", ["auto"]], say: "No WebSockets " +
				"for the client here, so it will be content with less." },
			{ at: 6, break: ["hold", "sse", ["sse", "auto"]], say: "And an antivirus reads " +
				"along with event streams: it lets nothing pass until it has " +
				"4 kB." },
			{ at: 10, break: ["cut", "ws,sse", ["sse", "auto"]], say: "All connect again. The " +
				"event stream is open, says the browser, and silent. Whoever " +
				"believes that it is open waits." },
			{ at: 30, say: "The client believes no stream before it has " +
				"proved itself: a hello, and a second word. Meanwhile a poll " +
				"has won. Look at its rungs." },
			{ at: 60, say: "The pane Server-sent events lives on heaps: " +
				"silence, then 4 kB of news at once. See its latency." },
			{ at: 85, heal: true, say: "The antivirus is gone." },
		],
	},
	{
		name: "lid", title: "The laptop's lid",
		settings: { rate: 5, size: 128, burst: 1, poll: 2000 },
		steps: [
			{ at: 0, say: "In a moment the laptop is shut: no byte arrives, " +
				"and no connection ends. TCP does not mind." },
			{ at: 10, break: ["blackhole", ""], say: "Shut, for ten seconds. " +
				"All still claim to be connected. Who could tell?" },
			{ at: 22, say: "Open again. TCP delivers what it kept: streams " +
				"jump. Polls ask again from their cursor." },
			{ at: 45, break: ["blackhole", ""], say: "Shut again…" },
			{ at: 50, break: ["reset", ""], say: "…and this time a firewall " +
				"forgets all connections meanwhile." },
			{ at: 65, say: "New connections, old cursors: the triangles were " +
				"caught up. No hole is left." },
		],
	},
	{
		name: "token", title: "The token expires",
		settings: { rate: 5, size: 128, burst: 1, poll: 2000 },
		steps: [
			{ at: 0, say: "Streams live longer than tokens. What happens when " +
				"one expires while it is read?" },
			{ at: 12, break: ["expire", "", ["auto"]], say: "The client is " +
				"told 4401, asks the page for a new token, once, and goes on " +
				"behind its cursor." },
			{ at: 35, break: ["expire", "", ["ws"]], say: "The pane WebSocket " +
				"has nobody to ask: refused, and that is final. To try again " +
				"with the same token would be no use, and a load." },
			{ at: 60, break: ["expire", "", ["long"]], say: "A long poll is " +
				"told 401 as an ordinary answer." },
			{ at: 80, say: "An expiry is no failure of the transport: the " +
				"client has not fallen back to another." },
		],
	},
	{
		name: "herd", title: "The thundering herd",
		settings: { rate: 2, size: 128, burst: 1, poll: 2000 },
		steps: [
			{ at: 0, herd: { clients: 100, jitter: false },
				say: "A hundred more clients connect." },
			{ at: 10, stampede: true, say: "The gateway restarts. All come " +
				"back after one second, precisely: below, how many knock in " +
				"each tenth of a second." },
			{ at: 30, herd: { clients: 100, jitter: true },
				say: "Now each waits a random time instead, up to four " +
				"seconds." },
			{ at: 40, stampede: true, say: "Another restart: the same clients, " +
				"the same work, but nowhere a wall." },
			{ at: 60, say: "So our client waits a random time, longer after " +
				"each failure, and a gateway that drains tells each client " +
				"another one." },
		],
	},
];

const LENGTH_S = 125;

/* Plays one; `stage` does what the steps ask for. */
export class Player {
	constructor(stage) {
		this.stage = stage;
		this.timers = [];
		this.lesson = null;
	}

	play(lesson, pace = 1) {
		this.stop();
		this.lesson = lesson;
		for (const step of lesson.steps)
			this.timers.push(setTimeout(() => this.stage.step(lesson, step),
				step.at * 1000 * pace));
		this.timers.push(setTimeout(() => this.stage.over(),
			LENGTH_S * 1000 * pace));
	}

	stop() {
		this.timers.forEach(clearTimeout);
		this.timers = [];
		this.lesson = null;
	}
}

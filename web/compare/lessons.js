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
				"The headers are as long as before, but who cares? (Only " +
				"the WebSocket compresses them; by a quarter, for these " +
				"are letters without a pattern.)" },
			{ at: 60, set: { size: 64, rate: 20 }, say: "Small again, but " +
				"twenty a second. The long poll asks up to twenty times a " +
				"second; in the table, see what that is for 10,000 clients." },
			{ at: 90, set: { poll: 10000 }, say: "The short poll now asks " +
				"every ten seconds, and gets two hundred at once: as few bytes " +
				"for each as on a stream, but up to ten seconds late. " +
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
				"when news comes in heaps." },
			{ at: 75, set: { burst: 1, rate: 50 }, break: ["delay", "", ["long"]],
				say: "Fifty a second, one at a time, and a slow line to the " +
				"long poll: while an answer is under way, more news arrives. " +
				"The next answer takes all of it. It degrades gracefully." },
			{ at: 100, heal: true, say: "The line is quick again. While " +
				"nothing happens the gateway keeps a request open, not a " +
				"thread: a held poll needs about as much of its memory as a " +
				"stream." },
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
				"WebSocket tries again and again, and is answered with 426; " +
				"a browser tells the page no more than 1006. The client goes " +
				"on with an event stream at once, behind its cursor." },
			{ at: 32, say: "The client has missed nothing. What came in " +
				"between, if anything did, was caught up (a triangle). It " +
				"still tries a WebSocket now and then." },
			{ at: 50, say: "The pane WebSocket has no other way, so it " +
				"waits. It has a cursor, and the gateway has the history " +
				"behind that." },
			{ at: 70, heal: true, say: "The proxy has been repaired. The pane " +
				"WebSocket comes back and catches up all that it missed: " +
				"triangles." },
			{ at: 100, say: "Why 426? Without its Upgrade header a request " +
				"is an ordinary GET, which the gateway would answer as a " +
				"short poll. This one says transport=ws: it gets a " +
				"WebSocket, or is told what it lacks." },
		],
	},
	{
		name: "antivirus", title: "An antivirus holds the first event",
		settings: { rate: 2, size: 128, burst: 1, poll: 2000 },
		steps: [
			{ at: 0, break: ["refuse", "ws", ["auto"]], say: "A proxy " +
				"will refuse new WebSockets of the client (auto), so that it " +
				"has to be content with less." },
			{ at: 6, break: ["hold", "sse", ["sse", "auto"], 12000],
				say: "And an antivirus reads along with event streams: it " +
				"lets nothing pass until it has 12 kB." },
			{ at: 10, break: ["cut", "ws,sse", ["sse", "auto"]], say: "Both " +
				"connect again. The gateway answers and sends; of the event " +
				"stream nothing arrives, not even the head. Whoever has " +
				"nothing else waits." },
			{ at: 30, say: "The client waited two seconds, then asked with " +
				"a poll as well, and that has won. It would not have believed " +
				"a head alone: a stream has to say hello, and a second word. " +
				"Look at its rungs." },
			{ at: 60, say: "The pane Server-sent events lives on heaps: " +
				"silence, then 12 kB of news at once. See its latency." },
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
			{ at: 58, say: "New connections, old cursors: the triangles were " +
				"caught up. No hole is left." },
		],
	},
	{
		name: "token", title: "The token expires",
		/* Rarely enough for the long poll to wait nearly all the time. */
		settings: { rate: 1, size: 128, burst: 1, poll: 2000 },
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
				"seconds. The scale stays as it is." },
			{ at: 40, stampede: true, say: "Another restart: the same clients, " +
				"the same work, but nowhere a wall." },
			{ at: 60, say: "So our client waits a random time, longer after " +
				"each failure; and a gateway that restarts tells each of its " +
				"clients another time to wait." },
		],
	},
];

const LENGTH_S = 125;

/* Plays one; `stage` does what the steps ask for. */
export class Player {
	constructor(stage) {
		this.stage = stage;
		this.lesson = this.timer = null;
	}

	play(lesson, pace = 1) {
		this.stop();
		this.lesson = lesson;
		this.pace = pace;
		this.reached = 0; /* seconds of the lesson */
		this.next = 0; /* the step that comes */
		this.resume();
	}

	/* When the next step is due, or the end: seconds of the lesson. */
	get due() {
		return this.lesson.steps[this.next]?.at ?? LENGTH_S;
	}

	get playing() {
		return this.lesson !== null;
	}

	get paused() {
		return this.playing && this.timer === null;
	}

	resume() {
		this.since = Date.now();
		this.timer = setTimeout(() => this.skip(),
			(this.due - this.reached) * 1000 * this.pace);
	}

	/* The lesson waits, what it has begun does not. */
	pause() {
		clearTimeout(this.timer);
		this.timer = null;
		this.reached = Math.min(this.due, this.reached +
			(Date.now() - this.since) / 1000 / this.pace);
	}

	/* To the next step, now. */
	skip() {
		const { lesson, next } = this;

		clearTimeout(this.timer);
		this.reached = this.due;
		if (next === lesson.steps.length) {
			this.stop();
			this.stage.over();
			return;
		}
		this.next++;
		this.resume();
		this.stage.step(lesson, lesson.steps[next]);
	}

	stop() {
		clearTimeout(this.timer);
		this.timer = this.lesson = null;
	}
}

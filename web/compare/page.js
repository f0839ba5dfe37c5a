/* A run, from its beginning to its end, and how the page shows it. */

import { fetchJson, transports } from "../transports.js";
import { AutoPane } from "./auto.js";
import { CostTable, spent } from "./cost.js";
import { order } from "./faults.js";
import { Herd } from "./herd.js";
import { Ladder } from "./ladder.js";
import { Player } from "./lessons.js";
import { ask, Clock, countPanes, formatCount, formatTime } from "./measure.js";
import { TransportPane } from "./pane.js";
import { collect, save, toCsv, toHtml } from "./report.js";
import { element, PaneView } from "./view.js";

export const byId = (id) => document.getElementById(id);
export const controls = byId("controls");
export const FIELDS = ["rate", "size", "burst", "poll", "seconds"];

const COUNT_MS = 1000;
/* What these say decides what an event costs, and how late it is. */
const COSTS = ["rate", "size", "burst", "poll"];
/* The publisher ends by itself, soon after the page has gone. */
const LEASE_S = 15, RENEW_MS = 5000;
const LOG_KEPT = 500;

const still = matchMedia("(prefers-reduced-motion: reduce)");

/* Of a page that has not begun anything. */
const randomName = () => Array.from(crypto.getRandomValues(new Uint8Array(5)),
	(b) => b.toString(16).padStart(2, "0")).join("");

export const isPressed = (button) =>
	button.getAttribute("aria-pressed") === "true";

export class Page {
	constructor() {
		this.panes = [
			...["ws", "sse", "long", "short"].map((kind, i) =>
				new TransportPane(kind, transports[i].name, transports[i])),
			new AutoPane(),
		];
		this.views = this.panes.map((pane) =>
			new PaneView(pane, byId("pane"), () =>
				byId("chosen").value));
		for (const view of this.views)
			byId("panes").append(view.root);
		for (const pane of this.panes) {
			pane.changed = () => this.changed();
			pane.log = (who, text) => this.log(who.kind, text);
		}
		this.ladder = new Ladder(byId("ladder"));
		this.cost = new CostTable(byId("cost"));
		this.herd = new Herd(byId("herd"));
		this.player = new Player(this);
		this.run = null;
		this.entries = [];
		this.painting = this.dirty = false;
	}

	get running() {
		return this.run !== null && this.run.ended === null;
	}

	settings() {
		return Object.fromEntries(FIELDS.map((name) =>
			[name, Number(controls.elements[name].value)]));
	}

	log(who, text) {
		const time = this.run ? (Date.now() - this.run.began) / 1000 : 0;
		const item = document.createElement("li");

		this.entries.push({ time, who, text });
		if (this.entries.length > LOG_KEPT) {
			this.entries.shift();
			byId("log").lastElementChild.remove();
		}
		item.append(element("span", `${time.toFixed(1)} s`, "at"),
			element("span", who, "who"), element("span", text));
		byId("log").prepend(item);
	}

	/* Beginning. */

	async start() {
		const id = randomName();
		const run = this.run = {
			id, channel: `compare-${id}`, settings: this.settings(),
			clock: new Clock(), began: Date.now(), ended: null, published: 0,
			order: Promise.resolve(), ending: false,
			base: null, /* the first counts: what is after is no beginning */
			anew: null, /* { at, why }: when costs began to be others */
		};

		if (this.entries.length > 0)
			this.log("page", "a new run");
		this.setButton();
		this.say("wait", "Asking the gateway for its clock.");
		try {
			await run.clock.probe(8);

			const { cursor } = await fetchJson(
				`/stream/${run.channel}?transport=short`, {});

			if (run.ended !== null)
				return;
			this.log("page", `channel ${run.channel}, clocks agree to ` +
				`±${formatTime(run.clock.error)}`);
			for (const pane of this.panes)
				pane.start(run, cursor, 1);
			await this.publish();
		} catch (error) {
			this.stop();
			this.say("bad", error.message);
			return;
		}
		this.every(run, COUNT_MS, () => this.count());
		this.every(run, RENEW_MS, () => this.renew());
		this.limit(run);
		this.changed();
	}

	/* It ends by itself when the time is over that the controls say. */
	limit(run) {
		const { began, settings: { seconds } } = run;

		clearTimeout(run.limit);
		if (seconds > 0)
			run.limit = setTimeout(() => {
				if (this.run === run && this.running)
					this.finish();
			}, began + seconds * 1000 - Date.now());
	}

	/* Again and again, one after the other, as long as the run lasts. */
	every(run, ms, work) {
		const again = async () => {
			if (this.run !== run || run.ended !== null)
				return;
			try {
				await work();
				if (run.trouble) {
					run.trouble = false;
					this.log("page", "the gateway answers again");
				}
			} catch (error) {
				if (!run.trouble)
					this.log("page", `no numbers: ${error.message}`);
				run.trouble = true;
			}
			setTimeout(again, ms);
		};

		setTimeout(again, ms);
	}

	async publish() {
		const run = this.run;
		const { channel, settings: { rate, size, burst } } = run;
		const next = 1 + Math.max(...this.panes.map((pane) =>
			pane.tally.expected - 1));

		if (run.ending)
			return;
		run.order = ask("PUT", `publisher/${channel}`,
			{ rate, size, burst, seconds: LEASE_S, next });
		run.published = (await run.order).next - 1;
	}

	async renew() {
		await this.publish();
		await this.run.clock.probe(1);
	}

	async count() {
		const run = this.run, sums = await countPanes(run.id);

		if (this.run !== run)
			return;

		/* Who knows less than before has been started since. */
		const restarted = this.panes.some((pane) => sums.has(pane.name) &&
			spent({ counted: sums.get(pane.name) }).bytes <
			spent(pane).bytes);

		for (const pane of this.panes)
			pane.counted = sums.get(pane.name) ?? pane.counted;
		this.paintFaults();
		run.counted = Date.now();
		run.base ??= { at: run.counted, of: this.panes.map(spent) };
		if (restarted)
			this.measureAnew("the gateway began to count anew");
		this.paintSums();
	}

	/* What was measured until now is of something else. */
	measureAnew(why) {
		const run = this.run;

		run.anew = { at: run.counted, why };
		run.base = { at: run.counted, of: this.panes.map(spent) };
		for (const pane of this.panes)
			pane.measureAnew();
	}

	/* Whatever the controls say now. */
	async change() {
		if (!controls.checkValidity())
			return;
		this.remember();
		if (!this.running)
			return;
		const run = this.run, before = { ...run.settings };
		const now = Object.assign(run.settings, this.settings());

		this.log("page", "settings: " + FIELDS.map((name) =>
			`${name} ${now[name]}`).join(", "));
		this.limit(run);
		try {
			await this.publish();
			if (COSTS.every((name) => now[name] === before[name]))
				return;
			await this.count();
			if (this.run === run && run.ended === null)
				this.measureAnew("the settings changed");
		} catch (error) {
			this.fail(error);
		}
	}

	/* In the log as well: the next frame has another verdict. */
	fail(error) {
		this.say("bad", error.message);
		this.log("page", `refused: ${error.message}`);
	}

	/* Who presses Stop again does not want to wait for the last events. */
	async pressStop() {
		if (!this.run.ending)
			return this.finish();
		this.stop();
		this.say("wait", "Stopped before all had arrived.");
	}

	/* Ending: the last events, then the last numbers, then the readers. */
	async finish() {
		const run = this.run;

		if (run.ending)
			return;
		/* No order may arrive behind the last one. */
		run.ending = true;
		await run.order.catch(() => {});
		try {
			const { next } = await ask("PUT", `publisher/${run.channel}`,
				{ rate: 0 });

			run.published = next - 1;
			await this.settle(run, next - 1);
			await this.count();
		} catch (error) {
			this.log("page", `no last numbers: ${error.message}`);
		}
		if (this.run !== run || run.ended !== null)
			return;
		this.stop();
		this.sayEnd(run.published);
		await this.report();
	}

	sayEnd(published) {
		const short = this.panes
			.map(({ kind, tally }) => [kind, published - tally.received])
			.filter(([, n]) => n > 0)
			.map(([kind, n]) => `${kind} lacks ${formatCount(n)}`);

		this.say(short.length > 0 ? "bad" : "good", ["Stopped after " +
			`${formatCount(published)} events`, ...short].join(", ") + ".");
	}

	/* To a channel that the link names: for machines that measure. */
	async report() {
		const channel = new URLSearchParams(location.hash.slice(1))
			.get("report");

		if (channel)
			await fetchJson(`/stream/${encodeURIComponent(channel)}`, {
				method: "POST",
				headers: { "Content-Type": "application/json" },
				body: JSON.stringify(this.collect()),
			}).catch((error) => this.say("bad", error.message));
	}

	/* Until all have what was published, but not for ever. */
	async settle(run, last) {
		const enough = Date.now() + run.settings.poll + 10000;

		while (Date.now() < enough && run.ended === null &&
			this.panes.some((p) => p.state !== "refused" &&
				p.tally.expected <= last))
			await new Promise((done) => setTimeout(done, 50));
	}

	stop() {
		if (!this.running)
			return;
		this.run.ended = Date.now();
		this.player.stop();
		this.paintPlaying();
		this.herd.scatter();
		for (const pane of this.panes)
			pane.stop();
		this.ladder.freeze(this.run.clock.now());
		this.setButton();
		this.changed();
	}

	setButton() {
		byId("run").textContent = this.running ? "Stop" : "Start";
		byId("run").dataset.running = this.running;
		if (this.running && !isPressed(byId("freeze")))
			this.ladder.freeze(null);
	}

	/* Painting. */

	changed() {
		this.dirty = true;
		if (this.painting)
			return;
		this.painting = true;
		requestAnimationFrame(() => this.frame());
	}

	/*
	 * With reduced motion twice a second; else as often as leaves two thirds
	 * of the time to what is measured. The ladder moves by itself.
	 */
	frame() {
		const began = performance.now();

		this.dirty = false;
		this.paint();
		/* By then it is drawn as well. */
		setTimeout(() => setTimeout(() => {
			this.painting = false;
			if (this.running || this.dirty)
				this.changed();
		}, still.matches ? 500 : (performance.now() - began) * 2));
	}

	paint() {
		for (const view of this.views)
			view.paint();
		if (this.run === null)
			return;
		const numbers = this.panes.map((p) => p.tally.expected - 1);
		/* Who was refused does not get any newer ones. */
		const chosen = Number(byId("chosen").value) ||
			Math.min(...numbers.filter((n, i) =>
				this.panes[i].state !== "refused"), Infinity);

		this.run.published = Math.max(this.run.published, ...numbers);
		if (this.run.clock.probes > 0)
			this.paintNumbers();

		byId("ladder-event").textContent = chosen > 0 &&
			chosen < Infinity ? `#${chosen}` : "–";
		this.ladder.paint(this.panes, this.run.clock.now(), chosen);
		if (this.running)
			this.paintVerdict();
	}

	say(state, text) {
		const verdict = byId("verdict");

		if (verdict.textContent !== text)
			verdict.textContent = text;
		verdict.dataset.state = state;
	}

	/* Read aloud when it changes, so it has no numbers that always do. */
	paintVerdict() {
		const sum = (of) => this.panes.reduce((n, p) => n + of(p), 0);
		const missed = sum((p) => p.tally.missed);
		const twice = sum((p) => p.tally.duplicates);
		const list = (panes) => panes.map((p) => p.kind).join(", ");
		const refused = this.panes.filter((p) => p.state === "refused");
		const away = this.panes.filter((p) =>
			p.state !== "live" && p.state !== "refused");

		if (this.run.ending)
			this.say("wait", "Stopping: what was published last is still " +
				"on its way. Press Stop again not to wait for it.");
		else if (missed > 0 || twice > 0)
			this.say("bad", `${missed} missing, ${twice} twice.`);
		else if (refused.length > 0)
			this.say("bad", `Refused, and gone for good: ${list(refused)}.`);
		else if (away.length > 0)
			this.say("wait", `Not connected: ${list(away)}. What they miss ` +
				"is caught up.");
		else
			this.say("good", "Nothing missing, nothing twice, all in order.");
	}

	/* NaN: nobody can say for how many. */
	get clients() {
		const field = byId("clients");

		return field.checkValidity() && field.value !== "" ?
			Number(field.value) : NaN;
	}

	/* No live region: they always change. */
	paintNumbers() {
		const { clock, anew, began, published } = this.run;

		byId("numbers").textContent = `${formatCount(published)} ` +
			"events published; latencies are from the publication to the " +
			`page's handler, ±${formatTime(clock.error)}, which is what is ` +
			`known of the clocks (${clock.probes} probes)` +
			(anew === null ? "" : "; latencies, bytes and costs are those " +
				`since ${((anew.at - began) / 1000).toFixed(1)} s, when ` +
				anew.why) +
			(document.hidden ? "; the page is hidden, timers are late" : "") +
			".";
	}

	paintSums() {
		const each = this.panes.map((pane) => pane.each());
		const most = Math.max(...each.map((e) => e.total || 0));

		for (const view of this.views)
			view.paintSums(most);
		this.cost.paint(this.panes, this.run, each,
			this.clients);
	}

	/* Breaking it. */

	async break(fault, panes, options) {
		if (!this.running) {
			this.say("wait", "There is nothing to break yet: press Start.");
			return;
		}
		this.log("fault", `${fault}: ` + panes.map((p) => p.kind).join(", ") +
			(options?.transports ? ` (only ${options.transports})` : ""));
		try {
			await order(panes, fault, options);
			await this.count();
		} catch (error) {
			this.fail(error);
		}
	}

	/* Lessons. */

	async play(lesson, pace) {
		if (this.running)
			this.stop();
		this.set(lesson.settings);
		byId("herd").hidden = true;
		byId("lesson").textContent = "";

		const starting = this.start(), run = this.run;

		await starting;
		/* Another one may have been chosen meanwhile. */
		if (this.run !== run || !this.running)
			return;
		this.log("lesson", lesson.title);
		this.player.play(lesson, pace);
		this.paintPlaying();
	}

	pressPause() {
		if (this.player.paused)
			this.player.resume();
		else
			this.player.pause();
		this.paintPlaying();
	}

	paintPlaying() {
		const { playing, paused, lesson, next } = this.player;

		byId("desk").dataset.playing = playing;
		byId("playing").hidden = !playing;
		byId("pause").setAttribute("aria-pressed", String(paused));
		if (playing)
			byId("lesson-step").textContent = `${lesson.title}, step ` +
				`${Math.max(next, 1)} of ${lesson.steps.length}`;
	}

	set(settings) {
		for (const [name, value] of Object.entries(settings))
			controls.elements[name].value = value;
		return this.change();
	}

	/* A machine wants the numbers; people may want to go on looking. */
	over() {
		this.paintPlaying();
		if (new URLSearchParams(location.hash.slice(1)).has("report"))
			this.finish();
	}

	async step(lesson, step) {
		byId("lesson").textContent = step.say;
		this.log("lesson", step.say);
		this.paintPlaying();
		if (step.set)
			await this.set(step.set);
		if (step.heal)
			await this.break("none", this.panes);
		if (step.break) {
			const [fault, transports, kinds, value] = step.break;

			await this.break(fault, this.panes.filter((pane) =>
				!kinds || kinds.includes(pane.kind)), { transports, value });
		}
		if (step.herd)
			this.gather(step.herd);
		if (step.stampede) {
			this.herd.stampede();
			await this.break("restart",
				[{ kind: "herd", name: `${this.run.id}-herd` }]);
		}
	}

	gather(order) {
		const url = new URL(`/stream/${this.run.channel}`, location.href);

		url.protocol = url.protocol.replace("http", "ws");
		url.search = new URLSearchParams({ lab: `${this.run.id}-herd` });
		byId("herd").hidden = false;
		this.herd.gather(url, order);
	}

	paintFaults() {
		const broken = this.panes
			.filter((pane) => pane.counted?.faults.length > 0)
			.map((pane) => `${pane.kind}: ${pane.counted.faults.join(", ")}`);

		byId("broken").textContent = broken.join("; ") || "none";
		for (const view of this.views)
			view.root.dataset.broken =
				view.pane.counted?.faults.length > 0;
	}

	/* Taking it away. */

	link(settings = this.settings()) {
		const url = new URL(location.href);

		url.hash = new URLSearchParams({ ...settings,
			clients: byId("clients").value, run: "1" });
		return url.href;
	}

	collect() {
		return collect(this.run, this.panes, this.entries,
			byId("verdict").textContent, this.link(this.run.settings));
	}

	remember() {
		byId("again").href = this.link();
	}

	export(kind) {
		if (this.run === null) {
			this.say("wait", "Nothing is measured yet: press Start.");
			return;
		}
		const data = this.collect();
		const name = `spillway-compare-${this.run.id}`;

		if (kind === "json")
			save(`${name}.json`, "application/json",
				JSON.stringify(data, null, "\t"));
		else if (kind === "csv")
			save(`${name}.csv`, "text/csv", toCsv(data));
		else
			save(`${name}.html`, "text/html", toHtml(data,
				this.views.map((view) => view.histogram.root),
				byId("cost"), this.clients));
	}
}

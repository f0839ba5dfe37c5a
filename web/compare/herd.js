/*
 * Many clients at once, each no more than a WebSocket that comes back; and when
 * they do.
 */

import { svg } from "./charts.js";

const COME_BACK_MS = 1000, SPREAD_MS = 4000;
const STEP_MS = 100, STEPS = 60;
const WIDTH = 600, HEIGHT = 80;

export class Herd {
	constructor(place) {
		this.members = [];
		this.returns = [];
		this.scale = 1; /* the most that there ever were in one step */
		this.bars = svg("path", { class: "h-bars" });
		this.most = svg("text", { class: "h-label", x: 2, y: 10 });
		this.root = svg("svg", { role: "img",
			viewBox: `0 0 ${WIDTH} ${HEIGHT + 14}` },
		svg("path", { class: "h-axis", d: `M0 ${HEIGHT}.5H${WIDTH}` }),
		this.bars, this.most);
		for (let s = 1; s * 1000 < STEPS * STEP_MS; s++)
			this.root.append(svg("text", { class: "h-label",
				"text-anchor": "middle", y: HEIGHT + 12,
				x: s * 1000 / STEP_MS * WIDTH / STEPS }, `${s} s`));
		place.append(this.root);
	}

	gather(url, { clients, jitter }) {
		this.scatter();
		this.url = url;
		this.jitter = jitter;
		this.returns = new Array(STEPS).fill(0);
		this.stampeded = null;
		this.members = Array.from({ length: clients }, () => ({}));
		this.members.forEach((member) => this.join(member));
		this.paint();
	}

	join(member) {
		const socket = member.socket = new WebSocket(this.url);

		/* When it knocks: the browser lets them in one by one. */
		this.count();
		socket.onclose = () => {
			member.timer = setTimeout(() => this.join(member),
				this.jitter ? Math.random() * SPREAD_MS : COME_BACK_MS);
		};
	}

	/* From now on it is counted when they are back. */
	stampede() {
		this.returns.fill(0);
		this.stampeded = performance.now();
	}

	count() {
		const step = this.stampeded === null ? -1 :
			Math.floor((performance.now() - this.stampeded) / STEP_MS);

		if (step >= 0 && step < STEPS)
			this.returns[step]++;
		this.paint();
	}

	paint() {
		const most = Math.max(...this.returns);
		const width = WIDTH / STEPS;

		/* One chart can be held against the other. */
		this.scale = Math.max(this.scale, most);

		this.bars.setAttribute("d", this.returns.map((n, i) => n === 0 ? "" :
			`M${i * width} ${HEIGHT}v-${n / this.scale * (HEIGHT - 14)}` +
			`h${width - 1}V${HEIGHT}z`).join(""));
		this.most.textContent = `at most ${most} in a tenth of a second`;
		this.root.setAttribute("aria-label", this.most.textContent);
	}

	scatter() {
		for (const { socket, timer } of this.members) {
			clearTimeout(timer);
			socket.onclose = null;
			socket.close();
		}
		this.members = [];
	}
}

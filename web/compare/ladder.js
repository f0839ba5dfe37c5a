/*
 * Who speaks to whom, and when: a lane for each pane, in which time runs to the
 * right. Backend above, gateway in the middle, client below.
 */

const LABEL = 118, RIGHT = 10;
const HEAD = 5;

/*
 * Those of one colour, drawn at once: one by one, a hundred events a second
 * would take all of a core.
 */
class Arrows {
	constructor() {
		this.lines = new Path2D();
		this.heads = new Path2D();
	}

	add(x1, y1, x2, y2, headed) {
		const angle = Math.atan2(y2 - y1, x2 - x1);

		this.lines.moveTo(x1, y1);
		this.lines.lineTo(x2, y2);
		if (!headed)
			return;
		this.heads.moveTo(x2, y2);
		this.heads.lineTo(x2 - HEAD * Math.cos(angle - 0.5),
			y2 - HEAD * Math.sin(angle - 0.5));
		this.heads.lineTo(x2 - HEAD * Math.cos(angle + 0.5),
			y2 - HEAD * Math.sin(angle + 0.5));
	}

	draw(pen) {
		pen.stroke(this.lines);
		pen.fill(this.heads);
	}
}

export class Ladder {
	constructor(canvas) {
		this.canvas = canvas;
		this.spanMs = 10000;
		this.frozen = null;
	}

	/* Stand still, for those who want to look closely. */
	freeze(now) {
		this.frozen = now;
	}

	style(name) {
		return this.colours.getPropertyValue(name);
	}

	/* As many pixels as the screen has. */
	fit(lanes) {
		const canvas = this.canvas, scale = devicePixelRatio || 1;
		const width = canvas.clientWidth;
		const size = parseFloat(this.colours.fontSize);
		const height = Math.round(size * (lanes * 5.2 + 1.6));

		/* A lane has four lines, and what is between it and the next. */
		this.lane = size * 4;
		this.gap = size * 1.2;
		this.axis = size * 1.6;
		this.font = `${Math.round(size * 0.8)}px ${this.colours.fontFamily}`;
		this.label = Math.max(LABEL, size * 8);
		if (canvas.width !== Math.round(width * scale) ||
			canvas.height !== Math.round(height * scale)) {
			canvas.width = Math.round(width * scale);
			canvas.height = Math.round(height * scale);
			canvas.style.height = `${height}px`;
		}
		this.width = width;
		this.height = height;
		this.hair = 1 / scale;
		this.pen = canvas.getContext("2d");
		this.pen.setTransform(scale, 0, 0, scale, 0, 0);
		this.pen.clearRect(0, 0, width, height);
		this.pen.font = this.font;
		this.pen.textBaseline = "middle";
	}

	x(time) {
		return this.label + (time - this.from) / this.spanMs *
			(this.width - this.label - RIGHT);
	}

	paint(panes, now, chosen) {
		this.colours = getComputedStyle(this.canvas);
		this.fit(panes.length);
		this.to = this.frozen ?? now;
		this.from = this.to - this.spanMs;
		panes.forEach((pane, i) => this.paintLane(pane,
			i * (this.lane + this.gap) + this.gap / 2, chosen));
		this.paintAxis();
	}

	line(x1, y1, x2, y2) {
		this.pen.beginPath();
		this.pen.moveTo(x1, y1);
		this.pen.lineTo(x2, y2);
		this.pen.stroke();
	}

	colour(name) {
		this.pen.strokeStyle = this.pen.fillStyle = this.style(name);
	}

	paintLane(pane, top, chosen) {
		const pen = this.pen, end = this.width - RIGHT;
		const middle = top + this.lane * 0.35, bottom = top + this.lane;

		pen.lineWidth = 1;
		this.colour("--edge");
		for (const y of [top, middle, bottom])
			this.line(this.label, y, end, y);
		this.colour("--text");
		pen.fillText(pane.kind, 2, (top + bottom) / 2);
		this.colour("--soft");
		pen.textAlign = "right";
		["backend", "gateway", "client"].forEach((name, i) =>
			pen.fillText(name, this.label - 6, [top, middle, bottom][i]));
		pen.textAlign = "left";
		pen.save();
		pen.beginPath();
		pen.rect(this.label, top - this.gap / 2, end - this.label,
			this.lane + this.gap);
		pen.clip();
		this.paintAsks(pane, middle, bottom);
		this.paintEvents(pane, top, middle, bottom, chosen);
		pen.restore();
	}

	/*
	 * Heads, as long as they would not lie on each other. Without them lines
	 * are as thin as can be: that is what renderers are quick at.
	 */
	choosePen(count) {
		const headed = count * HEAD < this.width - this.label - RIGHT;

		this.pen.lineWidth = headed ? 1.25 : this.hair;
		return headed;
	}

	/* Streams ask once; what follows is one long answer. */
	paintAsks(pane, middle, bottom) {
		const holds = pane.kind === "long" || pane.kind === "short" ||
			pane.kind === "auto";
		const arrows = new Arrows();
		const headed = this.choosePen(pane.asks.length);

		this.colour("--request");
		for (const { at, end } of pane.asks) {
			const until = end ?? this.to;

			if (until < this.from || at > this.to)
				continue;
			arrows.add(this.x(at), bottom, this.x(at) + 2, middle, headed);
			/* What the gateway holds: an open bar. */
			if (holds && until - at > this.spanMs / 200)
				arrows.lines.rect(this.x(at), middle,
					this.x(until) - this.x(at), this.lane * 0.16);
		}
		arrows.draw(this.pen);
	}

	paintEvents(pane, top, middle, bottom, chosen) {
		const shown = pane.arrivals.filter(({ sent, at }) =>
			at >= this.from && sent <= this.to);
		const headed = this.choosePen(shown.length);
		const others = new Arrows(), one = new Arrows();

		for (const { n, sent, at } of shown) {
			const arrows = n === chosen ? one : others;
			const heads = headed || n === chosen;

			arrows.add(this.x(sent) - 2, top, this.x(sent), middle, heads);
			arrows.add(this.x(sent), middle, this.x(at), bottom, heads);
		}
		this.colour("--payload");
		others.draw(this.pen);
		/* Above them all. */
		this.colour("--chosen");
		this.pen.lineWidth = 3;
		one.draw(this.pen);
	}

	paintAxis() {
		const room = this.width - this.label - RIGHT;
		const steps = room > this.axis * 15 ? 5 : 1;
		const y = this.height - this.axis / 2, step = this.spanMs / steps;

		this.colour("--soft");
		for (let i = 0; i <= steps; i++) {
			const ms = this.spanMs - i * step;

			this.pen.textAlign = i === steps ? "right" :
				i === 0 ? "left" : "center";
			this.pen.fillText(ms === 0 ? "now" : `−${ms / 1000} s`,
				this.x(this.from + i * step), y);
		}
		this.pen.textAlign = "left";
	}
}

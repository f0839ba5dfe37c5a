/*
 * Who speaks to whom, and when: a lane for each pane, in which time runs to the
 * right. Backend above, gateway in the middle, client below.
 */

const LABEL = 118, RIGHT = 10, LANE_GAP = 18, AXIS = 22;

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
		const lane = size * 4;
		const height = Math.round(lanes * (lane + LANE_GAP) + AXIS);

		this.lane = lane;
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
			i * (this.lane + LANE_GAP) + 8, chosen));
		this.paintAxis();
	}

	line(x1, y1, x2, y2) {
		this.pen.beginPath();
		this.pen.moveTo(x1, y1);
		this.pen.lineTo(x2, y2);
		this.pen.stroke();
	}

	/* With a head at its end, if there is room for one. */
	arrow(x1, y1, x2, y2) {
		const angle = Math.atan2(y2 - y1, x2 - x1), size = 5;

		this.line(x1, y1, x2, y2);
		this.pen.beginPath();
		this.pen.moveTo(x2, y2);
		this.pen.lineTo(x2 - size * Math.cos(angle - 0.5),
			y2 - size * Math.sin(angle - 0.5));
		this.pen.lineTo(x2 - size * Math.cos(angle + 0.5),
			y2 - size * Math.sin(angle + 0.5));
		this.pen.fill();
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
		pen.rect(this.label, top - 8, end - this.label, this.lane + 16);
		pen.clip();
		this.paintAsks(pane, middle, bottom);
		this.paintEvents(pane, top, middle, bottom, chosen);
		pen.restore();
	}

	/* Streams ask once; what follows is one long answer. */
	paintAsks(pane, middle, bottom) {
		const holds = pane.kind === "long" || pane.kind === "short" ||
			pane.kind === "auto";

		this.colour("--request");
		this.pen.lineWidth = 1.25;
		for (const { at, end } of pane.asks) {
			const until = end ?? this.to;

			if (until < this.from || at > this.to)
				continue;
			this.arrow(this.x(at), bottom, this.x(at) + 2, middle);
			/* What the gateway holds: an open bar. */
			if (holds && until - at > this.spanMs / 200)
				this.pen.strokeRect(this.x(at), middle,
					this.x(until) - this.x(at), this.lane * 0.16);
		}
	}

	paintEvents(pane, top, middle, bottom, chosen) {
		for (const { n, sent, at } of pane.arrivals) {
			if (at < this.from || sent > this.to)
				continue;
			this.colour(n === chosen ? "--chosen" : "--payload");
			this.pen.lineWidth = n === chosen ? 3 : 1.25;
			this.arrow(this.x(sent) - 2, top, this.x(sent), middle);
			this.arrow(this.x(sent), middle, this.x(at), bottom);
		}
	}

	paintAxis() {
		const y = this.height - AXIS / 2, step = this.spanMs / 5;

		this.colour("--soft");
		this.pen.textAlign = "center";
		for (let i = 0; i <= 5; i++) {
			const ms = this.spanMs - i * step;

			this.pen.textAlign = i === 5 ? "right" : i === 0 ? "left" :
				"center";
			this.pen.fillText(ms === 0 ? "now" : `−${ms / 1000} s`,
				this.x(this.from + i * step), y);
		}
		this.pen.textAlign = "left";
	}
}

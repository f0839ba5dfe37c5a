/*
 * Compares the panes: an event that one of them saw and another passed by is
 * missing there.
 */

/* EPOCH-SEQ; numbers of JavaScript would not hold every SEQ. */
function parseCursor(id) {
	const dash = id.lastIndexOf("-");

	return { epoch: id.slice(0, dash), seq: BigInt(id.slice(dash + 1)) };
}

/* The events that any pane saw, and what each of them did not. */
export class Ledger {
	constructor(cursor) {
		const { epoch, seq } = parseCursor(cursor);

		this.panes = [];
		this.start = seq;
		this.begin(epoch);
	}

	begin(epoch) {
		this.epoch = epoch;
		this.seqs = []; /* ascending; what all panes passed is dropped */
		this.total = 0;
		this.runs = new Map();
	}

	/* Another log: whatever was seen belongs to the old one. */
	change(epoch) {
		this.begin(epoch);
		this.start = -1n;
		for (const pane of this.panes)
			pane.position = -1n;
	}

	/* A pane received an event: false if it had passed it before. */
	take(pane, event) {
		const { epoch, seq } = parseCursor(event.id);

		if (epoch !== this.epoch)
			this.change(epoch);
		if (seq <= pane.position)
			return false;

		const last = this.upTo(seq);
		const known = this.seqs[last - 1] === seq;

		pane.missed += last - known - this.upTo(pane.position);
		pane.position = seq;
		if (!known)
			this.add(last, seq, event.data);
		this.prune();
		return true;
	}

	/* How many of the seqs are not above this one. */
	upTo(seq) {
		let low = 0, high = this.seqs.length;

		while (low < high) {
			const middle = (low + high) >> 1;

			if (this.seqs[middle] <= seq)
				low = middle + 1;
			else
				high = middle;
		}
		return low;
	}

	add(at, seq, data) {
		this.seqs.splice(at, 0, seq);
		this.total++;
		this.count(data);
		/* Seen too late by this one: others have passed it. */
		for (const pane of this.panes)
			if (pane.position > seq)
				pane.missed++;
	}

	/* The ticker counts, so that a loss on all panes shows as well. */
	count(data) {
		if (typeof data?.run !== "string" || !Number.isInteger(data.n))
			return;

		const run = this.runs.get(data.run) ??
			{ first: data.n, last: data.n, count: 0 };

		run.first = Math.min(run.first, data.n);
		run.last = Math.max(run.last, data.n);
		run.count++;
		this.runs.set(data.run, run);
	}

	prune() {
		const passed = this.panes.reduce(
			(low, pane) => pane.position < low ? pane.position : low,
			this.seqs[this.seqs.length - 1] ?? 0n);

		this.seqs.splice(0, this.upTo(passed));
	}

	lostByAll() {
		let lost = 0;

		for (const run of this.runs.values())
			lost += run.last - run.first + 1 - run.count;
		return lost;
	}

	/* How many events the pane has still to see. */
	behind(pane) {
		return this.seqs.length - this.upTo(pane.position);
	}
}

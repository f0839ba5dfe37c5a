/* What was measured, for many clients. */

import { BUCKETS, formatBytes, formatCount, formatTime } from "./measure.js";

/* All that the gateway counted for a pane so far. */
export const spent = ({ counted }) => ({
	requests: counted?.requests ?? 0,
	bytes: counted ? BUCKETS.reduce((n, [bucket]) =>
		n + counted.bytes[bucket], 0) : 0,
});

/* What comes on top of the payload: 1.4 times as much, or 3 %. */
function formatOverhead({ bytes, total }) {
	const over = (total - bytes.payload) / bytes.payload;

	return !Number.isFinite(over) ? "–" : over >= 2 ?
		`${over.toFixed(1)} ×` : `${Math.round(over * 100)} %`;
}

function fillTable(table, head, rows) {
	const lines = [head, ...rows];

	while (table.rows.length < lines.length) {
		const line = document.createElement("tr");

		lines[table.rows.length].forEach((text, i) => {
			const cell = document.createElement(
				table.rows.length === 0 || i === 0 ? "th" : "td");

			if (cell.tagName === "TH")
				cell.scope = table.rows.length === 0 ? "col" : "row";
			line.append(cell);
		});
		table.append(line);
	}
	lines.forEach((texts, i) => texts.forEach((text, j) => {
		table.rows[i].cells[j].textContent = text;
	}));
}

export class CostTable {
	constructor(table) {
		this.table = table;
	}

	/* `each`: what an event cost, by pane. */
	paint(panes, run, each, clients) {
		const { base, counted } = run;
		const seconds = base ? (counted - base.at) / 1000 : 0;
		const head = ["Transport", "Bytes an event", "Overhead",
			"Requests a second", "Bandwidth", "A day", "Late by (p95)"];
		const rows = panes.map((pane, i) => {
			const now = spent(pane), times = clients / seconds || NaN;
			const rate = base ? (now.bytes - base.of[i].bytes) * times : NaN;

			return [pane.title, formatBytes(each[i].total),
				formatOverhead(each[i]),
				formatCount(base ? (now.requests - base.of[i].requests) *
					times : NaN),
				`${formatBytes(rate * 8).replace("B", "bit")}/s`,
				formatBytes(rate * 86400),
				formatTime(pane.latency.quantile(0.95))];
		});

		fillTable(this.table, head, rows);
	}
}

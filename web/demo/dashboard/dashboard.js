/*
 * A dashboard: three numbers a second, of which a page that is opened now has
 * the last minutes at once, and a page that was away those that it missed.
 * Published by ../vitals.py.
 */
import { Stream } from "../../spillway.mjs";

const SHOWN = 120;
const NS = "http://www.w3.org/2000/svg";

const gauges = [
	{ name: "cpu", title: "Processors, %", most: 100 },
	{ name: "memory", title: "Memory, %", most: 100 },
	{ name: "load", title: "Load", most: 4 },
].map(makeGauge);

function makeGauge(gauge) {
	const card = document.createElement("section");
	const title = document.createElement("h2");
	const value = document.createElement("p");
	const chart = document.createElementNS(NS, "svg");
	const line = document.createElementNS(NS, "polyline");

	title.textContent = gauge.title;
	value.className = "value";
	chart.setAttribute("viewBox", `0 0 ${SHOWN - 1} 40`);
	chart.setAttribute("preserveAspectRatio", "none");
	chart.setAttribute("aria-hidden", "true");
	chart.append(line);
	card.append(title, value, chart);
	document.getElementById("gauges").append(card);
	return { ...gauge, value, line, points: [] };
}

function paint({ value, line, points, most }) {
	const top = Math.max(most, ...points);

	value.textContent = points[points.length - 1].toFixed(1);
	line.setAttribute("points", points.map((n, i) =>
		`${SHOWN - points.length + i},${40 - n / top * 38}`).join(" "));
}

const stream = new Stream("/stream/demo-vitals", { last: SHOWN });

stream.onmessage = ({ data }) => {
	for (const gauge of gauges) {
		if (!Number.isFinite(data?.[gauge.name]))
			continue;
		gauge.points.push(data[gauge.name]);
		gauge.points.splice(0, gauge.points.length - SHOWN);
		paint(gauge);
	}
};

stream.subscribe(() => {
	const { state, transport } = stream.getSnapshot();

	document.getElementById("state").textContent = state === "open" ?
		`live by ${transport}` : state;
});

/*
 * Put into a demo's page by tests/scenarios/test_demo_pages.py: uses it as its
 * reader would, looks at what is there, and reports.
 */
import { until } from "./watch.js";

const violations = [], all = (selector) =>
	[...document.querySelectorAll(selector)];

document.addEventListener("securitypolicyviolation", (violation) =>
	violations.push(violation.violatedDirective));
addEventListener("error", (error) => violations.push(error.message));

const texts = (selector) => all(selector).map((e) => e.textContent);

async function chat() {
	const evil = "<img src=x onerror=\"window.evil = true\">";

	await until(() => all("#messages li").length === 2);
	for (const text of [evil, "two"]) {
		document.getElementById("name").value = "<i>me</i>";
		document.getElementById("text").value = text;
		document.getElementById("form").requestSubmit();
	}
	await until(() => all("#messages li").length === 4 &&
		all("#messages .waiting").length === 0);
	return { names: texts("#messages b"), texts: texts("#messages span"),
		foreign: all("#messages img, #messages i, #messages script").length };
}

async function dashboard() {
	await until(() => texts(".value")[0] === "99.5");
	return { values: texts(".value"),
		points: all("polyline").map((line) =>
			line.getAttribute("points").split(" ").length) };
}

const found = document.getElementById("gauges") ? await dashboard() :
	await chat();

await fetch("/stream/report", { method: "POST",
	headers: { "Content-Type": "application/json" },
	body: JSON.stringify({ ...found, violations,
		evil: window.evil === true,
		state: document.getElementById("state").textContent }) });

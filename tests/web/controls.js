/*
 * Put into the compare page by tests/scenarios/test_compare_browsers.py: turns
 * its controls as somebody with a keyboard does, and reports what came of it.
 */
import { until } from "./watch.js";

const byId = (id) => document.getElementById(id);
const run = byId("run"), { rate, seconds } = byId("controls").elements;
const verdict = () => byId("verdict").textContent;

/* As the Enter key does, which scripts have not. */
function enter(field, value) {
	field.focus();
	field.value = value;
	field.dispatchEvent(new Event("change", { bubbles: true }));
	byId("controls").requestSubmit(run);
}

const published = () => Number(byId("numbers").textContent.split(" ")[0]);
const said = {};

await until(() => published() > 0);
enter(rate, "50");
said.entered = run.textContent;
await until(() => published() > 20);

/* Black: what is published last cannot arrive. */
byId("victim").value = "all";
[...document.querySelectorAll(".faults button")]
	.find((b) => b.textContent === "Swallow").click();
[...document.querySelectorAll(".faults button")]
	.find((b) => b.textContent === "Cut (FIN)").click();
await until(() => verdict().startsWith("Not connected"));
run.focus();
run.click();
await until(() => verdict().startsWith("Stopping"));
said.stopping = run.textContent;
run.click();
await until(() => run.textContent === "Start");
said.stopped = verdict();

/* The time that it runs is said while it does. */
run.click();
await until(() => published() > 0 && verdict().startsWith("Nothing missing"));
enter(seconds, "1");
await until(() => verdict().startsWith("Stopped after"));
said.limited = run.textContent;

/* The table is for as many clients as there may be. */
const perSecond = () => byId("cost").rows[3].cells[3].textContent;
const ask = (count) => {
	byId("clients").value = count;
	byId("clients").dispatchEvent(new Event("input", { bubbles: true }));
	return /\d/.test(perSecond());
};

said.clients = ["5", "1e99", "-1", "", "5"].map(ask);

/* What is taken away is for phones as well. */
let exported;

URL.createObjectURL = (blob) => {
	exported = blob;
	return "";
};
HTMLAnchorElement.prototype.click = () => {};
document.querySelector("[data-export=html]").click();

const report = new DOMParser().parseFromString(await exported.text(),
	"text/html");

said.forPhones = report.querySelector("meta[name=viewport]") !== null;
said.costs = [...report.querySelectorAll("h2")]
	.some((h) => h.textContent === "For 5 clients") &&
	report.getElementById("cost").rows[3].cells[3].textContent ===
		perSecond();

/* What was measured is run again, whatever the controls say by now. */
rate.value = "7";
rate.dispatchEvent(new Event("change", { bubbles: true }));
document.querySelector("[data-export=json]").click();

const { again, settings } = JSON.parse(await exported.text());

said.again = [settings.rate,
	new URLSearchParams(new URL(again).hash.slice(1)).get("rate")];

await fetch("/stream/report", { method: "POST",
	headers: { "Content-Type": "application/json" },
	body: JSON.stringify(said) });

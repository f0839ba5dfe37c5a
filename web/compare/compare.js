/*
 * What each transport costs: four readers and the client itself, on a channel
 * of this page's own, to which the gateway publishes as told.
 */

import { bucketSample, markSample } from "./charts.js";
import { FAULTS } from "./faults.js";
import { LESSONS } from "./lessons.js";
import { BUCKETS } from "./measure.js";
import { byId, controls, FIELDS, isPressed, Page } from "./page.js";
import { element } from "./view.js";

/* A button for each, and one that ends them all. */
function makeFaults(page) {
	const victim = byId("victim");
	const chosen = () => page.panes.filter((pane) =>
		victim.value === "all" || pane.kind === victim.value);

	for (const [value, title] of [["auto", "Auto"], ["all", "all panes"],
		...page.panes.slice(0, 4).map((p) => [p.kind, p.title])])
		victim.append(new Option(title, value));
	for (const { name, title, kind, help, unit, value } of FAULTS) {
		const button = element("button", title);

		button.type = "button";
		button.title = help + (unit ? ` Value: ${unit}, usually ${value}.` :
			"");
		button.addEventListener("click", () => page.break(name, chosen(), {
			transports: byId("kinds").value,
			...unit && byId("value").value !== "" &&
				{ value: byId("value").value } }));
		byId(`faults-${kind}`).append(button);
	}

	const well = element("button", "All is well again", "well");

	well.type = "button";
	well.addEventListener("click", () => page.break("none", page.panes));
	byId("faults-connection").append(well);
}

function makeLessons(page, pace) {
	for (const lesson of LESSONS) {
		const button = element("button", lesson.title);

		button.type = "button";
		button.addEventListener("click", () => page.play(lesson, pace));
		byId("lessons").append(button);
	}
}

function paintLegend() {
	const names = { "live": "live", "caught-up": "caught up", "late": "late",
		"missing": "missing", "duplicate": "twice" };

	byId("legend").append("Events: ",
		...Object.entries(names).map(([kind, name]) => {
			const entry = element("span");

			entry.append(markSample(kind), name);
			return entry;
		}), " Bytes: ",
		...BUCKETS.map(([bucket, name]) => {
			const entry = element("span");

			entry.append(bucketSample(bucket), name.toLowerCase());
			return entry;
		}));
}

/* A button that is pressed or not, and remembered. */
function toggle(id, pressed, apply) {
	const button = byId(id);
	const set = (on) => {
		button.setAttribute("aria-pressed", String(on));
		apply(on);
	};

	button.addEventListener("click", () =>
		set(!isPressed(button)));
	set(pressed);
}

function readLink() {
	const values = new URLSearchParams(location.hash.slice(1));

	for (const name of FIELDS) {
		const field = controls.elements[name];

		if (values.has(name))
			field.value = values.get(name);
		if (!field.checkValidity())
			field.value = field.defaultValue;
	}
	if (values.has("clients"))
		byId("clients").value = values.get("clients");
	if (!byId("clients").checkValidity() || byId("clients").value === "")
		byId("clients").value = byId("clients").defaultValue;
	return values;
}

function main() {
	const page = new Page();
	const values = readLink();
	const dark = matchMedia("(prefers-color-scheme: dark)").matches;

	paintLegend();
	makeFaults(page);
	makeLessons(page, Number(values.get("pace")) || 1);
	toggle("projector", values.has("projector"), (on) => {
		document.documentElement.dataset.size = on ? "large" : "";
		page.changed();
	});
	toggle("theme", dark, (on) => {
		document.documentElement.dataset.theme = on ? "dark" : "light";
		page.changed();
	});
	toggle("freeze", false, (on) => {
		page.ladder.freeze(on && page.run ? page.run.clock.now() : null);
		page.changed();
	});
	byId("pause").addEventListener("click", () => page.pressPause());
	byId("skip").addEventListener("click", () => page.player.skip());
	byId("span").addEventListener("change", (change) => {
		page.ladder.spanMs = Number(change.target.value) * 1000;
		page.changed();
	});
	byId("clients").addEventListener("input", () => {
		page.remember();
		if (page.run)
			page.paintSums();
	});
	byId("chosen").addEventListener("input", () => page.changed());
	byId("panes").addEventListener("click", (click) => {
		const n = click.target.closest("[data-n]")?.dataset.n;

		if (n) {
			byId("chosen").value = n;
			page.changed();
		}
	});
	controls.addEventListener("change", () => page.change());
	controls.addEventListener("submit", (submit) => {
		submit.preventDefault();
		if (!page.running)
			page.start();
		/* Enter in a field has changed it, no more. */
		else if (!FIELDS.includes(document.activeElement?.name))
			page.pressStop();
	});
	for (const button of document.querySelectorAll("[data-export]"))
		button.addEventListener("click", () =>
			page.export(button.dataset.export));
	/* What should not happen is told, and so is in every report. */
	document.addEventListener("securitypolicyviolation", (violation) =>
		page.log("page", `error: the policy forbids ${
			violation.violatedDirective}`));
	addEventListener("error", (error) =>
		page.log("page", `error: ${error.message}`));
	addEventListener("unhandledrejection", (rejection) =>
		page.log("page", `error: ${rejection.reason?.message ??
			rejection.reason}`));
	page.remember();
	page.changed();
	const lesson = LESSONS.find((l) => l.name === values.get("lesson"));

	if (lesson)
		page.play(lesson, Number(values.get("pace")) || 1);
	else if (values.has("run"))
		page.start();
}

main();

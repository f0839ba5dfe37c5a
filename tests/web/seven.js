/*
 * Put into the first page by tests/scenarios/test_demo_pages.py: reports that it
 * was loaded. What its panes show is not painted where nobody looks.
 */
await fetch("/stream/report", { method: "POST",
	headers: { "Content-Type": "application/json" }, body: "1" });

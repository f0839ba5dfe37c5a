/*
 * The fault lab: what is wrong between the gateway and a pane. Each button says
 * what it is in real life; the gateway does it, see proxy/lab.h.
 */

import { ask } from "./measure.js";

/* Requests as they come; bytes on their way; connections, at once. */
export const FAULTS = [
	{ name: "refuse", title: "Refuse", kind: "request", value: 403,
		unit: "status", help: "A proxy answers 403 itself." },
	{ name: "strip", title: "Strip Upgrade", kind: "request",
		help: "A proxy that knows no WebSocket drops the header." },
	{ name: "swallow", title: "Swallow", kind: "request",
		help: "The request goes out, and nothing ever comes back." },
	{ name: "trim", title: "Trim history", kind: "request",
		help: "It was away for longer than history reaches: what came " +
			"meanwhile is gone, and it is told so." },
	{ name: "mute", title: "101, then mute", kind: "bytes",
		help: "The head of the answer arrives, and nothing behind it." },
	{ name: "hold", title: "Hold events", kind: "bytes", value: 4096,
		unit: "bytes", help: "An antivirus or a buffering proxy collects " +
			"so many bytes before it lets any pass." },
	{ name: "delay", title: "Delay", kind: "bytes", value: 300, unit: "ms",
		jitter: 200, help: "A satellite, or a full train: late, and " +
			"unevenly so." },
	{ name: "cap", title: "Narrow line", kind: "bytes", value: 2000,
		unit: "bytes/s", help: "The edge of the cell." },
	{ name: "blackhole", title: "Black hole", kind: "bytes", seconds: 10,
		help: "A tunnel, or a laptop's lid: ten seconds in which no byte " +
			"arrives, and no connection ends." },
	{ name: "reset", title: "Reset (RST)", kind: "connection",
		help: "A firewall has forgotten the connection." },
	{ name: "cut", title: "Cut (FIN)", kind: "connection",
		help: "A proxy ends it after its idle timeout." },
	{ name: "restart", title: "Restart", kind: "connection",
		help: "The gateway says that it restarts." },
	{ name: "epoch", title: "Restart, new log", kind: "connection",
		seconds: 10, help: "The gateway restarts, and its store was lost: cursors " +
			"are of another log." },
	{ name: "expire", title: "Expire token", kind: "connection",
		help: "The client's token has expired. A poll is told while it " +
			"waits." },
];

export const findFault = (name) => FAULTS.find((f) => f.name === name);

/* For some panes, and some transports of theirs: "" for all. */
export async function order(panes, fault, { transports = "", value } = {}) {
	const known = findFault(fault) ?? {};
	const params = { fault };
	const amount = value ?? known.value;

	if (amount !== undefined)
		params.value = amount;
	if (known.jitter !== undefined)
		params.jitter = known.jitter;
	if (known.seconds !== undefined)
		params.seconds = known.seconds;
	if (transports)
		params.transports = transports;
	await Promise.all(panes.map((pane) =>
		ask("PUT", `faults/${pane.name}`, params)));
}

/*
 * A chat, all of it. Open it in two windows; then end the gateway, go on
 * writing, and start it again.
 */
import { Stream } from "../../spillway.mjs";

const byId = (id) => document.getElementById(id);
const waiting = new Map(); /* our own, until the stream brings them back */

/* The newest fifty, then whatever comes; over whichever transport works. */
const stream = new Stream("/stream/demo-chat", { last: 50 });

stream.subscribe(() => {
	const { state, transport } = stream.getSnapshot();

	byId("state").textContent = state === "open" ?
		`connected by ${transport}` : `${state}; nothing is lost`;
});

/* Text, always: what somebody writes is never read as HTML. */
function show({ name, text }, time) {
	const item = document.createElement("li");
	const who = document.createElement("b"), what = document.createElement("span");
	const when = document.createElement("time");

	who.textContent = name;
	what.textContent = text;
	if (time)
		when.textContent = new Date(time).toLocaleTimeString();
	item.append(who, what, when);
	byId("messages").append(item);
	item.scrollIntoView({ block: "nearest" });
	return item;
}

/* Anybody may send anything: only what is a message is shown. */
const isMessage = (data) => data !== null && typeof data === "object" &&
	typeof data.name === "string" && typeof data.text === "string";

stream.onmessage = ({ data, time }) => {
	if (!isMessage(data))
		return;
	waiting.get(data.key)?.remove();
	waiting.delete(data.key);
	show(data, time);
};

stream.ongap = () =>
	show({ name: "", text: "(older messages are not kept)" });

byId("form").addEventListener("submit", (submit) => {
	submit.preventDefault();

	const message = { name: byId("name").value, text: byId("text").value,
		key: Math.random().toString(36).slice(2) };
	const item = show(message);

	item.className = "waiting";
	waiting.set(message.key, item);
	byId("text").value = "";
	/* Sent once, however often it has to be tried; in order. */
	stream.send(message).done.then((sent) => {
		if (sent.status !== "acknowledged")
			item.className = "failed";
	});
});

byId("name").value = `guest ${Math.floor(Math.random() * 900) + 100}`;

/*
 * Spillway's client: one stream of events, over whichever transport works.
 *
 *	var stream = new Spillway.Stream('/stream/room-7');
 *	stream.onmessage = function (event) { show(event.data); };
 *	stream.send({ text: 'hello' });
 *
 * StreamEventSource and StreamWebSocket have the platform's own faces. MIT.
 */

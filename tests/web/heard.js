/*
 * For tests/scenarios/test_demo_faults.py, with `node --require`: the errors of
 * `ws` are events that somebody has to listen to, or they end the process;
 * browsers' are not. What matters, the close, follows each.
 */
'use strict';

const { createRequire } = require('node:module');
const ws = createRequire(`${process.cwd()}/`)('ws');

ws.WebSocket = class extends ws.WebSocket {
	constructor(...args) {
		super(...args);
		this.on('error', () => {});
	}
};

/* The types: what they allow, what they refuse, and that they are of this. */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const Spillway = require('../../web/spillway.js');

test('what they allow compiles, what they refuse does not', () => {
	try {
		execFileSync('tsc', ['--noEmit', '--strict', '--target', 'ES2020',
			'--moduleResolution', 'node', '--typeRoots', __dirname,
			'--lib', 'ES2020,DOM', path.join(__dirname, 'types.ts')],
		{ encoding: 'utf8' });
	} catch (error) {
		assert.fail(error.stdout || error);
	}
});

const text = readFileSync(
	path.join(__dirname, '..', '..', 'web', 'spillway.d.ts'), 'utf8');

/* Public members, as they are in an object of that class. */
function membersOf(object) {
	const names = new Set();

	for (let o = object; o !== Object.prototype; o = Object.getPrototypeOf(o))
		Object.getOwnPropertyNames(o).forEach((n) => names.add(n));
	return [...names].filter((n) => !/^(_|constructor$|[A-Z])/.test(n));
}

for (const name of Object.keys(Spillway))
	test(`all that a ${name} has is in its type`, () => {
		const object = new Spillway[name]('http://x/stream/a',
			{ autoConnect: false });

		for (const member of membersOf(object))
			assert.match(text, new RegExp(`\\b${member}\\b[(?:<]`),
				member);
		object.close();
	});

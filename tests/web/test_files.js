/* The files that are served: up to date, in the language they claim, small. */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const web = path.join(__dirname, '..', '..', 'web');
const read = (name) => readFileSync(path.join(web, name), 'utf8');

const NAMES = ['spillway.js', 'spillway.mjs', 'spillway-reader.mjs',
	'spillway-tabs.js', 'spillway-tabs.mjs'];
const minified = (name) => name.replace(/\.m?js$/, '.min$&');

for (const name of [...NAMES, ...NAMES.map(minified)])
	test(`${name} is what "make client" makes`, () => {
		const made = execFileSync(path.join(__dirname, 'bundle'),
			[name], { encoding: 'utf8' });

		assert.equal(read(name), made);
	});

const namesOf = async (name) => Object.keys(await import(
	pathToFileURL(path.join(web, name)))).sort();

test('all have the same names, the reader has a Stream', async () => {
	const names = Object.keys(require('../../web/spillway.js')).sort();

	for (const name of ['spillway.mjs', 'spillway.min.mjs',
		'spillway-tabs.mjs', 'spillway-tabs.min.mjs'])
		assert.deepEqual(await namesOf(name), names);
	assert.deepEqual(
		Object.keys(require('../../web/spillway.min.js')).sort(), names);
	for (const name of ['spillway-reader.mjs', 'spillway-reader.min.mjs'])
		assert.deepEqual(await namesOf(name), ['Stream']);
});

for (const name of ['spillway.js', 'spillway.min.js', 'spillway-tabs.js',
	'spillway-tabs.min.js'])
	test(`${name} is ES5`, () => {
		const acorn = require('/usr/share/nodejs/acorn');

		acorn.parse(read(name), { ecmaVersion: 5 });
		assert.throws(() => acorn.parse('const a = 1;',
			{ ecmaVersion: 5 }));
	});

/* What a page loads; what begins with _ is ours, and has a short name there. */
const BUDGETS = {
	'spillway.min.js': 6965, 'spillway.min.mjs': 6350,
	'spillway-reader.min.mjs': 4820, 'spillway-tabs.min.js': 8450,
	'spillway-tabs.min.mjs': 7810
};

for (const [name, budget] of Object.entries(BUDGETS))
	test(`${name} is at most ${budget} bytes when packed`, () => {
		const size = execFileSync('gzip', ['-9c'],
			{ input: read(name) }).length;

		assert.ok(size <= budget, `${size} bytes`);
	});

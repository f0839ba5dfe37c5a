/* The files that are served: up to date, in the language they claim, small. */
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { gzipSync } = require('node:zlib');

const web = path.join(__dirname, '..', '..', 'web');
const read = (name) => readFileSync(path.join(web, name), 'utf8');

for (const kind of ['js', 'mjs'])
	test(`spillway.${kind} is what "make client" makes`, () => {
		const made = execFileSync(path.join(__dirname, 'bundle'),
			[kind], { encoding: 'utf8' });

		assert.equal(read(`spillway.${kind}`), made);
	});

test('both have the same names', async () => {
	const module = await import(
		pathToFileURL(path.join(web, 'spillway.mjs')));

	assert.deepEqual(Object.keys(module).sort(),
		Object.keys(require('../../web/spillway.js')).sort());
});

test('spillway.js is ES5', () => {
	const acorn = require('/usr/share/nodejs/acorn');

	acorn.parse(read('spillway.js'), { ecmaVersion: 5 });
	assert.throws(() => acorn.parse('const a = 1;', { ecmaVersion: 5 }));
});

/* Measured: 8.1 kB. What begins with _ is ours, and may have a short name. */
const BUDGET = 8400;

for (const kind of ['js', 'mjs'])
	test(`spillway.${kind} is at most ${BUDGET} bytes, minified and packed`,
		() => {
			const small = execFileSync('esbuild', ['--minify',
				'--mangle-props=^_', '--log-level=error',
				path.join(web, `spillway.${kind}`)]);
			const size = gzipSync(small, { level: 9 }).length;

			assert.ok(size <= BUDGET, `${size} bytes`);
		});

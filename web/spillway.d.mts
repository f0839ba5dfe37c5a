/* Types of spillway.mjs: those of spillway.js. */

export * from './spillway.js';

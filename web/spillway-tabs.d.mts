/* Types of spillway-tabs.mjs: those of spillway.js. */

export * from './spillway.js';

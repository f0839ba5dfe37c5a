/* Types of spillway-reader.mjs: a Stream that only reads. */

import { Stream as Whole } from './spillway.js';

export type { Clock, Snapshot, State, StreamEvents, StreamMessage,
	StreamOptions, TransportName } from './spillway.js';

export type Stream<T = unknown> = Omit<Whole<T>, 'send'>;
export const Stream: new <T = unknown>(
	...of: ConstructorParameters<typeof Whole>) => Stream<T>;

/* Types of spillway.js, spillway.mjs and spillway-tabs, of both kinds. */

/** `tab`: another tab's connection, with `share`. */
export type TransportName = 'ws' | 'sse' | 'long' | 'short' | 'tab';
export type State = 'idle' | 'connecting' | 'open' | 'waiting' | 'closed';

export interface StreamMessage<T = unknown> {
	readonly data: T;
	/** EPOCH-SEQ: where a later stream may go on, as `after`. */
	readonly id: string;
	readonly lastEventId: string;
	readonly channel: string;
	/** The type that it was published with. */
	readonly event: string;
	/** Unix milliseconds. */
	readonly time: number;
	readonly contentType?: string;
	readonly encoding?: 'base64';
}

export interface StreamEvents<T = unknown> {
	open: { readonly transport: TransportName };
	message: StreamMessage<T>;
	error: { readonly code: number; readonly reason?: string };
	close: {
		readonly code: number; readonly reason: string;
		readonly wasClean: boolean;
	};
	state: { readonly oldState: State; readonly state: State };
	transport: {
		readonly transport: TransportName;
		readonly previous: TransportName | null;
		/** What was tried before it, and why that did not do. */
		readonly failed: { readonly [name: string]: string | number };
	};
	retry: {
		readonly delay: number; readonly attempt: number;
		readonly code: number; readonly reason?: string;
	};
	gap: {
		readonly reason: 'trimmed' | 'epoch' | 'ahead';
		readonly after: string | null; readonly first: string | null;
		/** Polls do not say which of their channels it is. */
		readonly channel?: string;
	};
	caughtup: { readonly cursor: string };
}

type Listener<E, S> = ((event: E & { type: string; target: S }) => void) |
	{ handleEvent(event: E & { type: string; target: S }): void };

export interface Clock {
	now(): number;
	setTimeout(run: () => void, ms: number): unknown;
	clearTimeout(timer: any): void;
}

export interface StreamOptions {
	/** Best first. Default: ws, sse, long, short. */
	transports?: Exclude<TransportName, 'tab'>[];
	/** Begin behind this event, or with all there is. */
	after?: string | 'start';
	/** Begin with the newest ones. */
	last?: number;
	/**
	 * Asked before each attempt, and when four fifths of a token's time
	 * are over; `refresh`: a new one, the last was refused or ends soon.
	 * Each 30 s without an answer it is asked once more.
	 */
	getToken?: (why: { refresh: boolean; reason?: string }) =>
		string | null | PromiseLike<string | null>;
	headers?: { [name: string]: string };
	withCredentials?: boolean;
	/** Default true: connects when the script that made it is done. */
	autoConnect?: boolean;
	/** Until the next transport joins the race. Default 2000 ms. */
	stagger?: number;
	/** Until a transport without proof, or a poll, is given up. Default 10000 ms. */
	proofTimeout?: number;
	/** Limits of the delay before a new attempt. Default 500, 30000 ms. */
	retryMin?: number;
	retryMax?: number;
	/** Longest that a poll is held, in seconds. Default 25. */
	pollWait?: number;
	/** Between short polls, in ms. Default: what the gateway says. */
	pollInterval?: number;
	/** Messages that wait to be sent, and how long. Default 1000, 30000 ms. */
	queueMax?: number;
	queueAge?: number;
	/** Until a message without an answer is sent again. Default 10000 ms. */
	sendTimeout?: number;
	/**
	 * With spillway-tabs: tabs of this origin that share a name (or `true`)
	 * have one connection to the same address. Name who is logged in.
	 */
	share?: boolean | string;
	/**
	 * Names the client: with `seq` it makes sending again harmless, and
	 * who polls is there between two polls.
	 */
	session?: string;
	/** Event types to listen for, where only EventSource streams. */
	types?: string[];
	/* In the place of the platform's. */
	WebSocket?: any;
	EventSource?: any;
	fetch?: any;
	XMLHttpRequest?: any;
	window?: any;
	BroadcastChannel?: any;
	locks?: any;
	storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | null;
	clock?: Clock;
	random?: () => number;
}

export type Binary = ArrayBuffer | ArrayBufferView | Blob;

export interface Outcome {
	readonly seq: number;
	/** unknown: it was sent, and nobody can tell whether it arrived. */
	readonly status: 'queued' | 'acknowledged' | 'failed' | 'unknown';
	readonly id: string | null;
	readonly duplicate: boolean;
	readonly reply: unknown;
	readonly error: string | null;
}

export interface Sent extends Outcome {
	/** Resolves in any case; where there are no promises, `done` tells. */
	readonly done: Promise<Outcome>;
}

export interface Snapshot {
	readonly state: State;
	readonly transport: TransportName | null;
	readonly attempts: number;
	readonly error: string | null;
	readonly retryAt: number | null;
}

type On<S, T> = {
	[K in keyof StreamEvents<T> as `on${K}`]?:
		((this: S, event: StreamEvents<T>[K] &
			{ type: string; target: S }) => void) | null;
};

export interface Stream<T = unknown> extends On<Stream<T>, T> {}
export class Stream<T = unknown> {
	/**
	 * A function is asked with each connect: for other channels, have it
	 * say so and call reconnect(). The cursor goes on for all of them.
	 */
	constructor(url: string | URL | (() => string | URL),
		options?: StreamOptions);
	readonly state: State;
	readonly transport: TransportName | null;
	readonly cursor: string | null;
	readonly attempts: number;
	readonly stats: {
		readonly events: number; readonly duplicates: number;
		readonly gaps: number; readonly connects: number;
	};
	connect(): void;
	close(code?: number, reason?: string): void;
	reconnect(reason?: string): void;
	/** Bytes are sent as such, anything else as JSON. */
	send(data: unknown, options?: {
		channel?: string; done?: (outcome: Outcome) => void;
	}): Sent;
	subscribe(listener: () => void): () => void;
	getSnapshot(): Snapshot;
	addEventListener<K extends keyof StreamEvents<T>>(
		type: K, listener: Listener<StreamEvents<T>[K], this>,
		options?: { once?: boolean; signal?: AbortSignal }): void;
	removeEventListener<K extends keyof StreamEvents<T>>(
		type: K, listener: Listener<StreamEvents<T>[K], this>): void;
}

interface FacadeEvent {
	readonly type: string;
	readonly data?: any;
	readonly lastEventId?: string;
	readonly code?: number;
	readonly reason?: string;
	readonly wasClean?: boolean;
	readonly message?: string;
}

declare class Facade {
	/** Absolute. */
	readonly url: string;
	readonly readyState: number;
	/** The stream behind it. */
	readonly stream: Stream;
	onopen?: ((event: FacadeEvent) => void) | null;
	onmessage?: ((event: FacadeEvent) => void) | null;
	onerror?: ((event: FacadeEvent) => void) | null;
	addEventListener(
		type: string, listener: Listener<FacadeEvent, this>,
		options?: { once?: boolean; signal?: AbortSignal }): void;
	removeEventListener(
		type: string, listener: Listener<FacadeEvent, this>): void;
}

export class StreamEventSource extends Facade {
	static readonly CONNECTING: 0;
	static readonly OPEN: 1;
	static readonly CLOSED: 2;
	constructor(url: string | URL, options?: StreamOptions);
	readonly withCredentials: boolean;
	close(): void;
}

export class StreamWebSocket extends Facade {
	static readonly CONNECTING: 0;
	static readonly OPEN: 1;
	static readonly CLOSING: 2;
	static readonly CLOSED: 3;
	constructor(url: string | URL,
		protocols?: string | string[] | StreamOptions,
		options?: StreamOptions);
	binaryType: 'blob' | 'arraybuffer';
	readonly bufferedAmount: number;
	readonly protocol: string;
	readonly extensions: string;
	onclose?: ((event: FacadeEvent) => void) | null;
	send(data: string | Binary): void;
	close(code?: number, reason?: string): void;
}

export as namespace Spillway;

import type { Clock } from '../../ports/clock.js';
import type { Driver, NatsConnectionLike, NatsHeaders, NatsMessage, NatsSubscription } from './driver.js';
import { Calls, type Call } from './calls.js';
import { ApiError, NatsStoreError, translate } from './errors.js';

/** How long a call waits for a connection that broke to come back, before it fails. Shorter than that is a restart of a server. */
const MOST_AWAY_MS = 2_000;
/** Calls under way at a time. More wait here, where they cost nothing, in place of a buffer of the connection. */
const MOST_CALLS = 256;

const decoder = new TextDecoder();

export type Headers = Readonly<Record<string, string>>;

/** A message to be stored. One of its callbacks is called, once. */
export interface Write {
  readonly subject: string;
  readonly payload: string;
  /** Names and values, as lines: see {@link headerLines}. */
  readonly headers: string;
  /** It is not sent later than this, on the monotonic clock. */
  readonly before?: number;
  /** It is there, with this sequence. */
  readonly stored: (sequence: number) => void;
  /** With an `ApiError` where JetStream refused it, so that the caller can tell why. */
  readonly failed: (error: Error) => void;
}

/**
 * Calls over a connection. The driver would keep what is sent while it is not connected, without an end, and send it
 * later: here nothing is sent then. What was sent before the connection broke fails at once, and its outcome is not known.
 */
export class Link {
  readonly #connection: NatsConnectionLike;
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** Told when the connection is there again. */
  readonly #onBack = new Set<() => void>();
  #waiting: Call[] = [];
  /** How many of those, from the first, have been let in. */
  #taken = 0;
  #running = 0;
  #isAway = false;
  #isClosed = false;
  #calls: Calls | undefined;
  #back = gate();
  #noHeaders: NatsHeaders | undefined;

  constructor(connection: NatsConnectionLike, driver: Driver, clock: Clock, timeoutMs: number) {
    this.#connection = connection;
    this.#driver = driver;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    void this.#follow();
  }

  get info(): NatsConnectionLike['info'] {
    return this.#connection.info;
  }

  get isClosed(): boolean {
    return this.#isClosed || this.#connection.isClosed();
  }

  inbox(): string {
    return this.#driver.createInbox((this.#connection as { options?: { inboxPrefix?: string } }).options?.inboxPrefix);
  }

  /** Calls back each time the connection comes back. Answers how to stop. */
  onBack(callback: () => void): () => void {
    this.#onBack.add(callback);
    return () => { this.#onBack.delete(callback); };
  }

  /** @throws NatsStoreError */
  async request(subject: string, payload: string, headers?: Headers): Promise<NatsMessage> {
    const lines = headers === undefined ? undefined : headerLines(headers);
    return new Promise((answered, failed) => { this.#call(subject, payload, lines, answered, failed); });
  }

  /**
   * As {@link Link.store}, without a promise: with `AsyncLocalStorage` in use, Node 20 does some work for each, and this is
   * called several times for each run.
   */
  write({ subject, payload, headers, before, stored, failed }: Write): void {
    this.#call(subject, payload, headers, (message) => { stored(readStored(message.data)); }, failed, before);
  }

  /** Begins now, or as soon as there is room. */
  #call(subject: string, payload: string, lines: string | undefined, answered: (message: NatsMessage) => void, failed: (error: Error) => void, before?: number): void {
    const fail = (error: unknown): void => {
      this.#ended();
      failed(translate(error));
    };
    const call: Call = {
      subject,
      payload,
      headers: lines === undefined ? undefined : this.#headersOf(lines),
      before,
      answered: (message) => {
        this.#ended();
        try {
          answered(message);
        } catch (error) {
          // Not translated: the caller looks at what JetStream has said.
          failed(error as Error);
        }
      },
      failed: fail,
    };
    if (this.#running >= MOST_CALLS) this.#waiting.push(call);
    else this.#begin(call);
  }

  #begin(call: Call): void {
    this.#running += 1;
    // Mostly nothing has to be waited for but the answer.
    if (this.#isAway || this.isClosed) this.connected().then(() => { this.#send(call); }, call.failed);
    else this.#send(call);
  }

  #send(call: Call): void {
    try {
      if (call.before !== undefined && this.#clock.monotonic() > call.before) throw new NatsStoreError('timeout', 'This process stood still for too long to send what it had to.');
      this.#calls ??= new Calls(this.#connection, this.inbox(), this.#clock, this.#timeoutMs);
      this.#calls.send(call);
    } catch (error) {
      // Not at once: many that fail one after the other must not be called within each other.
      queueMicrotask(() => { call.failed(error as Error); });
    }
  }

  #ended(): void {
    this.#running -= 1;
    const next = this.#waiting[this.#taken];
    if (next === undefined) return;
    this.#taken += 1;
    // Under load there may always be one that waits.
    if (this.#taken * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#taken);
      this.#taken = 0;
    }
    this.#begin(next);
  }

  /** Waits a little for a connection that broke. @throws NatsStoreError when it does not come back. */
  async connected(): Promise<void> {
    if (this.isClosed) throw closed();
    if (this.#isAway) await this.#untilBack();
  }

  /** A call of the API of JetStream. @throws NatsStoreError */
  async api<T>(name: string, body?: unknown): Promise<T> {
    try {
      const answer = await this.request(`$JS.API.${name}`, body === undefined ? '' : JSON.stringify(body));
      return readAnswer(answer.data) as T;
    } catch (error) {
      throw translate(error);
    }
  }

  /** Stores a message. Answers its sequence. @throws ApiError when JetStream refuses it, so that the caller can tell why. */
  async store(subject: string, payload: string, headers: Headers): Promise<number> {
    return new Promise((stored, failed) => { this.write({ subject, payload, headers: headerLines(headers), stored, failed }); });
  }

  /** Tells others, if there is somebody to tell and a connection to do it on. */
  tell(subject: string, payload: string): void {
    if (this.#isAway || this.isClosed) return;
    try {
      this.#connection.publish(subject, payload);
    } catch {
      // It is a hint.
    }
  }

  /** For what has an answer of several messages, or none. */
  publish(subject: string, payload: string, reply?: string): void {
    if (this.#isAway || this.isClosed) return;
    this.#connection.publish(subject, payload, reply === undefined ? {} : { reply });
  }

  subscribe(subject: string, callback: (message: NatsMessage) => void, onError: (error: Error) => void = () => undefined): NatsSubscription {
    return this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) callback(message);
        else onError(translate(error));
      },
    });
  }

  /** Calls that wait or are under way fail. */
  close(): void {
    this.#isClosed = true;
    this.#onBack.clear();
    this.#calls?.close(closed());
    this.#back.open();
  }

  async #follow(): Promise<void> {
    try {
      for await (const status of this.#connection.status()) {
        const { type } = status;
        if (this.#isClosed) return;
        if (type === 'disconnect' || type === 'close') {
          this.#isAway = true;
          this.#calls?.fail(new NatsStoreError('unreachable', 'The connection to NATS broke before the answer came. Check that the server runs.'));
        } else if (type === 'error') {
          this.#calls?.refused(status.error);
        } else if (type === 'reconnect') {
          this.#isAway = false;
          const back = this.#back;
          this.#back = gate();
          back.open();
          for (const callback of this.#onBack) callback();
        }
      }
    } catch {
      // The connection is closed, which every call will say.
    }
    this.#calls?.fail(closed());
    this.#back.open();
  }

  async #untilBack(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = this.#clock.setTimer(
        Math.min(MOST_AWAY_MS, this.#timeoutMs),
        () => {
          stop();
          reject(new NatsStoreError('unreachable', 'The connection to NATS broke, and has not come back yet. Check that the server runs, and the network.'));
        },
        false,
      );
      const stop = this.#back.add(() => {
        timer.cancel();
        resolve();
      });
    });
    if (this.isClosed) throw closed();
  }

  #headersOf(lines: string): unknown {
    const headers = (this.#noHeaders ??= this.#driver.headers());
    // What the driver sends is what this answers. Its own checks each field anew, which costs more than to send it.
    if ('encode' in headers && typeof headers.encode === 'function') return new EncodedHeaders(lines);
    const own = this.#driver.headers();
    for (const line of lines.split('\r\n')) {
      const end = line.indexOf(': ');
      if (end > 0) own.set(line.slice(0, end), line.slice(end + 2));
    }
    return own;
  }
}

/** Fields of ours, whose names and values are known to be as they should: values are words, or JSON, which has no line breaks. */
export function headerLines(fields: Headers): string {
  let lines = '';
  for (const name in fields) lines += `${name}: ${fields[name]!}\r\n`;
  return lines;
}

class EncodedHeaders {
  readonly #lines: string;

  constructor(lines: string) {
    this.#lines = lines;
  }

  encode(): Uint8Array {
    return Buffer.from(`NATS/1.0\r\n${this.#lines}\r\n`);
  }
}

interface Gate {
  /** Calls back when it opens. Answers how to stop. */
  add(callback: () => void): () => void;
  open(): void;
}

function gate(): Gate {
  const callbacks = new Set<() => void>();
  return {
    add: (callback) => {
      callbacks.add(callback);
      return () => { callbacks.delete(callback); };
    },
    open: () => {
      for (const callback of callbacks) callback();
      callbacks.clear();
    },
  };
}

function closed(): NatsStoreError {
  return new NatsStoreError('closed', 'The connection of NatsJobStore is closed. Close it only after the scheduler was shut down, and let it reconnect without an end (maxReconnectAttempts: -1).');
}

interface ErrorAnswer {
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
}

function readAnswer(data: Uint8Array): unknown {
  const answer = JSON.parse(decoder.decode(data)) as ErrorAnswer;
  const { error } = answer;
  if (error !== undefined) throw new ApiError(error.code, error.err_code ?? 0, error.description ?? '');
  return answer;
}

/** An answer that says where something is stored, and no more: `{"stream":"…","seq":…}`. */
const STORED = Buffer.from('{"stream":"');
const SEQUENCE = Buffer.from('","seq":');
const [ZERO, NINE, END] = [48, 57, 125];

/** Most answers are of that form, and to parse one costs several times as much. @throws ApiError */
function readStored(data: Uint8Array): number {
  let at = data.length - 1;
  if (data[at] === END && hasAt(data, 0, STORED)) {
    let sequence = 0;
    let unit = 1;
    for (at -= 1; data[at]! >= ZERO && data[at]! <= NINE; at--, unit *= 10) sequence += (data[at]! - ZERO) * unit;
    if (unit > 1 && hasAt(data, at + 1 - SEQUENCE.length, SEQUENCE)) return sequence;
  }
  return (readAnswer(data) as { readonly seq: number }).seq;
}

function hasAt(data: Uint8Array, from: number, part: Uint8Array): boolean {
  for (let at = 0; at < part.length; at++) if (data[from + at] !== part[at]) return false;
  return true;
}

import type { Clock } from '../../ports/clock.js';
import type { Driver, NatsConnectionLike, NatsMessage, NatsSubscription } from './driver.js';
import { Calls } from './calls.js';
import { ApiError, NatsStoreError, translate } from './errors.js';

/** How long a call waits for a connection that broke to come back, before it fails. Shorter than that is a restart of a server. */
const MOST_AWAY_MS = 2_000;
/** Calls under way at a time. More wait here, where they cost nothing, in place of a buffer of the connection. */
const MOST_CALLS = 256;

const decoder = new TextDecoder();

export type Headers = Readonly<Record<string, string>>;

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
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #isAway = false;
  #isClosed = false;
  #calls: Calls | undefined;
  #back = gate();

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
    const isFree = this.#running < MOST_CALLS && !this.#isAway && !this.isClosed;
    // Mostly nothing has to be waited for but the answer, and each promise costs a good part of what a call does.
    return isFree ? this.#send(subject, payload, headers) : this.#sendLater(subject, payload, headers);
  }

  async #sendLater(subject: string, payload: string, headers?: Headers): Promise<NatsMessage> {
    if (this.#running >= MOST_CALLS) await new Promise<void>((resolve) => { this.#waiting.push(resolve); });
    this.#running += 1;
    try {
      await this.connected();
    } catch (error) {
      this.#ended();
      throw translate(error);
    }
    this.#running -= 1;
    return this.#send(subject, payload, headers);
  }

  async #send(subject: string, payload: string, headers?: Headers): Promise<NatsMessage> {
    this.#running += 1;
    return new Promise((resolve, reject) => {
      const answered = (message: NatsMessage): void => {
        this.#ended();
        resolve(message);
      };
      const failed = (error: unknown): void => {
        this.#ended();
        reject(translate(error));
      };
      try {
        this.#calls ??= new Calls(this.#connection, this.inbox(), this.#clock, this.#timeoutMs);
        this.#calls.send(subject, payload, headers === undefined ? undefined : this.#headersOf(headers), answered, failed);
      } catch (error) {
        failed(error);
      }
    });
  }

  #ended(): void {
    this.#running -= 1;
    this.#waiting.shift()?.();
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
      return readAnswer(answer) as T;
    } catch (error) {
      throw translate(error);
    }
  }

  /** Stores a message. Answers its sequence. @throws ApiError when JetStream refuses it, so that the caller can tell why. */
  async store(subject: string, payload: string, headers: Headers): Promise<{ seq: number; duplicate: boolean }> {
    const { seq, duplicate = false } = readAnswer(await this.request(subject, payload, headers)) as { seq: number; duplicate?: boolean };
    return { seq, duplicate };
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

  #headersOf(fields: Headers): unknown {
    const headers = this.#driver.headers();
    // What the driver sends is what this answers. Its own checks each field anew, which costs more than to send it.
    if ('encode' in headers && typeof headers.encode === 'function') return new EncodedHeaders(fields);
    for (const name in fields) headers.set(name, fields[name]!);
    return headers;
  }
}

/** Fields of ours, whose names and values are known to be as they should: values are words, or JSON, which has no line breaks. */
class EncodedHeaders {
  readonly #fields: Headers;

  constructor(fields: Headers) {
    this.#fields = fields;
  }

  encode(): Uint8Array {
    let text = 'NATS/1.0\r\n';
    for (const name in this.#fields) text += `${name}: ${this.#fields[name]!}\r\n`;
    return Buffer.from(`${text}\r\n`);
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

function readAnswer(message: NatsMessage): unknown {
  const answer = JSON.parse(decoder.decode(message.data)) as ErrorAnswer;
  const { error } = answer;
  if (error !== undefined) throw new ApiError(error.code, error.err_code ?? 0, error.description ?? '');
  return answer;
}

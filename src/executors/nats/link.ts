import { BrokerError } from '../../errors/executor-errors.js';
import { ApiError } from '../../nats/api-error.js';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import { backOffMs } from '../remote/back-off.js';
import { Calls } from './calls.js';
import { loadDriver, type Driver, type NatsConnectionLike, type NatsHeaders, type NatsMessage, type NatsSubscription, type OwnConnection } from './driver.js';
import { translate } from './errors.js';
import type { LinkSettings } from './options.js';

/** For what has to be said at the end. */
const CLOSE_MS = 1_000;

export type Headers = Readonly<Record<string, string>>;

/** What a link tells. Nothing after `close`. */
export interface LinkEvents {
  /** Makes and subscribes what is needed, each time there is a connection (again). What it throws counts as a failed attempt. */
  setUp(): Promise<void>;
  ready(): void;
  away(error: BrokerError): void;
}

/** A connection to NATS, its own or the user's, and calls of JetStream over it. What is sent without one fails at once. */
export class Link {
  readonly #settings: LinkSettings;
  readonly #clock: Clock;
  readonly #events: LinkEvents;
  #driver: Driver | undefined;
  #connection: NatsConnectionLike | undefined;
  #own: OwnConnection | undefined;
  #calls: Calls | undefined;
  /** There is a connection; it may not be set up. */
  #isConnected = false;
  #isUp = false;
  #isClosed = false;
  #failures = 0;
  #timer: TimerHandle | undefined;
  #attempt: Promise<void> = Promise.resolve();

  constructor(settings: LinkSettings, clock: Clock, events: LinkEvents) {
    this.#settings = settings;
    this.#clock = clock;
    this.#events = events;
  }

  /** Whether all is set up. */
  get isUp(): boolean {
    return this.#isUp;
  }

  open(): void {
    this.#attempt = this.#connect();
  }

  inbox(): string {
    const prefix = (this.#connection as { options?: { inboxPrefix?: string } } | undefined)?.options?.inboxPrefix;
    return this.#driver!.createInbox(prefix);
  }

  /** @throws BrokerError */
  async request(subject: string, payload: string, headers?: Headers): Promise<NatsMessage> {
    if (!this.#isConnected || this.#calls === undefined) throw new BrokerError('unreachable', 'There is no connection to NATS.');
    try {
      return await this.#calls.send(subject, payload, headers === undefined ? undefined : this.#headersOf(headers));
    } catch (error) {
      throw translate(error);
    }
  }

  /** A call of the API of JetStream. @throws ApiError, BrokerError */
  async api<T = unknown>(name: string, body?: unknown): Promise<T> {
    return readAnswer(await this.request(`$JS.API.${name}`, body === undefined ? '' : JSON.stringify(body))) as T;
  }

  /** Stores a message; one of the same id, if it is given, only once. @throws BrokerError */
  async store(subject: string, payload: string, headers: Headers): Promise<void> {
    try {
      readAnswer(await this.request(subject, payload, headers));
    } catch (error) {
      throw translate(error);
    }
  }

  /** Sends without waiting for anything. */
  publish(subject: string, payload: string, reply?: string): void {
    if (!this.#isConnected) return;
    try {
      this.#connection?.publish(subject, payload, reply === undefined ? {} : { reply });
    } catch {
      // The connection has just been closed, which its status tells.
    }
  }

  subscribe(subject: string, callback: (message: NatsMessage) => void): NatsSubscription {
    const connection = this.#connection;
    if (connection === undefined) throw new BrokerError('unreachable', 'There is no connection to NATS.');
    return connection.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) callback(message);
        else this.#failed(translate(error));
      },
    });
  }

  /** Something that was set up is gone: it is set up anew. */
  renew(error: BrokerError): void {
    this.#failed(error);
  }

  /** Says what has to be said at the end, if there is a connection; no answer is waited for long. */
  async last(work: () => Promise<unknown>): Promise<void> {
    if (this.#isConnected) await inTime(this.#clock, CLOSE_MS, work());
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isUp = false;
    this.#timer?.cancel();
    this.#calls?.close(new BrokerError('closed', 'The connection to NATS is closed.'));
    await inTime(this.#clock, CLOSE_MS, this.#attempt);
    const own = this.#own;
    // What was sent last is to arrive.
    if (this.#isConnected && this.#connection !== undefined && !this.#connection.isClosed()) await inTime(this.#clock, CLOSE_MS, this.#connection.flush());
    this.#isConnected = false;
    if (own !== undefined) await inTime(this.#clock, CLOSE_MS, own.close());
  }

  async #connect(): Promise<void> {
    const { source } = this.#settings;
    try {
      this.#driver ??= await loadDriver();
      if (this.#isClosed) return;
      let connection: NatsConnectionLike;
      if ('connection' in source) {
        ({ connection } = source);
        if (connection.isClosed()) throw new BrokerError('closed', 'The connection that was given is closed. Close it only after the scheduler was shut down, and let it reconnect without an end (maxReconnectAttempts: -1).');
      } else {
        const own = await this.#driver.connect(source.config);
        if (this.#isClosed) {
          await own.close();
          return;
        }
        this.#own = own;
        connection = own;
      }
      this.#connection = connection;
      this.#isConnected = true;
      this.#calls = new Calls(connection, this.inbox(), this.#clock, this.#settings.timeoutMs, () => { this.#suspect(); });
      void this.#follow(connection);
    } catch (error) {
      const late = error instanceof Error && error.name === 'TimeoutError';
      this.#failed(late ? new BrokerError('unreachable', 'There was no connection to NATS in time. Check `servers`, port and firewall.', { cause: error }) : translate(error));
      return;
    }
    await this.#setUp();
  }

  async #setUp(): Promise<void> {
    const connection = this.#connection;
    try {
      await this.#events.setUp();
    } catch (error) {
      this.#failed(translate(error));
      return;
    }
    if (this.#isClosed || !this.#isConnected || this.#connection !== connection) return;
    this.#isUp = true;
    this.#failures = 0;
    this.#events.ready();
  }

  async #follow(connection: NatsConnectionLike): Promise<void> {
    try {
      for await (const { type, error } of connection.status()) {
        if (this.#isClosed || this.#connection !== connection) return;
        if (type === 'disconnect') this.#disconnected();
        else if (type === 'error') this.#calls?.refused(error);
        else if (type === 'reconnect') {
          this.#isConnected = true;
          this.#timer?.cancel();
          this.#attempt = this.#setUp();
        }
      }
    } catch {
      // It is closed, as below.
    }
    if (this.#isClosed || this.#connection !== connection) return;
    this.#connection = undefined;
    this.#own = undefined;
    this.#disconnected();
    this.#failed(new BrokerError('closed', 'The connection to NATS was closed.'));
  }

  #disconnected(): void {
    const error = new BrokerError('unreachable', 'The connection to NATS broke. Check that the server runs, and the network.');
    const wasUp = this.#isUp;
    this.#isConnected = false;
    this.#isUp = false;
    this.#calls?.fail(error);
    this.#timer?.cancel();
    if (wasUp) this.#events.away(error);
  }

  /** A server that does not answer in time is as good as gone. */
  #suspect(): void {
    const own = this.#own;
    if (own === undefined || !this.#isConnected || this.#isClosed) return;
    this.#disconnected();
    own.reconnect().catch(() => undefined);
  }

  /** It is not set up: another attempt follows, unless the driver tells first that it has reconnected. */
  #failed(error: BrokerError): void {
    if (this.#isClosed) return;
    this.#isUp = false;
    this.#failures += 1;
    this.#events.away(error);
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(backOffMs(this.#failures), () => {
      if (this.#connection === undefined) this.#attempt = this.#connect();
      else if (this.#isConnected) this.#attempt = this.#setUp();
    });
  }

  #headersOf(values: Headers): NatsHeaders {
    const headers = this.#driver!.headers();
    for (const [name, value] of Object.entries(values)) headers.set(name, value);
    return headers;
  }
}

/** @throws ApiError */
function readAnswer({ data }: NatsMessage): unknown {
  const answer = JSON.parse(Buffer.from(data).toString()) as { readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string } };
  const { error } = answer;
  if (error !== undefined) throw new ApiError(error.code, error.err_code ?? 0, error.description ?? 'no reason given');
  return answer;
}

async function inTime(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = clock.setTimer(ms, resolve);
    const done = (): void => {
      timer.cancel();
      resolve();
    };
    work.then(done, done);
  });
}

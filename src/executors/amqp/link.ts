import { BrokerError } from '../../errors/executor-errors.js';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import { backOffMs } from '../remote/back-off.js';
import { loadDriver, type AmqpConfirmChannel, type AmqpConnectionLike, type OwnConnection } from './driver.js';
import { translate } from './errors.js';
import type { LinkSettings } from './options.js';

/** For a close that the server has to confirm. */
const CLOSE_MS = 1_000;

/** What a link tells. Nothing after `close`. */
export interface LinkEvents {
  /** Declares and consumes what is needed, each time there is a new channel. What it throws counts as a failed attempt. */
  setUp(channel: AmqpConfirmChannel): Promise<void>;
  /** The channel is set up. */
  ready(): void;
  /** The channel is gone, or an attempt at one failed. */
  away(error: BrokerError): void;
  blocked(reason: string): void;
  unblocked(): void;
}

/** A channel to RabbitMQ that is made again whenever it is gone, over a connection of its own or the user's. */
export class Link {
  readonly #settings: LinkSettings;
  readonly #clock: Clock;
  readonly #events: LinkEvents;
  /** The one of its own. */
  #connection: OwnConnection | undefined;
  #channel: AmqpConfirmChannel | undefined;
  #isUp = false;
  #isBlocked = false;
  #isClosed = false;
  /** It did not answer the last time it was asked. */
  #isMute = false;
  #failures = 0;
  #timer: TimerHandle | undefined;
  /** Takes the listeners off the user's connection. */
  #unlisten: () => void = () => undefined;
  #attempt: Promise<void> = Promise.resolve();

  constructor(settings: LinkSettings, clock: Clock, events: LinkEvents) {
    this.#settings = settings;
    this.#clock = clock;
    this.#events = events;
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** The channel, if it is set up. */
  get channel(): AmqpConfirmChannel | undefined {
    return this.#isUp ? this.#channel : undefined;
  }

  open(): void {
    const { source } = this.#settings;
    if ('connection' in source) this.#unlisten = this.#listen(source.connection);
    this.#connect();
  }

  /** The connection does not answer: it is given up for another one. */
  suspect(error: BrokerError): void {
    this.#lost(error);
  }

  /** Asks for something before the end, if there is a channel; no answer is waited for long. */
  async ask(work: (channel: AmqpConfirmChannel) => Promise<unknown>): Promise<void> {
    const { channel } = this;
    if (channel === undefined || this.#isBlocked) return;
    this.#isMute = !(await inTime(this.#clock, CLOSE_MS, attempt(() => work(channel))));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    await inTime(this.#clock, CLOSE_MS, this.#attempt);
    const channel = this.#channel;
    const connection = this.#connection;
    this.#channel = undefined;
    this.#connection = undefined;
    this.#isUp = false;
    // First the channel: what says that the connection is to be closed would overtake what the channel has still to say.
    if (channel !== undefined && !this.#isMute) this.#isMute = !(await inTime(this.#clock, CLOSE_MS, attempt(() => channel.close())));
    if (connection !== undefined && (this.#isMute || !(await inTime(this.#clock, CLOSE_MS, attempt(() => connection.close()))))) destroy(connection);
    this.#unlisten();
  }

  #connect(): void {
    this.#attempt = this.#tryToConnect();
  }

  async #tryToConnect(): Promise<void> {
    try {
      const { source } = this.#settings;
      const connection = 'connection' in source ? source.connection : await this.#ownConnection(source);
      if (this.#isClosed) return;
      const channel = (await this.#answered(connection.createConfirmChannel())) as AmqpConfirmChannel;
      if (this.#isClosed) {
        await attempt(() => channel.close());
        return;
      }
      let failure: unknown;
      channel.on('error', (error: Error) => { failure ??= error; });
      channel.on('close', () => {
        if (this.#channel === channel) this.#lost(translate(failure ?? new Error('the channel was closed')));
      });
      this.#channel = channel;
      try {
        await this.#answered(this.#events.setUp(channel));
      } catch (error) {
        throw failure ?? error;
      }
      if (this.#isClosed || this.#channel !== channel) return;
      this.#isUp = true;
      this.#failures = 0;
      this.#events.ready();
    } catch (error) {
      this.#lost(translate(error));
    }
  }

  async #ownConnection({ url, socket }: { readonly url: string | object; readonly socket: object }): Promise<OwnConnection> {
    const driver = await loadDriver();
    const connecting = driver.connect(url, socket);
    let connection: OwnConnection;
    try {
      connection = await this.#answered(connecting);
    } catch (error) {
      // It may come yet, for nobody.
      connecting.then(destroy, () => undefined);
      throw error;
    }
    if (this.#isClosed) {
      destroy(connection);
      return connection;
    }
    this.#connection = connection;
    this.#listen(connection);
    return connection;
  }

  #listen(connection: AmqpConnectionLike): () => void {
    let failure: unknown;
    const listeners: Readonly<Record<string, (argument?: unknown) => void>> = {
      error: (error) => { failure = error; },
      close: (error) => {
        if (this.#connection === connection) this.#lost(translate(failure ?? error ?? new Error('the connection was closed')));
      },
      blocked: (reason) => {
        this.#isBlocked = true;
        this.#events.blocked(String(reason));
      },
      unblocked: () => {
        this.#isBlocked = false;
        this.#events.unblocked();
      },
    };
    for (const [event, listener] of Object.entries(listeners)) connection.on(event, listener);
    return () => { for (const [event, listener] of Object.entries(listeners)) connection.removeListener(event, listener); };
  }

  /** The channel is gone, whatever the reason: another one is tried for. */
  #lost(error: BrokerError): void {
    if (this.#isClosed) return;
    const channel = this.#channel;
    const connection = this.#connection;
    this.#channel = undefined;
    this.#connection = undefined;
    this.#isUp = false;
    this.#isBlocked = false;
    if (connection !== undefined) destroy(connection);
    else if (channel !== undefined) void attempt(() => channel.close());
    this.#failures += 1;
    this.#events.away(error);
    if (this.#isClosed) return;
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(backOffMs(this.#failures), () => { this.#connect(); });
  }

  async #answered<T>(work: Promise<T>): Promise<T> {
    const { timeoutMs } = this.#settings;
    let timer: TimerHandle | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = this.#clock.setTimer(timeoutMs, () => { reject(new BrokerError('unreachable', `RabbitMQ did not answer within ${timeoutMs} ms (\`timeout\`).`)); });
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      timer?.cancel();
    }
  }
}

/** Ends a connection that may be dead: nobody is asked. */
function destroy(connection: OwnConnection): void {
  connection.on('error', () => undefined);
  const { connection: inner } = connection as { readonly connection?: { readonly stream?: { destroy?(error?: Error): void } } };
  if (typeof inner?.stream?.destroy === 'function') inner.stream.destroy(new Error('given up'));
  else void attempt(() => connection.close());
}

async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch {
    // It is closed already.
  }
}

/** Answers whether it was done in time. */
async function inTime(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(ms, () => { resolve(false); });
    const done = (): void => {
      timer.cancel();
      resolve(true);
    };
    work.then(done, done);
  });
}

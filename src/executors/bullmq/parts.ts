import { BrokerError } from '../../errors/executor-errors.js';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import { backOffMs } from '../remote/back-off.js';
import { Deadlines } from '../remote/deadlines.js';
import { copyOf, isUserClient, type Connection, type UserClient } from './connection.js';
import { loadDriver, type BullClient, type BullPart, type Driver } from './driver.js';
import { translate } from './errors.js';
import type { PlaceSettings } from './options.js';

const CLOSE_MS = 1_000;

export interface PartsEvents {
  /** Makes what is needed. The first one tells of the connection. It is closed if an attempt fails. */
  make(driver: Driver, connection: object): readonly [BullPart, ...BullPart[]];
  /** Once all of them have connected, each time they are made. */
  made(): Promise<void>;
  ready(): void;
  away(error: BrokerError): void;
}

/** A command that Redis has not answered. */
interface Command {
  /** What it was sent over. */
  readonly parts: readonly BullPart[];
  readonly reject: (error: BrokerError) => void;
}

/** Parts of BullMQ, made again until they have connected; then their client reconnects by itself. */
export class Parts {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #events: PartsEvents;
  #parts: readonly BullPart[] = [];
  /** A copy of the user's client, whose connection may be ended at any time. */
  #copy: UserClient | undefined;
  #client: BullClient | undefined;
  #isMade = false;
  #isClosed = false;
  #failures = 0;
  #timer: TimerHandle | undefined;
  #attempt: Promise<void> = Promise.resolve();
  readonly #commands: Deadlines<Command>;
  /** The last thing a part said was wrong. */
  #problem: unknown;
  readonly #onClose = (): void => {
    if (this.#isMade && !this.#isClosed) this.#events.away(translate(this.#problem ?? new Error('the connection was closed')));
  };
  readonly #onReady = (): void => {
    this.#problem = undefined;
    if (this.#isMade && !this.#isClosed) this.#events.ready();
  };

  constructor({ connection, timeoutMs }: PlaceSettings, clock: Clock, events: PartsEvents) {
    this.#connection = connection;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#events = events;
    this.#commands = new Deadlines(clock, timeoutMs, (command) => { this.#unanswered(command); });
  }

  get isReady(): boolean {
    return this.#isMade && !this.#isClosed && this.#client?.status === 'ready';
  }

  open(): void {
    this.#attempt = this.#try();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    // What is being made is ended as well, so that the attempt comes to its end.
    await this.#end();
    await within(this.#clock, CLOSE_MS, this.#attempt);
    await this.#end();
  }

  /**
   * Resolves when a command has been answered. A server that does not answer in time is taken for gone: the connections are
   * made anew.
   *
   * @throws BrokerError
   */
  inTime(answer: Promise<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      const command: Command = { parts: this.#parts, reject };
      this.#commands.add(command);
      answer.then(
        () => { if (this.#commands.delete(command)) resolve(); },
        (error: unknown) => { if (this.#commands.delete(command)) reject(translate(error)); },
      );
    });
  }

  #unanswered({ parts, reject }: Command): void {
    const error = new BrokerError('unconfirmed', `Redis did not answer within ${this.#timeoutMs} ms (\`timeout\`).`);
    // Unless another one has noticed that before.
    if (this.#parts === parts) this.#renew(error);
    reject(error);
  }

  #renew(error: BrokerError): void {
    if (!this.#isMade || this.#isClosed) return;
    this.#isMade = false;
    this.#events.away(error);
    this.#attempt = this.#end().then(async () => { if (!this.#isClosed) await this.#try(); });
  }

  async #try(): Promise<void> {
    try {
      const driver = await loadDriver();
      if (this.#isClosed) return;
      this.#problem = undefined;
      if (isUserClient(this.#connection)) this.#copy = copyOf(this.#connection);
      const parts = this.#events.make(driver, this.#copy ?? this.#connection);
      this.#parts = parts;
      // The clients would try again without an end, and without a word.
      const failed = new Promise<never>((_resolve, reject) => {
        for (const part of parts) {
          part.on('error', (error: Error) => {
            if (this.#parts === parts) this.#problem = error;
            reject(error);
          });
        }
      });
      const connected = Promise.race([failed, Promise.all(parts.flatMap(clientsOf)).then(([client]) => client)]);
      const client = await within(this.#clock, this.#timeoutMs, connected, true);
      if (client === undefined) throw new BrokerError('unreachable', `Redis did not answer within ${this.#timeoutMs} ms (\`timeout\`).`);
      if (this.#isClosed) return;
      this.#problem = undefined;
      await this.#events.made();
      this.#client = client;
      client.on('close', this.#onClose);
      client.on('ready', this.#onReady);
      this.#isMade = true;
      this.#failures = 0;
      if (client.status === 'ready') this.#events.ready();
    } catch (error) {
      await this.#end();
      if (this.#isClosed) return;
      this.#failures += 1;
      this.#events.away(translate(error));
      this.#timer = this.#clock.setTimer(backOffMs(this.#failures), () => { this.open(); });
    }
  }

  async #end(): Promise<void> {
    const parts = this.#parts;
    const client = this.#client;
    const isUp = this.#isMade && client?.status === 'ready';
    const copy = this.#copy;
    this.#parts = [];
    this.#copy = undefined;
    this.#client = undefined;
    this.#isMade = false;
    client?.removeListener('close', this.#onClose);
    client?.removeListener('ready', this.#onReady);
    await Promise.all(parts.map((part) => this.#endOf(part, isUp)));
    copy?.disconnect();
  }

  /** In order where there is a connection, and then by force: the client of a part that waits for one would try for ever. */
  async #endOf(part: BullPart, isUp: boolean): Promise<void> {
    const backend = part.getBackend();
    const quiet = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);
    const forced = isUp ? undefined : quiet(backend.close(true));
    const closed = quiet(part.close(!isUp));
    if (isUp) await within(this.#clock, CLOSE_MS, closed);
    await within(this.#clock, CLOSE_MS, Promise.all([closed, forced ?? backend.disconnect().catch(() => undefined)]));
  }
}

/** Not by `waitUntilReady`, which would begin to read from the queue. */
function clientsOf(part: BullPart): Promise<BullClient>[] {
  const { client, blockingClient } = part.getBackend();
  const clients = blockingClient === undefined ? [client] : [client, blockingClient];
  // What fails when nobody waits any more is heard by nobody.
  for (const each of clients) each.catch(() => undefined);
  return clients;
}

/** What it answers in time, or nothing. @param throws - whether what it throws is thrown. */
async function within<T>(clock: Clock, ms: number, work: Promise<T>, throws = false): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(ms, () => { resolve(undefined); });
    work.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        if (throws) reject(translate(error));
        else resolve(undefined);
      },
    );
  });
}

import { randomUUID } from 'node:crypto';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import { overInTime } from '../../locks/in-time.js';
import type { Database } from './database.js';
import type { PostgresClient } from './driver.js';
import { translate } from './errors.js';
import { Throttle } from '../shared/throttle.js';

/** Most often that others are told, and that others are listened to. */
const TELL_EVERY_MS = 20;
const HEAR_EVERY_MS = 25;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 600_000;
/** How long the end of a connection is waited for. */
export const MOST_END_MS = 1_000;
/** How often a connection on which nothing comes is asked whether it is still there. */
const HEARTBEAT_MS = 60_000;
/** How long a notice to oneself is waited for, before a pooler is thought to have swallowed it. */
const PROBE_MS = 5_000;

/**
 * Tells the other stores on the schema of changes, and is told by them, with NOTIFY and LISTEN. It is a hint: one that is
 * lost is made up for by polling. LISTEN needs a connection of its own, which is made again when it breaks. Behind a
 * pooler that gives each transaction another connection, LISTEN succeeds and nothing ever comes; a notice to oneself
 * tells.
 */
export class Notices {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #makeClient: (() => PostgresClient) | undefined;
  readonly #channel: string;
  readonly #self = randomUUID();
  readonly #timeoutMs: number;
  readonly #listeners = new Set<() => void>();
  readonly #tell: Throttle;
  readonly #hear: Throttle;
  #telling: Promise<unknown> = Promise.resolve();
  #client: PostgresClient | undefined;
  #timer: TimerHandle | undefined;
  #probe: TimerHandle | undefined;
  #retryMs = FIRST_RETRY_MS;
  #hasWarned = false;
  #isWatching = false;

  constructor(database: Database, makeClient: (() => PostgresClient) | undefined, { clock, logger }: { clock: Clock; logger: Logger }, timeoutMs: number) {
    this.#database = database;
    this.#makeClient = makeClient;
    this.#clock = clock;
    this.#logger = logger;
    this.#timeoutMs = timeoutMs;
    this.#channel = `punctual_${database.schema}`;
    this.#tell = new Throttle(clock, TELL_EVERY_MS, () => { this.#telling = this.#notify(this.#self); });
    this.#hear = new Throttle(clock, HEAR_EVERY_MS, () => {
      for (const listener of this.#listeners) listener();
    });
  }

  /** What everybody hears, this store included: of what is not there before somebody else commits. */
  get toAll(): readonly [channel: string, payload: string] {
    return [this.#channel, 'committed'];
  }

  /** Something was written. */
  changed(): void {
    this.#tell.ask();
  }

  /** Answers how to stop. Resolves once notices come, or it is known that for now they do not. */
  async listen(onChange: () => void): Promise<() => Promise<void>> {
    // Each call is told by itself, also if the function is the same.
    const listener = (): void => { onChange(); };
    this.#listeners.add(listener);
    if (!this.#isWatching) {
      this.#isWatching = true;
      if (this.#makeClient === undefined) this.#warn('the pool does not tell how it connects', undefined);
      else await this.#connect(this.#makeClient);
    }
    return async () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) await this.#stopListening();
    };
  }

  /** What was still to be told is told. */
  async close(): Promise<void> {
    this.#listeners.clear();
    this.#tell.flush();
    await this.#stopListening();
    await overInTime(this.#clock, MOST_END_MS, this.#telling);
  }

  async #stopListening(): Promise<void> {
    this.#isWatching = false;
    this.#timer?.cancel();
    this.#probe?.cancel();
    this.#hear.stop();
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) await overInTime(this.#clock, MOST_END_MS, client.end());
  }

  async #notify(payload: string): Promise<unknown> {
    // Who cannot write will hear of it from the next call that has to.
    // It is a transaction with nothing to keep, so nobody waits for the disk.
    return this.#database.query('SELECT pg_notify($1, $2)', [this.#channel, payload], 'SET LOCAL synchronous_commit = off; ').catch(() => undefined);
  }

  async #connect(makeClient: () => PostgresClient): Promise<void> {
    let client: PostgresClient | undefined;
    try {
      const made = (client = makeClient());
      made.on('error', (error: Error) => { this.#lost(made, error); });
      made.on('end', () => { this.#lost(made, new Error('the connection ended')); });
      made.on('notification', ({ payload }: { payload?: string }) => { this.#heard(payload); });
      await made.connect();
      await made.query(this.#bounded(`LISTEN "${this.#channel}"`));
      if (!this.#isWatching) {
        await made.end().catch(() => undefined);
        return;
      }
      this.#client = made;
      made.unref?.();
      this.#askOneself(made);
    } catch (error) {
      client?.end().catch(() => undefined);
      this.#failed(error);
    }
  }

  #bounded(text: string): { text: string } {
    const query = { text, query_timeout: this.#timeoutMs };
    return query;
  }

  #heard(payload: string | undefined): void {
    if (payload === `?${this.#self}`) {
      this.#probe?.cancel();
      this.#retryMs = FIRST_RETRY_MS;
      this.#hasWarned = false;
    } else if (payload !== this.#self && payload?.startsWith('?') === false) this.#hear.ask();
  }

  /** Over another connection, as a notice of somebody else's would come. */
  #askOneself(client: PostgresClient): void {
    this.#probe = this.#clock.setTimer(
      PROBE_MS,
      () => {
        this.#drop(client, new Error('a notice was sent and did not come: a pooler that gives each transaction another connection is in between'));
      },
      false,
    );
    void this.#notify(`?${this.#self}`);
    this.#beat(client);
  }

  #beat(client: PostgresClient): void {
    this.#timer = this.#clock.setTimer(
      HEARTBEAT_MS,
      () => {
        client.query(this.#bounded('SELECT 1')).then(
          () => {
            if (this.#client === client) this.#beat(client);
          },
          (error: unknown) => { this.#drop(client, error); },
        );
      },
      false,
    );
  }

  #drop(client: PostgresClient, error: unknown): void {
    this.#lost(client, error);
    client.end().catch(() => undefined);
  }

  #lost(client: PostgresClient, error: unknown): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#failed(error);
  }

  #failed(error: unknown): void {
    this.#probe?.cancel();
    this.#timer?.cancel();
    const makeClient = this.#makeClient;
    if (!this.#isWatching || makeClient === undefined) return;
    const retryInMs = this.#retryMs;
    this.#warn('PostgreSQL sends no notices for now', { error: translate(error, this.#database.schema), retryInMs });
    this.#retryMs = Math.min(retryInMs * 2, LONGEST_RETRY_MS);
    this.#timer = this.#clock.setTimer(
      retryInMs,
      () => {
        void this.#connect(makeClient).then(() => {
          // What was written while nobody listened.
          if (this.#client !== undefined) this.#hear.ask();
        });
      },
      false,
    );
  }

  /** Once for each time that it goes wrong. */
  #warn(what: string, fields: Readonly<Record<string, unknown>> | undefined): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#logger.warn(`${what}: changes of other processes are found by polling`, { schema: this.#database.schema, ...fields });
  }
}

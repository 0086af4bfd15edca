import { randomUUID } from 'node:crypto';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import { overInTime } from '../../locks/in-time.js';
import { Throttle } from '../shared/throttle.js';
import type { RedisConnection } from './driver.js';
import { translate } from './errors.js';
import type { Link } from './link.js';

/** Most often that others are told, and that others are listened to. */
const TELL_EVERY_MS = 20;
const HEAR_EVERY_MS = 25;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 60_000;
/** How long the last notice is waited for at the end. */
const MOST_END_MS = 1_000;
/** How often a connection on which nothing comes is asked whether it is still there: seldom, since polling makes up for what it does not hear. */
const HEARTBEAT_MS = 60_000;

/** What the script that released a lease says, before the key. All else is the name of a store that has written. */
const RELEASED = 'released ';

/**
 * Tells the other stores on the prefix of changes, and is told by them, with PUBLISH and SUBSCRIBE; of leases that were
 * released as well. It is a hint: one that is lost is made up for by polling. SUBSCRIBE needs a connection of its own, which
 * is made again when it breaks.
 */
export class Notices {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly channel: string;
  readonly #self = randomUUID();
  readonly #listeners = new Set<() => void>();
  /** By key of the lease. */
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #tell: Throttle;
  readonly #hear: Throttle;
  #telling: Promise<unknown> = Promise.resolve();
  #connection: RedisConnection | undefined;
  #timer: TimerHandle | undefined;
  #retryMs = FIRST_RETRY_MS;
  #hasWarned = false;
  #isClosed = false;
  #watching: Promise<void> | undefined;
  /** Told apart from the connections that come after it. */
  #attempt = 0;

  constructor(link: Link, { clock, logger }: { clock: Clock; logger: Logger }) {
    this.#link = link;
    this.#clock = clock;
    this.#logger = logger;
    this.channel = `${link.base}changes`;
    // Who cannot write will hear of it from the next call that has to.
    this.#tell = new Throttle(clock, TELL_EVERY_MS, () => { this.#telling = this.#link.send('PUBLISH', this.channel, this.#self).catch(() => undefined); });
    this.#hear = new Throttle(clock, HEAR_EVERY_MS, () => {
      for (const listener of this.#listeners) listener();
    });
  }

  /** Something was written. */
  changed(): void {
    this.#tell.ask();
  }

  /** Answers how to stop. Resolves once notices come, or it is known that for now they do not. */
  async listen(onChange: () => void): Promise<() => void> {
    return this.#add(this.#listeners, onChange, () => undefined);
  }

  /** Is told when a lease was released. */
  async listenFor(key: string, onRelease: () => void): Promise<() => void> {
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting);
    return this.#add(waiting, onRelease, () => {
      if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
    });
  }

  async #add(listeners: Set<() => void>, callback: () => void, onGone: () => void): Promise<() => void> {
    // Each call is told by itself, also if the function is the same.
    const listener = (): void => { callback(); };
    if (this.#isClosed) return () => undefined;
    listeners.add(listener);
    await (this.#watching ??= this.#connect());
    return () => {
      listeners.delete(listener);
      onGone();
      if (this.#listeners.size === 0 && this.#waiting.size === 0) this.#stopListening();
    };
  }

  /** What was still to be told is told. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#waiting.clear();
    this.#tell.flush();
    this.#stopListening();
    await overInTime(this.#clock, MOST_END_MS, this.#telling);
  }

  #stopListening(): void {
    this.#watching = undefined;
    this.#attempt += 1;
    this.#timer?.cancel();
    this.#hear.stop();
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  async #connect(): Promise<void> {
    const attempt = (this.#attempt += 1);
    let made: RedisConnection | undefined;
    const onLost = (error: unknown): void => {
      made?.destroy();
      if (this.#attempt !== attempt) return;
      this.#attempt += 1;
      this.#connection = undefined;
      this.#failed(error);
    };
    try {
      const connection = (made = await this.#link.separate(onLost));
      await this.#link.inTime(
        connection.subscribe(this.channel, (message) => {
          if (message.startsWith(RELEASED)) this.#released(message.slice(RELEASED.length));
          else if (message !== this.#self) this.#hear.ask();
        }),
      );
      if (this.#attempt !== attempt) {
        connection.destroy();
        return;
      }
      this.#connection = connection;
      if (this.#hasWarned) this.#logger.info('Redis sends notices again', { channel: this.channel });
      this.#retryMs = FIRST_RETRY_MS;
      this.#hasWarned = false;
      this.#beat(connection, onLost);
    } catch (error) {
      onLost(error);
    }
  }

  #released(key: string): void {
    for (const listener of [...(this.#waiting.get(key) ?? [])]) listener();
  }

  #beat(connection: RedisConnection, onLost: (error: unknown) => void): void {
    this.#timer = this.#clock.setTimer(
      HEARTBEAT_MS,
      () => {
        this.#link.inTime(connection.ping()).then(() => {
          if (this.#connection === connection) this.#beat(connection, onLost);
        }, onLost);
      },
      false,
    );
  }

  #failed(error: unknown): void {
    this.#timer?.cancel();
    if (this.#watching === undefined) return;
    const retryInMs = this.#retryMs;
    if (!this.#hasWarned) {
      this.#hasWarned = true;
      this.#logger.warn('Redis sends no notices for now: changes of other processes are found by polling', { channel: this.channel, error: translate(error), retryInMs });
    }
    this.#retryMs = Math.min(retryInMs * 2, LONGEST_RETRY_MS);
    this.#timer = this.#clock.setTimer(
      retryInMs,
      () => {
        void this.#connect().then(() => {
          // What was written while nobody listened.
          if (this.#connection === undefined) return;
          this.#hear.ask();
          for (const key of [...this.#waiting.keys()]) this.#released(key);
        });
      },
      false,
    );
  }
}

import { hostname } from 'node:os';
import { SystemClock } from '../clocks/system-clock.js';
import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import { InvalidStateError } from '../errors/scheduler-errors.js';
import type { Clock } from '../ports/clock.js';
import { consoleLogger } from '../loggers/console-logger.js';
import type { Logger } from '../ports/logger.js';
import type { DurationInput } from '../time/duration.js';
import { checkLockName, readTtl, type LockHolder } from './lock-options.js';
import type { Lock } from './lock.js';
import type { LockStore } from './locking-store.js';
import { pause } from './pause.js';

/** One time of office. */
export interface Leadership {
  /** Fencing token: greater than that of every earlier leader. */
  readonly token: number;
  /** Fires before another may lead: when the lease is lost, or given up by `stop()`. For all that only the leader may do. */
  readonly signal: AbortSignal;
}

export interface LeaderElectionOptions {
  /** What is led. There is one leader for each name among all who use the store. It is the lock `leader:` + name. */
  readonly name: string;
  /** How long a leader that died is waited for. Default 15 s, least 1 s. */
  readonly ttl?: DurationInput | undefined;
  /** What others are told of the leader. Default: host and process. */
  readonly node?: string | undefined;
  /**
   * Called when this node has become the leader. If it answers a promise, that is the leader's work: it should end soon after
   * `signal` has fired, and no sooner does this node give up its place or stand again. When it fails, that is logged, and
   * the node leads on.
   */
  readonly onElected?: ((leadership: Leadership) => unknown) | undefined;
  /** Called when this node leads no more, and its leader's work is over; with the reason of `signal`. */
  readonly onLost?: ((leadership: Leadership, reason: unknown) => unknown) | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Default: the console, for warnings and errors. */
  readonly logger?: Logger | undefined;
}

const TTL_MS = 15_000;
/** Pause after a store has failed, up to twice as much. */
const RETRY_MS = 500;
/** How long the leader's work has to end when the leader stops, as a fraction of the lease. */
const STEP_DOWN = 1;

/**
 * Chooses one leader among the processes that use a store. The leader keeps its place for as long as it renews its lease; when
 * it stops, another takes over within a moment, and when it dies, once the lease is over.
 *
 * @example
 * ```ts
 * const election = new LeaderElection(store, {
 *   name: 'billing',
 *   onElected: async ({ signal, token }) => { await consume(queue, { signal, fencingToken: token }); },
 * });
 * election.start();
 * // …
 * await election.stop();
 * ```
 */
export class LeaderElection implements AsyncDisposable {
  readonly #store: LockStore;
  readonly #options: LeaderElectionOptions;
  readonly #ttlMs: number;
  readonly #node: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #lock: Lock | undefined;
  #stopping: AbortController | undefined;
  #running: Promise<void> | undefined;

  /** @throws InvalidOptionError */
  constructor(store: LockStore, options: LeaderElectionOptions) {
    refuseUnknownKeys(options, '', ['name', 'ttl', 'node', 'onElected', 'onLost', 'clock', 'logger']);
    checkLockName(options.name);
    const { lock, lockHolder } = store as Partial<LockStore>;
    if (typeof lock !== 'function' || typeof lockHolder !== 'function') throw new InvalidOptionError('store', store, 'a store with locks');
    const { node, clock, logger } = options;
    if (node !== undefined && (typeof node !== 'string' || node === '')) throw new InvalidOptionError('node', node, 'a non-empty string');
    for (const name of ['onElected', 'onLost'] as const) {
      if (options[name] !== undefined && typeof options[name] !== 'function') throw new InvalidOptionError(name, options[name], 'a function');
    }
    this.#store = store;
    this.#options = options;
    this.#ttlMs = readTtl(options.ttl, TTL_MS);
    this.#node = node ?? `${hostname()}:${process.pid}`;
    this.#clock = clock ?? new SystemClock();
    this.#logger = logger ?? consoleLogger;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Whether this node leads, and can rely on it at this moment. */
  get isLeader(): boolean {
    return this.#lock?.isHeld === true;
  }

  /** Who leads: `owner` is the `node` of that process. `undefined` while nobody does. @throws what the store throws. */
  leader(): Promise<LockHolder | undefined> {
    return this.#store.lockHolder(this.#lockName, { clock: this.#clock });
  }

  /** Stands for election until `stop()`. Does nothing when it stands already. @throws InvalidStateError while it stops. */
  start(): void {
    if (this.#stopping?.signal.aborted === true) throw new InvalidStateError(`The election "${this.name}" is being stopped on this node. Await stop() first.`);
    if (this.#stopping !== undefined) return;
    const stopping = new AbortController();
    this.#stopping = stopping;
    this.#running = this.#stand(stopping.signal).finally(() => {
      this.#stopping = undefined;
    });
  }

  /**
   * Stands no more. A leader's `signal` fires, its work is waited for (no longer than `ttl`), and its place given back, so that
   * another has it at once. Never rejects. Repeated calls wait for the same.
   */
  async stop(): Promise<void> {
    this.#stopping?.abort(new DOMException(`The node has left the election "${this.name}".`, 'AbortError'));
    await this.#running;
  }

  /** `await using election = …` stops it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #lockName(): string {
    return `leader:${this.name}`;
  }

  async #stand(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      let lock: Lock | undefined;
      try {
        const wait = Number.POSITIVE_INFINITY;
        lock = await this.#store.lock(this.#lockName, { ttl: this.#ttlMs, wait, signal: stopping, owner: this.#node, clock: this.#clock });
      } catch (error) {
        if (stopping.aborted) return;
        this.#logger.warn('a store cannot be asked for a leader; it is tried again', { election: this.name, error });
      }
      if (lock !== undefined) await this.#lead(lock, stopping);
      else await pause(this.#clock, RETRY_MS * (1 + Math.random()), abortHook(stopping));
    }
  }

  async #lead(lock: Lock, stopping: AbortSignal): Promise<void> {
    this.#lock = lock;
    const over = new AbortController();
    const end = (): void => {
      this.#lock = undefined;
      over.abort(stopping.aborted ? stopping.reason : lock.signal.reason);
    };
    const leadership: Leadership = { token: lock.token, signal: over.signal };
    for (const signal of [lock.signal, stopping]) signal.addEventListener('abort', end, { once: true });
    if (stopping.aborted || lock.signal.aborted) end();
    const work = over.signal.aborted ? undefined : this.#call(this.#options.onElected, leadership);
    // A leader keeps its process running, as one who waits for a lock does.
    while (!over.signal.aborted) await pause(this.#clock, 86_400_000, abortHook(over.signal));
    if (work !== undefined) await this.#workEnds(work, stopping);
    stopping.removeEventListener('abort', end);
    await lock.release();
    if (work !== undefined) await this.#call(this.#options.onLost, leadership, over.signal.reason);
  }

  /** A node stands again when what it did as the leader is over; one that leaves does not wait for ever. */
  async #workEnds(work: Promise<void>, stopping: AbortSignal): Promise<void> {
    let isOver = false;
    const ending = work.then(() => {
      isOver = true;
    });
    const whenOver = (wake: () => void): (() => void) => {
      void ending.then(wake);
      return () => undefined;
    };
    while (!isOver && !stopping.aborted) await pause(this.#clock, 86_400_000, whenOver, abortHook(stopping));
    if (!isOver) await pause(this.#clock, this.#ttlMs * STEP_DOWN, whenOver);
    if (!isOver) this.#logger.warn('the work of a leader goes on after its time of office', { election: this.name });
  }

  async #call<A extends unknown[]>(callback: ((...args: A) => unknown) | undefined, ...args: A): Promise<void> {
    try {
      await callback?.(...args);
    } catch (error) {
      // To stop at once when it is told to is no failure.
      const [{ signal }] = args as unknown as [Leadership];
      if (!(signal.aborted && error === signal.reason)) this.#logger.error('a callback of an election failed', { election: this.name, error });
    }
  }
}

function abortHook(signal: AbortSignal): (wake: () => void) => () => void {
  return (wake) => {
    signal.addEventListener('abort', wake, { once: true });
    return () => { signal.removeEventListener('abort', wake); };
  };
}

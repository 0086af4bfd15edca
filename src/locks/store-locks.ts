import { hostname } from 'node:os';
import { SystemClock } from '../clocks/system-clock.js';
import type { Clock } from '../ports/clock.js';
import type { JobCodec } from '../ports/job-codec.js';
import type { JobStore, StoreContext } from '../ports/job-store.js';
import { consoleLogger } from '../loggers/console-logger.js';
import type { Logger } from '../ports/logger.js';
import { Candidate, type Seen } from './candidate.js';
import { inTime } from './in-time.js';
import { Lock } from './lock.js';
import { checkLockName, readLockOptions, type LockHolder, type LockOptions, type LockRequest } from './lock-options.js';
import { NamedLease, ownerOf, type Grant, type LeaseHost } from './named-lease.js';

export interface StoreLocksHost {
  readonly store: LeaseHost;
  /** What a scheduler has opened the store with; `undefined` while it is not open. */
  opened(): Pick<StoreContext, 'clock' | 'logger'> | undefined;
  /**
   * Another store on the same data, which is opened for locks alone while no scheduler has this one open, and closed after
   * the last of them. Without it, the leases of `store` need no opening.
   */
  readonly another?: (() => JobStore) | undefined;
}

/** Drivers give up sooner; this is for those that do not. */
const LONGEST_OPENING_MS = 30_000;
/** Keys of locks, apart from whatever else has a lease. */
const PREFIX = 'lock/';

/** The locks of a store: its leases, whether or not a scheduler has it open. */
export class StoreLocks {
  readonly #host: StoreLocksHost;
  readonly #machine: Clock = new SystemClock();
  /** Open for locks alone. */
  #own: { readonly store: JobStore; readonly opened: Promise<unknown> } | undefined;
  #users = 0;
  /** Leases seen to end later than they can: the clock was ahead when they were written. Kept over attempts that do not wait. */
  readonly #strays = new Map<string, Seen>();

  constructor(host: StoreLocksHost) {
    this.#host = host;
  }

  /** @throws InvalidOptionError, what the store throws, and the reason of an aborted signal. */
  async lock(name: string, options: LockOptions = {}): Promise<Lock | undefined> {
    checkLockName(name);
    const request = readLockOptions(options);
    request.signal?.throwIfAborted();
    const lease = this.#lease(name, request);
    this.#users += 1;
    try {
      const grant = await this.#take(name, lease, request);
      if (grant !== undefined) return new Lock(name, lease, grant, this.#logger, () => { this.#leave(); });
    } catch (error) {
      this.#leave();
      throw error;
    }
    this.#leave();
    return undefined;
  }

  /** @throws InvalidOptionError, and what the store throws. */
  async holder(name: string, clock?: Clock): Promise<LockHolder | undefined> {
    checkLockName(name);
    const lease = this.#lease(name, { ...readLockOptions({}), clock });
    this.#users += 1;
    try {
      await this.#connect(lease.clock, lease.clock.monotonic(), undefined);
      const found = await lease.look();
      if (found === undefined || found.leftMs === 0) return undefined;
      return { owner: ownerOf(found.lease), token: found.lease.token, expiresAt: new Date(found.lease.expiresAt) };
    } finally {
      this.#leave();
    }
  }

  #lease(name: string, { clock, owner, ttlMs }: LockRequest): NamedLease {
    const ruling = clock ?? this.#host.opened()?.clock ?? this.#machine;
    return new NamedLease(() => this.#open(ruling), ruling, `${PREFIX}${name}`, owner ?? `${hostname()}:${process.pid}`, ttlMs);
  }

  async #take(name: string, lease: NamedLease, { waitMs, signal }: LockRequest): Promise<Grant | undefined> {
    const { clock } = lease;
    const until = clock.monotonic() + waitMs;
    const candidate = new Candidate(lease, this.#strays.get(name));
    let watching: Promise<() => void> | undefined;
    let isAsked = false;
    let trouble: { readonly error: unknown } | undefined;
    try {
      for (;;) {
        let grant: Grant | undefined;
        try {
          await this.#connect(clock, until, signal);
          isAsked = true;
          grant = await candidate.attempt();
          trouble = undefined;
        } catch (error) {
          trouble = { error };
        }
        const isGood = grant !== undefined && clock.monotonic() < lease.trustedUntil(grant.askedAt) && signal?.aborted !== true;
        if (isGood) return grant;
        // It may have been granted all the same: too late, unheard, or to one who has given up.
        if (signal?.aborted === true || clock.monotonic() >= until) {
          if (isAsked && (grant !== undefined || trouble !== undefined)) this.#giveBack(lease);
          signal?.throwIfAborted();
          if (trouble !== undefined) throw trouble.error;
          return undefined;
        }
        // Not waited for: a store that does not answer this must hold up neither the next attempt nor who calls it off.
        if (watching === undefined && trouble === undefined) {
          watching = lease.watch(candidate.hint);
          watching.catch(() => {
            watching = undefined;
          });
        }
        await candidate.wait(until - clock.monotonic(), signal);
      }
    } finally {
      void watching?.then((stop) => { stop(); }, () => undefined);
      this.#remember(name, lease, candidate.seen);
    }
  }

  /** What was asked for may have been granted. The store is kept open for as long as it takes to give that back. */
  #giveBack(lease: NamedLease): void {
    this.#users += 1;
    void lease.release().catch(() => undefined).finally(() => { this.#leave(); });
  }

  #remember(name: string, { clock }: NamedLease, seen: Seen | undefined): void {
    const isStray = seen !== undefined && this.#host.store.now === undefined && seen.lease.expiresAt - clock.now() > seen.until - clock.monotonic() + 1;
    if (isStray) this.#strays.set(name, seen);
    else this.#strays.delete(name);
  }

  get #logger(): Logger {
    return this.#host.opened()?.logger ?? consoleLogger;
  }

  /** Whether the store is open as it is, or need not be opened. */
  get #isOpen(): boolean {
    return this.#host.another === undefined || this.#host.opened() !== undefined;
  }

  async #open(clock: Clock): Promise<LeaseHost> {
    const { store, another } = this.#host;
    if (another === undefined || this.#isOpen) return store;
    if (this.#own === undefined) {
      const own = another();
      const opening = (async () => own.open({ clock, logger: this.#logger, codec: NO_JOBS, node: `${hostname()}:${process.pid}` }))();
      this.#own = { store: own, opened: opening };
      opening.catch(() => {
        if (this.#own?.store === own) this.#own = undefined;
      });
    }
    const { store: own, opened } = this.#own;
    await opened;
    return own;
  }

  /** Waits for the opening, which may take longer than an answer may. @throws what the store throws, and the reason of the signal. */
  async #connect(clock: Clock, until: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#isOpen) return;
    const opening = this.#open(clock);
    const ms = Math.max(LONGEST_OPENING_MS, until - clock.monotonic());
    let stop = (): void => undefined;
    const calledOff = new Promise<never>((_, reject) => {
      const onAbort = (): void => { reject(signal?.reason as Error); };
      signal?.addEventListener('abort', onAbort, { once: true });
      stop = () => { signal?.removeEventListener('abort', onAbort); };
    });
    try {
      await Promise.race([ms === Number.POSITIVE_INFINITY ? opening : inTime(clock, ms, opening), calledOff]);
    } finally {
      stop();
    }
  }

  /** One fewer uses it. */
  #leave(): void {
    this.#users -= 1;
    const own = this.#own;
    if (this.#users > 0 || own === undefined) return;
    this.#own = undefined;
    void (async () => {
      try {
        await own.opened;
        await own.store.close();
      } catch (error) {
        this.#logger.warn('a store that was opened for a lock could not be closed', { error });
      }
    })();
  }
}

function noJobs(): never {
  throw new Error('A store that was opened for its locks has to do with no jobs.');
}

const NO_JOBS: JobCodec = {
  encode: noJobs,
  encodeDefinition: noJobs,
  encodeState: noJobs,
  decode: noJobs,
  isUnreadable: noJobs,
  serialize: noJobs,
  deserialize: noJobs,
};

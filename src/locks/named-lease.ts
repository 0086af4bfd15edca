import type { Clock } from '../ports/clock.js';
import type { JobStore, Lease, MaybePromise } from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';
import { inTime } from './in-time.js';

/** What of a store a lease needs. */
export type LeaseHost = Pick<JobStore, 'leases' | 'now'>;

/** A lease as it was answered, and when it was asked for, on the monotonic clock. */
export interface Grant {
  readonly lease: Lease;
  readonly askedAt: number;
}

/** A lease that somebody has, and for how long that has to be respected, counted from `at` on the monotonic clock. */
export interface Look {
  readonly lease: Lease;
  readonly at: number;
  /** By the clock, and no longer than `mostMs`. */
  readonly leftMs: number;
  /** If it was renewed just now. */
  readonly mostMs: number;
}

/** Fraction of a lease by which its holder stops trusting it early: clocks drift, and an abort takes time to be heard. */
const MARGIN = 0.1;
/** A renewal may fail, and the next one, before the lease runs out. */
const CALLS_PER_LEASE = 3;
const LONGEST_CALL_MS = 15_000;

/**
 * One lease of a store, for one who wants it. What is asked twice because an answer was lost is asked by the same
 * holder, whom the store gives the same lease.
 */
export class NamedLease {
  readonly clock: Clock;
  readonly key: string;
  readonly ttlMs: number;
  readonly #holder: string;
  #isTimed = false;
  readonly #host: () => MaybePromise<LeaseHost>;

  /** @param owner - who wants it, for people. */
  constructor(host: () => MaybePromise<LeaseHost>, clock: Clock, key: string, owner: string, ttlMs: number) {
    this.#host = host;
    this.clock = clock;
    this.key = key;
    this.ttlMs = ttlMs;
    // Those who wait learn from it how long a lease of this holder can last at most, whatever was the matter with its clock.
    this.#holder = `${owner} ${globalThis.crypto.randomUUID()} ${ttlMs}`;
  }

  get marginMs(): number {
    return this.ttlMs * MARGIN;
  }

  /**
   * How long a lease asked for at `askedAt` may be trusted. Counted from before it was asked for, on the monotonic clock, as
   * in the lease protocol of Gray and Cheriton (1989): the holder must give up no later than the grantor.
   */
  trustedUntil(askedAt: number): number {
    return askedAt + this.ttlMs - this.marginMs;
  }

  isOwn(lease: Lease): boolean {
    return lease.holder === this.#holder;
  }

  /**
   * Takes or renews it. `undefined` when another has it.
   *
   * @param outlived - the end of a lease that is known to be over, whatever the clock says.
   */
  acquire(outlived?: EpochMs): Promise<Grant | undefined> {
    return this.#call(async (host, isOver) => {
      const { leases } = host;
      // The lease begins after this at the earliest, also by the clock of the store.
      const askedAt = this.clock.monotonic();
      const request = { key: this.key, holder: this.#holder, ttlMs: this.ttlMs };
      const now = await this.#now(host);
      if (isOver()) return undefined;
      let lease = await leases.acquire({ ...request, now: Math.max(now, outlived ?? now) });
      const isAhead = outlived !== undefined && outlived > now + this.marginMs;
      // One whose time is over must not give back what a later attempt may have taken.
      if (lease !== undefined && isAhead && !isOver() && lease.expiresAt > now + this.ttlMs + this.marginMs) {
        // Taken as of a time to come, it would end too late by as much.
        await leases.release(this.key, this.#holder);
        lease = await leases.acquire({ ...request, now });
      }
      return lease && { lease, askedAt };
    });
  }

  /** The lease as it stands, as long as somebody has it. */
  look(): Promise<Look | undefined> {
    return this.#call(async (host) => {
      const lease = await host.leases.get(this.key);
      if (lease === undefined) return undefined;
      const leftMs = lease.expiresAt - (await this.#now(host));
      const mostMs = ttlOf(lease) ?? leftMs;
      // Where its holder counts from before he asked, others count from after they were answered.
      return { lease, at: this.clock.monotonic(), leftMs: Math.max(0, Math.min(leftMs, mostMs)), mostMs };
    });
  }

  /** By how much the time by which the lease ends is ahead of the monotonic clock; `null` where the store has a clock of its own. */
  get offset(): number | null {
    return this.#isTimed ? null : this.clock.now() - this.clock.monotonic();
  }

  release(): Promise<void> {
    return this.#call(async ({ leases }) => leases.release(this.key, this.#holder));
  }

  /** Calls back when it may be free. Answers how to stop; a store that cannot tell is asked from time to time. */
  async watch(onRelease: () => void): Promise<() => void> {
    const { leases } = await this.#host();
    const stop = await leases.watch?.(this.key, onRelease);
    return () => void Promise.resolve(stop?.()).catch(() => undefined);
  }

  async #now(host: LeaseHost): Promise<EpochMs> {
    this.#isTimed = host.now !== undefined;
    return host.now === undefined ? this.clock.now() : host.now();
  }

  /** @param ask - is told whether nobody waits for its answer any more. */
  async #call<T>(ask: (host: LeaseHost, isOver: () => boolean) => Promise<T>): Promise<T> {
    const limit = Math.min(Math.ceil(this.ttlMs / CALLS_PER_LEASE), LONGEST_CALL_MS);
    let isOver = false;
    try {
      return await inTime(this.clock, limit, (async () => ask(await this.#host(), () => isOver))());
    } finally {
      isOver = true;
    }
  }
}

/** Who has it, as he calls himself. */
export function ownerOf({ holder }: Lease): string {
  return holder.split(' ').slice(0, -2).join(' ');
}

/** What its holder asked for. */
function ttlOf({ holder }: Lease): number | undefined {
  const ms = Number(holder.slice(holder.lastIndexOf(' ') + 1));
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}

import type { Lease, MaybePromise } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { isThenable } from '../../time/thenable.js';
import { RECHECK_MS, type LimitKind, type MeterHost } from './meter-host.js';
import { isStray, ttlOf, type Slot } from './slot.js';
import type { SlotTable } from './slot-table.js';

/** A lease that the store has given. */
export type Claimed = Pick<Slot, 'index' | 'key' | 'holder' | 'askedAt' | 'ttlMs' | 'expiresAt'>;

/** Asks the store for single slots of one limit, and learns from its answers who has those that it does not give. */
export class SlotClaims {
  readonly #host: MeterHost;
  readonly #table: SlotTable;
  readonly #kind: LimitKind;
  readonly #keyOf: (index: number) => string;
  readonly #taken: (claimed: Claimed) => Slot;
  /** Slots whose lease was taken while the clock was ahead, as it was seen. */
  readonly #stray = new Map<number, Lease>();
  /** Slots that other nodes have for a run, and the token of the lease that was seen last: each run has another. */
  readonly #tokens = new Map<number, number>();

  /** @param taken - told of each lease that this node gets. */
  constructor(host: MeterHost, table: SlotTable, kind: LimitKind, keyOf: (index: number) => string, taken: (claimed: Claimed) => Slot) {
    this.#host = host;
    this.#table = table;
    this.#kind = kind;
    this.#keyOf = keyOf;
    this.#taken = taken;
  }

  /** One slot, which was picked. `undefined`: another has it. @throws what the store throws */
  acquire(index: number, ttlMs: number): MaybePromise<Slot | undefined> {
    const { port } = this.#host;
    const key = this.#keyOf(index);
    const askedAt = this.#host.monotonic();
    const holder = this.#host.newHolder(ttlMs);
    const claimed = (expiresAt: EpochMs): Slot => this.#got({ index, key, holder, askedAt, ttlMs, expiresAt });
    if (port === null) return claimed(Number.POSITIVE_INFINITY);
    const answered = (lease: Lease | undefined): MaybePromise<Slot | undefined> =>
      lease === undefined ? this.#learn(index, key) : claimed(lease.expiresAt);
    const failed = (error: unknown): never => {
      // It may have been taken all the same; then it is found out when it is asked for again.
      this.#table.setUntil(index, this.#table.now() + RECHECK_MS);
      this.#host.track(Promise.resolve().then(() => port.releaseLease(key, holder)));
      throw error;
    };
    try {
      const answer = port.acquireLease({ key, holder, now: this.#table.now(), ttlMs });
      return isThenable(answer) ? answer.then(answered).catch(failed) : answered(answer);
    } catch (error) {
      return failed(error);
    }
  }

  #got(claimed: Claimed): Slot {
    this.#table.own(claimed.index);
    this.#stray.delete(claimed.index);
    this.#tokens.delete(claimed.index);
    return this.#taken(claimed);
  }

  /**
   * Another has it. Until when, only a rate tells for certain; a slot that a run has is looked at when it is first seen, since
   * its process may be known to be dead, and when it seems to last for longer than a lease.
   */
  #learn(index: number, key: string): MaybePromise<Slot | undefined> {
    const { port } = this.#host;
    const seenAt = this.#table.foreignSinceOf(index);
    if (this.#kind === 'concurrency') this.#table.foreign(index);
    const isKnown = seenAt !== undefined && this.#host.monotonic() - seenAt < this.#table.ttlMs;
    if (port === null || isKnown) return undefined;
    const judge = (lease: Lease | undefined): MaybePromise<Slot | undefined> => this.#judge(index, lease);
    const answer = port.lease(key);
    return isThenable(answer) ? answer.then(judge) : judge(answer);
  }

  #judge(index: number, lease: Lease | undefined): MaybePromise<Slot | undefined> {
    const now = this.#table.now();
    if (this.#kind === 'concurrency' && lease !== undefined && lease.token !== this.#tokens.get(index)) {
      this.#tokens.set(index, lease.token);
      this.#table.foreignAnew(index);
    }
    if (lease !== undefined && isStray(lease, now)) {
      // Whoever lives puts that right, in the time of one lease. If it is as it was then, it is nobody's.
      const seen = this.#stray.get(index);
      if (seen?.token === lease.token && seen.expiresAt === lease.expiresAt) return this.#inherit(index, lease);
      this.#stray.set(index, lease);
      this.#table.setUntil(index, now + ttlOf(lease.holder));
    } else if (this.#kind === 'rate') {
      this.#table.setUntil(index, lease?.expiresAt ?? 0);
    } else if (lease !== undefined && this.#host.isDead(lease.holder)) {
      return this.#inherit(index, lease);
    }
    return undefined;
  }

  /** Takes a lease that is nobody's, whatever is left of it. Of several who try, one gets it: for the others it is not over then. */
  async #inherit(index: number, { key, expiresAt }: Lease): Promise<Slot | undefined> {
    const port = this.#host.port!;
    const { ttlMs } = this.#table;
    const askedAt = this.#host.monotonic();
    this.#table.setUntil(index, Number.POSITIVE_INFINITY);
    let lease: Lease | undefined;
    try {
      lease = await port.acquireLease({ key, holder: this.#host.newHolder(ttlMs), now: Math.max(this.#table.now(), expiresAt), ttlMs });
      // As of a time to come, it would end too late.
      if (lease !== undefined) lease = await port.acquireLease({ key, holder: this.#host.newHolder(ttlMs), now: this.#table.now(), ttlMs, force: true });
    } finally {
      if (lease === undefined) this.#table.setUntil(index, this.#table.now() + (this.#kind === 'rate' ? ttlMs : RECHECK_MS));
    }
    return lease && this.#got({ index, key, holder: lease.holder, askedAt, ttlMs, expiresAt: lease.expiresAt });
  }
}

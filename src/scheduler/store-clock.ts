import type { Clock } from '../ports/clock.js';
import type { EpochMs } from '../ports/trigger.js';
import type { ClockSkew } from './node-card.js';
import type { StoreAccess } from './store-access.js';

/** Error of a reading, as a fraction of the lease, that is good enough: two nodes' errors stay well below the margin. */
const GOOD_ENOUGH = 0.02;
/** Readings in a row, with nothing to go on with, before the best of them has to do. */
const FIRST_ATTEMPTS = 3;
/** Longest time between two readings. */
const LONGEST_MS = 300_000;
/** By how much two clocks may part, in ms per ms: far worse than clocks are. */
const DRIFT = 1 / 2_000;

/**
 * The time by which a store's jobs are due and its leases end: the store's own clock where it has one, else this
 * machine's. The store is asked now and then, and in between its time is counted on the monotonic clock, so that
 * setting the wall clock of a node changes nothing. An answer that took long says little; as in NTP, the quickest counts.
 *
 * It was read somewhere between the question and the answer. This clock takes it as of the answer, so that it is behind the
 * store's by the way back, and nothing is due before its time.
 */
export class StoreClock {
  readonly #access: StoreAccess;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #maxAgeMs: number;
  /** Store time minus monotonic time, at least; undefined until the store was asked. */
  #offset: number | undefined;
  /** Half of what it may be more. */
  #errorMs = Number.POSITIVE_INFINITY;
  #readAt = 0;
  #isStale = true;

  constructor(access: StoreAccess, clock: Clock, leaseMs: number) {
    this.#access = access;
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    // Until clocks may have parted by as much as a reading may be wrong.
    this.#maxAgeMs = Math.min(LONGEST_MS, (leaseMs * GOOD_ENOUGH) / DRIFT);
  }

  now(): EpochMs {
    return this.#offset === undefined ? this.#clock.now() : Math.floor(this.#clock.monotonic() + this.#offset);
  }

  /** Whether it tells the right time: this machine's own, or the store's once it was asked. */
  get isSet(): boolean {
    return this.#access.store.now === undefined || this.#offset !== undefined;
  }

  /** How far this machine's wall clock is from the store's; `undefined` where that is not known. */
  skew(): ClockSkew | undefined {
    if (this.#offset === undefined || this.#errorMs === Number.POSITIVE_INFINITY) return undefined;
    const now = this.#clock.monotonic();
    return {
      byMs: Math.round(now + this.#offset + this.#errorMs - this.#clock.now()),
      errorMs: Math.ceil(this.#errorMs + (now - this.#readAt) * DRIFT),
    };
  }

  /** The machine may have slept, and its monotonic clock with it: what was read before says nothing any more. */
  forget(): void {
    this.#errorMs = Number.POSITIVE_INFINITY;
    this.#isStale = true;
  }

  /** Asks the store again if its last answer is old. @throws StoreFailedError */
  async sync(): Promise<void> {
    if (this.#access.store.now === undefined) return;
    if (!this.#isStale && this.#clock.monotonic() - this.#readAt < this.#maxAgeMs) return;
    const attempts = this.#errorMs === Number.POSITIVE_INFINITY ? FIRST_ATTEMPTS : 1;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const before = this.#clock.monotonic();
      const theirs = await this.#access.now();
      const after = this.#clock.monotonic();
      const errorMs = (after - before) / 2;
      const age = after - this.#readAt;
      if (errorMs <= this.#errorMs + age * DRIFT) {
        this.#offset = theirs - after;
        this.#errorMs = errorMs;
        this.#readAt = after;
      }
      if (errorMs <= this.#leaseMs * GOOD_ENOUGH) break;
    }
    this.#isStale = false;
  }
}

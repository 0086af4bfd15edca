import type { Lease } from '../ports/job-store.js';
import type { Grant, NamedLease } from './named-lease.js';
import { pause } from './pause.js';

/** A lease that another has, and until when (on the monotonic clock) it has to be respected if it is not renewed. */
export interface Seen {
  readonly lease: Lease;
  readonly until: number;
}

const SHORTEST_POLL_MS = 50;
/** With the spread below less than a second, which is what those who wait are promised. */
const LONGEST_POLL_MS = 800;
/** How often in a lease to look whether it was released. */
const POLLS_PER_LEASE = 10;

/**
 * Waits for a lease that another has. From when it has first seen the lease it counts the time that is left of it on the
 * monotonic clock, and never for longer than its holder may have asked for: a wall clock that is set in the meantime
 * neither takes the lease from its holder nor keeps it from those who wait. (Kubernetes' leader election waits likewise.)
 */
export class Candidate {
  readonly #lease: NamedLease;
  #seen: Seen | undefined;
  #isHinted = false;
  #offset: number | null = null;
  #wake: (() => void) | undefined;

  /** @param seen - what an earlier candidate of this process saw. */
  constructor(lease: NamedLease, seen?: Seen) {
    this.#lease = lease;
    this.#seen = seen;
  }

  /** What it waits for. */
  get seen(): Seen | undefined {
    return this.#seen;
  }

  /** Takes the lease if that can be had. */
  async attempt(): Promise<Grant | undefined> {
    const lease = this.#lease;
    if (this.#seen === undefined) return (await lease.acquire()) ?? (await this.#look());
    return this.#look();
  }

  async #look(): Promise<Grant | undefined> {
    const lease = this.#lease;
    const found = await lease.look();
    if (found === undefined || lease.isOwn(found.lease)) {
      this.#seen = undefined;
      return lease.acquire();
    }
    const { token, expiresAt } = this.#seen?.lease ?? {};
    const wasSet = this.#clockWasSet();
    if (found.lease.token !== token || found.lease.expiresAt !== expiresAt) {
      // It may have been renewed by the clock as it was before.
      this.#seen = { lease: found.lease, until: found.at + (wasSet ? found.mostMs : found.leftMs) };
    }
    if (this.#seen === undefined || lease.clock.monotonic() < this.#seen.until) return undefined;
    // Whoever has renewed it by now has given it a later end than this, and keeps it.
    const grant = await lease.acquire(found.lease.expiresAt);
    this.#seen = undefined;
    return grant;
  }

  /** Since it last looked. */
  #clockWasSet(): boolean {
    const before = this.#offset;
    this.#offset = this.#lease.offset;
    return before !== null && this.#offset !== null && Math.abs(this.#offset - before) > this.#lease.marginMs;
  }

  /** Waits for the next attempt, no longer than `limitMs`. */
  async wait(limitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, ttlMs } = this.#lease;
    const poll = Math.min(LONGEST_POLL_MS, Math.max(SHORTEST_POLL_MS, ttlMs / POLLS_PER_LEASE)) * (0.8 + 0.4 * Math.random());
    const left = this.#seen === undefined ? poll : Math.max(1, this.#seen.until - clock.monotonic());
    if (!this.#isHinted) {
      const onHint = (wake: () => void): (() => void) => {
        this.#wake = wake;
        return () => {
          this.#wake = undefined;
        };
      };
      const onAbort = (wake: () => void): (() => void) => {
        signal?.addEventListener('abort', wake, { once: true });
        return () => { signal?.removeEventListener('abort', wake); };
      };
      await pause(clock, Math.min(poll, left, limitMs), onHint, onAbort);
    }
    this.#isHinted = false;
  }

  /** It may be free: ends the wait, or the next one if an attempt is under way. */
  readonly hint = (): void => {
    this.#isHinted = true;
    this.#wake?.();
  };
}

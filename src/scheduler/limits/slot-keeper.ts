import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { Lease, MaybePromise } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { LeasePort } from './lease-port.js';
import { isStray, type Slot } from './slot.js';

/** As for the leases of runs: two renewals may fail. */
const RENEWALS_PER_LEASE = 3;
/** Fraction of the lease by which we stop trusting it early: clocks drift, and an abort takes time to be heard. */
const MARGIN = 0.1;

/** Renews the slots of runs that go on, and tells who has one that it is lost before another may have it. */
export class SlotKeeper {
  readonly #port: LeasePort;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #now: () => EpochMs;
  readonly #newHolder: (ttlMs: number) => string;
  readonly #slots = new Set<Slot>();
  #timer: TimerHandle | undefined;

  constructor(port: LeasePort, clock: Clock, leaseMs: number, now: () => EpochMs, newHolder: (ttlMs: number) => string) {
    this.#port = port;
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.#now = now;
    this.#newHolder = newHolder;
  }

  /** How long a slot asked for then may be trusted. */
  trustedUntil(askedAt: number): number {
    return askedAt + this.#leaseMs * (1 - MARGIN);
  }

  add(slot: Slot): void {
    this.#slots.add(slot);
    this.#schedule();
  }

  delete(slot: Slot): void {
    this.#slots.delete(slot);
    if (this.#slots.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(): void {
    this.#timer ??= this.#clock.setTimer(
      this.#leaseMs / RENEWALS_PER_LEASE,
      () => {
        this.#timer = undefined;
        for (const slot of [...this.#slots]) void this.#renew(slot);
        if (this.#slots.size > 0) this.#schedule();
      },
      false,
    );
  }

  async #renew(slot: Slot): Promise<void> {
    const askedAt = this.#clock.monotonic();
    let lease: Lease | undefined;
    try {
      const asking: MaybePromise<Lease | undefined> = this.#port.acquireLease({ key: slot.key, holder: slot.holder, now: this.#now(), ttlMs: slot.ttlMs });
      lease = await asking;
      if (lease !== undefined && isStray(lease, this.#now())) lease = await this.#retake(slot);
    } catch {
      // The loop of the store tells that it fails. A slot that would run out before it is asked for again is given up now.
      const isLate = slot.trustedUntil <= this.#clock.monotonic() + this.#leaseMs / RENEWALS_PER_LEASE;
      if (isLate && this.#slots.has(slot)) this.#lose(slot);
      return;
    }
    if (!this.#slots.has(slot)) {
      // It was given back while it was renewed, and the store may have heard of that first.
      if (lease !== undefined && slot.state === 'gone') await Promise.resolve(this.#port.releaseLease(slot.key, slot.holder)).catch(() => undefined);
    } else if (lease === undefined) {
      this.#lose(slot);
    } else {
      slot.expiresAt = lease.expiresAt;
      slot.trustedUntil = Math.max(slot.trustedUntil, this.trustedUntil(askedAt));
    }
  }

  /** A renewal makes no lease end sooner. One that would last too long is taken anew, from oneself. */
  async #retake(slot: Slot): Promise<Lease | undefined> {
    const { key, ttlMs } = slot;
    const holder = this.#newHolder(ttlMs);
    const lease = await this.#port.acquireLease({ key, holder, now: this.#now(), ttlMs, force: true });
    slot.holder = holder;
    return lease;
  }

  #lose(slot: Slot): void {
    this.delete(slot);
    slot.owner.lost(slot);
  }
}

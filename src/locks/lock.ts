import { LeaseLostError } from '../errors/job-errors.js';
import type { TimerHandle } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { EpochMs } from '../ports/trigger.js';
import type { Grant, NamedLease } from './named-lease.js';
import { pause } from './pause.js';

/** A lease is renewed when a third of it is over, so that two renewals may fail. */
const RENEWALS_PER_LEASE = 3;
/** A renewal that failed is tried again after this fraction of the lease, up to twice as much, and sooner near its end. */
const RETRY = 0.05;
const SHORTEST_RETRY = 0.01;

/**
 * A lock of a store, held. It is renewed by itself until it is released. When it cannot be, because the store fails for too
 * long or somebody else has it, `signal` fires before another may take it over.
 *
 * A process that was frozen may have lost it without having had a chance to notice. What must not be done twice, or
 * late, is guarded by `token`: hand it to what you write to, which refuses a token below the greatest it has seen.
 *
 * @example
 * ```ts
 * await using lock = await store.lock('nightly-import', { ttl: { seconds: 30 } });
 * if (lock === undefined) return; // another process has it
 * await importAll({ signal: lock.signal, fencingToken: lock.token });
 * ```
 */
export class Lock implements AsyncDisposable {
  readonly name: string;
  /** Fencing token: greater than that of every earlier holder of this name. */
  readonly token: number;
  /** Fires when the lock is lost (its reason is a `LeaseLostError`) or released. */
  readonly signal: AbortSignal;
  readonly #lease: NamedLease;
  readonly #logger: Logger;
  readonly #ended: () => void;
  readonly #controller = new AbortController();
  #isHeld = true;
  #expiresAt: EpochMs;
  /** On the monotonic clock. */
  #trustedUntil: number;
  #renewal: TimerHandle | undefined;
  #deadline: TimerHandle | undefined;
  #renewing: Promise<void> | undefined;
  #releasing: Promise<void> | undefined;
  #trouble: unknown;

  /** @internal */
  constructor(name: string, lease: NamedLease, grant: Grant, logger: Logger, ended: () => void) {
    this.name = name;
    this.token = grant.lease.token;
    this.signal = this.#controller.signal;
    this.#lease = lease;
    this.#logger = logger;
    this.#ended = ended;
    this.#expiresAt = grant.lease.expiresAt;
    this.#trustedUntil = lease.trustedUntil(grant.askedAt);
    this.#granted(grant);
  }

  /** Whether it can be relied on at this moment. Already `false` while a process that was frozen asks whether it still has it. */
  get isHeld(): boolean {
    return this.#isHeld && this.#lease.clock.monotonic() < this.#trustedUntil;
  }

  /** When it would run out if it were not renewed any more, by the clock of the store where it has one. */
  get expiresAt(): Date {
    return new Date(this.#expiresAt);
  }

  /**
   * Gives it back, so that another can have it at once; `signal` fires first. Never rejects: when the store does not answer,
   * it resolves once the lease has run out by itself. Repeated calls wait for the same.
   */
  release(): Promise<void> {
    this.#releasing ??= this.#release();
    return this.#releasing;
  }

  /** `await using lock = …` releases it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  async #release(): Promise<void> {
    if (!this.#isHeld) return;
    this.#end(new DOMException(`The lock "${this.name}" was released.`, 'AbortError'));
    // A renewal that arrives after the release would take the lock again, for nobody.
    await this.#renewing;
    const { clock, marginMs } = this.#lease;
    const endsAt = this.#trustedUntil + marginMs;
    for (;;) {
      try {
        await this.#lease.release();
        break;
      } catch (error) {
        const leftMs = endsAt - clock.monotonic();
        if (leftMs <= 0) {
          this.#logger.warn('a lock could not be released; it has run out by itself', { lock: this.name, error });
          break;
        }
        await pause(clock, this.#retryMs(leftMs));
      }
    }
    this.#ended();
  }

  #granted({ lease, askedAt }: Grant): void {
    this.#expiresAt = lease.expiresAt;
    this.#trustedUntil = Math.max(this.#trustedUntil, this.#lease.trustedUntil(askedAt));
    this.#trouble = undefined;
    const { clock, ttlMs } = this.#lease;
    const now = clock.monotonic();
    this.#renewal = clock.setTimer(Math.max(0, askedAt + ttlMs / RENEWALS_PER_LEASE - now), () => { this.#renew(); }, false);
    this.#deadline?.cancel();
    this.#deadline = clock.setTimer(Math.max(0, this.#trustedUntil - now), () => { this.#overdue(); }, false);
  }

  #renew(): void {
    this.#renewal?.cancel();
    this.#renewal = undefined;
    this.#renewing ??= this.#askAgain().finally(() => {
      this.#renewing = undefined;
    });
  }

  async #askAgain(): Promise<void> {
    const { clock } = this.#lease;
    let grant: Grant | undefined;
    try {
      grant = await this.#lease.acquire();
    } catch (error) {
      this.#trouble = error;
      const leftMs = this.#trustedUntil - clock.monotonic();
      if (this.#isHeld) this.#renewal = clock.setTimer(this.#retryMs(leftMs), () => { this.#renew(); }, false);
      return;
    }
    if (grant?.lease.token === this.token) {
      if (this.#isHeld) this.#granted(grant);
      return;
    }
    if (this.#isHeld) this.#lose();
    // Another had it and gave it back: this is a new tenure, which nobody asked for.
    if (grant !== undefined) await this.#lease.release().catch(() => undefined);
  }

  /** The end of trust. */
  #overdue(): void {
    const { clock, marginMs } = this.#lease;
    if (clock.monotonic() - this.#trustedUntil <= marginMs) {
      this.#lose();
      return;
    }
    // Late by more than a blink: this process was blocked or frozen, and could not renew. Nobody may have noticed, so ask
    // once before giving up; if somebody has, the answer says so.
    this.#deadline = clock.setTimer(marginMs, () => { this.#lose(); }, false);
    this.#renew();
  }

  #lose(): void {
    this.#logger.warn('a lock was lost', { lock: this.name, error: this.#trouble });
    this.#end(new LeaseLostError(this.name, 'lock', this.#trouble === undefined ? undefined : { cause: this.#trouble }));
    const ended = (): void => { this.#ended(); };
    if (this.#renewing === undefined) ended();
    else void this.#renewing.then(ended);
  }

  #end(reason: Error): void {
    this.#isHeld = false;
    this.#renewal?.cancel();
    this.#deadline?.cancel();
    this.#controller.abort(reason);
  }

  #retryMs(leftMs: number): number {
    const { ttlMs } = this.#lease;
    return Math.max(ttlMs * SHORTEST_RETRY, Math.min(ttlMs * RETRY * (1 + Math.random()), leftMs / 2));
  }
}

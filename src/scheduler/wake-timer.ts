import type { Clock, TimerHandle } from '../ports/clock.js';
import type { EpochMs } from '../ports/trigger.js';

/** The one timer of a loop: until the next thing is due, or until it has to be looked whether something is. */
export class WakeTimer {
  readonly #clock: Clock;
  readonly #now: () => EpochMs;
  readonly #maxSleepMs: number;
  readonly #keepAlive: boolean;
  readonly #wake: () => void;
  #timer: TimerHandle | undefined;
  #plannedAt = Number.POSITIVE_INFINITY;
  #isPoll = false;

  /** @param now - the time in which instants are given. */
  constructor({ clock, keepAlive }: { clock: Clock; keepAlive: boolean }, maxSleepMs: number, now: () => EpochMs, wake: () => void) {
    this.#clock = clock;
    this.#keepAlive = keepAlive;
    this.#maxSleepMs = maxSleepMs;
    this.#now = now;
    this.#wake = wake;
  }

  /** When it goes off, in wall time. */
  get plannedAt(): EpochMs {
    return this.#plannedAt;
  }

  /** In place of what it was set to. It goes off sooner where that is longer than may be slept. */
  set(at: EpochMs): void {
    this.clear();
    const now = this.#now();
    const latest = now + this.#maxSleepMs;
    this.#plannedAt = Math.min(at, latest);
    if (this.#plannedAt === Number.POSITIVE_INFINITY) return;
    const wake = (): void => {
      this.#isPoll = at > latest;
      this.#wake();
    };
    this.#timer = this.#clock.setTimer(Math.max(0, this.#plannedAt - now), wake, this.#keepAlive);
  }

  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#plannedAt = Number.POSITIVE_INFINITY;
  }

  /** Whether it went off last although nothing was expected by then; said once. */
  takePoll(): boolean {
    const isPoll = this.#isPoll;
    this.#isPoll = false;
    return isPoll;
  }
}

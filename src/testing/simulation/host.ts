import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { World } from './world.js';

/** What the wall clocks of the simulated machines show at the beginning: one and a half minutes before Europe/Berlin skips an hour. */
export const BASE = Date.UTC(2026, 2, 29, 0, 58, 30);

/**
 * A simulated machine: its own wall clock, its own idea of how long a second is, and a process that can freeze or die.
 * Nothing reaches a dead process; what reaches a frozen one waits until it thaws.
 */
export class Host implements Clock {
  readonly world: World;
  readonly #rate: number;
  readonly #jumpListeners = new Set<() => void>();
  #skew: number;
  #alive = true;
  #frozen = false;
  #waiting: (() => void)[] = [];
  #timers = 0;
  /** World time of the last thaw; null when it never froze. */
  thawedAt: number | null = null;
  readonly onJump?: (callback: () => void) => () => void;

  /** @param rate - of its clocks against true time. @param tellsJumps - whether its clock says when it is set. */
  constructor(world: World, skew: number, rate: number, tellsJumps: boolean) {
    this.world = world;
    this.#skew = skew;
    this.#rate = rate;
    if (tellsJumps) {
      this.onJump = (callback) => {
        this.#jumpListeners.add(callback);
        return () => {
          this.#jumpListeners.delete(callback);
        };
      };
    }
  }

  get alive(): boolean {
    return this.#alive;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  /** Timers that wait. */
  get pendingTimers(): number {
    return this.#timers;
  }

  now(): number {
    return Math.floor(BASE + this.#skew + this.monotonic());
  }

  monotonic(): number {
    return this.world.time * this.#rate;
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    this.#timers += 1;
    let pending = true;
    const done = (): boolean => {
      if (!pending) return false;
      pending = false;
      this.#timers -= 1;
      return true;
    };
    const cancel = this.world.after(delayMs / this.#rate, () => {
      this.deliver(() => {
        if (done()) callback();
      });
    });
    return {
      cancel: () => {
        cancel();
        done();
      },
    };
  }

  defer(callback: () => void): void {
    this.world.after(0, () => {
      this.deliver(callback);
    });
  }

  /** Hands something to the process: now, once it thaws, or never. */
  deliver(callback: () => void): void {
    if (!this.#alive) return;
    if (this.#frozen) this.#waiting.push(callback);
    else callback();
  }

  jump(ms: number): void {
    this.#skew += ms;
    for (const callback of this.#jumpListeners) this.deliver(callback);
  }

  /** The wall clock shows the true time again. */
  setRight(): void {
    if (this.#skew !== 0) this.jump(-this.#skew);
  }

  crash(): void {
    this.#alive = false;
    this.#waiting = [];
  }

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    this.thawedAt = this.world.time;
    for (const callback of this.#waiting.splice(0)) this.defer(callback);
  }
}

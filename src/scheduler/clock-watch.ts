import type { Clock } from '../ports/clock.js';

/** Disagreement between wall time and elapsed time that counts as a jump. Slewing stays far below it. */
const JUMP_MS = 1_000;

/** Notices that somebody set the clock, or that the machine slept: wall time moved, elapsed time did not. */
export class ClockWatch {
  readonly #clock: Clock;
  readonly #onJump: (byMs: number) => void;
  #offset: number;
  #jumps = 0;

  constructor(clock: Clock, onJump: (byMs: number) => void) {
    this.#clock = clock;
    this.#onJump = onJump;
    this.#offset = clock.now() - clock.monotonic();
  }

  /** To be called at each wake-up. Answers how many jumps there have been. */
  check(): number {
    const offset = this.#clock.now() - this.#clock.monotonic();
    const byMs = offset - this.#offset;
    this.#offset = offset; // also follows slow drift, which must not add up to a jump
    if (Math.abs(byMs) >= JUMP_MS) {
      this.#jumps += 1;
      this.#onJump(Math.round(byMs));
    }
    return this.#jumps;
  }
}

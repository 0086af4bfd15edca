import type { Clock, TimerHandle } from '../../ports/clock.js';

/** Does something at once when asked, and again at the end of each period in which it was asked again. */
export class Throttle {
  readonly #clock: Clock;
  readonly #periodMs: number;
  readonly #act: () => void;
  #timer: TimerHandle | undefined;
  #isAsked = false;

  constructor(clock: Clock, periodMs: number, act: () => void) {
    this.#clock = clock;
    this.#periodMs = periodMs;
    this.#act = act;
  }

  ask(): void {
    if (this.#timer !== undefined) {
      this.#isAsked = true;
      return;
    }
    this.#timer = this.#clock.setTimer(
      this.#periodMs,
      () => {
        this.#timer = undefined;
        if (!this.#isAsked) return;
        this.#isAsked = false;
        this.ask();
      },
      false,
    );
    this.#act();
  }

  /** What was asked for is done now. */
  flush(): void {
    const isAsked = this.#isAsked;
    this.stop();
    if (isAsked) this.#act();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isAsked = false;
  }
}

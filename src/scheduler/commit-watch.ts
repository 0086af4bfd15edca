import type { Clock, TimerHandle } from '../ports/clock.js';

/** First pause before a transaction of the user's is thought to be over. */
const FIRST_PAUSE_MS = 25;

/** Looks for what was written in a transaction of the user's, less and less often, until polling comes round. */
export class CommitWatch {
  readonly #clock: Clock;
  readonly #maxPauseMs: number;
  readonly #look: () => void;
  #timer: TimerHandle | undefined;

  constructor(clock: Clock, maxPauseMs: number, look: () => void) {
    this.#clock = clock;
    this.#maxPauseMs = maxPauseMs;
    this.#look = look;
  }

  start(): void {
    this.stop();
    this.#wait(FIRST_PAUSE_MS);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(pauseMs: number): void {
    const look = (): void => {
      this.#timer = undefined;
      this.#look();
      if (pauseMs * 2 < this.#maxPauseMs) this.#wait(pauseMs * 2);
    };
    this.#timer = this.#clock.setTimer(pauseMs, look, false);
  }
}

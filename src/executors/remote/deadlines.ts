import type { Clock, TimerHandle } from '../../ports/clock.js';

/** What has the same time each to be over, with one timer for all: it is late in the order in which it was added. */
export class Deadlines<T> {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #onLate: (item: T) => void;
  /** When each is due, on the monotonic clock. */
  readonly #dueAt = new Map<T, number>();
  #timer: TimerHandle | undefined;

  /** @param onLate - told of an item whose time is up; it is forgotten by then. */
  constructor(clock: Clock, ms: number, onLate: (item: T) => void) {
    this.#clock = clock;
    this.#ms = ms;
    this.#onLate = onLate;
  }

  /** Its time begins. */
  add(item: T): void {
    this.#dueAt.set(item, this.#clock.monotonic() + this.#ms);
    this.#timer ??= this.#clock.setTimer(this.#ms, () => { this.#look(); });
  }

  /** It is over. Answers whether it was in time, and not over before. */
  delete(item: T): boolean {
    const isThere = this.#dueAt.delete(item);
    if (this.#dueAt.size === 0) this.#stop();
    return isThere;
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (const [item, dueAt] of this.#dueAt) {
      if (dueAt > now) {
        this.#stop();
        this.#timer = this.#clock.setTimer(dueAt - now, () => { this.#look(); });
        return;
      }
      this.#dueAt.delete(item);
      this.#onLate(item);
    }
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

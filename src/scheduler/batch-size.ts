/** What was claimed together is to be started and recorded within this time, so that nothing else waits for longer. */
const TURN_MS = 8;

/**
 * How many jobs are claimed at a time. A store that answers at once holds up the event loop while it works, so it begins
 * with few; as long as these take a fraction of the time they may take, twice as many are claimed the next time, since
 * what a batch costs beside its jobs is the same for any number of them.
 */
export class BatchSize {
  readonly #least: number;
  readonly #most: number;
  #size: number;

  /** @param least - where it begins, and below which it never goes. */
  constructor(least: number, most: number) {
    this.#least = Math.min(least, most);
    this.#most = most;
    this.#size = this.#least;
  }

  get size(): number {
    return this.#size;
  }

  /** So many were worked off in so long. */
  took(jobs: number, ms: number): void {
    if (ms > TURN_MS) this.#size = Math.max(this.#least, Math.floor(this.#size / 2));
    else if (ms < TURN_MS / 2 && jobs >= this.#size) this.#size = Math.min(this.#most, this.#size * 2);
  }
}

/** What is done in one turn of the event loop shall take about this long, so that nothing else waits for longer. */
const TURN_MS = 5;

/**
 * How many jobs are claimed, or runs recorded, at a time. A store that answers at once holds up the event loop while it
 * works, so it begins with few, and goes to as many as fit into a turn: what a batch costs beside its jobs is the same for
 * any number of them. By twice or half at most, since a garbage collection, or code that is not compiled yet, says little
 * about the next batch.
 */
export class BatchSize {
  readonly #least: number;
  readonly #most: number;
  readonly #backlog: number;
  #size: number;

  /**
   * @param least - where it begins, and below which it never goes.
   * @param backlog - how many at most of a store that has to be waited for.
   */
  constructor(least: number, most: number, backlog = least) {
    this.#least = Math.min(least, most);
    this.#most = most;
    this.#backlog = Math.min(Math.max(backlog, least), most);
    this.#size = this.#least;
  }

  get size(): number {
    return this.#size;
  }

  /** So many were worked off in so long. */
  took(jobs: number, ms: number): void {
    const fits = ms <= 0 ? Number.POSITIVE_INFINITY : Math.floor((jobs * TURN_MS) / ms);
    // A batch that was not full may have been quick because it was small.
    if (fits > this.#size) this.#size = jobs < this.#size ? this.#size : Math.min(this.#most, this.#size * 2, fits);
    else this.#size = Math.max(this.#least, Math.floor(this.#size / 2), fits);
  }

  /**
   * So many came from a store that has to be waited for, and so many of them were had in the end. While as many come as
   * were asked for, and no other node wants them, there is a backlog, and the way to the store is what costs; else each
   * node takes few, so that all of them have some.
   *
   * @param asked - how many were asked for: what is claimed ahead was asked for when the size was another.
   */
  came(asked: number, jobs: number, won: number): void {
    this.#size = jobs < asked || won < jobs ? this.#least : Math.max(this.#size, Math.min(this.#backlog, asked * 2));
  }
}

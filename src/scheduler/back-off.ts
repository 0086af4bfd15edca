import { hashFraction } from '../core/hash.js';

const FIRST_MS = 100;
const LONGEST_MS = 30_000;

/**
 * Exponential back-off with jitter: the delay after the n-th failure in a row is drawn from the upper half of
 * 100 ms · 2^n, or of the longest delay where that is less. Nodes that fail together do not come back together.
 */
export class BackOff {
  readonly #seed: string;
  readonly #longestMs: number;
  #failures = 0;

  /** @param seed - has the name of the node in it: with the same one, two nodes would wait alike. */
  constructor(seed: string, longestMs = LONGEST_MS) {
    this.#seed = seed;
    this.#longestMs = longestMs;
  }

  get failures(): number {
    return this.#failures;
  }

  next(): number {
    const full = Math.min(this.#longestMs, FIRST_MS * 2 ** Math.min(this.#failures, 20));
    this.#failures += 1;
    return Math.round(full * (0.5 + 0.5 * hashFraction(this.#seed, this.#failures)));
  }

  reset(): void {
    this.#failures = 0;
  }
}

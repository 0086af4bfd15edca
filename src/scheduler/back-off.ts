import { hashFraction } from '../core/hash.js';

const FIRST_MS = 100;
const LONGEST_MS = 30_000;

/**
 * Exponential back-off with jitter: the delay after the n-th failure in a row is drawn from the upper half of
 * 100 ms · 2^n, at most 30 s. Nodes that fail together do not come back together.
 */
export class BackOff {
  readonly #seed: string;
  #failures = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  get failures(): number {
    return this.#failures;
  }

  next(): number {
    const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.#failures, 20));
    this.#failures += 1;
    return Math.round(full * (0.5 + 0.5 * hashFraction(this.#seed, this.#failures)));
  }

  reset(): void {
    this.#failures = 0;
  }
}

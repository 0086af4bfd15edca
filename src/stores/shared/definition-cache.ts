import type { JobDefinition } from '../../model/job.js';

/** A definition as it is stored. */
export interface KnownDefinition<R = number> {
  /** Revision at which it was written. */
  readonly revision: R;
  /** Its `v`. */
  readonly version: unknown;
  readonly definition: JobDefinition;
}

/**
 * The definitions this process read last, so that one that did not change is neither parsed nor written again. It may be
 * out of date at any time: whoever takes one compares its revision with the one in the database, or has that done there.
 *
 * Two generations in place of a list by use: what was not asked for while the young one filled up goes with the old one.
 */
export class DefinitionCache<R = number, K extends KnownDefinition<R> = KnownDefinition<R>> {
  readonly #limit: number;
  #young = new Map<string, K>();
  #old = new Map<string, K>();

  constructor(limit: number) {
    this.#limit = Math.ceil(limit / 2);
  }

  get(id: string): K | undefined {
    const known = this.#young.get(id);
    if (known !== undefined) return known;
    const older = this.#old.get(id);
    if (older !== undefined) this.set(id, older);
    return older;
  }

  set(id: string, known: K): void {
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(id, known);
  }

  delete(id: string): void {
    this.#young.delete(id);
    this.#old.delete(id);
  }
}

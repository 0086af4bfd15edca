import type { JobRecord } from '../../model/job.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { Line } from './outbox.js';

/** A record as this node read or wrote it last. */
export interface KnownRecord {
  readonly revision: number;
  readonly record: JobRecord;
  /** The definition as it is stored. */
  readonly definition: string;
  readonly lines: readonly Line[];
  readonly high: EpochMs | null;
}

/**
 * The records this node read or wrote last. Two generations in place of a list by use: what was not asked for while the
 * young one filled up goes with the old one.
 */
export class RecordCache {
  readonly #limit: number;
  #young = new Map<string, KnownRecord>();
  #old = new Map<string, KnownRecord>();

  constructor(limit: number) {
    this.#limit = Math.ceil(limit / 2);
  }

  get(id: string): KnownRecord | undefined {
    const known = this.#young.get(id);
    if (known !== undefined) return known;
    const older = this.#old.get(id);
    if (older !== undefined) this.set(id, older);
    return older;
  }

  set(id: string, known: KnownRecord): void {
    if (this.#young.size >= this.#limit && !this.#young.has(id)) {
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

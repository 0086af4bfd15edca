import type { StoredJob } from '../../ports/job-store.js';

/**
 * A record as it is stored at its revision, with what else its row has: which may be of a process that read it otherwise.
 * Changed in place when the record is: of what is written most often there is no second one to make.
 */
export interface Entry {
  readonly seq: number;
  revision: number;
  /** Revision at which the definition was written: of jobs that were added together and have the same one, the first's. */
  readonly definitionRevision: number;
  /** `v` of the definition as it is stored. */
  readonly version: unknown;
  /** Ledger entries since they were last pruned, as far as this process knows. */
  lines: number;
  wakeAt: number | null;
  leaseAt: number | null;
  /** Length of the state as text while no run goes on. */
  room: number;
  stored: StoredJob;
}

/**
 * The records this process read or wrote last, so that a job that runs again and again is not parsed each time. It may
 * be out of date at any time: whoever takes an entry compares its revision with the one in the database.
 *
 * Two generations in place of a list by use: what was not asked for while the young one filled up goes with the old one.
 */
export class RecordCache {
  readonly #limit: number;
  #young = new Map<string, Entry>();
  #old = new Map<string, Entry>();

  constructor(limit: number) {
    this.#limit = Math.ceil(limit / 2);
  }

  /** Whether one more would make no other go. */
  get hasRoom(): boolean {
    return this.#young.size < this.#limit;
  }

  get(id: string): Entry | undefined {
    const entry = this.#young.get(id);
    if (entry !== undefined) return entry;
    const older = this.#old.get(id);
    if (older !== undefined) this.set(id, older);
    return older;
  }

  set(id: string, entry: Entry): void {
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(id, entry);
  }

  delete(id: string): void {
    this.#young.delete(id);
    this.#old.delete(id);
  }
}

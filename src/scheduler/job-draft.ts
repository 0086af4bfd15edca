import type { Decision } from '../core/draft.js';
import type { JobRecord } from '../model/job.js';
import type { LedgerEntry } from '../model/ledger.js';
import type { JobChange, StoredJob } from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';
import type { HeldJob } from './held-job.js';

/** A change to one job that must reach the store, sooner or later. */
export interface PendingWrite {
  readonly held: HeldJob;
  /** The change to the record as it is now; `undefined` when there is nothing to change any more. */
  apply(record: JobRecord, now: EpochMs): Decision | undefined;
  /** It is written. */
  written(decision: Decision): void;
  /** There was nothing to change: the record is gone, or is no longer ours to change. */
  refused(current: JobRecord | undefined): void;
}

interface Taken {
  readonly write: PendingWrite;
  readonly decision: Decision;
}

const NO_ENTRIES: readonly LedgerEntry[] = Object.freeze([]);

/** All pending writes on one job, folded into one change of it. Mostly there is one, so lists begin with one place. */
export class JobDraft {
  readonly held: HeldJob;
  readonly #stored: StoredJob | undefined;
  readonly #now: EpochMs;
  #next: JobRecord | null;
  #ledger: readonly LedgerEntry[] = NO_ENTRIES;
  #taken: Taken[] | null = null;
  #refused: PendingWrite[] | null = null;

  constructor(held: HeldJob, stored: StoredJob | undefined, now: EpochMs) {
    this.held = held;
    this.#stored = stored;
    this.#now = now;
    this.#next = stored?.record ?? null;
  }

  add(write: PendingWrite): void {
    const decision = this.#next === null ? undefined : write.apply(this.#next, this.#now);
    if (decision === undefined) {
      if (this.#refused === null) this.#refused = [write];
      else this.#refused.push(write);
      return;
    }
    if (this.#taken === null) this.#taken = [{ write, decision }];
    else this.#taken.push({ write, decision });
    this.#next = decision.next;
    this.#ledger = this.#ledger.length === 0 ? decision.ledger : [...this.#ledger, ...decision.ledger];
  }

  /** What to write, if anything. */
  get change(): JobChange | undefined {
    if (this.#stored === undefined || this.#taken === null) return undefined;
    return { id: this.held.id, expected: this.#stored.revision, next: this.#next, ledger: this.#ledger };
  }

  get hasRefusals(): boolean {
    return this.#refused !== null;
  }

  /** Every write, for another attempt. */
  get writes(): PendingWrite[] {
    return [...(this.#refused ?? []), ...(this.#taken ?? []).map(({ write }) => write)];
  }

  /** The writes the store's own record left nothing to do for. */
  refuse(): void {
    if (this.#refused === null) return;
    for (const write of this.#refused) write.refused(this.#stored?.record);
    this.#refused = null;
  }

  /** The store took the change. */
  accept(revision: StoredJob['revision']): void {
    const record = this.#next;
    this.held.stored = record === null ? null : { record, revision };
    if (this.#taken !== null) for (const { write, decision } of this.#taken) write.written(decision);
  }
}

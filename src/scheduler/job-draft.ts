import type { ActContext, Decision } from '../core/draft.js';
import type { JobRecord } from '../model/job.js';
import type { LedgerEntry } from '../model/ledger.js';
import type { JobChange, Revision } from '../ports/job-store.js';
import type { HeldJob } from './held-job.js';

/** A change to one job that must reach the store, sooner or later. */
export interface PendingWrite {
  readonly held: HeldJob;
  /** The change to the record as it is now; `undefined` when there is nothing to change any more. */
  apply(record: JobRecord, context: ActContext): Decision | undefined;
  /** It is written. */
  written(decision: Decision): void;
  /** There was nothing to change: the record is gone, or is no longer ours to change. */
  refused(current: JobRecord | undefined): void;
}

const NO_ENTRIES: readonly LedgerEntry[] = Object.freeze([]);

/** All pending writes on one job, folded into one change of it. Mostly there is one, so it has a place outside any list. */
export class JobDraft {
  readonly held: HeldJob;
  readonly #record: JobRecord | undefined;
  readonly #revision: Revision | undefined;
  #next: JobRecord | null;
  #ledger: readonly LedgerEntry[] = NO_ENTRIES;
  #write: PendingWrite | null = null;
  #decision: Decision | null = null;
  /** After the first. */
  #others: { readonly write: PendingWrite; readonly decision: Decision }[] | null = null;
  #refused: PendingWrite[] | null = null;

  /** @param record - as the store has it; `undefined` when it is gone. */
  constructor(held: HeldJob, record: JobRecord | undefined, revision: Revision | undefined) {
    this.held = held;
    this.#record = record;
    this.#revision = revision;
    this.#next = record ?? null;
  }

  add(write: PendingWrite, context: ActContext): void {
    const decision = this.#next === null ? undefined : write.apply(this.#next, context);
    if (decision === undefined) {
      if (this.#refused === null) this.#refused = [write];
      else this.#refused.push(write);
      return;
    }
    if (this.#write === null) {
      this.#write = write;
      this.#decision = decision;
    } else (this.#others ??= []).push({ write, decision });
    this.#next = decision.next;
    this.#ledger = this.#ledger.length === 0 ? decision.ledger : [...this.#ledger, ...decision.ledger];
  }

  /** What to write, if anything. */
  get change(): JobChange | undefined {
    if (this.#revision === undefined || this.#write === null) return undefined;
    return { id: this.held.id, expected: this.#revision, next: this.#next, ledger: this.#ledger };
  }

  get hasRefusals(): boolean {
    return this.#refused !== null;
  }

  /** Every write, for another attempt. */
  get writes(): PendingWrite[] {
    const taken = this.#write === null ? [] : [this.#write];
    return [...(this.#refused ?? []), ...taken, ...(this.#others ?? []).map(({ write }) => write)];
  }

  /** The writes the store's own record left nothing to do for. */
  refuse(): void {
    if (this.#refused === null) return;
    for (const write of this.#refused) write.refused(this.#record);
    this.#refused = null;
  }

  /** The store took the change. */
  accept(revision: Revision): void {
    this.held.record = this.#next;
    this.held.revision = revision;
    if (this.#write !== null && this.#decision !== null) this.#write.written(this.#decision);
    if (this.#others !== null) for (const { write, decision } of this.#others) write.written(decision);
  }
}

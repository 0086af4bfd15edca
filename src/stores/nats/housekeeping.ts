import type { Clock } from '../../ports/clock.js';
import { NO_MESSAGE } from './errors.js';
import type { JobIndex } from './job-index.js';
import type { JobTable } from './job-table.js';
import type { Link } from './link.js';
import type { Outbox } from './outbox.js';
import { findStream, problemOf, type Names } from './streams.js';

/** Records dealt with at a time. */
const PIECE = 100;
/** How long a record stays as it is after its ledger entries were written: mostly its next commit takes them out. */
const CLEAR_OWN_MS = 30_000;
/** From when on what another node has left is taken care of. */
const CLEAR_OTHERS_MS = 60_000;
/** How long a tombstone stays, so that nodes which were away for a moment hear of it. */
const TOMBSTONE_MS = 60_000;
const TOMBSTONE_OTHERS_MS = 180_000;
/** A number of the problem when a message is not there to be deleted. */
const NO_SUCH_SEQUENCE = new Set([NO_MESSAGE, 10043, 10057]);

interface Tombstone {
  readonly revision: number;
  readonly dueAt: number;
}

/** Clears away what is no longer needed: ledger entries in records at rest, and the tombstones of what was deleted. */
export class Housekeeping {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #names: Names;
  readonly #index: JobIndex;
  readonly #jobs: JobTable;
  readonly #outbox: Outbox;
  readonly #own = new Map<string, Tombstone>();
  readonly #others = new Map<string, Tombstone>();

  constructor(parts: { link: Link; clock: Clock; names: Names; index: JobIndex; jobs: JobTable; outbox: Outbox }) {
    this.#link = parts.link;
    this.#clock = parts.clock;
    this.#names = parts.names;
    this.#index = parts.index;
    this.#jobs = parts.jobs;
    this.#outbox = parts.outbox;
  }

  /** This node has deleted a record. */
  deleted(id: string, revision: number): void {
    this.#others.delete(id);
    this.#own.delete(id);
    this.#own.set(id, { revision, dueAt: this.#clock.monotonic() + TOMBSTONE_MS });
  }

  /** Some node has. If it does not clear up behind itself, another does. */
  heardOf(id: string, revision: number): void {
    if (this.#own.get(id)?.revision === revision) return;
    this.#others.delete(id);
    this.#others.set(id, { revision, dueAt: this.#clock.monotonic() + TOMBSTONE_OTHERS_MS });
  }

  /** The stream is another one, with other tombstones. */
  forget(): void {
    this.#own.clear();
    this.#others.clear();
  }

  /** Another node has cleared these away. */
  cleared(revisions: readonly number[]): void {
    const gone = new Set(revisions);
    for (const [id, { revision }] of this.#others) if (gone.has(revision)) this.#others.delete(id);
  }

  /** One piece of it. Answers whether something was done, so that there may be more. */
  async maintain(): Promise<boolean> {
    return (await this.#clearBoxes()) || (await this.#dropTombstones());
  }

  async #clearBoxes(): Promise<boolean> {
    const now = this.#clock.monotonic();
    const due: [string, number][] = [];
    for (const [id, { revision, since }] of this.#index.boxed) {
      // In order of time: those that follow are younger.
      if (now - since < CLEAR_OWN_MS || due.length === PIECE) break;
      // Those in tombstones go with these.
      if (this.#index.get(id) === undefined) continue;
      if (this.#outbox.isWritten(id, revision) || now - since >= CLEAR_OTHERS_MS) due.push([id, revision]);
    }
    await this.#outbox.settle(due.map(([id]) => id));
    await Promise.all(due.map(async ([id, revision]) => this.#jobs.clearBox(id, revision)));
    return due.length === PIECE;
  }

  async #dropTombstones(): Promise<boolean> {
    const now = this.#clock.monotonic();
    const due: [Map<string, Tombstone>, string, Tombstone][] = [];
    for (const tombstones of [this.#own, this.#others]) {
      for (const [id, tombstone] of tombstones) {
        if (tombstone.dueAt > now || due.length === PIECE) break;
        due.push([tombstones, id, tombstone]);
      }
    }
    if (due.length === 0) return false;
    await this.#outbox.settle(due.map(([, id]) => id));
    // The last message of the stream stays: that it was heard is how a node knows that it has heard everything.
    const last = (await findStream(this.#link, this.#names.jobs))?.state.last_seq ?? 0;
    const gone: number[] = [];
    await Promise.all(
      due.map(async ([tombstones, id, { revision }]) => {
        if (revision >= last) return;
        await this.#drop(revision);
        gone.push(revision);
        if (tombstones.get(id)?.revision === revision) tombstones.delete(id);
        if (this.#index.boxed.get(id)?.revision === revision) this.#index.boxed.delete(id);
        this.#outbox.dropped(id, revision);
      }),
    );
    if (gone.length > 0) this.#link.tell(`${this.#names.notices}.cleared`, JSON.stringify(gone));
    return due.length === PIECE;
  }

  /** By its number, so that nothing that was written since can be meant. */
  async #drop(seq: number): Promise<void> {
    try {
      await this.#link.api(`STREAM.MSG.DELETE.${this.#names.jobs}`, { seq, no_erase: true });
    } catch (error) {
      if (!NO_SUCH_SEQUENCE.has(problemOf(error) ?? 0)) throw error;
    }
  }
}

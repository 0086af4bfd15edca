import type { Decision } from '../core/draft.js';
import type { JobRecord } from '../model/job.js';
import type { LedgerEntry } from '../model/ledger.js';
import type { Clock } from '../ports/clock.js';
import type { JobChange, StoredJob } from '../ports/job-store.js';
import { BackOff } from './back-off.js';
import { isThenable } from './maybe-promise.js';
import type { StoreAccess } from './store-access.js';
import type { StoreHealth } from './store-health.js';

/** A change to one job that must reach the store, sooner or later. */
export interface PendingWrite {
  readonly jobId: string;
  /** The change to the record as it is now; `undefined` when there is nothing to change any more. */
  apply(record: JobRecord): Decision | undefined;
  /** It is written. */
  written(decision: Decision): void;
  /** There was nothing to change: the record is gone, or is no longer ours to change. */
  refused(current: JobRecord | undefined): void;
}

/** Conflicts in a row after which the next attempt waits a little. */
const CONFLICTS_BEFORE_WAIT = 3;

/**
 * Writes what became of runs. Changes that come up together go to the store as one batch, several on one job as one
 * change of it; a conflict is read again and repeated; a store that fails is tried again until it takes them, so the
 * result of a finished run outlives an outage.
 */
export class RunWriter {
  readonly #access: StoreAccess;
  readonly #clock: Clock;
  readonly #health: StoreHealth;
  /** The records of jobs with runs on this node as last seen. A guess: the revision decides. */
  readonly #seen: Map<string, StoredJob>;
  #queue: PendingWrite[] = [];
  #flushing = false;
  #scheduled = false;
  #stopped = false;

  constructor(access: StoreAccess, clock: Clock, health: StoreHealth, seen: Map<string, StoredJob>) {
    this.#access = access;
    this.#clock = clock;
    this.#health = health;
    this.#seen = seen;
  }

  push(write: PendingWrite): void {
    this.#queue.push(write);
    this.#schedule();
  }

  /** Writes again, first what was left when it stopped. */
  start(): void {
    this.#stopped = false;
    if (this.#queue.length > 0) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Not at once: what ends in the same turn goes into the same batch.
    queueMicrotask(() => {
      this.#scheduled = false;
      if (!this.#flushing) void this.#flush();
    });
  }

  /** Writes nothing more. */
  stop(): void {
    this.#stopped = true;
  }

  async #flush(): Promise<void> {
    // Set and cleared in the same turn as the queue is looked at: whatever is pushed later starts the next flush.
    this.#flushing = true;
    const conflicts = new BackOff(this.#access.alias);
    while (this.#queue.length > 0 && !this.#stopped) {
      const batch = this.#queue;
      this.#queue = [];
      let again: PendingWrite[];
      try {
        const answer = this.#write(batch);
        again = isThenable(answer) ? await answer : answer;
        this.#health.succeeded();
      } catch (error) {
        this.#queue = [...batch, ...this.#queue];
        await this.#wait(this.#health.failed('record runs', error));
        continue;
      }
      if (again.length === 0) {
        conflicts.reset();
        continue;
      }
      this.#queue = [...again, ...this.#queue];
      const delay = conflicts.next();
      if (conflicts.failures > CONFLICTS_BEFORE_WAIT) await this.#wait(delay);
    }
    this.#flushing = false;
  }

  /** Answers the writes that met somebody else's change and have to be repeated. */
  #write(batch: readonly PendingWrite[]): PendingWrite[] | Promise<PendingWrite[]> {
    const groups = groupByJob(batch);
    const missing = [...groups.keys()].filter((id) => !this.#seen.has(id));
    if (missing.length === 0) return this.#commit(groups, this.#seen);
    const current = new Map(this.#seen);
    const reads: PromiseLike<void>[] = [];
    for (const id of missing) {
      const answer = this.#access.get(id);
      const take = (stored: StoredJob | undefined): void => {
        if (stored !== undefined) current.set(id, stored);
      };
      if (isThenable(answer)) reads.push(answer.then(take));
      else take(answer);
    }
    if (reads.length === 0) return this.#commit(groups, current);
    return Promise.all(reads).then(() => this.#commit(groups, current));
  }

  #commit(
    groups: ReadonlyMap<string, readonly PendingWrite[]>,
    current: ReadonlyMap<string, StoredJob>,
  ): PendingWrite[] | Promise<PendingWrite[]> {
    const drafts: JobDraft[] = [];
    const again: PendingWrite[] = [];
    for (const [id, writes] of groups) {
      const stored = current.get(id);
      const draft = new JobDraft(stored, writes);
      if (draft.refused.length > 0 && this.#seen.has(id)) {
        // What we remember says no; only what the store says counts.
        this.#seen.delete(id);
        again.push(...writes);
      } else {
        drafts.push(draft);
      }
    }
    const changes = drafts.flatMap((draft) => draft.change ?? []);
    if (changes.length === 0) return settleDrafts(drafts, [], again, this.#seen);
    const answer = this.#access.commit(changes);
    if (isThenable(answer)) return answer.then((revisions) => settleDrafts(drafts, revisions, again, this.#seen));
    return settleDrafts(drafts, answer, again, this.#seen);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.setTimer(ms, resolve);
    });
  }
}

/** All writes on one job, folded into one change. */
class JobDraft {
  readonly writes: readonly PendingWrite[];
  readonly refused: PendingWrite[] = [];
  readonly taken: (readonly [PendingWrite, Decision])[] = [];
  readonly change: JobChange | undefined;
  readonly record: JobRecord | undefined;

  constructor(stored: StoredJob | undefined, writes: readonly PendingWrite[]) {
    this.writes = writes;
    this.record = stored?.record;
    let next: JobRecord | null | undefined = stored?.record;
    let ledger: LedgerEntry[] | readonly LedgerEntry[] = [];
    for (const write of writes) {
      const decision: Decision | undefined = next == null ? undefined : write.apply(next);
      if (decision === undefined) {
        this.refused.push(write);
        continue;
      }
      this.taken.push([write, decision]);
      next = decision.next;
      ledger = ledger.length === 0 ? decision.ledger : [...ledger, ...decision.ledger];
    }
    if (stored !== undefined && this.taken.length > 0) {
      this.change = { id: stored.record.id, expected: stored.revision, next: next ?? null, ledger };
    }
  }
}

function settleDrafts(
  drafts: readonly JobDraft[],
  revisions: readonly (StoredJob['revision'] | undefined)[],
  again: PendingWrite[],
  seen: Map<string, StoredJob>,
): PendingWrite[] {
  let index = 0;
  for (const draft of drafts) {
    for (const write of draft.refused) write.refused(draft.record);
    if (draft.change === undefined) continue;
    const revision = revisions[index++];
    const { id, next } = draft.change;
    if (revision === undefined) {
      seen.delete(id);
      again.push(...draft.taken.map(([write]) => write));
      continue;
    }
    if (next === null) seen.delete(id);
    else seen.set(id, { record: next, revision });
    for (const [write, decision] of draft.taken) write.written(decision);
  }
  return again;
}

function groupByJob(batch: readonly PendingWrite[]): Map<string, PendingWrite[]> {
  const groups = new Map<string, PendingWrite[]>();
  for (const write of batch) {
    const same = groups.get(write.jobId);
    if (same === undefined) groups.set(write.jobId, [write]);
    else same.push(write);
  }
  return groups;
}

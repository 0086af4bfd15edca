import type { ActContext } from '../core/draft.js';
import type { Clock } from '../ports/clock.js';
import type { JobChange, MaybePromise, Revision, StoredJob } from '../ports/job-store.js';
import { isThenable } from '../time/thenable.js';
import { BackOff } from './back-off.js';
import { BatchSize } from './batch-size.js';
import type { HeldJob } from './held-job.js';
import { JobDraft, type PendingWrite } from './job-draft.js';
import type { StoreAccess } from './store-access.js';
import type { StoreHealth } from './store-health.js';

/** Conflicts in a row after which the next attempt waits a little. */
const CONFLICTS_BEFORE_WAIT = 3;
/** Longest such wait: the results of other runs wait behind it. */
const LONGEST_CONFLICT_WAIT_MS = 250;
/** And renewals: a store is waited for no longer than a third of a lease, and of these waits several have to fit into that. */
const CONFLICT_WAITS_PER_TIMEOUT = 4;

/**
 * Writes what became of runs. Changes that come up together go to the store as one batch, several on one job as one
 * change of it; a conflict is read again and repeated; a store that fails is tried again until it takes them, so the
 * result of a finished run outlives an outage.
 */
export class RunWriter {
  readonly #access: StoreAccess;
  readonly #clock: Clock;
  readonly #health: StoreHealth;
  readonly #context: () => ActContext;
  readonly #seed: string;
  /** Of a store that answers at once: what comes up together may be thousands, and the event loop waits for all of them. */
  readonly #batch: BatchSize;
  #queue: PendingWrite[] = [];
  #flushing = false;
  #stopped = false;
  /** Ends a wait. */
  #hurry: (() => void) | undefined;
  /** The store's last answer was a promise: how many writes it gets at a time is nothing to the event loop. */
  #isWaitedFor = false;

  /** @param most - writes at a time, of a store that answers at once. */
  constructor(access: StoreAccess, clock: Clock, health: StoreHealth, context: () => ActContext, node: string, most: number) {
    this.#context = context;
    this.#seed = `${node}/${access.alias}`;
    this.#batch = new BatchSize(access.store.batchSize ?? most, most);
    this.#access = access;
    this.#clock = clock;
    this.#health = health;
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
    if (this.#flushing) return;
    this.#flushing = true;
    const flush = (): void => { void this.#flush(); };
    // Not at once: what ends in the same turn goes into the same batch. While a store works, this process shall have
    // something to do, too: what is to start goes first.
    if (this.#isWaitedFor) this.#clock.defer(() => { this.#clock.defer(flush); });
    else queueMicrotask(flush);
  }

  /** Writes nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#hurry?.();
  }

  async #flush(): Promise<void> {
    const conflicts = new BackOff(this.#seed, Math.min(LONGEST_CONFLICT_WAIT_MS, this.#access.timeoutMs / CONFLICT_WAITS_PER_TIMEOUT));
    while (this.#queue.length > 0 && !this.#stopped) {
      const batch = this.#take();
      const goesOn = this.#queue.length > 0;
      let again: readonly PendingWrite[];
      try {
        const begunAt = this.#clock.monotonic();
        const answer = this.#write(batch);
        this.#isWaitedFor = isThenable(answer);
        if (!isThenable(answer)) this.#batch.took(batch.length, this.#clock.monotonic() - begunAt);
        again = isThenable(answer) ? await answer : answer;
        this.#health.succeeded();
        if (goesOn && !this.#isWaitedFor) await this.#turn();
      } catch (error) {
        this.#queue = [...batch, ...this.#queue];
        // Not the whole back-off: once the store is back, renewals wait behind this.
        await this.#wait(Math.min(this.#health.failed('record runs', error), this.#access.timeoutMs));
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

  /** What to write next: from a store that answers at once, as much as the event loop can do without for a moment. */
  #take(): PendingWrite[] {
    const { size } = this.#batch;
    if (this.#isWaitedFor || this.#queue.length <= size) {
      const all = this.#queue;
      this.#queue = [];
      return all;
    }
    return this.#queue.splice(0, size);
  }

  /** Everything else that waits. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.defer(resolve);
    });
  }

  /** Answers the writes that met somebody else's change and have to be repeated. */
  #write(batch: readonly PendingWrite[]): MaybePromise<readonly PendingWrite[]> {
    const read = new Map<string, StoredJob | undefined>();
    const reads: PromiseLike<void>[] = [];
    for (const { held } of batch) {
      if (held.record !== null || read.has(held.id)) continue;
      read.set(held.id, undefined);
      const answer = this.#access.get(held.id);
      if (isThenable(answer)) reads.push(answer.then((stored) => void read.set(held.id, stored)));
      else read.set(held.id, answer);
    }
    if (reads.length === 0) return this.#commit(batch, read);
    return Promise.all(reads).then(() => this.#commit(batch, read));
  }

  #commit(batch: readonly PendingWrite[], read: ReadonlyMap<string, StoredJob | undefined>): MaybePromise<readonly PendingWrite[]> {
    const context = this.#context();
    const drafts: JobDraft[] = [];
    for (const write of batch) {
      const { held } = write;
      if (held.draft === null) {
        held.draft = held.record === null ? draftOf(held, read.get(held.id)) : new JobDraft(held, held.record, held.revision);
        drafts.push(held.draft);
      }
      held.draft.add(write, context);
    }
    const again: PendingWrite[] = [];
    const changes: JobChange[] = [];
    const changed: JobDraft[] = [];
    for (const draft of drafts) {
      const { held } = draft;
      held.draft = null;
      if (draft.hasRefusals && held.record !== null) {
        // What we remember says no; only what the store says counts.
        held.record = null;
        again.push(...draft.writes);
        continue;
      }
      draft.refuse();
      const { change } = draft;
      if (change !== undefined) {
        changes.push(change);
        changed.push(draft);
      }
    }
    if (changes.length === 0) return again;
    const answer = this.#access.commit(changes);
    return isThenable(answer) ? answer.then((revisions) => settle(changed, revisions, again)) : settle(changed, answer, again);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(ms, resolve);
      this.#hurry = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

function draftOf(held: HeldJob, stored: StoredJob | undefined): JobDraft {
  return new JobDraft(held, stored?.record, stored?.revision);
}

function settle(drafts: readonly JobDraft[], revisions: readonly (Revision | undefined)[], again: PendingWrite[]): PendingWrite[] {
  drafts.forEach((draft, index) => {
    const revision = revisions[index];
    if (revision === undefined) {
      draft.held.record = null;
      again.push(...draft.writes);
    } else {
      draft.accept(revision);
    }
  });
  return again;
}

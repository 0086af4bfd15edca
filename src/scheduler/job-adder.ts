import { wakeAt, type JobDefinition, type JobRecord } from '../model/job.js';
import { isWaiting } from '../model/links.js';
import type { Clock } from '../ports/clock.js';
import { ConflictingJobIdError, NeverFiresError } from '../errors/job-errors.js';
import type { JobWriter, MaybePromise, StoredJob } from '../ports/job-store.js';
import { isThenable } from '../time/thenable.js';
import { expectsOtherwise, warnOfFalseAlarms } from './expectations.js';
import type { TriggerInput } from './job.js';
import { isSpent, newJobRecord, takePlace, type Addition } from './job-directory.js';
import type { JobFactory, TaskInput } from './job-factory.js';
import type { JobOptions } from './job-options.js';
import { confirmLinks } from './links/cycles.js';
import { readDependencies } from './links/dependencies.js';
import { isLinked, linkJobs, type Linkable } from './links/linking.js';
import { mayHaveFired, withoutPast } from './past-fires.js';
import { flag } from './policy.js';
import type { Reporter } from './reporter.js';
import type { StoreLoop } from './store-loop.js';

/** Options of a job about to be added. */
export type AnyJobOptions = JobOptions & { readonly args?: readonly unknown[] | undefined };

/** Adds jobs to stores, in a transaction of the user's where there is one. */
export class JobAdder {
  readonly #node: string;
  readonly #factory: JobFactory;
  readonly #reporter: Reporter;
  readonly #clock: Clock;

  constructor(node: string, factory: JobFactory, reporter: Reporter, clock: Clock) {
    this.#clock = clock;
    this.#node = node;
    this.#factory = factory;
    this.#reporter = reporter;
  }

  /** Checks a job and makes its record. @throws as `addJob`. */
  prepare(loop: StoreLoop, task: TaskInput, trigger: TriggerInput, options: AnyJobOptions): Addition {
    const paused = flag(options.paused, 'paused');
    const replaceExisting = flag(options.replaceExisting, 'replaceExisting');
    const now = loop.now();
    const { store } = loop.access;
    const fresh = newJobRecord(this.#factory.create(task, trigger, options, store, now), paused, now);
    const remake = (anchor: number): JobDefinition => this.#factory.create(task, trigger, options, store, anchor).definition;
    return { fresh, paused, replaceExisting, remake, dependencies: readDependencies(options) };
  }

  /** Ties jobs to those they follow. Mostly they follow none, and then it costs no turn. @throws as `addJob`. */
  link(loop: StoreLoop, additions: readonly Addition[], writer: JobWriter): MaybePromise<readonly Addition[]> {
    return additions.some(isLinked) ? this.#link(loop, additions, writer) : additions;
  }

  async #link(loop: StoreLoop, additions: readonly Addition[], writer: JobWriter): Promise<readonly Addition[]> {
    const wanted: (Addition & { readonly kept?: JobRecord })[] = [];
    for (const addition of additions) {
      const existing = isLinked(addition) ? (await writer.get(addition.fresh.id))?.record : undefined;
      const isThere = existing !== undefined && existing.state.status !== 'removed';
      // Those it follows are told of no job that is refused.
      if (isThere && !addition.replaceExisting) throw new ConflictingJobIdError(existing.id);
      const isOver = addition.dependencies !== undefined && (isThere ? goesOn(existing, addition) : isSpent(await withoutPast(loop, addition.fresh)));
      const staysWaiting = isThere && isWaiting(existing.state) && isUnchanged(existing, addition);
      if (isOver) wanted.push({ ...addition, dependencies: undefined });
      else wanted.push(staysWaiting ? { ...addition, kept: existing } : addition);
    }
    const records = await linkJobs({ loop, clock: this.#clock, node: this.#node, writer }, wanted);
    return additions.map((addition, index) => ({ ...addition, fresh: records[index]! }));
  }

  /** Sees that jobs that were tied to others close no circle with what others did at the same moment. @throws DependencyCycleError */
  confirm(loop: StoreLoop, additions: readonly Linkable[], writer: JobWriter = loop.access): MaybePromise<void> {
    const linked = additions.filter(isLinked).map(({ fresh }) => fresh.id);
    return linked.length === 0 ? undefined : confirmLinks({ loop, clock: this.#clock, node: this.#node, writer }, linked);
  }

  /** Enters a job with those that another trigger follows, before it has it. @throws as `rescheduleJob`. */
  relink(loop: StoreLoop, record: JobRecord, redefine: () => JobDefinition): MaybePromise<void> {
    if (record.state.status === 'removed' || record.definition.trigger.unreadable !== undefined) return undefined;
    const definition = redefine();
    const item = { fresh: { ...record, definition }, dependencies: undefined };
    if (!isLinked(item)) return undefined;
    return linkJobs({ loop, clock: this.#clock, node: this.#node, writer: loop.access }, [item]).then(() => undefined);
  }

  /** @throws as `addJob`. */
  add(loop: StoreLoop, addition: Addition, writer: JobWriter): MaybePromise<StoredJob> {
    return mayHaveFired(loop, addition.fresh) ? this.addPast(loop, addition, writer) : this.addNew(loop, addition, writer);
  }

  /** The same for a job of which the history has nothing to say. @throws as `addJob`. */
  addNew(loop: StoreLoop, addition: Addition, writer: JobWriter): MaybePromise<StoredJob> {
    const inserted = writer.insert([addition.fresh]);
    const finish = ([stored]: Awaited<typeof inserted>): MaybePromise<StoredJob> =>
      stored === undefined ? this.settleConflict(loop, addition, writer) : this.admit(loop, stored, null, writer);
    return isThenable(inserted) ? inserted.then(finish) : finish(inserted);
  }

  /**
   * Writes it, and leaves it to the caller to admit it. `isNew`: there was no job of its id, and no run; `left`: what there was
   * of one that others follow. @throws as `addJob`.
   */
  async place(loop: StoreLoop, addition: Addition, writer: JobWriter): Promise<{ readonly stored: StoredJob; readonly isNew: boolean; readonly left: JobRecord | null }> {
    const [stored] = await writer.insert([addition.fresh]);
    if (stored !== undefined) return { stored, isNew: true, left: null };
    const placed = await takePlace(loop, addition, this.#node, writer);
    // What had its id may have gone between the insert and the look at it: then nothing of it is left.
    return { ...placed, isNew: placed.replaced === null && (placed.left === null || placed.left.state.runs.length === 0) };
  }

  /** Adds a batch, of which `each` is told one by one. @throws as `addJob`. */
  async addBatch(loop: StoreLoop, additions: readonly Addition[], writer: JobWriter, each: (index: number, stored: StoredJob) => void): Promise<void> {
    const indexes = additions.map((_, index) => index);
    const past = indexes.filter((index) => mayHaveFired(loop, additions[index]!.fresh));
    const others = past.length === 0 ? indexes : indexes.filter((index) => !past.includes(index));
    const answers = await writer.insert(others.map((index) => additions[index]!.fresh));
    const taken: number[] = [];
    others.forEach((index, i) => {
      const stored = answers[i];
      if (stored === undefined) taken.push(index);
      else each(index, this.admit(loop, stored, null, writer));
    });
    // Last, because one of them may fail the call, and what is in the store has to fire all the same.
    for (const index of taken) each(index, await this.settleConflict(loop, additions[index]!, writer));
    for (const index of past) each(index, await this.addPast(loop, additions[index]!, writer));
  }

  /** Adds a job whose first fire time has passed, unless that had its run before and nothing follows. */
  async addPast(loop: StoreLoop, addition: Addition, writer: JobWriter): Promise<StoredJob> {
    const fresh = await withoutPast(loop, addition.fresh);
    const { id } = fresh;
    if (isSpent(fresh) && !addition.paused) {
      const existing = await writer.get(id);
      if (existing !== undefined && existing.record.state.status !== 'removed') return this.settleConflict(loop, addition, writer);
      // A program that adds its jobs at each start goes on as it does with those that are still there.
      if (addition.replaceExisting) return { record: fresh, revision: 0 };
      throw new NeverFiresError(id, `its fire time ${new Date(addition.fresh.state.nextFireTime ?? 0).toISOString()} has its verdict in the history, or lies before what is left of that, and its trigger`);
    }
    const [stored] = await writer.insert([fresh]);
    return stored === undefined ? this.settleConflict(loop, { ...addition, fresh }, writer) : this.admit(loop, stored, null, writer);
  }

  async settleConflict(loop: StoreLoop, addition: Addition, writer: JobWriter): Promise<StoredJob> {
    const { stored, replaced } = await takePlace(loop, addition, this.#node, writer);
    // Somebody else may have entered it at the same moment, for another trigger.
    if (stored.record.state.links !== undefined && writer === loop.access) await loop.courier.check(stored.record.id);
    return this.admit(loop, stored, replaced, writer);
  }

  /**
   * A job was added: says so, and sees that it fires. Of one in a transaction of the user's nothing is said: whether it
   * is committed, and when, the user knows.
   */
  admit(loop: StoreLoop, stored: StoredJob, replaced: JobRecord | null, writer: JobWriter): StoredJob {
    const { record } = stored;
    // A program that adds its jobs at each start is told when it says something else, and not each time.
    if (replaced === null || expectsOtherwise(replaced, record)) warnOfFalseAlarms(this.#reporter, record, loop.access.alias, loop.now());
    if (writer === loop.access) this.#begin(loop, record, replaced !== null);
    else loop.expectCommit();
    return stored;
  }

  announce(loop: StoreLoop, record: JobRecord, replaced: boolean): void {
    warnOfFalseAlarms(this.#reporter, record, loop.access.alias, loop.now());
    this.#begin(loop, record, replaced);
  }

  #begin(loop: StoreLoop, record: JobRecord, replaced: boolean): void {
    if (this.#reporter.wants('jobAdded')) {
      this.#reporter.job(record, loop.access.alias, { type: 'jobAdded', nextRunTime: record.state.nextFireTime, replaced });
    }
    loop.expect(wakeAt(record));
    void loop.nodeJobs?.tell(record, record);
  }
}

/** Whether a job that is added again has begun, and stays at its place: what it had to wait for may be forgotten by now. */
function goesOn(record: JobRecord, addition: Addition): boolean {
  return !isWaiting(record.state) && isUnchanged(record, addition);
}

/** Whether it keeps its place in its schedule when it is added again. */
function isUnchanged({ definition, state }: JobRecord, { remake }: Addition): boolean {
  if (state.status === 'quarantined') return false;
  return JSON.stringify(remake(definition.anchor).trigger) === JSON.stringify(definition.trigger);
}

import { SchedulerBase } from './scheduler-base.js';
import type { Decision } from '../core/draft.js';
import { awaitsStart } from '../core/settle.js';
import { pauseJob, removeJob, requestRun, rescheduleJob, resumeJob, retryQuarantined, modifyJob } from '../core/edit.js';
import { nextFire } from '../core/fires.js';
import { InvalidOptionError } from '../errors/errors.js';
import { JobNotFoundError, NeverFiresError } from '../errors/job-errors.js';
import { InvalidStateError } from '../errors/scheduler-errors.js';
import { wakeAt, type JobDefinition, type JobRecord } from '../model/job.js';
import type { Revision, StoredJob } from '../ports/job-store.js';
import { Job, type ChangeOptions, type JobOperations, type JobSelector, type RunJobOptions, type TriggerInput } from './job.js';
import { changeJob, type JobChangeResult } from './job-changes.js';
import { isSpent, newJobRecord, takePlace, VISIBLE, type Addition, type JobListQuery } from './job-directory.js';
import { checkTags, type TaskInput } from './job-factory.js';
import type { AddJobRest, JobChanges, JobOptions, JobPolicyOptions } from './job-options.js';
import { listRuns, verifyLedger, withCursor, type LedgerReport, type RunQuery, type RunReports } from './ledger-view.js';
import { isThenable } from './maybe-promise.js';
import type { SchedulerOptions, Wiring } from './options.js';
import { refuseUnknownKeys, requireObject } from '../errors/options.js';
import { flag, nonEmpty, oneOf, whole } from './policy.js';
import { awaitElsewhere, type RunHandle } from './run-handles.js';
import type { StoreLoop } from './store-loop.js';
import type { TaskMap, TaskShapes, TaskRef } from './tasks.js';

/** One of many jobs for `addJobs`. */
export type JobSpec = JobOptions & {
  readonly task: TaskInput;
  readonly trigger: TriggerInput;
  readonly args?: readonly unknown[] | undefined;
};

type AnyJobOptions = JobOptions & { readonly args?: readonly unknown[] | undefined };
/** The arguments of a task. */
export type ArgsOf<F> = F extends (...args: infer A) => unknown ? A : never;

const QUERY_KEYS: readonly (keyof JobListQuery)[] = ['tags', 'task', 'status', 'text', 'jobStore', 'limit', 'cursor'];
const PAGE = 1_000;

/** Jobs, and where the next page begins when there is one. */
export type JobList = Job[] & { readonly nextCursor: string | null };

/**
 * Schedules jobs. The face of the package is its subclass `AsyncScheduler`, which brings the default parts.
 *
 * @typeParam T - the tasks given to the constructor, from which `addJob` knows the arguments.
 */
export class Scheduler<T extends TaskShapes = TaskMap> extends SchedulerBase implements JobOperations {
  /** @internal */
  protected constructor(options: SchedulerOptions<T>, wiring: Wiring) {
    super(options as SchedulerOptions, wiring);
  }

  // ── tasks ─────────────────────────────────────────────────────────────────

  /**
   * Registers a task under a name that jobs refer to, in this process and in the next.
   *
   * @param defaults - policies of its jobs that say nothing themselves.
   * @returns a reference that `addJob` takes in place of the name, and that knows the types of the arguments.
   * @throws InvalidOptionError on a bad name or default, and when another function has the name.
   */
  defineTask<A extends unknown[]>(name: string, fn: (...args: A) => unknown, defaults?: JobPolicyOptions): TaskRef<A> {
    if (defaults?.executor !== undefined) this.executors.require(defaults.executor);
    const task = this.tasks.define(name, fn, defaults);
    for (const loop of this.directory.loops) loop.wake();
    return { name: task.name };
  }

  // ── jobs ──────────────────────────────────────────────────────────────────

  /**
   * Adds a job: a task, when it fires, and how. It may be added before `start()`.
   *
   * @param task - a bare function (not in a durable store), the name of a task, or what `defineTask` answered.
   * @param trigger - a trigger, a cron expression in the scheduler's time zone, or one instant.
   * @throws InvalidOptionError, InvalidTriggerError, UnknownTaskError, UnknownStoreError, UnknownExecutorError,
   * ConflictingJobIdError, NeverFiresError, JobUnstorableError, StoreFailedError. Nothing was changed then.
   */
  addJob<N extends Extract<keyof T, string>>(task: N, trigger: TriggerInput, ...rest: AddJobRest<ArgsOf<T[N]>>): Promise<Job>;
  addJob<A extends unknown[]>(task: TaskRef<A>, trigger: TriggerInput, ...rest: AddJobRest<NoInfer<A>>): Promise<Job>;
  addJob<A extends unknown[]>(task: (...args: A) => unknown, trigger: TriggerInput, ...rest: AddJobRest<A>): Promise<Job>;
  async addJob(task: TaskInput, trigger: TriggerInput, options: AnyJobOptions = {}): Promise<Job> {
    requireObject(options, 'options');
    const loop = this.directory.require(options.jobStore ?? 'default');
    const opening = loop.open(this.context());
    if (isThenable(opening)) await opening;
    const addition = this.#prepare(loop, task, trigger, options);
    const inserted = loop.access.insert([addition.fresh]);
    const [stored] = isThenable(inserted) ? await inserted : inserted;
    return stored === undefined ? this.#settleConflict(loop, addition) : this.#admit(loop, stored, false);
  }

  /**
   * Adds many jobs, in one batch per store. All are checked before the first is added; an id that is taken fails the
   * call unless `replaceExisting` says otherwise, and jobs that were added by then stay added.
   *
   * @throws as `addJob`.
   */
  async addJobs(specs: readonly JobSpec[]): Promise<Job[]> {
    if (!isArray(specs)) throw new InvalidOptionError('jobs', specs, 'an array of jobs, each with task and trigger');
    const additions: Addition[] = [];
    const byLoop = new Map<StoreLoop, number[]>();
    for (const spec of specs) {
      requireObject(spec, 'a job');
      const { task, trigger, ...options } = spec;
      const loop = this.directory.require(options.jobStore ?? 'default');
      const opening = loop.open(this.context());
      if (isThenable(opening)) await opening;
      const own = byLoop.get(loop);
      if (own === undefined) byLoop.set(loop, [additions.length]);
      else own.push(additions.length);
      additions.push(this.#prepare(loop, task, trigger, options));
    }
    const jobs = new Array<Job>(additions.length);
    for (const [loop, indexes] of byLoop) {
      for (let at = 0; at < indexes.length; at += PAGE) {
        const batch = indexes.slice(at, at + PAGE);
        const answers = await loop.access.insert(batch.map((index) => additions[index]!.fresh));
        const taken: number[] = [];
        batch.forEach((index, i) => {
          const stored = answers[i];
          if (stored === undefined) taken.push(index);
          else jobs[index] = this.#admit(loop, stored, false);
        });
        // Last, because one of them may fail the call, and what is in the store has to fire all the same.
        for (const index of taken) jobs[index] = await this.#settleConflict(loop, additions[index]!);
      }
    }
    return jobs;
  }

  /** The job with this id, or `undefined`. */
  async getJob(id: string, options: JobSelector = {}): Promise<Job | undefined> {
    checkSelector(id, options, ['jobStore']);
    const loops = options.jobStore === undefined ? this.directory.loops : [this.directory.require(options.jobStore)];
    for (const loop of loops) {
      await loop.open(this.context());
      const stored = await loop.access.get(id);
      if (stored !== undefined && stored.record.state.status !== 'removed') return new Job(this, loop.access.alias, stored);
    }
    return undefined;
  }

  /** The jobs that match, in order of store and id. @throws InvalidOptionError, UnknownStoreError */
  async getJobs(query: JobListQuery = {}): Promise<JobList> {
    refuseUnknownKeys(query, '', QUERY_KEYS);
    const limit = query.limit === undefined ? Number.POSITIVE_INFINITY : whole(query.limit, 'limit', 1);
    const [fromStore, fromId] = readCursor(query.cursor);
    if (fromStore !== undefined && !this.directory.has(fromStore)) throw badCursor(query.cursor);
    const statuses = query.status === undefined ? VISIBLE : [query.status].flat().map((status) => oneOf(status, 'status', VISIBLE));
    const tags = query.tags === undefined ? undefined : checkTags(query.tags);
    const task = query.task === undefined ? undefined : nonEmpty(query.task, 'task');
    const text = query.text === undefined || query.text === '' ? undefined : nonEmpty(query.text, 'text');
    const jobs: Job[] = [];
    let reached = fromStore === undefined;
    for (const loop of query.jobStore === undefined ? this.directory.loops : [this.directory.require(query.jobStore)]) {
      const { alias } = loop.access;
      const isFirst = !reached && alias === fromStore;
      reached ||= isFirst;
      if (!reached) continue;
      await loop.open(this.context());
      let after: string | undefined = isFirst ? fromId : undefined;
      do {
        const room = Math.min(PAGE, limit - jobs.length);
        if (room === 0) return withCursor(jobs, cursorAfter(jobs));
        const page = await loop.access.list({ tags, task, text, statuses, after, limit: room });
        for (const stored of page.jobs) jobs.push(new Job(this, alias, stored));
        after = page.nextCursor ?? undefined;
      } while (after !== undefined);
    }
    return withCursor(jobs, null);
  }

  /**
   * Stops a job from firing; its place in the schedule is kept. Once this has resolved, no new run of it starts
   * anywhere (a run asked for with `runJob` does). What runs goes on. @throws JobNotFoundError
   */
  async pauseJob(id: string, options: JobSelector = {}): Promise<Job> {
    checkSelector(id, options, ['jobStore']);
    const { loop, result } = await this.#change(id, options, (record, context) => pauseJob(record, null, context));
    if (result.decision !== undefined) this.reporter.job(result.record, loop.access.alias, { type: 'jobPaused', reason: null });
    return this.#handle(loop, result);
  }

  /**
   * Lets a paused job fire again. What came up in the meantime is skipped, or, with `catchUp`, dealt with by the job's
   * misfire and coalesce policies.
   *
   * @returns the job; `undefined` when nothing was left of its schedule, and it is complete.
   * @throws JobNotFoundError; NeverFiresError for a job parked on a schedule that never fires.
   */
  async resumeJob(id: string, options: JobSelector & { readonly catchUp?: boolean | undefined } = {}): Promise<Job | undefined> {
    checkSelector(id, options, ['jobStore', 'catchUp']);
    const catchUp = flag(options.catchUp, 'catchUp');
    const { loop, result } = await this.#change(id, options, (record, context) => {
      const decision = resumeJob(record, catchUp, context);
      if (decision?.next === null && record.state.firstFireTime === null) {
        throw new NeverFiresError(id, `${record.definition.trigger.kind} trigger ${JSON.stringify(record.definition.trigger)}`);
      }
      return decision;
    });
    if (result.decision !== undefined) {
      const nextRunTime = result.decision.next?.state.nextFireTime ?? null;
      this.reporter.job(result.record, loop.access.alias, { type: 'jobResumed', nextRunTime });
    }
    return result.stored === undefined ? undefined : this.#handle(loop, result);
  }

  /**
   * Changes arguments, name, tags, metadata or policies of a job, and nothing else of it; runs that go on keep what they
   * were started with.
   *
   * @throws InvalidOptionError, JobNotFoundError; JobChangedError when `ifRevision` no longer holds; NeverFiresError when
   * the change would leave nothing to fire.
   */
  async modifyJob(id: string, changes: JobChanges, options: ChangeOptions = {}): Promise<Job> {
    checkSelector(id, options, ['jobStore', 'ifRevision']);
    let changed: readonly string[] = [];
    const { loop, result } = await this.#change(id, options, (record, context, { access }) => {
      const made = this.factory.modify(record, changes, access.store.durable);
      ({ changed } = made);
      if (changed.length === 0) return undefined;
      const decision = modifyJob(record, made.definition, context);
      const { next } = decision;
      // To end a job, it is removed; a change of its policies that leaves nothing of it is most likely a mistake.
      if (next === null || (next.state.status === 'active' && isSpent(next))) throw new NeverFiresError(id, `with ${changed.join(', ')} changed, it`);
      return decision;
    });
    this.#modified(loop, result, changed);
    return this.#handle(loop, result);
  }

  /** Puts a job on another schedule, which begins now. @throws InvalidTriggerError, JobNotFoundError, NeverFiresError, JobChangedError */
  async rescheduleJob(id: string, trigger: TriggerInput, options: ChangeOptions = {}): Promise<Job> {
    checkSelector(id, options, ['jobStore', 'ifRevision']);
    const { loop, result } = await this.#change(id, options, (record, context) => {
      const definition = this.factory.reschedule(record, trigger, context.now);
      const decision = rescheduleJob(record, definition, context);
      if (decision.next?.state.nextFireTime === null && record.state.status !== 'paused' && !awaitsStart(definition)) {
        throw new NeverFiresError(id, `${definition.trigger.kind} trigger ${JSON.stringify(definition.trigger)}`);
      }
      return decision;
    });
    this.#modified(loop, result, ['trigger']);
    return this.#handle(loop, result);
  }

  /** Removes a job. Once this has resolved, no new run of it starts anywhere; what runs goes on. @throws JobNotFoundError */
  async removeJob(id: string, options: JobSelector = {}): Promise<void> {
    checkSelector(id, options, ['jobStore']);
    const { loop, result } = await this.#change(id, options, removeJob);
    this.reporter.job(result.record, loop.access.alias, { type: 'jobRemoved', reason: 'requested' });
  }

  /** Removes every job of a store, or of all stores. Answers how many. */
  async removeAllJobs(options: JobSelector = {}): Promise<number> {
    refuseUnknownKeys(options, '', ['jobStore']);
    let count = 0;
    for (const job of await this.getJobs(options)) {
      try {
        await this.removeJob(job.id, { jobStore: job.jobStore });
        count += 1;
      } catch (error) {
        if (!(error instanceof JobNotFoundError)) throw error; // it completed in the meantime
      }
    }
    this.reporter.scheduler({ type: 'allJobsRemoved', jobStore: options.jobStore ?? null, count });
    return count;
  }

  /**
   * Runs a job now, beside its schedule and even if it is paused. It takes a slot of `maxInstances`, and waits for one
   * if none is free.
   *
   * @throws JobNotFoundError, InvalidOptionError; InvalidStateError for a job in quarantine.
   */
  async runJob(id: string, options: RunJobOptions = {}): Promise<RunHandle> {
    checkSelector(id, options, ['jobStore', 'args']);
    const { args } = options;
    if (args !== undefined && !isArray(args)) throw new InvalidOptionError('args', args, 'an array of arguments');
    let handle: RunHandle | undefined;
    try {
      const { loop } = await this.#change(id, options, (record, context) => {
        if (record.state.status === 'quarantined') {
          throw new InvalidStateError(`Job "${id}" is in quarantine (${record.state.reason ?? 'unknown reason'}). Mend it, then call retryQuarantined("${id}").`);
        }
        const requested = requestRun(record, args === undefined ? null : Object.freeze([...args]), context);
        // Before the write, because the run may be over by the time it returns.
        if (handle !== undefined) this.handles.discard(handle.runId);
        handle = this.handles.create(id, requested.id);
        return requested.decision;
      });
      if (loop.access.store.shared && handle !== undefined) awaitElsewhere(this.handles, loop, this.options.clock, handle.runId);
    } catch (error) {
      if (handle !== undefined) this.handles.discard(handle.runId);
      throw error;
    }
    return handle as unknown as RunHandle;
  }

  /** Puts a job from quarantine back to work. @throws JobNotFoundError, InvalidStateError, and what its trigger throws. */
  async retryQuarantined(id: string, options: JobSelector = {}): Promise<Job> {
    checkSelector(id, options, ['jobStore']);
    const { loop, result } = await this.#change(id, options, (record, context) => {
      const decision = retryQuarantined(record, context);
      if (decision === undefined) throw new InvalidStateError(`Job "${id}" is not in quarantine; it is ${record.state.status}.`);
      return decision;
    });
    this.#modified(loop, result, ['status']);
    return this.#handle(loop, result);
  }

  /** The next fire times of a job, without jitter. Fewer than `count` when its schedule ends. @throws JobNotFoundError */
  async nextRunTimes(id: string, count = 1, options: JobSelector = {}): Promise<Date[]> {
    checkSelector(id, options, ['jobStore']);
    whole(count, 'count', 1, 100_000);
    const loop = await this.directory.locate(id, options.jobStore);
    await loop.open(this.context());
    const stored = await loop.access.get(id);
    if (stored === undefined || stored.record.state.status === 'removed') throw new JobNotFoundError(id, options.jobStore);
    const { definition, state } = stored.record;
    const left = definition.policy.maxRuns === null ? count : Math.min(count, definition.policy.maxRuns - state.runCount);
    const times: Date[] = [];
    for (let at = state.nextFireTime; at !== null && times.length < left; at = nextFire(definition, at)) times.push(new Date(at));
    return times;
  }

  // ── history ───────────────────────────────────────────────────────────────

  /** The history: one line per fire time, or per range of fire times, that has its verdict. */
  async getRuns(query: RunQuery = {}): Promise<RunReports> {
    const loop = this.directory.require(query.jobStore ?? 'default');
    await loop.open(this.context());
    return listRuns(loop, query, this.options.timezone);
  }

  /** Checks that the history adds up: every fire time of an active job has exactly one verdict, or a live run. */
  async verifyLedger(query: { readonly jobId?: string | undefined; readonly jobStore?: string | undefined } = {}): Promise<LedgerReport> {
    refuseUnknownKeys(query, '', ['jobId', 'jobStore']);
    const loop = this.directory.require(query.jobStore ?? 'default');
    await loop.open(this.context());
    return verifyLedger(loop, query.jobId);
  }

  // ── inside ────────────────────────────────────────────────────────────────

  async #change(
    id: string,
    options: { readonly jobStore?: string | undefined; readonly ifRevision?: Revision | undefined },
    change: (record: JobRecord, context: { readonly now: number; readonly node: string }, loop: StoreLoop) => Decision | undefined,
  ): Promise<{ loop: StoreLoop; result: JobChangeResult }> {
    for (const loop of options.jobStore === undefined ? this.directory.loops : [this.directory.require(options.jobStore)]) {
      const opening = loop.open(this.context());
      if (isThenable(opening)) await opening;
    }
    const loop = await this.directory.locate(id, options.jobStore);
    const result = await changeJob(loop, this.options.clock, id, options.ifRevision, (record) =>
      change(record, { now: loop.now(), node: this.node }, loop),
    );
    return { loop, result };
  }

  #handle(loop: StoreLoop, result: JobChangeResult): Job {
    if (result.stored === undefined) throw new JobNotFoundError(result.record.id, loop.access.alias);
    return new Job(this, loop.access.alias, result.stored);
  }

  #prepare(loop: StoreLoop, task: TaskInput, trigger: TriggerInput, options: AnyJobOptions): Addition {
    const paused = flag(options.paused, 'paused');
    const replaceExisting = flag(options.replaceExisting, 'replaceExisting');
    const now = loop.now();
    const { durable } = loop.access.store;
    const fresh = newJobRecord(this.factory.create(task, trigger, options, durable, now), paused, now);
    const remake = (anchor: number): JobDefinition => this.factory.create(task, trigger, options, durable, anchor).definition;
    return { fresh, paused, replaceExisting, remake };
  }

  async #settleConflict(loop: StoreLoop, addition: Addition): Promise<Job> {
    const { stored, replaced } = await takePlace(loop, addition, this.node);
    return this.#admit(loop, stored, replaced);
  }

  /** A job was added: say so, and see that it fires. */
  #admit(loop: StoreLoop, stored: StoredJob, replaced: boolean): Job {
    const { record } = stored;
    const { alias } = loop.access;
    if (this.reporter.wants('jobAdded')) {
      this.reporter.job(record, alias, { type: 'jobAdded', nextRunTime: record.state.nextFireTime, replaced });
    }
    loop.expect(wakeAt(record));
    return new Job(this, alias, stored);
  }

  #modified(loop: StoreLoop, result: JobChangeResult, changed: readonly string[]): void {
    if (result.decision === undefined) return;
    const nextRunTime = result.record.state.nextFireTime;
    this.reporter.job(result.record, loop.access.alias, { type: 'jobModified', changed, nextRunTime });
  }
}

function checkSelector(id: unknown, options: object, keys: readonly string[]): void {
  nonEmpty(id, 'id');
  refuseUnknownKeys(options, '', keys);
}

function cursorAfter(jobs: readonly Job[]): string | null {
  const last = jobs.at(-1);
  return last === undefined ? null : JSON.stringify([last.jobStore, last.id]);
}

function readCursor(cursor: string | undefined): [string?, string?] {
  if (cursor === undefined) return [];
  try {
    const parsed: unknown = JSON.parse(cursor);
    if (Array.isArray(parsed) && parsed.length === 2 && parsed.every((part) => typeof part === 'string')) return parsed as [string, string];
  } catch {
    // said below
  }
  throw badCursor(cursor);
}

function badCursor(cursor: unknown): InvalidOptionError {
  return new InvalidOptionError('cursor', cursor, 'the nextCursor of an earlier page');
}

function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

import { BulkFace } from './bulk-face.js';
import { nodeDefinition } from '../core/each-node.js';
import { pauseJob, removeJob, rescheduleJob, resumeJob, retryQuarantined, modifyJob } from '../core/edit.js';
import { nextFire } from '../core/fires.js';
import { InvalidOptionError } from '../errors/errors.js';
import { JobNotFoundError, NeverFiresError } from '../errors/job-errors.js';
import { InvalidStateError } from '../errors/scheduler-errors.js';
import type { JobWriter } from '../ports/job-store.js';
import type { ChangeOptions, Job, JobOperations, JobSelector, RemoveJobOptions, TriggerInput } from './job.js';
import type { AnyJobOptions } from './job-adder.js';
import { asking, checkSelector, hasNoFireTime, isGone, isSpent, type Addition, type JobListQuery } from './job-directory.js';
import { checkKeys, SPEC_KEYS, type TaskInput } from './job-factory.js';
import { listJobs } from './job-list.js';
import type { AddJobRest, InTransaction, JobChanges, JobOptions } from './job-options.js';
import { withCursor } from './ledger-view.js';
import { refuseReturn } from './links/cycles.js';
import { refuseFollowedOnEachNode } from './links/linking.js';
import type { SchedulerOptions, Wiring } from './options.js';
import { refuseUnknownKeys, requireObject } from '../errors/options.js';
import { isThenable } from '../time/thenable.js';
import { flag, isArray, whole } from './policy.js';
import { enqueue, type EnqueueRest, type AnyEnqueueOptions } from './enqueue.js';
import type { RunHandle } from './run-handles.js';
import type { StoreLoop } from './store-loop.js';
import { requireReadable } from './unreadable.js';
import type { TaskArguments, TaskResult } from './task-face.js';
import type { AnyTasks, TaskMap, TaskRef, TaskShapes } from './tasks.js';

/** One of many jobs for `addJobs`. */
export type JobSpec = JobOptions & {
  readonly task: TaskInput;
  readonly trigger: TriggerInput;
  readonly args?: readonly unknown[] | undefined;
};

const PAGE = 1_000;

/** Jobs, and where the next page begins when there is one. */
export type JobList = Job[] & { readonly nextCursor: string | null };

/**
 * Schedules jobs. The face of the package is its subclass `AsyncScheduler`, which brings the default parts.
 *
 * @typeParam T - the tasks given to the constructor, from which `addJob` knows the arguments.
 */
export class Scheduler<T extends TaskShapes = AnyTasks> extends BulkFace implements JobOperations {
  /** @internal */
  protected constructor(options: SchedulerOptions<T>, wiring: Wiring) {
    super(options as SchedulerOptions<TaskMap>, wiring);
  }

  /** @internal */
  protected override get operations(): JobOperations {
    return this;
  }

  // ── jobs ──────────────────────────────────────────────────────────────────

  /**
   * Adds a job: a task, when it fires, and how. It may be added before `start()`.
   *
   * With the option `client`, the job is added in a transaction that you began on it: it is there when you commit, and
   * not if you roll back. No `jobAdded` is published for it. A database error (`error.cause`) ends the transaction.
   *
   * @param task - a bare function (not in a durable store), the name of a task, or what `defineTask` answered.
   * @param trigger - a trigger, a cron expression in the scheduler's time zone, or one instant.
   * @throws InvalidOptionError, InvalidTriggerError, UnknownTaskError, UnknownStoreError, UnknownExecutorError,
   * ConflictingJobIdError, NeverFiresError, JobUnstorableError, UnknownDependencyError, DependencyCycleError,
   * StoreFailedError. Nothing was changed then.
   */
  addJob<K extends Extract<keyof T, string> | TaskRef | ((...args: never[]) => unknown)>(task: K, trigger: TriggerInput, ...rest: AddJobRest<TaskArguments<K, T>>): Promise<Job<TaskResult<K, T>>>;
  async addJob(task: TaskInput, trigger: TriggerInput, options: AnyJobOptions & InTransaction = {}): Promise<Job> {
    requireObject(options, 'options');
    const loop = this.directory.require(options.jobStore ?? 'default');
    const opening = loop.open(this.context());
    if (isThenable(opening)) await opening;
    const { client, ...given } = options;
    const writer = client === undefined ? loop.access : loop.access.within(client);
    const addition = this.adder.prepare(loop, task, trigger, given);
    const checking = this.tasks.check(addition.fresh.definition);
    if (isThenable(checking)) await checking;
    const linking = this.adder.link(loop, [addition], writer);
    const [linked = addition] = isThenable(linking) ? await linking : linking;
    const adding = this.adder.add(loop, linked, writer);
    const added = isThenable(adding) ? await adding : adding;
    const confirming = this.adder.confirm(loop, [addition], writer);
    if (isThenable(confirming)) await confirming;
    return this.show(loop, added);
  }

  /**
   * Adds many jobs, in one batch per store. All are checked before the first is added; an id that is taken fails the
   * call unless `replaceExisting` says otherwise, and jobs that were added by then stay added (with `client`: until you
   * roll back).
   *
   * @throws as `addJob`.
   */
  async addJobs(specs: readonly JobSpec[], { client, ...rest }: InTransaction = {}): Promise<Job[]> {
    if (!isArray(specs)) throw new InvalidOptionError('jobs', specs, 'an array of jobs, each with task and trigger');
    refuseUnknownKeys(rest, '', ['client']);
    const additions: Addition[] = [];
    const batches = new Map<StoreLoop, { writer: JobWriter; indexes: number[] }>();
    for (const spec of specs) {
      requireObject(spec, 'a job');
      checkKeys(spec, SPEC_KEYS);
      const { task, trigger, ...options } = spec;
      const loop = this.directory.require(options.jobStore ?? 'default');
      const opening = loop.open(this.context());
      if (isThenable(opening)) await opening;
      const own = batches.get(loop);
      if (own === undefined) batches.set(loop, { writer: client === undefined ? loop.access : loop.access.within(client), indexes: [additions.length] });
      else own.indexes.push(additions.length);
      const addition = this.adder.prepare(loop, task, trigger, options);
      const checking = this.tasks.check(addition.fresh.definition);
      if (isThenable(checking)) await checking;
      additions.push(addition);
    }
    const added = new Array<Promise<Job>>(additions.length);
    for (const [loop, { writer, indexes }] of batches) {
      const linking = this.adder.link(loop, indexes.map((index) => additions[index]!), writer);
      (isThenable(linking) ? await linking : linking).forEach((linked, i) => { additions[indexes[i]!] = linked; });
    }
    for (const [loop, { writer, indexes }] of batches) {
      for (let at = 0; at < indexes.length; at += PAGE) {
        const batch = indexes.slice(at, at + PAGE);
        await this.adder.addBatch(loop, batch.map((index) => additions[index]!), writer, (i, stored) => {
          added[batch[i]!] = Promise.resolve(this.show(loop, stored));
        });
      }
      await this.adder.confirm(loop, indexes.map((index) => additions[index]!), writer);
    }
    return Promise.all(added);
  }

  /**
   * Runs a task once, without a schedule: now, after a `delay`, or `at` an instant. Retries, timeouts, priorities and all
   * other policies are those of any job, and in a shared store any node may run it. The handle's `result()` is the task's.
   *
   * An `id` makes it happen once, however many processes ask for it at a time: while a job with that id waits or runs, or the
   * history has its run, nothing is added, and the handle is that of the run there is. What the store has dropped from its
   * history (`ledger` of the store) may be asked for again.
   *
   * @throws as `addJob`; ConflictingJobIdError when a job with that id is something else than this task, run once.
   * @example
   * ```ts
   * const run = await scheduler.enqueue('welcome', { args: ['ada@example.com'], delay: { minutes: 5 }, retry: 3 });
   * console.log(await run.result());
   * ```
   */
  enqueue<K extends Extract<keyof T, string> | TaskRef | ((...args: never[]) => unknown)>(task: K, ...rest: EnqueueRest<TaskArguments<K, T>>): Promise<RunHandle<TaskResult<K, T>>>;
  async enqueue(task: TaskInput, options: AnyEnqueueOptions = {}): Promise<RunHandle> {
    requireObject(options, 'options');
    const loop = this.directory.require(options.jobStore ?? 'default');
    await loop.open(this.context());
    const { adder, handles, codec, tasks } = this;
    return enqueue({ loop, adder, handles, codec, clock: this.options.clock, check: (definition) => tasks.check(definition) }, task, options);
  }

  /** The job with this id, or `undefined`. */
  async getJob(id: string, options: JobSelector = {}): Promise<Job | undefined> {
    checkSelector(id, options, ['jobStore']);
    const loops = options.jobStore === undefined ? this.directory.loops : [this.directory.require(options.jobStore)];
    for (const loop of loops) {
      await loop.open(this.context());
      const stored = await loop.access.get(id);
      if (stored !== undefined && stored.record.state.status !== 'removed') return this.show(loop, stored);
    }
    return undefined;
  }

  /** The jobs that match, in order of store and id. @throws InvalidOptionError, UnknownStoreError */
  async getJobs(query: JobListQuery = {}): Promise<JobList> {
    const { jobs, nextCursor } = await listJobs(this.directory, this.context(), query);
    return withCursor(await Promise.all(jobs.map(async ({ alias, stored }) => this.show(this.directory.require(alias), stored))), nextCursor);
  }

  /**
   * Stops a job from firing; its place in the schedule is kept. Once this has resolved, no new run of it starts
   * anywhere (a run asked for with `runJob` does). What runs goes on. @throws JobNotFoundError
   */
  async pauseJob(id: string, options: JobSelector = {}): Promise<Job> {
    checkSelector(id, options, ['jobStore']);
    const { loop, result } = await this.change(id, options, (record, context) => pauseJob(record, null, context));
    if (result.decision !== undefined) this.reporter.job(result.record, loop.access.alias, { type: 'jobPaused', reason: null });
    return this.handle(loop, result);
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
    const { loop, result } = await this.change(id, options, (record, context) => {
      if (catchUp && nodeDefinition(record.definition) !== undefined) {
        throw new InvalidOptionError('catchUp', catchUp, 'false', `Each node runs job "${id}" by itself, and skips what came up while it was paused.`);
      }
      const decision = resumeJob(record, catchUp, context);
      if (decision !== undefined && isGone(decision.next) && record.state.firstFireTime === null) {
        throw new NeverFiresError(id, `${record.definition.trigger.kind} trigger ${JSON.stringify(record.definition.trigger)}`);
      }
      return decision;
    });
    if (result.decision !== undefined) {
      const nextRunTime = result.decision.next?.state.nextFireTime ?? null;
      this.reporter.job(result.record, loop.access.alias, { type: 'jobResumed', nextRunTime });
    }
    return isGone(result.stored?.record) ? undefined : this.handle(loop, result);
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
    const { loop, result } = await this.change(id, options, (record, context, { access }) => {
      requireReadable(record, this.codec);
      const made = this.factory.modify(record, changes, access.store);
      ({ changed } = made);
      if (changed.length === 0) return undefined;
      refuseFollowedOnEachNode(record, made.definition);
      const decision = modifyJob(record, made.definition, context);
      const { next } = decision;
      // To end a job, it is removed; a change of its policies that leaves nothing of it is most likely a mistake.
      if (isGone(next) || (next.state.status === 'active' && isSpent(next))) throw new NeverFiresError(id, `with ${changed.join(', ')} changed, it`);
      return decision;
    }, (record) => this.factory.checkChanges(record, changes));
    this.modified(loop, result, changed);
    return this.handle(loop, result);
  }

  /** Puts a job on another schedule, which begins now. @throws InvalidTriggerError, JobNotFoundError, NeverFiresError, JobChangedError, UnknownDependencyError, DependencyCycleError */
  async rescheduleJob(id: string, trigger: TriggerInput, options: ChangeOptions = {}): Promise<Job> {
    checkSelector(id, options, ['jobStore', 'ifRevision']);
    const { loop, result } = await this.change(id, options, (record, context) => {
      requireReadable(record, this.codec);
      const definition = this.factory.reschedule(record, trigger, context.now);
      const decision = asking(definition, () => rescheduleJob(record, definition, context));
      const { next } = decision;
      if (next !== null && record.state.status !== 'paused' && asking(definition, () => hasNoFireTime(next))) {
        throw new NeverFiresError(id, `${definition.trigger.kind} trigger ${JSON.stringify(definition.trigger)}`);
      }
      return decision;
    }, (record, of) => this.adder.relink(of, record, () => this.factory.reschedule(record, trigger, of.now())));
    this.modified(loop, result, ['trigger']);
    await this.adder.confirm(loop, [{ fresh: result.record }]);
    return this.handle(loop, result);
  }

  /**
   * Removes a job. Once this has resolved, no new run of it starts anywhere; what runs goes on, or with `cancelRunning` is
   * asked to stop, wherever it runs; of a job that each node runs (`exclusive: false`), on this node. @throws JobNotFoundError
   */
  async removeJob(id: string, options: RemoveJobOptions = {}): Promise<void> {
    checkSelector(id, options, ['jobStore', 'cancelRunning']);
    const cancelRunning = flag(options.cancelRunning, 'cancelRunning');
    const { loop, result } = await this.change(id, options, (record, context) => removeJob(record, context, cancelRunning));
    if (cancelRunning) await loop.nodeJobs?.cancelRuns(id);
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

  /** Puts a job from quarantine back to work; one that each node runs (`exclusive: false`), on this node. @throws JobNotFoundError, InvalidStateError, DependencyCycleError, and what its trigger throws. */
  async retryQuarantined(id: string, options: JobSelector = {}): Promise<Job> {
    checkSelector(id, options, ['jobStore']);
    const { loop, result } = await this.change(id, options, (record, context) => {
      const decision = retryQuarantined(record, context);
      if (nodeDefinition(record.definition) !== undefined) return decision; // it may be so on this node alone
      if (decision === undefined) throw new InvalidStateError(`Job "${id}" is not in quarantine; it is ${record.state.status}.`);
      return decision;
    }, (record, of) => (record.state.status === 'quarantined' ? refuseReturn({ loop: of }, record) : undefined));
    if (result.decision === undefined && (await loop.nodeJobs?.retryQuarantined(id)) !== true) {
      throw new InvalidStateError(`Job "${id}" is not in quarantine on this node.`);
    }
    this.modified(loop, result, ['status']);
    // Of several in a circle, each may have seen the others stopped.
    await this.adder.confirm(loop, [{ fresh: result.record }]);
    return this.handle(loop, result);
  }

  /** The next fire times of a job, without jitter. Fewer than `count` when its schedule ends. @throws JobNotFoundError */
  async nextRunTimes(id: string, count = 1, options: JobSelector = {}): Promise<Date[]> {
    checkSelector(id, options, ['jobStore']);
    whole(count, 'count', 1, 100_000);
    const loop = await this.directory.locate(id, options.jobStore);
    await loop.open(this.context());
    const stored = await loop.access.get(id);
    if (stored === undefined || stored.record.state.status === 'removed') throw new JobNotFoundError(id, options.jobStore);
    const { definition, state } = ((await loop.nodeJobs?.view(stored)) ?? stored).record;
    const left = definition.policy.maxRuns === null ? count : Math.min(count, definition.policy.maxRuns - state.runCount);
    const times: Date[] = [];
    for (let at = state.nextFireTime; at !== null && times.length < left; at = nextFire(definition, at)) times.push(new Date(at));
    return times;
  }
}

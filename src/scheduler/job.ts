import type { JobPolicy, JobStatus, TaskFunction } from '../model/job.js';
import type { Verdict } from '../model/ledger.js';
import type { JobStats } from '../model/stats.js';
import type { OverdueReason } from '../model/watch.js';
import type { Revision, StoredJob } from '../ports/job-store.js';
import type { Trigger } from '../ports/trigger.js';
import type { JobChanges } from './job-options.js';
import type { RunQuery, RunReport, RunReports } from './ledger-view.js';
import type { RunHandle } from './run-handles.js';

/** What a job can ask of its scheduler. */
export interface JobOperations {
  pauseJob(id: string, options?: JobSelector): Promise<Job>;
  resumeJob(id: string, options?: JobSelector & { readonly catchUp?: boolean | undefined }): Promise<Job | undefined>;
  modifyJob(id: string, changes: JobChanges, options?: ChangeOptions): Promise<Job>;
  rescheduleJob(id: string, trigger: TriggerInput, options?: ChangeOptions): Promise<Job>;
  removeJob(id: string, options?: RemoveJobOptions): Promise<void>;
  runJob(id: string, options?: RunJobOptions): Promise<RunHandle>;
  nextRunTimes(id: string, count?: number, options?: JobSelector): Promise<Date[]>;
  getJob(id: string, options?: JobSelector): Promise<Job | undefined>;
  getRuns(query?: RunQuery): Promise<RunReports>;
}

/** A trigger, a cron expression (in the scheduler's time zone), or the one instant at which to fire. */
export type TriggerInput = Trigger | string | Date;

/** Says in which store a job is, when the id alone does not. */
export interface JobSelector {
  /** Alias of the store. Default: the one that has a job with this id, in the order in which they were added. */
  readonly jobStore?: string | undefined;
}

export interface ChangeOptions extends JobSelector {
  /** Change the job only if it is still as it was read (`job.revision`). */
  readonly ifRevision?: Revision | undefined;
}

export interface RemoveJobOptions extends JobSelector {
  /** Ask the runs that go on to stop, on whichever node. Default `false`: they come to their end. */
  readonly cancelRunning?: boolean | undefined;
}

export interface RunJobOptions extends JobSelector {
  /** Other arguments than the job's, for this run only. */
  readonly args?: readonly unknown[] | undefined;
}

/** One live run, as seen when the job was read. */
export interface LiveRun {
  readonly runId: string;
  readonly scheduledFor: Date;
  readonly attempt: number;
  readonly state: 'running' | 'queued' | 'retrying';
  /** The node that executes it; `null` while it waits. */
  readonly node: string | null;
  readonly startedAt: Date | null;
  readonly isManual: boolean;
}

/** Verdicts on runs, as against those on fire times of which no run was made. */
const RUN_VERDICTS: readonly Verdict[] = ['succeeded', 'failed', 'cancelled', 'abandoned'];

/** What the history of a job adds up to. Fire times count once each; manual runs count too. */
export interface JobStatistics extends Omit<JobStats, 'timedRuns' | 'totalDurationMs' | 'lastFinishedAt' | 'lastSuccessAt'> {
  /** Runs that have their verdict. */
  readonly runs: number;
  /** In ms, from the start of the last attempt to the verdict, over all runs that began; `null` before the first. */
  readonly averageDurationMs: number | null;
  readonly lastFinishedAt: Date | null;
  readonly lastSuccessAt: Date | null;
}

/** What a job should have done, and has not. */
export interface OverdueJob {
  readonly why: OverdueReason;
  /** By when. */
  readonly deadline: Date;
  /** When a node noticed. */
  readonly raisedAt: Date;
}

/**
 * A job as it was when it was read, and a handle to it. The fields do not change: go on with what `pause()`, `modify()` and
 * the like return, or `refresh()`, which reads it again.
 *
 * @typeParam R - what its task answers, where that is known.
 * @example
 * ```ts
 * const job = await scheduler.addJob(sync, new IntervalTrigger({ minutes: 5 }));
 * console.log(job.id, job.nextRunTime);
 * await job.pause();
 * ```
 */
export class Job<R = unknown> {
  readonly id: string;
  /** Alias of the store that has it. */
  readonly jobStore: string;
  /** Version of the record, for `ifRevision`. */
  readonly revision: Revision;
  readonly #stored: StoredJob;
  readonly #scheduler: JobOperations;

  /** @internal */
  constructor(scheduler: JobOperations, jobStore: string, stored: StoredJob) {
    this.id = stored.record.id;
    this.jobStore = jobStore;
    this.revision = stored.revision;
    this.#stored = stored;
    this.#scheduler = scheduler;
  }

  /** The task's name; of a bare function, its own. */
  get task(): string {
    return this.#stored.record.definition.task;
  }
  /** The bare function, if the job was added with one. */
  get fn(): TaskFunction | null {
    return this.#stored.record.definition.fn;
  }
  get name(): string | null {
    return this.#stored.record.definition.name;
  }
  get args(): readonly unknown[] {
    return this.#stored.record.definition.args;
  }
  get trigger(): Trigger {
    return this.#stored.record.definition.trigger;
  }
  /** The policy in force, all defaults filled in. Times in ms. */
  get policy(): JobPolicy {
    return this.#stored.record.definition.policy;
  }
  get tags(): readonly string[] {
    return this.#stored.record.definition.tags;
  }
  get metadata(): Readonly<Record<string, unknown>> {
    return this.#stored.record.definition.metadata ?? {};
  }
  /** The set of definitions it belongs to (`sync`), if it belongs to one. */
  get owner(): string | null {
    return this.#stored.record.definition.owner;
  }
  /** Also `'quarantined'` where it cannot be read here, whatever it is for those who can. */
  get status(): JobStatus {
    const { definition, state } = this.#stored.record;
    return definition.trigger.unreadable !== undefined && state.status !== 'removed' ? 'quarantined' : state.status;
  }
  /** Why it is paused or quarantined, if that is known. */
  get reason(): string | null {
    const { definition, state } = this.#stored.record;
    return state.reason ?? definition.trigger.unreadable?.message ?? null;
  }
  /** When it fires next. `null` while it is paused, quarantined, or waits for others (`dependsOn`), and when no fire time is left or known. */
  get nextRunTime(): Date | null {
    const { nextFireTime, status, links } = this.#stored.record.state;
    return nextFireTime === null || status !== 'active' || links?.waits !== undefined ? null : new Date(nextFireTime);
  }
  /** What it depends on (`dependsOn`) and still waits for; `runId` is `null` where that is the next run of the job, whichever it will be. */
  get waitsFor(): readonly { readonly jobId: string; readonly runId: string | null }[] {
    return this.#stored.record.state.links?.waits?.map(({ source, run }) => ({ jobId: source, runId: run ?? null })) ?? [];
  }
  /** The latest fire time that was dealt with. */
  get lastFireTime(): Date | null {
    const { lastFireTime } = this.#stored.record.state;
    return lastFireTime === null ? null : new Date(lastFireTime);
  }
  /** Scheduled runs so far. */
  get runCount(): number {
    return this.#stored.record.state.runCount;
  }
  /** What its history adds up to, entries included that were dropped since. */
  get stats(): JobStatistics {
    const { timedRuns, totalDurationMs, lastFinishedAt, lastSuccessAt, ...stats } = this.#stored.record.state.stats;
    return {
      ...stats,
      runs: stats.succeeded + stats.failed + stats.cancelled + stats.abandoned,
      averageDurationMs: timedRuns === 0 ? null : totalDurationMs / timedRuns,
      lastFinishedAt: lastFinishedAt === null ? null : new Date(lastFinishedAt),
      lastSuccessAt: lastSuccessAt === null ? null : new Date(lastSuccessAt),
    };
  }
  /** Why and since when it is overdue (`expect`), as `jobOverdue` told; `null` while it is not. */
  get overdue(): OverdueJob | null {
    const overdue = this.#stored.record.state.watch?.overdue ?? null;
    return overdue && { why: overdue.why, deadline: new Date(overdue.deadline), raisedAt: new Date(overdue.raisedAt) };
  }
  /** Runs without a verdict. */
  get runs(): readonly LiveRun[] {
    return this.#stored.record.state.runs.map((run) => ({
      runId: run.id,
      scheduledFor: new Date(run.scheduledFor),
      attempt: run.attempt,
      state: run.state === 'running' ? 'running' : run.cause === 'queued' ? 'queued' : 'retrying',
      node: run.state === 'running' ? run.owner : null,
      startedAt: run.state === 'running' ? new Date(run.startedAt) : null,
      isManual: run.manual,
    }));
  }

  /** See {@link JobOperations.pauseJob}. */
  pause(): Promise<Job> {
    return this.#scheduler.pauseJob(this.id, { jobStore: this.jobStore });
  }
  resume(options: { readonly catchUp?: boolean | undefined } = {}): Promise<Job | undefined> {
    return this.#scheduler.resumeJob(this.id, { ...options, jobStore: this.jobStore });
  }
  modify(changes: JobChanges, options: { readonly ifRevision?: Revision | undefined } = {}): Promise<Job> {
    return this.#scheduler.modifyJob(this.id, changes, { ...options, jobStore: this.jobStore });
  }
  reschedule(trigger: TriggerInput, options: { readonly ifRevision?: Revision | undefined } = {}): Promise<Job> {
    return this.#scheduler.rescheduleJob(this.id, trigger, { ...options, jobStore: this.jobStore });
  }
  remove(options: { readonly cancelRunning?: boolean | undefined } = {}): Promise<void> {
    return this.#scheduler.removeJob(this.id, { ...options, jobStore: this.jobStore });
  }
  /** Runs it now, beside its schedule. */
  run(options: { readonly args?: readonly unknown[] | undefined } = {}): Promise<RunHandle<R>> {
    return this.#scheduler.runJob(this.id, { ...options, jobStore: this.jobStore }) as Promise<RunHandle<R>>;
  }
  /** The latest run that has its verdict by now, with what it returned; `undefined` before the first, or once it is dropped. */
  async lastRun(): Promise<RunReport | undefined> {
    const query = { jobStore: this.jobStore, jobId: this.id, verdict: RUN_VERDICTS, newestFirst: true, limit: 1 };
    const [report] = await this.#scheduler.getRuns(query);
    return report;
  }
  nextRunTimes(count?: number): Promise<Date[]> {
    return this.#scheduler.nextRunTimes(this.id, count, { jobStore: this.jobStore });
  }
  /** The job as it is now; `undefined` when it is gone. */
  refresh(): Promise<Job | undefined> {
    return this.#scheduler.getJob(this.id, { jobStore: this.jobStore });
  }

  /** `console.log(job)` shows what it is. */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return this.toJSON();
  }

  toJSON(): Record<string, unknown> {
    const { id, jobStore, task, name, args, tags, metadata, status, reason, runCount, runs, policy, trigger, owner } = this;
    const { nextRunTime, lastFireTime, stats, overdue } = this;
    return { id, jobStore, task, name, args, trigger: trigger.toJSON(), status, reason, nextRunTime, lastFireTime, overdue, runCount, stats, owner, tags, metadata, runs, policy };
  }
}

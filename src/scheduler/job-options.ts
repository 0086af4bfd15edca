import type { CoalesceMode, OverlapMode } from '../model/job.js';
import type { DurationInput } from '../time/duration.js';
import type { InstantInput } from '../time/instant.js';
import type { DependencyOptions } from './links/dependencies.js';

/**
 * How fire times become runs. Given for a job, for a task (`defineTask`) or for all (`jobDefaults`).
 *
 * For each option the first that says something wins: the job, its trigger (`jitter` only), its task, the
 * scheduler's `jobDefaults`, the built-in default. `undefined` says nothing; `null` says "none".
 */
export interface JobPolicyOptions {
  /** How late a fire time may start. `null`, the default: as late as it likes. Measured once, when the job is claimed. */
  readonly misfireGraceTime?: DurationInput | null | undefined;
  /**
   * What becomes of several fire times that are due together: one run for the latest (default; also `true`) or the
   * earliest, or a run for each, one after another (`'all'`, also `false`), at most `maxCatchUp`.
   */
  readonly coalesce?: CoalesceMode | boolean | undefined;
  /** Most runs that `coalesce: 'all'` makes up for; fire times before those are one `missed` entry. Default 100. */
  readonly maxCatchUp?: number | undefined;
  /** Runs of the job at one time, across all nodes. Default 1. */
  readonly maxInstances?: number | undefined;
  /**
   * What a fire time does that finds `maxInstances` busy. `'skip'` (default): it is skipped. `'queue'`: it waits, if no
   * other does. `'queueAll'`: it waits, up to `queueLimit`. `'replace'`: the running ones are aborted, and it starts when
   * they have ended. `'allow'`: there is no limit.
   */
  readonly overlap?: OverlapMode | undefined;
  /** Most fire times that `overlap: 'queueAll'` keeps waiting. Default 100. */
  readonly queueLimit?: number | undefined;
  /** Delays each start by up to this much, the same for one job and fire time on every node. Default 0. */
  readonly jitter?: DurationInput | undefined;
  /** Attempts after an error: a number of attempts in all, or how to space them. Default: one attempt. */
  readonly retry?: number | RetryOptions | null | undefined;
  /** Time after which the run's `signal` fires, and the run counts as failed. Default: none. */
  readonly timeout?: DurationInput | null | undefined;
  /** Scheduled runs after which the job is complete. Retries and manual runs don't count. Default: no limit. */
  readonly maxRuns?: number | null | undefined;
  /** No fire time before this. Inclusive. */
  readonly startTime?: InstantInput | null | undefined;
  /** No fire time after this. Inclusive. */
  readonly endTime?: InstantInput | null | undefined;
  /**
   * What becomes of a run whose node died, or that a shutdown cut short: the next attempt (`'retry'`, default:
   * at least once) or the end (`'drop'`: at most once).
   */
  readonly onCrash?: 'retry' | 'drop' | undefined;
  /** Nodes that may die with one run before it is given up. Default 3. */
  readonly maxCrashes?: number | undefined;
  /** Of the due jobs, those with a higher number start first. Default 0. */
  readonly priority?: number | undefined;
  /**
   * Whether each fire time is for one node. `false`: every node that shares the job store runs it, by itself: to refresh what
   * is kept in memory, to tidy up a local disk. All other policies then hold on each node. Default `true`.
   */
  readonly exclusive?: boolean | undefined;
  /** Alias of the executor. Default `'default'`. */
  readonly executor?: string | undefined;
  /** How long the history keeps what the task returned. `null` or 0: not at all. Default: one day. */
  readonly resultTtl?: DurationInput | null | undefined;
  /**
   * Failed runs in a row after which the job is paused, with the reason `max-consecutive-failures` and the event `jobPaused`;
   * `resumeJob` lets it go on, and counts anew. A run counts once, after its last attempt, also when it timed out or was
   * abandoned; a success begins the count again. Cancelled runs, fire times without a run and runs by hand leave it as it
   * is. Not for jobs that each node runs (`exclusive: false`). `null`, the default: the job goes on.
   */
  readonly maxConsecutiveFailures?: number | null | undefined;
  /**
   * When the job is overdue: then `jobOverdue` is published, once, by whichever node notices first, and `jobRecovered`
   * when it is so no longer. `null`, the default: nothing is expected of it.
   */
  readonly expect?: ExpectOptions | null | undefined;
}

/**
 * What is expected of a job besides that it fires. Nodes look after it that have nothing to do with the job, so it is told too
 * when no node has its task, the executor is full, or a run hangs; within ten seconds or so. A paused job is never overdue.
 *
 * @example
 * ```ts
 * await scheduler.addJob('backup', '0 3 * * *', { id: 'backup', expect: { successWithin: { hours: 25 }, maxLateness: { minutes: 30 } } });
 * scheduler.on('jobOverdue', ({ jobId, why, deadline }) => page(`${jobId}: ${why} since ${new Date(deadline)}`));
 * ```
 */
export interface ExpectOptions {
  /** Longest time without a success, runs by hand included. Counted from the last one, or from when the job was added or resumed. A warning in the log tells when the trigger leaves more time than that. */
  readonly successWithin?: DurationInput | null | undefined;
  /** Longest time by which the first attempt of a fire time may begin late. Counted from when the job was resumed, at the earliest. */
  readonly maxLateness?: DurationInput | null | undefined;
}

/** How a failed run is tried again. A retry keeps the run's id, and delays no fire time. */
export interface RetryOptions {
  /** Attempts in all, the first included. Default 3. */
  readonly maxAttempts?: number | undefined;
  /** Time until the second attempt. Default 1 s. */
  readonly delay?: DurationInput | undefined;
  /** `'exponential'` (default) doubles the delay each time, `'fixed'` keeps it. */
  readonly backoff?: 'fixed' | 'exponential' | undefined;
  /** Longest delay. Default 1 hour. */
  readonly maxDelay?: DurationInput | undefined;
  /** Fraction of the delay, 0 to 1, by which it may be shortened, so that many jobs do not retry as one. Default 0. */
  readonly jitter?: number | undefined;
  /** Whether an error is worth another attempt. In a durable store it belongs to the task (`defineTask`), not to the job. */
  readonly retryIf?: ((error: unknown, attempt: number) => boolean) | null | undefined;
}

/** What can be said of a job besides its task and trigger. */
export interface JobOptions extends JobPolicyOptions, DependencyOptions {
  /** Unique within its store. Required in a durable store; else a random one is made up. */
  readonly id?: string | undefined;
  /** For people. */
  readonly name?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  /** Anything that goes with the job; `currentRun().metadata`. Plain data in a durable store. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Alias of the store. Default `'default'`. */
  readonly jobStore?: string | undefined;
  /** Add it without letting it fire, until `resumeJob`. Default `false`. */
  readonly paused?: boolean | undefined;
  /** Take the place of a job with this id. With an unchanged trigger its next fire time stays. Default `false`: an error. */
  readonly replaceExisting?: boolean | undefined;
}

/** For what is added together with data of yours. */
export interface InTransaction {
  /**
   * A connection of yours to the database of the job store, inside a transaction that you began: the jobs are there
   * exactly when it commits. With a `PostgresJobStore`, a client of `pg`.
   */
  readonly client?: object | undefined;
}

/** Options of `addJob`, with the arguments of the task: required exactly when it has required parameters. */
export type AddJobOptions<A extends readonly unknown[]> = JobOptions &
  InTransaction &
  ([] extends A ? { readonly args?: A | undefined } : { readonly args: A });

/** `options` may be left out exactly when nothing in it is required. */
export type AddJobRest<A extends readonly unknown[]> = [] extends A
  ? [options?: AddJobOptions<A>]
  : [options: AddJobOptions<A>];

/** What `modifyJob` can change. The schedule is changed by `rescheduleJob`; id, task and store never change. */
export interface JobChanges extends JobPolicyOptions {
  readonly args?: readonly unknown[] | undefined;
  readonly name?: string | null | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | null | undefined;
}

import type { EpochMs } from '../ports/trigger.js';
import type { ErrorInfo } from './run.js';
import type { JobOverdue, OverdueReason } from './watch.js';

/** One fire time or a contiguous range of them. */
export interface FireRange {
  /** The fire time, or the first of the range. */
  readonly scheduledFor: EpochMs;
  /** The last of the range; equal to `scheduledFor` for one. */
  readonly scheduledTo: EpochMs;
  readonly count: number;
  /** `false`: counting would have cost too much, and `count` is a lower bound. */
  readonly exact: boolean;
}

export interface RunRef {
  readonly runId: string;
  readonly scheduledFor: EpochMs;
  readonly attempt: number;
}

/** A run that stood in the way of another. */
export interface BlockingRun {
  readonly runId: string;
  readonly node: string;
  readonly ageMs: number;
}

/**
 * What the planner has to say besides the next record. Published as events, once the record is written.
 * Nothing drops silently: each fire time that does not become a run of its own is in one of these.
 */
export type JobNotice =
  /** Fire times that came up later than their grace allows, or that were too many to catch up with. */
  | ({ readonly type: 'jobMissed'; readonly reason: 'misfire-grace' | 'catch-up-limit'; readonly latenessMs: number } & FireRange)
  /** Several due fire times became one run. */
  | ({ readonly type: 'jobCoalesced'; readonly into: EpochMs } & FireRange)
  /** Fire times that will not run, for a reason other than lateness or `maxInstances`. */
  | ({ readonly type: 'jobSkipped'; readonly reason: SkipReason } & FireRange)
  /** A fire time found all instances busy. `action` is what became of it. */
  | {
      readonly type: 'jobMaxInstances';
      readonly scheduledFor: EpochMs;
      readonly action: 'skipped' | 'queued' | 'replacing';
      readonly blockedBy: readonly BlockingRun[];
    }
  /** An attempt failed and another will be made at `retryAt`. */
  | ({ readonly type: 'jobRetry'; readonly retryAt: EpochMs; readonly error: ErrorInfo } & RunRef)
  | ({ readonly type: 'jobCancelled'; readonly reason: string } & RunRef)
  /** The node that had the run died or lost its lease. `retried`: another attempt follows. */
  | ({ readonly type: 'jobAbandoned'; readonly owner: string; readonly retried: boolean } & RunRef)
  | { readonly type: 'jobQuarantined'; readonly reason: string }
  /** So many runs in a row have failed that the job is paused: `maxConsecutiveFailures`. `error` is that of the last, if it had one. */
  | { readonly type: 'jobPaused'; readonly reason: 'max-consecutive-failures'; readonly failures: number; readonly error: ErrorInfo | null }
  /**
   * What is expected of the job (`expect`) did not happen by `deadline`, `overdueMs` ago. `scheduledFor`: the first fire time of
   * which no run has begun, if there is one. `running`: runs that go on, and may hang.
   */
  | ({
      readonly type: 'jobOverdue';
      readonly overdueMs: number;
      readonly lastSuccessAt: EpochMs | null;
      readonly scheduledFor: EpochMs | null;
      readonly running: readonly BlockingRun[];
    } & Pick<JobOverdue, 'why' | 'deadline'>)
  /** A job that was overdue is so no longer, after `overdueMs`. */
  | { readonly type: 'jobRecovered'; readonly why: OverdueReason; readonly overdueMs: number; readonly reason: RecoveryReason }
  /** No fire time is left and every run has its verdict; the job is deleted. */
  | { readonly type: 'jobCompleted'; readonly reason: 'exhausted' | 'max-runs' | 'dependency-failed'; readonly runCount: number };

/** Why a job is paused that nobody has paused. */
export const TOO_MANY_FAILURES = 'max-consecutive-failures' satisfies Extract<JobNotice, { type: 'jobPaused' }>['reason'];

/**
 * Why a job is no longer overdue. `met`: it has succeeded, or its run has begun. `paused`, `removed`: nothing is expected any more.
 * `changed`: something else is expected (another policy, another schedule), or the fire times in question were given up.
 */
export type RecoveryReason = 'met' | 'paused' | 'removed' | 'changed';

export type SkipReason = 'max-instances' | 'queue-full' | 'replaced' | 'paused' | 'rescheduled' | 'removed' | 'quarantined';

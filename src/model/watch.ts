import type { EpochMs } from '../ports/trigger.js';

/** What is expected of a job, besides that it fires. All times in ms; one of the two at least is no `null`. */
export interface ExpectPolicy {
  /** Longest time from one success to the next. */
  readonly successWithinMs: number | null;
  /** Longest time by which a fire time may start late. */
  readonly maxLatenessMs: number | null;
}

/** `no-success`: none within `successWithin`. `not-started`: a fire time is later than `maxLateness`, and no run of it has begun. */
export type OverdueReason = 'no-success' | 'not-started';

/** An alarm that was raised, and still holds. */
export interface JobOverdue {
  readonly why: OverdueReason;
  /** By when it should have happened: from then on the job is overdue. */
  readonly deadline: EpochMs;
  /** When a node noticed. */
  readonly raisedAt: EpochMs;
}

/** How a job stands with what is expected of it. */
export interface JobWatch {
  /** Nothing is expected of the time before: the job was added, or resumed, then. */
  readonly since: EpochMs;
  readonly overdue: JobOverdue | null;
  /** Until then it waited for other jobs, and could not begin. Not there for one that did not. */
  readonly waitedUntil?: EpochMs;
}

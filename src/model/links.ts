import type { EpochMs } from '../ports/trigger.js';
import type { Verdict } from './ledger.js';

/** Ends of runs: `success` is `succeeded`; `failure` is `failed` or `abandoned`; `any` is these and `cancelled`. */
export type EndKind = 'success' | 'failure' | 'any';

/** How a run ended that somebody waited for. `removed`: its job is gone, and it never came to be. */
export type FollowedVerdict = Verdict | 'removed';

/** A run that another followed. */
export interface RunCause {
  readonly jobId: string;
  /** `null` when there was none: its fire time was passed over, or its job removed. */
  readonly runId: string | null;
  readonly verdict: FollowedVerdict;
}

/** A job that wants to hear how runs of this one end. */
export interface Follower {
  /** Its id. */
  readonly to: string;
  readonly on: EndKind;
  /** When it was entered. One that nobody knows of is kept for a while: its job may be about to be added. */
  readonly since: EpochMs;
  /** Of one that waits for a single end: which waiting that is. Without it, each end counts (`after`). */
  readonly once?: string;
  /** The run it waits for; without, whichever ends first. */
  readonly run?: string;
}

/** An end that is still to be told to a follower. */
export interface LinkNotice {
  readonly to: string;
  /** Grows from notice to notice of one source: what was told before is known by it. */
  readonly seq: number;
  readonly runId: string | null;
  readonly verdict: FollowedVerdict;
  /** When the verdict fell. */
  readonly at: EpochMs;
  /** Since when its follower has been entered. */
  readonly since: EpochMs;
  readonly once?: string;
}

/** The end of something that a job waited for. */
export interface MetWait extends RunCause {
  readonly order: number;
}

/** Something that has to end before the job begins. */
export interface Wait {
  readonly source: string;
  /** The run; without, whichever ends first. */
  readonly run?: string;
  /** Its place among all that the job depends on. */
  readonly order: number;
  /** Which waiting this is: that of an earlier job with this id was another. */
  readonly token: string;
  /** The job comes from another store, and its source may not have come here yet. */
  readonly mayCome?: true;
}

/** How far a job with an `after` trigger has heard of one of its sources. */
export interface Heard {
  readonly source: string;
  /** The last notice; 0 before the first. */
  readonly seq: number;
  /** An end that led to no fire time yet, since others are missing. */
  readonly end?: { readonly runId: string | null; readonly verdict: FollowedVerdict; readonly at: EpochMs };
}

/** A fire time that came of the ends of other runs. */
export interface PendingFire {
  readonly at: EpochMs;
  readonly by: readonly RunCause[];
}

/**
 * What ties a job to others, in its own record: compare-and-set reaches no two records at once. Not there for a job that
 * follows none and is followed by none.
 *
 * What is told is written with the verdict that it tells of, and stays until each follower has it in its record. It may be
 * told twice; `seq` and `once` make that come to the same as once.
 */
export interface JobLinks {
  /** When the job came to have links: how often it is looked after them is reckoned from here. */
  readonly since: EpochMs;

  readonly followers?: readonly Follower[];
  readonly outbox?: readonly LinkNotice[];
  /** When any node takes on what is still to be told. Whoever wrote it does so at once. */
  readonly deliverAt?: EpochMs;

  /** While there are any, the job does not fire. */
  readonly waits?: readonly Wait[];
  /** What becomes of it when one of those ends without success. Not there: it is cancelled. */
  readonly onFailure?: 'run' | 'wait';
  /** How those ended it waited for: for its first run to know. */
  readonly met?: readonly MetWait[];

  readonly heard?: readonly Heard[];
  /** In ascending order; the first is the cursor. */
  readonly pending?: readonly PendingFire[];

  /** When it is looked whether those it follows still know of it. */
  readonly checkAt?: EpochMs;
}

/** Whether it has not begun, since what it depends on has not ended. */
export function isWaiting({ links }: { readonly links?: JobLinks }): boolean {
  return links?.waits !== undefined;
}

/** When links need attention; `null` for never. */
export function linksWakeAt({ deliverAt, checkAt }: JobLinks): EpochMs | null {
  if (deliverAt === undefined) return checkAt ?? null;
  return checkAt === undefined ? deliverAt : Math.min(deliverAt, checkAt);
}

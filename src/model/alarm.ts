import type { EpochMs } from '../ports/trigger.js';
import type { JobDefinition, JobRecord, JobStatus } from './job.js';
import { isWaiting } from './links.js';
import type { JobOverdue, OverdueReason } from './watch.js';

/**
 * What {@link alarmAt} answers for a job whose alarm was raised and still holds: earlier than every instant, so that one index
 * finds such jobs and those that want an alarm.
 */
export const RAISED: EpochMs = -8.64e15;

/** What is overdue first, and from when on. */
export type Deadline = Pick<JobOverdue, 'why' | 'deadline'>;

/**
 * When a job is overdue unless something happens until then: the index every store keeps beside that of `wakeAt`.
 * {@link RAISED} while it is, and that was said; `null` where nothing is expected of it.
 */
export function alarmAt(record: JobRecord): EpochMs | null {
  const { state, definition } = record;
  if (definition.policy.expect == null || !isWatched(state.status, definition)) return null;
  if (state.watch !== null && state.watch.overdue !== null) return RAISED;
  return firstDeadline(record)?.deadline ?? null;
}

/**
 * Whether anything is expected of a job with this status. Not of one that was paused, of one that nobody here can read, and
 * of the record of a job that each node runs by itself: their own records are watched.
 */
export function isWatched(status: JobStatus, { trigger }: JobDefinition): boolean {
  return (status === 'active' || status === 'quarantined') && trigger.unreadable === undefined && trigger.onEachNode === undefined;
}

/** The first of the deadlines that a job has, whether it has passed or not. */
export function firstDeadline(record: JobRecord): Deadline | null {
  const success = deadlineFor(record, 'no-success');
  const start = deadlineFor(record, 'not-started');
  if (start !== null && (success === null || start < success)) return { why: 'not-started', deadline: start };
  return success === null ? null : { why: 'no-success', deadline: success };
}

/** By when a job must have succeeded again, or its next run have begun; `null` where that is not expected. */
export function deadlineFor(record: JobRecord, why: OverdueReason): EpochMs | null {
  const { state, definition } = record;
  const { expect } = definition.policy;
  const limit = why === 'no-success' ? expect?.successWithinMs : expect?.maxLatenessMs;
  const last = why === 'no-success' ? state.stats.lastSuccessAt : firstNotBegun(record);
  if (limit === null || limit === undefined || (why === 'not-started' && last === null)) return null;
  // A release that knew nothing of a watch may have written the record.
  const since = state.watch?.since ?? state.generation;
  const from = why === 'not-started' ? Math.max(since, state.watch?.waitedUntil ?? since) : since;
  return (last === null ? from : Math.max(from, last)) + limit;
}

/** When the earliest fire time was due, or will be, of which no attempt has begun. Runs by hand have none. */
function firstNotBegun({ state, definition: { policy } }: JobRecord): EpochMs | null {
  const { nextFireTime, nextDueAt, runs } = state;
  // One that waits for a limit is due later than it was.
  const due = nextDueAt === null || nextFireTime === null ? nextDueAt : Math.min(nextDueAt, nextFireTime + policy.jitterMs);
  // One that waits for other jobs is not to begin yet.
  let first = isWaiting(state) ? null : due;
  for (const run of runs) {
    if (run.state !== 'waiting' || run.manual || run.attempt > 0) continue;
    const readyAt = Math.min(run.readyAt, run.scheduledFor + policy.jitterMs);
    if (first === null || readyAt < first) first = readyAt;
  }
  return first;
}

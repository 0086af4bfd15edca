import { dueAt, nextFire } from '../core/fires.js';
import type { JobRecord } from '../model/job.js';
import type { EpochMs } from '../ports/trigger.js';
import type { StoreLoop } from './store-loop.js';

/** Whether a job about to be added begins with a fire time that it may have had before: a date, added again after a restart. */
export function mayHaveFired(loop: StoreLoop, { state }: JobRecord): boolean {
  return loop.access.store.durable && state.nextFireTime !== null && state.nextFireTime <= loop.now();
}

/**
 * The record of such a job, begun after that fire time if the history has a verdict on it, or no longer reaches back to it:
 * a job whose schedule was over is deleted, and adding it again must not start the same fire time anew. @throws StoreFailedError, and what the trigger throws.
 */
export async function withoutPast(loop: StoreLoop, record: JobRecord): Promise<JobRecord> {
  const { id, definition, state } = record;
  const at = state.nextFireTime;
  if (at === null || !mayHaveFired(loop, record)) return record;
  const { entries } = await loop.access.listLedger({ jobId: id, from: at, to: at, limit: 100 });
  if (entries.every((entry) => entry.manual)) {
    const prunedThrough = await loop.access.prunedThrough(id);
    if (prunedThrough === null || prunedThrough < at) return record;
  }
  const next = nextFire(definition, Math.max(at, loop.now()));
  return { ...record, state: { ...state, nextFireTime: next, nextDueAt: next === null ? null : dueAt(id, definition, next), firstFireTime: next } };
}

/** Whether a schedule without a fire time from now on is over, rather than one that never had any. */
export function isOver({ definition }: JobRecord, now: EpochMs): boolean {
  // An interval without a start begins when it is added, after an end that has passed: it had fire times when it was defined.
  const ends = [definition.policy.endTime, definition.trigger.toJSON()['endTime']];
  if (ends.some((end) => typeof end === 'number' && end < now)) return true;
  try {
    return nextFire(definition, EARLIEST) !== null;
  } catch {
    return false;
  }
}

/** The earliest instant a `Date` can hold (ECMAScript, "Time Values and Time Range"). */
const EARLIEST = -8.64e15;

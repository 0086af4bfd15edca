import type { JobDefinition, JobState } from '../model/job.js';
import type { FireRange } from '../model/notice.js';
import type { EpochMs } from '../ports/trigger.js';
import { dueAt, fireRange, lastDue, nextFire, previousFire } from './fires.js';

/** What is to become of the fire times that are due: grace is applied first, coalescing second. */
export interface DueFires {
  /** Later than the grace allows. */
  readonly missed: FireRange | null;
  /** Beyond `maxCatchUp`. */
  readonly overflow: FireRange | null;
  /** Became part of the one in `chosen`. */
  readonly coalesced: FireRange | null;
  /** To become runs, in ascending order. */
  readonly chosen: readonly EpochMs[];
  /** More than one was due. */
  readonly several: boolean;
  readonly last: EpochMs;
  readonly next: EpochMs | null;
  /** What the trigger threw, if it did: `next` is not known then, and what is known to be due is dealt with all the same. */
  readonly failure: { readonly error: unknown } | null;
}

/**
 * Sorts out the fire times from the cursor to `now`. Costs O(log) questions to the trigger and O(`maxCatchUp`)
 * memory, however long the downtime was.
 */
export function dueFires(jobId: string, definition: JobDefinition, state: JobState, now: EpochMs): DueFires | null {
  const first = state.nextFireTime;
  if (first === null || state.nextDueAt === null || state.nextDueAt > now) return null;
  try {
    return sortOut(jobId, definition, state, first, now);
  } catch (error) {
    // Whatever follows it, the fire time at the cursor is due.
    const { misfireGraceMs } = definition.policy;
    const isMissed = misfireGraceMs !== null && state.nextDueAt < now - misfireGraceMs;
    const missed = isMissed ? fireRange(definition, first, first) : null;
    const chosen = isMissed ? [] : [first];
    return { missed, overflow: null, coalesced: null, chosen, several: false, last: first, next: null, failure: { error } };
  }
}

/** @throws what the trigger throws, but for the question what comes after all that is due. */
function sortOut(jobId: string, definition: JobDefinition, state: JobState, first: EpochMs, now: EpochMs): DueFires {
  const { misfireGraceMs, coalesce } = definition.policy;
  const following = definition.trigger.nextAfterCompletion === undefined ? nextFire(definition, first) : null;
  const single = following === null || following > now;
  const last = single ? first : (lastDue(jobId, definition, first, now) ?? first);
  let next = following;
  let failure: DueFires['failure'] = null;
  if (last !== first) {
    try {
      next = nextFire(definition, last);
    } catch (error) {
      next = null;
      failure = { error };
    }
  }
  const several = last !== first;

  const missedThrough =
    misfireGraceMs === null ? null : lastMissed(jobId, definition, state, first, last, now - misfireGraceMs - 1);
  const missed = missedThrough === null ? null : fireRange(definition, first, missedThrough);
  if (missedThrough === last) {
    return { missed, overflow: null, coalesced: null, chosen: [], several, last, next, failure };
  }

  const live = missedThrough === null ? first : (nextFire(definition, missedThrough) ?? last);
  if (live === last) return { missed, overflow: null, coalesced: null, chosen: [last], several, last, next, failure };

  if (coalesce === 'latest') {
    const before = previousFire(definition, live, last) ?? live;
    return { missed, overflow: null, coalesced: fireRange(definition, live, before), chosen: [last], several, last, next, failure };
  }
  if (coalesce === 'earliest') {
    const after = nextFire(definition, live) ?? last;
    return { missed, overflow: null, coalesced: fireRange(definition, after, last), chosen: [live], several, last, next, failure };
  }
  const chosen = latestFires(definition, live, last, definition.policy.maxCatchUp);
  const oldest = chosen[0] ?? last;
  const before = previousFire(definition, live, oldest);
  const overflow = before === null ? null : fireRange(definition, live, before);
  return { missed, overflow, coalesced: null, chosen, several, last, next, failure };
}

/** The last of the due fire times whose due instant is at or before `limit`, or `null`. */
function lastMissed(
  jobId: string,
  definition: JobDefinition,
  state: JobState,
  first: EpochMs,
  last: EpochMs,
  limit: EpochMs,
): EpochMs | null {
  if (state.nextDueAt === null || state.nextDueAt > limit) return null;
  if (last === first) return first;
  if (dueAt(jobId, definition, last) <= limit) return last;
  return lastDue(jobId, definition, first, limit);
}

/** The `limit` latest fire times of `[first, last]`, ascending. */
function latestFires(definition: JobDefinition, first: EpochMs, last: EpochMs, limit: number): EpochMs[] {
  const fires = [last];
  let at: EpochMs | null = last;
  while (fires.length < limit) {
    at = previousFire(definition, first, at);
    if (at === null) break;
    fires.push(at);
  }
  return fires.reverse();
}

import type { JobDefinition } from '../model/job.js';
import type { FireRange } from '../model/notice.js';
import type { EpochMs } from '../ports/trigger.js';
import { hash32 } from './hash.js';

/** Most fire times counted one by one, for a ledger entry whose trigger cannot count. */
const COUNT_LIMIT = 1_000;

/** The first fire time after `after` within the job's bounds. @throws when the trigger breaks its first law. */
export function nextFire(definition: JobDefinition, after: EpochMs): EpochMs | null {
  const { trigger, policy } = definition;
  const from = policy.startTime !== null && after < policy.startTime ? policy.startTime - 1 : after;
  return bounded(definition, checked(trigger.kind, from, trigger.next(from)));
}

/** The fire time that follows a run which ended at `completedAt`, for triggers that measure from there. */
export function fireAfterCompletion(definition: JobDefinition, completedAt: EpochMs): EpochMs | null {
  const { trigger, policy } = definition;
  const next = trigger.nextAfterCompletion?.(completedAt) ?? null;
  const bound = policy.startTime !== null && next !== null && next < policy.startTime ? policy.startTime : next;
  return bounded(definition, checked(trigger.kind, completedAt, bound));
}

function bounded(definition: JobDefinition, at: EpochMs | null): EpochMs | null {
  const { endTime } = definition.policy;
  return at !== null && endTime !== null && at > endTime ? null : at;
}

/** A trigger that does not advance would hold the loop for ever: better to stop that one job. */
function checked(kind: string, after: EpochMs, at: EpochMs | null): EpochMs | null {
  if (at !== null && !(Number.isFinite(at) && at > after)) {
    throw new RangeError(`trigger "${kind}" answered ${String(at)} for the fire time after ${after}`);
  }
  return at;
}

/**
 * The last fire time in `[first, before)`, where `first` is one. Without `previous` it is found by bisection:
 * by the gap-free law `next(x) < before` holds up to some x and for no greater one. So a year of missed
 * seconds costs some thirty questions, not thirty million.
 */
export function previousFire(definition: JobDefinition, first: EpochMs, before: EpochMs): EpochMs | null {
  if (first >= before) return null;
  const { trigger, policy } = definition;
  // The trigger knows nothing of the job's end, after which there is no fire time.
  const limit = policy.endTime === null ? before : Math.min(before, policy.endTime + 1);
  if (trigger.previous !== undefined) {
    const at = trigger.previous(limit);
    return at !== null && at >= first && at < limit ? at : first;
  }
  let best = first;
  let low = first;
  let high = limit - 1;
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    const next = checked(trigger.kind, middle, trigger.next(middle));
    if (next !== null && next < limit) best = low = next;
    else high = middle;
  }
  return best;
}

/** When a fire time is due: its jitter later, but before the one that follows. */
export function dueAt(jobId: string, definition: JobDefinition, fire: EpochMs): EpochMs {
  const { jitterMs } = definition.policy;
  if (jitterMs === 0) return fire;
  const following = nextFire(definition, fire);
  const room = following === null ? jitterMs : Math.min(jitterMs, following - fire - 1);
  return fire + (hash32(jobId, fire) % (room + 1));
}

/** The last fire time in `[first, …]` that is due at `at`, or `null` when not even `first` is. */
export function lastDue(jobId: string, definition: JobDefinition, first: EpochMs, at: EpochMs): EpochMs | null {
  const last = previousFire(definition, first, at + 1);
  if (last === null || dueAt(jobId, definition, last) <= at) return last;
  // Jitter never moves a fire time past the next one, so only the very last can still be ahead of us.
  return previousFire(definition, first, last);
}

/** A range with its count: by arithmetic where the trigger can, one by one while they are few, else a lower bound. */
export function fireRange(definition: JobDefinition, from: EpochMs, to: EpochMs): FireRange {
  if (from === to) return { scheduledFor: from, scheduledTo: to, count: 1, exact: true };
  const { trigger } = definition;
  if (trigger.count !== undefined) {
    return { scheduledFor: from, scheduledTo: to, count: trigger.count(from, to), exact: true };
  }
  let count = 1;
  let at: EpochMs | null = from;
  while (at < to && count < COUNT_LIMIT) {
    at = nextFire(definition, at);
    if (at === null) break;
    count += 1;
  }
  return { scheduledFor: from, scheduledTo: to, count, exact: at === to };
}

import { deadlineFor, firstDeadline, isWatched } from '../model/alarm.js';
import type { JobDefinition, JobRecord, JobState, JobStatus } from '../model/job.js';
import type { BlockingRun, RecoveryReason } from '../model/notice.js';
import { isWaiting } from '../model/links.js';
import type { JobOverdue, JobWatch } from '../model/watch.js';
import type { Draft } from './draft.js';

/**
 * The state with its watch brought up to date: a deadline that has passed is an alarm, and one that no longer holds is over.
 * Each write of a record goes through here, so whoever writes it first after a deadline raises the alarm, and nobody again.
 */
export function watched(draft: Draft, state: JobState, definition: JobDefinition): JobState {
  const { record, now } = draft;
  const { watch } = state;
  if (definition.policy.expect == null || !isWatched(state.status, definition)) {
    if (watch?.overdue) recovered(draft, watch.overdue, reasonOfEnd(draft, state.status));
    return watch === null ? state : { ...state, watch: null };
  }
  // Where there is none, it was added or resumed just now, or nothing was expected of it before. A clock may have been ahead.
  const since = watch === null ? now : Math.min(watch.since, now);
  let overdue = watch?.overdue ?? null;
  // Also one that ends with this very change: it was late, and that is said.
  if (overdue === null && watch !== null && record.state.generation === state.generation) overdue = raised(draft, record);
  // Its first run is what could not begin before.
  const waitedUntil = draft.begins ? undefined : isWaiting(record.state) && !isWaiting(state) ? now : watch?.waitedUntil;
  const begun: JobWatch = waitedUntil === undefined ? { since, overdue: null } : { since, overdue: null, waitedUntil };
  const next: JobRecord = { id: record.id, definition, state: { ...state, watch: begun } };
  if (overdue !== null && !holds(draft, overdue, next)) {
    const isMet = overdue.why === 'no-success' ? hasSucceeded(draft) : draft.begins;
    recovered(draft, overdue, isMet ? 'met' : 'changed');
    overdue = null;
  }
  overdue ??= raised(draft, next);
  if (watch !== null && watch.since === since && watch.overdue === overdue && watch.waitedUntil === waitedUntil) return state;
  return { ...state, watch: { ...begun, overdue } };
}

/** The job is complete, or gone at last. */
export function endWatch(draft: Draft, status: JobStatus): void {
  const { watch } = draft.record.state;
  if (watch?.overdue) recovered(draft, watch.overdue, reasonOfEnd(draft, status));
}

function raised(draft: Draft, record: JobRecord): JobOverdue | null {
  const first = firstDeadline(record);
  if (first === null || first.deadline > draft.now) return null;
  const { state } = record;
  const running: BlockingRun[] = [];
  let scheduledFor = state.nextFireTime;
  for (const run of state.runs) {
    if (run.state === 'running') running.push({ runId: run.id, node: run.owner, ageMs: draft.now - run.startedAt });
    else if (!run.manual && run.attempt === 0 && (scheduledFor === null || run.scheduledFor < scheduledFor)) ({ scheduledFor } = run);
  }
  const { lastSuccessAt } = state.stats;
  draft.note({ type: 'jobOverdue', ...first, overdueMs: draft.now - first.deadline, lastSuccessAt, scheduledFor, running });
  return { ...first, raisedAt: draft.now };
}

/** Whether what was said is still so. */
function holds(draft: Draft, { why }: JobOverdue, record: JobRecord): boolean {
  const deadline = deadlineFor(record, why);
  return deadline !== null && deadline <= draft.now;
}

function recovered(draft: Draft, { why, deadline }: JobOverdue, reason: RecoveryReason): void {
  draft.note({ type: 'jobRecovered', why, overdueMs: Math.max(0, draft.now - deadline), reason });
}

function reasonOfEnd(draft: Draft, status: JobStatus): RecoveryReason {
  if (status === 'paused') return status;
  if (hasSucceeded(draft)) return 'met';
  return status === 'removed' ? status : 'changed';
}

function hasSucceeded({ stats, record }: Draft): boolean {
  return stats.succeeded > record.state.stats.succeeded;
}

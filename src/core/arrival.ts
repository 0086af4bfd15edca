import { NO_RUNS, type JobRecord, type JobState } from '../model/job.js';
import type { EpochMs } from '../ports/trigger.js';
import { Draft, type ActContext, type Decision } from './draft.js';
import { skipOverdueSafely } from './edit.js';
import { dueAt, fireAfterCompletion, nextFire } from './fires.js';
import { arrivedLinks, inherited, withLinks } from './links/links.js';
import { awaitsEvent, deleteJob, hasEnded } from './settle.js';
import { takeOver } from './takeover.js';

/**
 * The record of a job that comes from another store, as a new one of this store: at its place in the schedule, without
 * the runs that go on where it was. Its history begins here, so its generation does. What cannot be read, or whose
 * trigger fails, is in quarantine. `undefined` when nothing is left of it that could still happen.
 */
export function arrivedRecord(from: JobRecord, now: EpochMs): JobRecord | undefined {
  const { id, definition } = from;
  const fence = Math.max(now, from.state.fence + 1);
  const links = arrivedLinks(from.state.links, definition, now);
  const state: JobState = withLinks({ ...from.state, runs: NO_RUNS, fence, generation: fence, firstFireTime: from.state.nextFireTime }, links);
  if (state.status === 'quarantined') return { id, definition, state };
  try {
    // Asked before it is due, so that who imports it hears of it.
    nextFire(definition, now);
    const next = state.nextFireTime ?? nextOfActive(from, now);
    const nextDueAt = next === null ? null : (state.nextDueAt ?? dueAt(id, definition, next));
    if (next === null && state.status === 'active' && !awaitsEvent(definition)) return undefined;
    return { id, definition, state: { ...state, nextFireTime: next, nextDueAt, firstFireTime: next } };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { id, definition, state: { ...state, status: 'quarantined', reason } };
  }
}

/** A job that measures from the end of a run which went on elsewhere: nobody here will see that end. */
function nextOfActive({ definition, state }: JobRecord, now: EpochMs): EpochMs | null {
  const measures = definition.trigger.nextAfterCompletion !== undefined;
  if (state.status !== 'active' || !measures || hasEnded(definition.policy.maxRuns, state.runCount)) return null;
  return fireAfterCompletion(definition, now);
}

/**
 * The record with a job that arrived in its place. What was due of the old one is skipped, with a verdict; its live runs
 * keep their slots and their verdicts, and no fire time that it dealt with comes up again.
 */
export function replaceByArrived(record: JobRecord, arrived: JobRecord, context: ActContext): Decision {
  const draft = new Draft(record, context);
  if (record.state.status === 'active') skipOverdueSafely(draft, 'rescheduled');
  const fence = Math.max(draft.fence + 1, arrived.state.fence);
  const links = inherited(draft.links, arrived.state.links);
  const state = withLinks({ ...takeOver(arrived, draft.runs, record.state.lastFireTime), fence, generation: fence }, links);
  const isOver = state.nextFireTime === null && state.status === 'active' && draft.runs.length === 0 && !awaitsEvent(arrived.definition);
  if (!isOver) return draft.write(state, arrived.definition);
  draft.note({ type: 'jobCompleted', reason: 'exhausted', runCount: state.runCount });
  return deleteJob(draft, state);
}

import type { JobDefinition, JobRecord, JobState } from '../model/job.js';
import type { EpochMs } from '../ports/trigger.js';
import { Draft, type ActContext, type Decision } from './draft.js';
import { dueAt, fireAfterCompletion } from './fires.js';
import { finishLinks } from './links/links.js';
import { hasFailedTooOften, suspend } from './suspend.js';

/**
 * The last step of every decision. A job that measures from completion gets its next fire time here, once nothing
 * of it is live; a job with no fire time and no live run has nothing left to say, and is deleted.
 */
export function settle(draft: Draft, state: JobState): Decision {
  const { record, now } = draft;
  const { definition, id } = record;
  if (state.status === 'removed') return state.runs.length === 0 ? deleteJob(draft, state, state.status) : draft.write(state);
  if (state.status === 'active' && hasFailedTooOften(draft) && goesOn(draft, state)) return settle(draft, suspend(draft, state));
  if (state.nextFireTime !== null || state.status === 'quarantined') return draft.write(state);

  const ended = hasEnded(definition.policy.maxRuns, state.runCount);
  if (!ended && definition.trigger.nextAfterCompletion !== undefined) {
    if (state.runs.some((run) => !run.manual)) return draft.write(state);
    try {
      const next = fireAfterCompletion(definition, now);
      if (next !== null) return draft.write({ ...state, nextFireTime: next, nextDueAt: dueAt(id, definition, next) });
    } catch (error) {
      // What was decided on the way here stays decided: the cursor must not go back to a fire time that has its verdict.
      return quarantine(draft, error, state);
    }
  }
  // A paused job without a fire time is parked on purpose, or waits to be told what to do with its past.
  const waits = state.status === 'paused' || (!ended && awaitsEvent(definition) && !isPast(definition, now));
  if (waits || state.runs.length > 0) return draft.write(state);
  draft.note({ type: 'jobCompleted', reason: ended ? 'max-runs' : 'exhausted', runCount: state.runCount });
  return deleteJob(draft, state);
}

/** Whether anything is left that a pause would hold back. A job that is over completes, however it ended. */
function goesOn({ record: { definition } }: Draft, { nextFireTime, runCount, runs }: JobState): boolean {
  if (nextFireTime !== null || runs.some((run) => run.state === 'waiting' && !run.manual)) return true;
  return !hasEnded(definition.policy.maxRuns, runCount) && (awaitsEvent(definition) || definition.trigger.nextAfterCompletion !== undefined);
}

/** Whether the ends of other runs make no fire times any more. */
function isPast({ trigger, policy: { endTime } }: JobDefinition, now: EpochMs): boolean {
  return trigger.follows !== undefined && endTime !== null && endTime < now;
}

/** Deletes the record, or keeps it unseen as long as others are still to be told of it, or follow whichever job has its id. */
export function deleteJob(draft: Draft, state: JobState, status = draft.record.state.status): Decision {
  if (state.links === undefined) return draft.delete(status);
  const { id } = draft.record;
  const gone = finishLinks(id, { ...state, status: 'removed', reason: null, nextFireTime: null, nextDueAt: null }, draft.now);
  return gone.links === undefined ? draft.delete(status) : draft.write(gone);
}

/** Whether its fire times are the starts of a scheduler or the ends of other runs, so that having none says nothing about the next. */
export function awaitsEvent({ trigger }: JobDefinition): boolean {
  return trigger.fireTimeFor !== undefined || trigger.follows !== undefined;
}

export function hasEnded(maxRuns: number | null, runCount: number): boolean {
  return maxRuns !== null && runCount >= maxRuns;
}

/** A trigger that throws once will throw for ever: stop this job, keep everything it had, and say so. */
export function quarantine(draft: Draft, error: unknown, state: JobState = draft.state()): Decision {
  const reason = error instanceof Error ? error.message : String(error);
  draft.note({ type: 'jobQuarantined', reason });
  return draft.write({ ...state, status: 'quarantined', reason });
}

/** The record as it is, stopped: for one that nothing else could be decided about. */
export function quarantineRecord(record: JobRecord, error: unknown, context: ActContext): Decision {
  return quarantine(new Draft(record, context), error);
}

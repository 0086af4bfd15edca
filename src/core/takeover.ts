import type { JobRecord, JobState } from '../model/job.js';
import type { RunRecord } from '../model/run.js';
import type { EpochMs } from '../ports/trigger.js';
import { dueAt, nextFire } from './fires.js';
import { scheduleOf } from './links/links.js';

/**
 * The state of a job that takes over the live runs of another with its id. Its schedule begins after `through`, because
 * a fire time up to there may have a run, and a run is named after its fire time. @throws what the trigger throws.
 */
export function takeOver(job: JobRecord, runs: readonly RunRecord[], through: EpochMs | null): JobState {
  const { id, definition } = job;
  const state = { ...job.state, runs };
  if (state.status === 'quarantined') return state;
  // What measures from the end of a run goes on from the end of this one.
  const awaits = definition.trigger.nextAfterCompletion !== undefined && runs.some((run) => !run.manual);
  const { nextFireTime } = state;
  if (!awaits && (nextFireTime === null || through === null || nextFireTime > through)) return state;
  const next = awaits || through === null ? null : nextFire(scheduleOf(job), through);
  return { ...state, nextFireTime: next, nextDueAt: next === null ? null : dueAt(id, definition, next), firstFireTime: next };
}

/** The latest fire time that has a live run. */
export function lastLiveFire(runs: readonly RunRecord[]): EpochMs | null {
  let last: EpochMs | null = null;
  for (const { manual, scheduledFor } of runs) if (!manual && (last === null || scheduledFor > last)) last = scheduledFor;
  return last;
}

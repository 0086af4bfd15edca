import { mayStart, slotLimit, type JobRecord, type JobState } from '../model/job.js';
import type { RunRecord } from '../model/run.js';
import type { EpochMs } from '../ports/trigger.js';
import type { Draft } from './draft.js';
import type { DueFires } from './due-fires.js';
import { nextFire } from './fires.js';
import { scheduleOf } from './links/links.js';

/**
 * The state of a job whose due fire times stay where they are until then, since a limit has no room for them. Those later
 * than their grace allows have been missed by now: how late one is, is measured before it waits, and not again.
 * `undefined` when that cannot be told.
 */
export function holdFires(draft: Draft, { missed }: DueFires, until: EpochMs): JobState | undefined {
  if (missed === null) return draft.state({ nextDueAt: until });
  let next: EpochMs | null;
  try {
    next = nextFire(scheduleOf(draft.record), missed.scheduledTo);
  } catch {
    return undefined; // what it throws is dealt with where fire times are placed
  }
  if (next === null) return undefined;
  writeMissed(draft, missed);
  return draft.state({ nextFireTime: next, nextDueAt: until, lastFireTime: missed.scheduledTo });
}

export function writeMissed(draft: Draft, missed: NonNullable<DueFires['missed']>): void {
  draft.writeRange('missed', 'misfire-grace', missed);
  draft.note({ type: 'jobMissed', reason: 'misfire-grace', latenessMs: draft.now - missed.scheduledFor, ...missed });
}

/** Puts off the runs that could start now, but for a limit. */
export function putOffRuns(draft: Draft, until: EpochMs): void {
  if (draft.running >= slotLimit(draft.record.definition.policy)) return; // they wait for a run of their job
  draft.runs = withReadyAt(draft.runs, (run) => run.readyAt <= draft.now && mayStart(draft.record, run), until);
}

/** Whether something of it was put off until then. */
export function isHeldUntil({ state }: JobRecord, until: EpochMs): boolean {
  return state.nextDueAt === until || state.runs.some((run) => run.state === 'waiting' && run.readyAt === until);
}

/** The record as if it had not been put off until `until`. */
export function takeUp(record: JobRecord, until: EpochMs, now: EpochMs): JobRecord {
  const { state } = record;
  const runs = withReadyAt(state.runs, (run) => run.readyAt === until, now);
  const nextDueAt = state.nextDueAt === until ? now : state.nextDueAt;
  return { ...record, state: { ...state, runs, nextDueAt } };
}

type Waiting = Extract<RunRecord, { readonly state: 'waiting' }>;

function withReadyAt(runs: readonly RunRecord[], applies: (run: Waiting) => boolean, readyAt: EpochMs): readonly RunRecord[] {
  return runs.map((run) => (run.state === 'waiting' && applies(run) ? { ...run, readyAt } : run));
}

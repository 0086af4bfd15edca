import type { JobRecord } from '../model/job.js';
import { mayStart, slotLimit } from '../model/job.js';
import { isWaiting } from '../model/links.js';
import type { RunningRun, RunRecord, WaitingRun } from '../model/run.js';
import type { EpochMs } from '../ports/trigger.js';
import { Draft, type Decision } from './draft.js';
import { dueFires, type DueFires } from './due-fires.js';
import { dueAt } from './fires.js';
import { holdFires, putOffRuns, writeMissed } from './hold.js';
import { scheduleOf, takenOn } from './links/links.js';
import { placeFire, startWaiting, type Berth } from './overlap.js';
import { hasEnded, quarantine, settle } from './settle.js';

export interface PlanContext {
  readonly now: EpochMs;
  /** The node that asks, and would hold what starts. */
  readonly node: string;
  /** Until when it would hold it; `null` where the store dies with this process. */
  readonly leaseUntil: EpochMs | null;
  /** See {@link Berth}. */
  readonly process: string | null;
  /** Runs the job's executor still takes on this node. */
  readonly slots: number;
  /** Where a limit leaves room for so many `slots`: until when the rest is put off. */
  readonly holdUntil?: EpochMs | undefined;
  /** Whether this node still executes a run whose lease has run out, so that it renews rather than abandons it. */
  readonly executes: (jobId: string, run: RunningRun) => boolean;
}

/** Lateness from which a single fire time counts as catching up: the longest a healthy loop may sleep. */
export const CATCH_UP_LATENESS_MS = 30_000;

/** What should happen to a record at `context.now`. Pure: no clock, no I/O, no randomness. */
export function decide(record: JobRecord, context: PlanContext): Decision {
  const { state, definition } = record;
  const draft = new Draft(record, context);
  const berth: Berth = { slots: context.slots, leaseUntil: context.leaseUntil, process: context.process };
  if (draft.runs.length > 0) reviewRuns(draft, context, berth);
  if (draft.links !== undefined) draft.links = takenOn(draft.links, context.now);
  if (state.status !== 'active' || isWaiting(state)) return settle(draft, draft.state());
  if (definition.trigger.unreadable !== undefined) return quarantine(draft, definition.trigger.unreadable);

  const schedule = scheduleOf(record);
  const due = dueFires(record.id, schedule, state, context.now);
  if (due === null) return settle(draft, draft.state());
  if (context.holdUntil !== undefined && berth.slots <= 0 && due.chosen.length > 0 && draft.running < slotLimit(definition.policy)) {
    const held = holdFires(draft, due, context.holdUntil);
    if (held !== undefined) return settle(draft, held);
  }
  let nextDueAt = due.next;
  let { failure } = due;
  try {
    if (due.next !== null) nextDueAt = dueAt(record.id, schedule, due.next);
  } catch (error) {
    failure = { error };
  }

  const lastFireTime = applyDue(draft, berth, due);
  if (context.holdUntil !== undefined && berth.slots <= 0) putOffRuns(draft, context.holdUntil);
  const ended = hasEnded(definition.policy.maxRuns, draft.runCount);
  const decided = draft.state({
    nextFireTime: ended ? null : due.next,
    nextDueAt: ended ? null : nextDueAt,
    lastFireTime,
  });
  return ended || failure === null ? settle(draft, decided) : quarantine(draft, failure.error, decided);
}

/** Runs there are already: those of dead nodes are taken back, and those that waited start. */
function reviewRuns(draft: Draft, context: PlanContext, berth: Berth): void {
  reviewLeases(draft, context, (run) => run.leaseUntil !== null && run.leaseUntil <= context.now);
  startWaiting(draft, berth, (run) => mayStart(draft.record, run));
  if (context.holdUntil !== undefined && berth.slots <= 0) putOffRuns(draft, context.holdUntil);
}

/**
 * The record without runs whose process is known to be dead, whatever is left of their leases; `undefined` when it has
 * none. What becomes of them is up to `onCrash`, as when a lease runs out.
 */
export function reclaimRuns(record: JobRecord, isDead: (run: RunningRun) => boolean, context: PlanContext): Decision | undefined {
  if (!record.state.runs.some((run) => run.state === 'running' && isDead(run))) return undefined;
  const draft = new Draft(record, context);
  reviewLeases(draft, context, isDead);
  return settle(draft, draft.state());
}

/** Runs whose lease is over belong to a dead node: another attempt, or the end. */
function reviewLeases(draft: Draft, context: PlanContext, isOver: (run: RunningRun) => boolean): void {
  const { policy } = draft.record.definition;
  let changed: RunRecord[] | undefined;
  draft.runs.forEach((run, index) => {
    if (run.state !== 'running' || !isOver(run)) {
      changed?.push(run);
      return;
    }
    changed ??= draft.runs.slice(0, index);
    if (context.executes(draft.record.id, run)) {
      changed.push({ ...run, leaseUntil: context.leaseUntil });
      return;
    }
    draft.running -= 1;
    const ref = { runId: run.id, scheduledFor: run.scheduledFor, attempt: run.attempt };
    if (run.abort !== null) {
      draft.writeRun('cancelled', run.abort, run, null);
      draft.note({ type: 'jobCancelled', reason: run.abort, ...ref });
      return;
    }
    const crashes = run.crashes + 1;
    const retried =
      policy.onCrash === 'retry' && crashes <= policy.maxCrashes && draft.record.state.status !== 'removed';
    draft.note({ type: 'jobAbandoned', owner: run.owner, retried, ...ref });
    if (retried) changed.push({ ...toWaiting(run, context.now), crashes });
    else draft.writeRun('abandoned', policy.onCrash === 'drop' ? 'on-crash-drop' : 'max-crashes', run, null);
  });
  if (changed !== undefined) draft.runs = changed;
}

/** The run without its holder, to be taken up again by whoever is first. */
export function toWaiting(run: RunningRun, readyAt: EpochMs): WaitingRun {
  const { id, scheduledFor, attempt, manual, catchUp, crashes, args, argsVersion, follows } = run;
  const waiting: WaitingRun = { state: 'waiting', id, scheduledFor, attempt, manual, catchUp, crashes, args, cause: 'crash', readyAt };
  if (argsVersion === undefined && follows === undefined) return waiting;
  return { ...waiting, ...(argsVersion === undefined ? undefined : { argsVersion }), ...(follows === undefined ? undefined : { follows }) };
}

/** Answers the last fire time it gave a place or a verdict: with `maxRuns` reached, the later ones are none of the job's. */
function applyDue(draft: Draft, berth: Berth, due: DueFires): EpochMs {
  const { policy } = draft.record.definition;
  if (due.missed !== null) writeMissed(draft, due.missed);
  if (due.overflow !== null) {
    draft.writeRange('missed', 'catch-up-limit', due.overflow);
    const latenessMs = draft.now - due.overflow.scheduledFor;
    draft.note({ type: 'jobMissed', reason: 'catch-up-limit', latenessMs, ...due.overflow });
  }
  const first = due.chosen[0];
  if (due.coalesced !== null && first !== undefined) {
    draft.writeRange('coalesced', null, due.coalesced);
    draft.note({ type: 'jobCoalesced', into: first, ...due.coalesced });
  }
  // Fire times of one catch-up wait for one another, but a run from before stands in the way of each of them.
  const waits = draft.running < slotLimit(policy);
  let last = due.coalesced?.scheduledTo ?? due.last;
  for (const fire of due.chosen) {
    if (hasEnded(policy.maxRuns, draft.runCount)) return last;
    // From when it is due: one that had to wait for other jobs is not late for that.
    const late = fire === draft.record.state.nextFireTime ? (draft.record.state.nextDueAt ?? fire) : fire;
    const catchUp = due.several || draft.now - late > CATCH_UP_LATENESS_MS;
    if (placeFire(draft, berth, fire, catchUp, waits && fire !== first)) draft.runCount += 1;
    last = fire;
  }
  return due.last;
}

import type { JobDefinition, JobRecord, JobState, JobStatus } from '../model/job.js';
import { isWatched } from '../model/alarm.js';
import { NO_RUNS } from '../model/job.js';
import { isWaiting } from '../model/links.js';
import type { SkipReason } from '../model/notice.js';
import type { RunRecord, WaitingRun } from '../model/run.js';
import { NO_STATS } from '../model/stats.js';
import type { EpochMs } from '../ports/trigger.js';
import { Draft, type ActContext, type Decision } from './draft.js';
import { dueAt, fireRange, lastDue, nextFire } from './fires.js';
import { firstLinks, inherited, relinked, scheduleOf, withLinks } from './links/links.js';
import { hasEnded, settle } from './settle.js';
import { lastLiveFire, takeOver } from './takeover.js';

/** The first record of a job, with its first fire time. @throws what the trigger throws. */
export function newRecord(id: string, definition: JobDefinition, paused: boolean, now: EpochMs): JobRecord {
  const first = firstFire(definition, now);
  const state: JobState = {
    status: paused ? 'paused' : 'active',
    reason: null,
    nextFireTime: first,
    nextDueAt: first === null ? null : dueAt(id, definition, first),
    lastFireTime: null,
    runCount: 0,
    fence: now,
    generation: now,
    firstFireTime: first,
    runs: NO_RUNS,
    stats: NO_STATS,
    watch: definition.policy.expect === null || paused || !isWatched('active', definition) ? null : { since: now, overdue: null },
  };
  return { id, definition, state: withLinks(state, firstLinks(definition, now)) };
}

/** Where a schedule that begins at `now` begins: `first` where the trigger has one (a date that has passed is still due). */
export function firstFire(definition: JobDefinition, now: EpochMs): EpochMs | null {
  const { trigger, policy } = definition;
  const first = trigger.first?.(now) ?? null;
  if (first === null) return nextFire(definition, now);
  const inBounds =
    (policy.startTime === null || first >= policy.startTime) && (policy.endTime === null || first <= policy.endTime);
  return inBounds ? first : nextFire(definition, now);
}

/** The record with firing stopped and its cursor kept; `undefined` when it is paused already. */
export function pauseJob(record: JobRecord, reason: string | null, context: ActContext): Decision | undefined {
  if (record.state.status !== 'active') return undefined;
  const draft = new Draft(record, context);
  return draft.write(draft.state({ status: 'paused', reason }));
}

/**
 * The record firing again. What came up while it was paused is skipped, with a verdict, or left due (`catchUp`), so
 * that the job's own policies deal with it. @throws what the trigger throws.
 */
export function resumeJob(record: JobRecord, catchUp: boolean, context: ActContext): Decision | undefined {
  const { state, id } = record;
  const definition = scheduleOf(record);
  if (state.status !== 'paused') return undefined;
  const draft = new Draft(record, context);
  draft.stats = draft.stats.consecutiveFailures === 0 ? draft.stats : { ...draft.stats, consecutiveFailures: 0 };
  const active = { status: 'active', reason: null } as const;
  if (catchUp || isWaiting(state) || !isOverdue(record, definition, context.now)) return settle(draft, draft.state(active));
  const lastFireTime = skipOverdue(draft, 'paused');
  const awaits = definition.trigger.nextAfterCompletion !== undefined;
  const next = awaits || lastFireTime === null ? null : nextFire(definition, lastFireTime);
  return settle(
    draft,
    draft.state({
      ...active,
      nextFireTime: next,
      nextDueAt: next === null ? null : dueAt(id, definition, next),
      lastFireTime,
    }),
  );
}

/** The record of a job that fires when a scheduler starts, with that fire time; `undefined` when it is not to fire. */
export function startupFire(record: JobRecord, startedAt: EpochMs, context: ActContext): Decision | undefined {
  const { state, definition, id } = record;
  const fire = definition.trigger.fireTimeFor?.(startedAt) ?? null;
  if (fire === null || state.status !== 'active' || state.nextFireTime !== null) return undefined;
  if (hasEnded(definition.policy.maxRuns, state.runCount)) return undefined;
  const draft = new Draft(record, context);
  return draft.write(draft.state({ nextFireTime: fire, nextDueAt: dueAt(id, definition, fire) }));
}

/**
 * A quarantined record given another try, from its cursor or, without one, from the last fire time that was dealt with
 * or from now. @throws what the trigger throws.
 */
export function retryQuarantined(record: JobRecord, context: ActContext): Decision | undefined {
  if (record.state.status !== 'quarantined') return undefined;
  const { definition } = record;
  const draft = new Draft(record, context);
  // A schedule that waits for a run to end, or has had all its runs, goes on from there.
  const awaits = definition.trigger.nextAfterCompletion !== undefined;
  const waits = (awaits && draft.runs.some((run) => !run.manual)) || hasEnded(definition.policy.maxRuns, draft.runCount);
  const { firstFireTime, lastFireTime } = record.state;
  const begun = !awaits && firstFireTime !== null && lastFireTime !== null && lastFireTime >= firstFireTime;
  const next = record.state.nextFireTime ?? (waits ? null : nextFire(definition, begun ? lastFireTime : context.now));
  const nextDueAt = next === null ? null : dueAt(record.id, definition, next);
  return settle(draft, draft.state({ status: 'active', reason: null, nextFireTime: next, nextDueAt }));
}

/** Whether what one of them waits for (a limit, a node that can run it) the other does, too. */
function startsAlike(a: JobDefinition, b: JobDefinition): boolean {
  return a.task === b.task && a.taskVersion === b.taskVersion && a.tags === b.tags && a.policy.executor === b.policy.executor;
}

/** The record under another definition, its place in the schedule kept. */
export function modifyJob(record: JobRecord, definition: JobDefinition, context: ActContext): Decision {
  const before = record.definition.policy;
  const after = definition.policy;
  if (before.startTime !== after.startTime || before.endTime !== after.endTime || before.exclusive !== after.exclusive) {
    return rescheduleJob(record, definition, context);
  }
  const draft = new Draft({ ...record, definition }, context);
  const { nextFireTime, lastFireTime, runCount } = record.state;
  const ended = hasEnded(after.maxRuns, runCount);
  // With more runs than before, a job whose last run is still going is not at its end after all.
  const goesOn = !ended && hasEnded(before.maxRuns, runCount) && definition.trigger.nextAfterCompletion === undefined;
  const cursor = ended ? null : goesOn && lastFireTime !== null ? nextFire(definition, lastFireTime) : nextFireTime;
  const isSame = cursor === nextFireTime && before.jitterMs === after.jitterMs && startsAlike(record.definition, definition);
  const nextDueAt = cursor === null ? null : isSame ? record.state.nextDueAt : dueAt(record.id, definition, cursor);
  return settle(draft, draft.state({ nextFireTime: cursor, nextDueAt }));
}

/**
 * The record on another schedule (a new trigger, or new bounds), which begins now. What was due and not yet dealt
 * with under the old one is skipped, with a verdict. @throws what either trigger throws.
 */
export function rescheduleJob(record: JobRecord, definition: JobDefinition, context: ActContext): Decision {
  const old = new Draft(record, context);
  const lastFireTime = skipOverdueSafely(old, 'rescheduled');
  old.links = relinked(old.links, definition, context.now);
  // No smaller than the instant at which it begins: by that each node knows from when on it follows a schedule of its own.
  old.fence = Math.max(old.fence + 1, context.now);
  // What `maxRuns` allowed stays used up: another schedule is no other job.
  const ended = hasEnded(definition.policy.maxRuns, old.runCount);
  const next = ended ? null : firstFire(definition, context.now);
  const after = next !== null && lastFireTime !== null && next <= lastFireTime ? nextFire(definition, lastFireTime) : next;
  const state = old.state({
    nextFireTime: after,
    nextDueAt: after === null ? null : dueAt(record.id, definition, after),
    lastFireTime,
    generation: old.fence,
    firstFireTime: after,
  });
  return old.write(state, definition);
}

/**
 * Gone for its users. Live runs keep the record, unseen, until each has its verdict.
 *
 * @param abort - asks them to stop.
 */
export function removeJob(record: JobRecord, context: ActContext, abort = false): Decision | undefined {
  if (record.state.status === 'removed') return undefined;
  const draft = new Draft(record, context);
  const lastFireTime = record.state.status === 'active' ? skipOverdueSafely(draft, 'removed') : record.state.lastFireTime;
  const kept: RunRecord[] = [];
  for (const run of draft.runs) {
    if (run.state === 'running') {
      kept.push(abort && run.abort === null ? { ...run, abort: 'removed' } : run);
      continue;
    }
    draft.writeRun('cancelled', 'removed', run, null);
    const { id: runId, scheduledFor, attempt } = run;
    draft.note({ type: 'jobCancelled', reason: 'removed', runId, scheduledFor, attempt });
  }
  draft.runs = kept;
  return settle(draft, draft.state({ status: 'removed', nextFireTime: null, nextDueAt: null, lastFireTime }));
}

/** A new job under the id of a removed one whose last runs still go on: they keep their slots and their verdicts. */
export function reviveRecord(removed: JobRecord, fresh: JobRecord): JobRecord {
  const fence = Math.max(removed.state.fence + 1, fresh.state.fence);
  const { runs } = removed.state;
  const links = inherited(removed.state.links, fresh.state.links);
  return { ...fresh, state: withLinks({ ...takeOver(fresh, runs, lastLiveFire(runs)), fence, generation: fence }, links) };
}

export interface ManualRun {
  readonly id: string;
  readonly decision: Decision;
}

/**
 * A run asked for by name: beside the schedule, in the next free slot.
 *
 * @param args - its own arguments; `null` for the job's.
 * @param argsVersion - the version of the task that those are for.
 */
export function requestRun(record: JobRecord, args: readonly unknown[] | null, context: ActContext, argsVersion = record.definition.taskVersion): ManualRun {
  const draft = new Draft(record, context);
  draft.fence += 1;
  const run: WaitingRun = {
    state: 'waiting',
    id: `${record.id}#${draft.fence}`,
    scheduledFor: context.now,
    attempt: 0,
    manual: true,
    catchUp: false,
    crashes: 0,
    args,
    cause: 'queued',
    readyAt: context.now,
  };
  draft.addRun(args === null || argsVersion === 1 ? run : { ...run, argsVersion });
  return { id: run.id, decision: draft.write(draft.state()) };
}

/** A decision with another status in its record than it came to. */
export function withStatus(decision: Decision, next: JobRecord, status: JobStatus, context: ActContext): Decision & { readonly next: JobRecord } {
  const draft = new Draft(next, context);
  const changed = draft.write(draft.state({ status, reason: null }));
  return { ...decision, next: changed.next ?? next, notices: [...decision.notices, ...changed.notices] };
}

/** Whether the fire time that comes next was due by now: also one that waits for a limit, and is due later since. */
function isOverdue({ id, state: { nextFireTime, nextDueAt } }: JobRecord, definition: JobDefinition, now: EpochMs): boolean {
  if (nextFireTime === null || nextDueAt === null) return false;
  return nextDueAt <= now || (nextFireTime <= now && dueAt(id, definition, nextFireTime) <= now);
}

/** Gives what is due and not dealt with the verdict `skipped`. Answers the last fire time that has one now. */
function skipOverdue(draft: Draft, reason: SkipReason): EpochMs | null {
  const { state, id } = draft.record;
  const definition = scheduleOf(draft.record);
  const { nextFireTime: first } = state;
  if (first === null || isWaiting(state) || !isOverdue(draft.record, definition, draft.now)) return state.lastFireTime;
  const awaits = definition.trigger.nextAfterCompletion !== undefined;
  const last = awaits ? first : (lastDue(id, definition, first, draft.now) ?? first);
  const range = fireRange(definition, first, last);
  draft.writeRange('skipped', reason, range);
  draft.note({ type: 'jobSkipped', reason, ...range });
  return last;
}

/** The same where the old trigger may be the very thing that fails: its one known fire time then stands for all. */
export function skipOverdueSafely(draft: Draft, reason: SkipReason): EpochMs | null {
  try {
    return skipOverdue(draft, reason);
  } catch {
    const first = draft.record.state.nextFireTime ?? draft.now;
    const range = { scheduledFor: first, scheduledTo: first, count: 1, exact: false };
    draft.writeRange('skipped', reason, range);
    draft.note({ type: 'jobSkipped', reason, ...range });
    return first;
  }
}

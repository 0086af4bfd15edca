import { nextFire } from '../../core/fires.js';
import { scheduleOf } from '../../core/links/links.js';
import type { JobDefinition, JobRecord } from '../../model/job.js';
import type { PendingFire } from '../../model/links.js';
import { mayBeHeld } from './features.js';
import type { AuditOptions, WrittenChange } from './record-audit.js';

interface Fault {
  readonly promise: string;
  readonly what: string;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Fire times looked at one by one, of one change. */
const MOST_STEPS = 50_000;

/**
 * Compares the fire times a change deals with, with those the trigger has between the old cursor and the new one: each
 * must be in a ledger entry or in a new run, once, and the new cursor must be the one that follows.
 */
export function auditFires(change: WrittenChange, { toleranceMs, onTheWayMs, wildTime }: AuditOptions): Fault | null {
  const { before, next, ledger, at } = change;
  const cursor = before.state.nextFireTime;
  const isRevival = next !== null && before.state.status === 'removed' && next.state.status !== 'removed';
  if (isRevival) return null;
  const known = new Set(before.state.runs.map(({ id }) => id));
  const gone = new Set(before.state.runs.map(({ scheduledFor }) => scheduledFor));
  const spans: Span[] = ledger
    .filter((entry) => entry.runId === null && !(entry.verdict === 'skipped' && entry.reason === 'replaced' && gone.has(entry.scheduledFor)))
    .map(({ scheduledFor, scheduledTo }) => ({ from: scheduledFor, to: scheduledTo }));
  const started = (next?.state.runs ?? []).filter(({ id, manual }) => !manual && !known.has(id));
  spans.push(...started.map(({ scheduledFor }) => ({ from: scheduledFor, to: scheduledFor })));
  spans.sort((a, b) => a.from - b.from);

  // What it waited for has ended: it begins with the fire time that is next by now.
  if (before.state.links?.waits !== undefined && next?.state.links?.waits === undefined) return null;
  if (spans.length > 0 && cursor === null) return { promise: 'G1', what: `fire time ${spans[0]?.from ?? 0} was dealt with, and none was due` };
  const last = spans.at(-1)?.to;
  if (!wildTime && last !== undefined && last > at + toleranceMs) return { promise: 'early', what: `fire time ${last} was dealt with ${last - at} ms early` };
  if (!wildTime) {
    const late = lateness(change, toleranceMs + onTheWayMs);
    if (late !== null) return late;
  }
  if (isOpaque(before)) return null;
  const definition = scheduleBefore(before, next);
  // A job whose last change left it with more runs than it may have ends with its next fire time, which is none of its own.
  if (definition.policy.maxRuns !== null && before.state.runCount >= definition.policy.maxRuns) return null;
  let expected = cursor ?? firstHeard(before, next);
  for (const span of spans) {
    if (span.from !== expected) {
      return { promise: 'G1', what: `fire time ${span.from} was dealt with, and ${String(expected)} was next` };
    }
    const end = walk(definition, span);
    if (end === null) return { promise: 'G1', what: `${span.from} to ${span.to} does not end on a fire time` };
    expected = nextFire(definition, span.to);
  }
  return next === null ? null : auditCursor(before, next, spans, expected);
}

/** The schedule of a job: of one that follows others the fire times it knew, and those it has heard of with this change. */
function scheduleBefore(before: JobRecord, next: JobRecord | null): JobDefinition {
  if (before.definition.trigger.follows === undefined) return before.definition;
  const known = before.state.links?.pending ?? [];
  const pending: PendingFire[] = [...known, ...(next?.state.links?.pending ?? []).filter(({ at }) => !known.some((fire) => fire.at === at))];
  return scheduleOf({ ...before, state: { ...before.state, links: { since: 0, ...before.state.links, pending } } });
}

/** Where the cursor of a job comes to be that had none, and has heard of an end. */
function firstHeard(before: JobRecord, next: JobRecord | null): number | null {
  if (before.definition.trigger.follows === undefined) return null;
  return next?.state.links?.pending?.[0]?.at ?? null;
}

/** Jobs whose fire times cannot be told beforehand, or whose trigger fails. */
function isOpaque({ definition, state }: JobRecord): boolean {
  return definition.trigger.kind === 'flaky' || definition.trigger.nextAfterCompletion !== undefined || state.status === 'quarantined';
}

/** The end of the range, if it is a fire time that one comes to from its beginning. */
function walk(definition: JobDefinition, { from, to }: Span): number | null {
  let at: number | null = from;
  for (let step = 0; step < MOST_STEPS && at !== null && at < to; step++) at = nextFire(definition, at);
  return at === to ? to : null;
}

function auditCursor(before: JobRecord, next: JobRecord, spans: readonly Span[], expected: number | null): Fault | null {
  const { state } = next;
  if (state.status === 'removed' || state.status === 'quarantined') return null;
  const isSame = state.generation === before.state.generation;
  const last = spans.at(-1)?.to ?? before.state.lastFireTime;
  if (!isSame) {
    if (state.nextFireTime !== null && last !== null && state.nextFireTime <= last) {
      return { promise: 'G2', what: `the new schedule begins at ${state.nextFireTime}, and ${last} was dealt with already` };
    }
    return null;
  }
  const isOver = next.definition.policy.maxRuns !== null && state.runCount >= next.definition.policy.maxRuns;
  if (state.nextFireTime !== expected && !(isOver && state.nextFireTime === null)) {
    return { promise: 'G1', what: `the cursor is ${String(state.nextFireTime)}, and ${String(expected)} is next` };
  }
  return null;
}

/** Grace is measured from when a fire time is due to when it is claimed, once. */
function lateness({ before, next, ledger, at }: WrittenChange, toleranceMs: number): Fault | null {
  const { policy } = before.definition;
  const grace = policy.misfireGraceMs;
  const jitter = policy.jitterMs;
  for (const entry of ledger) {
    if (entry.verdict !== 'missed' || entry.reason !== 'misfire-grace') continue;
    if (grace === null || at - entry.scheduledTo < grace - toleranceMs) {
      return { promise: 'grace', what: `${entry.scheduledTo} was missed ${at - entry.scheduledTo} ms late, with ${String(grace)} allowed` };
    }
  }
  // Of what waits for a limit it was measured before.
  if (grace === null || before.state.status !== 'active' || mayBeHeld(before.definition)) return null;
  for (const run of next?.state.runs ?? []) {
    if (run.manual || before.state.runs.some(({ id }) => id === run.id)) continue;
    if (at - run.scheduledFor > grace + jitter + toleranceMs) {
      return { promise: 'grace', what: `${run.scheduledFor} became a run ${at - run.scheduledFor} ms late, with ${grace} allowed` };
    }
  }
  return null;
}

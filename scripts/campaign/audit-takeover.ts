/** How soon the runs of a dead node are dealt with, by others that could reach the store all the while. */
import type { RunReport } from '../../src/index.js';
import { isWithin, type Attempt, type History, type Span } from './attempts.js';
import { textOf, type Breach } from './audit-log.js';
import { EVERYBODY } from './log.js';
import { isLimited, type JobPlan } from './plan.js';

/** For a node to wake up, to look, and to be heard of: on a machine with more to do than it has processors for. */
export const WAKE_MS = 1_000;

export interface TakeoverState {
  readonly plans: ReadonlyMap<string, JobPlan>;
  readonly history: History;
  readonly reports: readonly RunReport[];
  /** Wall time minus monotonic time of the machine. */
  readonly wallOffset: number;
  /** By job: the fire time up to which the store has dropped entries. */
  readonly pruned: ReadonlyMap<string, number>;
  /** Jobs that have as many entries as are kept, of which others may have been dropped. */
  readonly full: ReadonlySet<string>;
}

export interface TakeoverFindings {
  readonly breaches: readonly Breach[];
  /** Ms from the death of a node until somebody dealt with a run of it, where somebody could have all the while. */
  readonly delays: readonly number[];
  /** Those that came late where everybody who could have been in time was slow meanwhile: the machine's fault, or not. */
  readonly untold: number;
}

export function auditTakeovers({ plans, history, reports, wallOffset, pruned, full }: TakeoverState): TakeoverFindings {
  const { attempts, deaths, leaseMs } = history;
  const breaches: Breach[] = [];
  const delays: number[] = [];
  let untold = 0;
  const starts = new Map<string, number>();
  for (const { runId, attempt, startedAt } of attempts) starts.set(`${runId}/${attempt}`, startedAt);
  const verdicts = new Map<string, number>();
  for (const { runId, finishedAt } of reports) if (runId !== null) verdicts.set(runId, finishedAt.getTime() - wallOffset);
  for (const attempt of attempts) {
    const { pid, jobId, runId, scheduledFor, manual, end, abort } = attempt;
    const diedAt = deaths.get(pid);
    const plan = plans.get(jobId);
    // A run of a paused job waits, and so may one under a limit; of one whose lease was lost before, others knew already.
    if (end !== null || abort?.code === 'LEASE_LOST' || diedAt === undefined || plan === undefined || plan.pausable || isLimited(plan)) continue;
    // Its verdict may have been dropped with the time at which it came.
    if ((manual && full.has(jobId)) || scheduledFor <= (pruned.get(jobId) ?? Number.NEGATIVE_INFINITY)) continue;
    const dueBy = diedAt + leaseMs + WAKE_MS;
    // Whoever claims it may die with it, and others do not see it then for as long as a lease.
    const isQuiet = isUndisturbed(history, { from: diedAt - leaseMs, to: dueBy }, diedAt);
    const bound = isQuiet ? dueBy : dueBy + leaseMs;
    const witnesses = witnessesOf(history, attempt, { from: diedAt, to: bound });
    if (witnesses.length === 0) continue;
    const at = Math.min(starts.get(`${runId}/${attempt.attempt + 1}`) ?? Number.POSITIVE_INFINITY, verdicts.get(runId) ?? Number.POSITIVE_INFINITY);
    if (at <= bound) delays.push(Math.max(0, at - diedAt));
    else if (witnesses.every((pid) => isSlow(history, pid, { from: diedAt, to: bound }))) untold += 1;
    else breaches.push({ check: 'taken over in time', what: `${textOf(attempt)}: nobody dealt with it until ${at.toFixed(1)}` });
  }
  return { breaches, delays, untold };
}

/** The other processes that lived, moved and reached the store all the time. */
function witnessesOf({ lives, stalls, troubles, leaves }: History, { pid: dead }: Attempt, span: Span): number[] {
  // What a dead node had sent may arrive late, and hold its lease for longer.
  if (isWithin(span, troubles.get(EVERYBODY)) || isWithin(span, troubles.get(dead))) return [];
  const others = [...lives].filter(([pid, life]) =>
    pid !== dead && life.from < span.from && life.to > span.to && !isWithin(span, troubles.get(pid)) && !isWithin(span, stalls.get(pid)) && (leaves.get(pid) ?? Number.POSITIVE_INFINITY) > span.to);
  return others.map(([pid]) => pid);
}

function isSlow({ gaps, waits }: History, pid: number, span: Span): boolean {
  return [gaps.get(pid), waits.get(pid), waits.get(EVERYBODY)].some((own) => isWithin(span, own));
}

/** Nothing else happened to anybody. */
function isUndisturbed({ deaths, stalls, troubles, leaves }: History, span: Span, death: number): boolean {
  const isIn = (at: number): boolean => at >= span.from && at <= span.to && at !== death;
  return ![...deaths.values(), ...leaves.values()].some(isIn) && ![...stalls.values(), ...troubles.values()].some((own) => isWithin(span, own));
}

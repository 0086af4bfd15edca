/** What the tasks' own log says of the promises: nothing twice, and no more at a time than the job allows. */
import { HEED, isWithin, overlapMs, type Attempt, type Call, type History, type Span } from './attempts.js';
import { limitsOf, type SimLimit } from '../../src/testing/simulation/features.js';
import { tooManyStarts } from './audit-rate.js';
import { EVERYBODY } from './log.js';
import type { JobPlan } from './plan.js';

export interface Breach {
  readonly check: string;
  readonly what: string;
}

/** How long the first line of a run may take that was started before its job was paused. */
const START_MS = 500;
/** Fraction of a lease for which a node waits for an answer: that to its start may come so late, where answers do. */
const ANSWER = 1 / 3;

/** @param wallOffset - wall time minus monotonic time of the machine. */
export function auditLog(history: History, plans: ReadonlyMap<string, JobPlan>, limits: readonly SimLimit[] = [], wallOffset = 0): Breach[] {
  const breaches: Breach[] = history.oddities.map((what) => ({ check: 'oddity', what }));
  breaches.push(...startedTwice(history, plans), ...tooManyAtOnce(history, plans, limits), ...startedWhilePaused(history));
  for (const limit of limits) breaches.push(...tooManyStarts(history, limit, underLimit(history, plans, limit), wallOffset));
  return breaches;
}

function startedTwice({ attempts }: History, plans: ReadonlyMap<string, JobPlan>): Breach[] {
  const breaches: Breach[] = [];
  const seen = new Map<string, Attempt>();
  for (const attempt of attempts) {
    const { jobId, runId, scheduledFor, manual } = attempt;
    const check = (name: string, key: string): void => {
      const before = seen.get(`${name} ${key}`);
      if (before !== undefined) breaches.push({ check: name, what: `${textOf(before)} and ${textOf(attempt)}` });
      seen.set(`${name} ${key}`, attempt);
    };
    check('an attempt begins once', `${runId}/${attempt.attempt}`);
    if (!manual && attempt.attempt === 1) check('a fire time starts once', `${jobId}@${scheduledFor}`);
    if (plans.get(jobId)?.options.onCrash === 'drop') check('at most once', runId);
  }
  return breaches;
}

/**
 * The times at which an attempt went on and its node was right to think that it holds the run: without those after its
 * lease may have run out while the process stood still, and without what comes after the loss was told.
 */
export function trustedSpans({ pid, startedAt, endedAt, abort }: Attempt, { stalls, leaves, leaseMs }: Pick<History, 'stalls' | 'leaves' | 'leaseMs'>): Span[] {
  const heedMs = HEED * leaseMs;
  // A node that leaves gives back what does not heed its signal.
  const isGivenUp = abort !== null && (abort.code === 'LEASE_LOST' || abort.at >= (leaves.get(pid) ?? Number.POSITIVE_INFINITY));
  const to = isGivenUp ? Math.min(endedAt, abort.at) : endedAt;
  const spans: Span[] = [];
  let from = startedAt;
  for (const stall of stalls.get(pid) ?? []) {
    const lost = stall.from + stall.holdMs;
    if (stall.to + heedMs <= from || lost >= to) continue;
    if (lost > from) spans.push({ from, to: lost });
    from = Math.max(from, stall.to + heedMs);
  }
  if (from < to) spans.push({ from, to });
  return spans;
}

function underLimit({ attempts }: History, plans: ReadonlyMap<string, JobPlan>, limit: SimLimit): Attempt[] {
  return attempts.filter(({ jobId }) => {
    const plan = plans.get(jobId);
    return plan !== undefined && limitsOf([limit], plan).length > 0;
  });
}

function tooManyAtOnce(history: History, plans: ReadonlyMap<string, JobPlan>, limits: readonly SimLimit[]): Breach[] {
  const breaches: Breach[] = [];
  const groups = new Map<string, { limit: number; check: string; attempts: Attempt[] }>();
  const put = (key: string, limit: number, check: string, attempt: Attempt): void => {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { limit, check, attempts: [attempt] });
    else group.attempts.push(attempt);
  };
  for (const attempt of history.attempts) {
    put(`run ${attempt.runId}`, 1, 'one attempt of a run at a time', attempt);
    put(`job ${attempt.jobId}`, plans.get(attempt.jobId)?.limit ?? 1, 'maxInstances', attempt);
  }
  // A slot of a limit is a lease as that of the run is, renewed as often and trusted for as long.
  for (const limit of limits) {
    const { subject, name, options } = limit;
    const own = underLimit(history, plans, limit);
    groups.set(`limit ${subject} ${name}`, { limit: options.concurrency ?? Number.POSITIVE_INFINITY, check: `limit of ${subject} ${name}`, attempts: own });
  }
  for (const { limit, check, attempts: own } of groups.values()) {
    if (own.length <= limit) continue;
    const spans = own.flatMap((attempt) => trustedSpans(attempt, history).map((span) => ({ ...span, attempt })));
    spans.sort((a, b) => a.from - b.from);
    let going: typeof spans = [];
    for (const span of spans) {
      going = going.filter(({ to }) => to > span.from);
      going.push(span);
      if (going.length > limit) breaches.push({ check, what: `${going.map(({ attempt }) => textOf(attempt)).join('; ')}: all at ${span.from.toFixed(1)}` });
    }
  }
  return breaches;
}

/** Once a pause or a removal has resolved, nothing of the schedule starts until somebody asks for it. */
function startedWhilePaused(history: History): Breach[] {
  const { attempts, calls, stalls, leaseMs } = history;
  const breaches: Breach[] = [];
  for (const [jobId, own] of groupByJob(calls.filter(({ line }) => line.call === 'pause' || line.call === 'resume' || line.call === 'remove'))) {
    const resumes = own.filter(({ line }) => line.call === 'resume');
    const starts = attempts.filter((attempt) => attempt.jobId === jobId && !attempt.manual);
    for (const { line, done } of own) {
      if (line.call === 'resume' || done === null || done.error !== undefined) continue;
      // A resume that was not answered yet when the pause was asked for, or never, may have had its effect after it.
      const isOpen = resumes.some(({ line: { at }, done: answer }) => at < done.at && (answer === null || answer.at > line.at || answer.error !== undefined));
      if (isOpen) continue;
      const until = Math.min(...resumes.map(({ line: { at } }) => at).filter((at) => at >= done.at));
      const late = starts.find(({ startedAt, pid }) =>
        startedAt > done.at + START_MS + lagMs(history, pid, { from: done.at, to: startedAt }) && startedAt < until && !(stalls.get(pid) ?? []).some(({ from, to }) => from < startedAt && to + HEED * leaseMs > startedAt));
      if (late !== undefined) breaches.push({ check: `${line.call}d is ${line.call}d`, what: `${textOf(late)}, ${line.call}d at ${done.at.toFixed(1)}` });
    }
  }
  return breaches;
}

/** By how much later a process may be heard of that was slow, or cut off, in this time. */
function lagMs({ gaps, waits, troubles, leaseMs }: History, pid: number, span: Span): number {
  const hindrances = [gaps.get(pid), waits.get(pid), waits.get(EVERYBODY), troubles.get(pid), troubles.get(EVERYBODY)];
  return hindrances.some((own) => isWithin(span, own)) ? ANSWER * leaseMs + overlapMs(span, gaps.get(pid)) : 0;
}

function groupByJob(calls: readonly Call[]): Map<string, Call[]> {
  const groups = new Map<string, Call[]>();
  for (const call of calls) {
    const group = groups.get(call.line.jobId);
    if (group === undefined) groups.set(call.line.jobId, [call]);
    else group.push(call);
  }
  return groups;
}

export function textOf({ runId, attempt, pid, startedAt, endedAt, end, abort }: Attempt): string {
  const ending = `${end?.what ?? 'cut short'} at ${endedAt.toFixed(1)}`;
  const told = abort === null ? '' : `, ${abort.code ?? 'aborted'} at ${abort.at.toFixed(1)}`;
  return `${runId} attempt ${attempt} by ${pid} from ${startedAt.toFixed(1)}${told}, ${ending}`;
}

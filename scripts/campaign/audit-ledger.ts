/** The ledger, read page by page, held against the plan's own arithmetic and against the tasks' log. */
import type { Job, RunReport } from '../../src/index.js';
import type { Breach } from './audit-log.js';
import type { Attempt, Call, History } from './attempts.js';
import { fireTimes, valueOf, type JobPlan } from './plan.js';

export interface LedgerState {
  readonly plans: ReadonlyMap<string, JobPlan>;
  /** The first fire time there can be. */
  readonly start: number;
  /** When all was told to come to rest. */
  readonly restAt: number;
  readonly jobs: ReadonlyMap<string, Pick<Job, 'lastFireTime' | 'runs' | 'stats' | 'metadata'>>;
  readonly reports: readonly RunReport[];
  readonly history: History;
  /** By job: the fire time up to which the store has dropped entries to keep the ledger small. */
  readonly pruned: ReadonlyMap<string, number>;
  /** Jobs that have as many entries as are kept: older ones may have been dropped, of which only those of fire times leave a mark. */
  readonly full: ReadonlySet<string>;
}

export interface LedgerFindings {
  readonly breaches: readonly Breach[];
  /** Fire times that had to have one verdict each. */
  readonly fireTimes: number;
}

export function auditLedger(state: LedgerState): LedgerFindings {
  const breaches: Breach[] = [];
  const byJob = new Map<string, RunReport[]>();
  for (const report of state.reports) {
    const own = byJob.get(report.jobId);
    if (own === undefined) byJob.set(report.jobId, [report]);
    else own.push(report);
  }
  let checked = 0;
  for (const plan of state.plans.values()) {
    const own = byJob.get(plan.id) ?? [];
    checked += auditSchedule(state, plan, own, breaches);
    auditCounters(state, plan, own, breaches);
  }
  auditRuns(state, breaches);
  auditCalls(state, byJob, breaches);
  return { breaches, fireTimes: checked };
}

/** Each fire time up to the cursor has one verdict, and each verdict is on a fire time. */
function auditSchedule(state: LedgerState, { id, schedule, pausable }: JobPlan, reports: readonly RunReport[], breaches: Breach[]): number {
  const job = state.jobs.get(id);
  const say = (check: string, what: string): void => void breaches.push({ check, what: `${id}: ${what}` });
  if (job === undefined && schedule.kind !== 'at') say('no job is lost', 'it is gone');
  if (job !== undefined && job.runs.length > 0) say('comes to rest', `${job.runs.length} live runs`);
  const through = schedule.kind === 'at' ? Date.now() : (job?.lastFireTime?.getTime() ?? 0);
  const pruned = state.pruned.get(id) ?? Number.NEGATIVE_INFINITY;
  const all = fireTimes(schedule, state.start, through);
  const expected = all?.filter((at) => at > pruned);
  const verdicts = new Map<number, number>();
  for (const report of reports) {
    if (report.isManual || report.scheduledFor.getTime() <= pruned) continue;
    const [from, to] = [report.scheduledFor.getTime(), report.scheduledTo.getTime()];
    const covered = expected === undefined ? [from] : expected.filter((at) => at >= from && at <= to);
    if (covered[0] !== from || covered.at(-1) !== to) say('a verdict is on a fire time', `${report.verdict} from ${from} to ${to}`);
    if (report.isExact && report.count !== covered.length) say('a range counts its fire times', `${report.verdict} from ${from} to ${to} has ${report.count}, not ${covered.length}`);
    for (const at of covered) verdicts.set(at, (verdicts.get(at) ?? 0) + 1);
  }
  for (const [at, count] of verdicts) if (count > 1) say('one verdict', `${at} has ${count}`);
  const missing = (expected ?? []).filter((at) => !verdicts.has(at));
  if (missing.length > 0) say('no fire time is lost', `${missing.length} have no verdict: ${missing.slice(0, 5).join(', ')}`);
  const step = schedule.kind === 'every' ? schedule.ms : schedule.kind === 'second' ? 1_000 : Number.POSITIVE_INFINITY;
  if (!pausable && through + step <= state.restAt) say('goes on', `its cursor stayed behind at ${through}, ${state.restAt - through} ms before the end`);
  return expected?.length ?? verdicts.size;
}

/** The counters in the record are what the entries add up to. */
function auditCounters({ jobs, pruned, full }: LedgerState, { id }: JobPlan, reports: readonly RunReport[], breaches: Breach[]): void {
  const job = jobs.get(id);
  if (job === undefined) return;
  for (const verdict of ['succeeded', 'failed', 'cancelled', 'abandoned', 'missed', 'coalesced', 'skipped'] as const) {
    const sum = reports.filter((report) => report.verdict === verdict).reduce((total, { count }) => total + count, 0);
    const isRight = pruned.has(id) || full.has(id) ? job.stats[verdict] >= sum : job.stats[verdict] === sum;
    if (!isRight) breaches.push({ check: 'counters', what: `${id}: ${job.stats[verdict]} ${verdict}, in the ledger ${sum}` });
  }
}

/** Verdicts on runs, and what their tasks wrote down. */
function auditRuns({ reports, history, pruned, full }: LedgerState, breaches: Breach[]): void {
  const say = (check: string, what: string): void => void breaches.push({ check, what });
  const attempts = new Map<string, Attempt>();
  for (const attempt of history.attempts) attempts.set(`${attempt.runId}/${attempt.attempt}`, attempt);
  const decided = new Set<string>();
  for (const { runId, verdict, attempt, node, result } of reports) {
    if (runId === null) continue;
    if (decided.has(runId)) say('one verdict', `run ${runId} has another: ${verdict}`);
    decided.add(runId);
    if (verdict !== 'succeeded' && verdict !== 'failed') continue;
    const own = attempts.get(`${runId}/${attempt}`);
    if (own === undefined) {
      say('a verdict has its run', `${runId}: ${verdict} in attempt ${attempt}, of which the log knows nothing`);
      continue;
    }
    // A run whose time was up has failed, however it ended.
    const fits = verdict === 'succeeded' ? own.end?.what === 'ok' : own.end?.what === 'threw' || (own.end !== null && own.abort !== null);
    if (!fits) say('a verdict is what happened', `${runId}: ${verdict} in attempt ${attempt}, which ended with ${own.end?.what ?? 'the death of its process'}`);
    if (verdict === 'succeeded' && JSON.stringify(result) !== JSON.stringify(valueOf(runId))) say('a result is what the task returned', `${runId}: ${JSON.stringify(result)}`);
    const { abort, end } = own;
    if (abort?.code === 'LEASE_LOST' && end !== null && abort.at < end.at) say('only the holder finishes a run', `${runId}: ${verdict} in attempt ${attempt}, whose lease was lost`);
    const by = history.nodes.get(own.pid);
    if (by !== node) say('only the holder finishes a run', `${runId}: ${verdict} in attempt ${attempt} by ${node}, but ${by ?? '?'} had it`);
    if (attempts.has(`${runId}/${attempt + 1}`)) say('a verdict is the end', `${runId}: ${verdict} in attempt ${attempt}, and another attempt was made`);
  }
  for (const { runId, attempt, jobId, scheduledFor, manual } of attempts.values()) {
    if ((manual && full.has(jobId)) || scheduledFor <= (pruned.get(jobId) ?? Number.NEGATIVE_INFINITY)) continue;
    if (!decided.has(runId)) say('a run that began has a verdict', `${runId} attempt ${attempt}`);
  }
}

/** What a call has answered holds, whatever was killed afterwards. */
function auditCalls({ jobs, history, plans, pruned, full }: LedgerState, byJob: ReadonlyMap<string, readonly RunReport[]>, breaches: Breach[]): void {
  const say = (check: string, what: string): void => void breaches.push({ check, what });
  const marks = new Map<string, Call[]>();
  for (const call of history.calls) {
    const { line, done } = call;
    const isKept = done !== null && done.error === undefined;
    const reports = byJob.get(line.jobId) ?? [];
    if (line.call === 'run' && isKept) {
      const count = reports.filter(({ runId }) => runId === done.runId).length;
      if (count > 1 || (count === 0 && !pruned.has(line.jobId) && !full.has(line.jobId))) say('a run asked for has a verdict', `${done.runId ?? '?'} has ${count}`);
    } else if (line.call === 'add') {
      const count = reports.filter(({ isManual }) => !isManual).reduce((sum, report) => sum + report.count, 0);
      if (count > 1 || (isKept && count === 0 && !pruned.has(line.jobId))) say('a job that was added fires once', `${line.jobId}: ${count} verdicts`);
    } else if (line.call === 'modify') {
      const own = marks.get(line.jobId);
      if (own === undefined) marks.set(line.jobId, [call]);
      else own.push(call);
    }
  }
  for (const [jobId, calls] of marks) {
    if (!plans.has(jobId)) continue;
    const mark = jobs.get(jobId)?.metadata['mark'];
    const written = calls.find(({ line }) => line.mark === mark);
    const kept = calls.flatMap(({ line, done }) => (done !== null && done.error === undefined ? [{ from: line.at, mark: line.mark }] : []));
    if (written === undefined) {
      if (mark !== undefined || kept.length > 0) say('a change that was answered stays', `${jobId} has the mark ${String(mark)}, and ${kept.length} others were answered`);
      continue;
    }
    const answered = written.done !== null && written.done.error === undefined ? written.done.at : Number.POSITIVE_INFINITY;
    const later = kept.find(({ from }) => from > answered);
    if (later !== undefined) say('a change that was answered stays', `${jobId} has the mark ${String(mark)}, which ${String(later.mark)} came after`);
  }
}

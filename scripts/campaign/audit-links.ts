/** Jobs that follow others, and those that are enqueued: by the ledger, and by what their tasks and callers wrote down. */
import type { RunReport } from '../../src/index.js';
import type { Attempt, Call } from './attempts.js';
import { textOf, type Breach } from './audit-log.js';
import type { LedgerState } from './audit-ledger.js';

export interface LinkFindings {
  readonly breaches: readonly Breach[];
  /** Ends of runs that had to make a run each. */
  readonly followed: number;
  /** Jobs that had to wait for others. */
  readonly waited: number;
  /** Runs that came twice of one id, where a call that was never answered may have had its effect afterwards. */
  readonly repeated: number;
}

export function auditLinks(state: Pick<LedgerState, 'plans' | 'reports' | 'history'>): LinkFindings {
  const { plans, history } = state;
  const breaches: Breach[] = [];
  const say = (check: string, what: string): void => void breaches.push({ check, what });
  const ends = new Map<string, RunReport>();
  for (const report of state.reports) if (report.runId !== null) ends.set(report.runId, report);
  /** When each run ended well, by its task. */
  const done = new Map<string, number>();
  for (const { runId, end } of history.attempts) if (end?.what === 'ok') done.set(runId, end.at);

  const isBefore = (runId: string, { startedAt }: Attempt): boolean => (done.get(runId) ?? Number.POSITIVE_INFINITY) < startedAt;
  /** What a run was told that it follows has happened, as the ledger has it and before it began. */
  const checkCauses = (attempt: Attempt): void => {
    for (const { jobId, runId, verdict } of attempt.follows) {
      const told = runId === null ? undefined : ends.get(runId);
      if (told !== undefined && told.verdict !== verdict) say('follows what has happened', `${textOf(attempt)}: told that ${String(runId)} has ${verdict}, and it has ${told.verdict}`);
      if (verdict === 'succeeded' && (runId === null || !isBefore(runId, attempt))) say('never before', `${textOf(attempt)}: it follows ${jobId}, whose run ${String(runId)} had not succeeded`);
    }
  };
  history.attempts.forEach(checkCauses);

  const byJob = new Map<string, Attempt[]>();
  for (const attempt of history.attempts) {
    const own = byJob.get(attempt.jobId);
    if (own === undefined) byJob.set(attempt.jobId, [attempt]);
    else own.push(attempt);
  }

  let followed = 0;
  for (const { id, schedule } of plans.values()) {
    if (schedule.kind !== 'follows') continue;
    const runs = new Map<string, Set<string>>();
    for (const attempt of byJob.get(id) ?? []) {
      if (attempt.manual) continue;
      if (attempt.follows.length !== 1 && attempt.attempt === 1) say('follows one end', `${textOf(attempt)} follows ${attempt.follows.length}`);
      for (const { runId } of attempt.follows) runs.set(String(runId), (runs.get(String(runId)) ?? new Set()).add(attempt.runId));
    }
    for (const [source, own] of runs) if (own.size > 1) say('follows once', `${id} follows ${source} with ${[...own].join(', ')}`);
    for (const { jobId, runId, verdict } of ends.values()) {
      if (!schedule.jobs.includes(jobId) || (schedule.on === 'success' && verdict !== 'succeeded')) continue;
      followed += 1;
      if (!runs.has(String(runId))) say('none is forgotten', `${id} never followed ${String(runId)}, which has ${verdict}`);
    }
  }

  let waited = 0;
  let repeated = 0;
  for (const [jobId, calls] of enqueued(history.calls)) {
    const starts = byJob.get(jobId) ?? [];
    const verdicts = [...ends.values()].filter((report) => report.jobId === jobId);
    const answers = new Set(calls.flatMap(({ done: answer }) => (answer === null || answer.error !== undefined ? [] : [answer.runId])));
    const runs = new Set([...starts.map(({ runId }) => runId), ...verdicts.map(({ runId }) => runId!), ...answers]);
    const isDoubtful = calls.length > 1 && calls.some(({ done: answer }) => answer === null || answer.error !== undefined);
    if (runs.size > 1 && isDoubtful) repeated += 1;
    else if (runs.size > 1) say('an id is run once', `${jobId} has ${[...runs].join(', ')}`);
    if (answers.size > 0 && verdicts.length === 0) say('what was enqueued has a verdict', `${jobId}, answered ${[...answers].join(', ')}`);
    const sources = calls[0]!.line.dependsOn ?? [];
    if (sources.length === 0) continue;
    waited += 1;
    for (const attempt of starts) {
      for (const { jobId: source, runId } of sources) {
        const cause = runId ?? attempt.follows.find((one) => one.jobId === source)?.runId;
        if (cause == null || !isBefore(cause, attempt)) say('never before', `${textOf(attempt)}: it depends on ${runId ?? source}, which had not succeeded`);
      }
    }
    const known = sources.flatMap(({ runId }) => (runId === undefined ? [] : [ends.get(runId)?.verdict ?? 'none']));
    const isDoomed = known.some((verdict) => verdict !== 'succeeded');
    const isCalledOff = verdicts.some(({ reason }) => reason === 'dependency-failed');
    if (verdicts.length > 0 && isDoomed && !isCalledOff) say('called off with what it depends on', `${jobId} has ${verdicts[0]!.verdict}, what it depends on ${known.join(', ')}`);
    if (isCalledOff && !isDoomed && known.length === sources.length) say('called off with what it depends on', `${jobId}, and what it depends on has ${known.join(', ')}`);
  }
  return { breaches, followed, waited, repeated };
}

function enqueued(calls: readonly Call[]): Map<string, Call[]> {
  const groups = new Map<string, Call[]>();
  for (const call of calls) {
    if (call.line.call !== 'enqueue') continue;
    const own = groups.get(call.line.jobId);
    if (own === undefined) groups.set(call.line.jobId, [call]);
    else own.push(call);
  }
  return groups;
}

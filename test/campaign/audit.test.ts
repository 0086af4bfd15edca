import { describe, expect, it } from 'vitest';
import type { RunReport } from 'punctual';
import { readHistory, type History } from '../../scripts/campaign/attempts.js';
import { auditLedger, type LedgerState } from '../../scripts/campaign/audit-ledger.js';
import { auditLog } from '../../scripts/campaign/audit-log.js';
import type { CallLine, Line, ProcessLine, RunLine } from '../../scripts/campaign/log.js';
import { fireTimes, planJobs, valueOf, type JobPlan } from '../../scripts/campaign/plan.js';

const START = Date.UTC(2026, 0, 1);

function job(changes: Partial<JobPlan> = {}): JobPlan {
  return { id: 'a', task: 'work', ms: 0, schedule: { kind: 'every', ms: 100 }, options: {}, limit: 1, pausable: false, ...changes };
}

function line(what: RunLine['what'], at: number, changes: Partial<RunLine> = {}): RunLine {
  const scheduledFor = changes.scheduledFor ?? START;
  return { what, at, pid: 1, jobId: 'a', runId: `a@${scheduledFor}`, scheduledFor, attempt: 1, manual: false, aborted: false, ...changes };
}

function call(what: CallLine['what'], name: CallLine['call'], at: number, id: number, changes: Partial<CallLine> = {}): CallLine {
  return { what, call: name, at, id, pid: 1, jobId: 'a', ...changes };
}

function sign(what: ProcessLine['what'], at: number, pid = 1): ProcessLine {
  return { what, at, pid, node: `n${pid}` };
}

/** A process that ticks from `from` to `to`. */
function ticks(from: number, to: number, pid = 1): ProcessLine[] {
  const signs = [sign('hello', from, pid)];
  for (let at = from + 100; at <= to; at += 100) signs.push(sign('tick', at, pid));
  return signs;
}

function historyOf(lines: readonly Line[]): History {
  return readHistory([...lines].sort((a, b) => a.at - b.at));
}

function checksOf(lines: readonly Line[], plan = job()): string[] {
  return auditLog(historyOf(lines), new Map([[plan.id, plan]])).map(({ check }) => check);
}

describe('the audit of the log', () => {
  it('has nothing against runs one after another', () => {
    const later = { scheduledFor: START + 100 };
    expect(checksOf([...ticks(0, 300), line('start', 10), line('ok', 60), line('start', 110, later), line('ok', 160, later)])).toEqual([]);
  });

  it('sees a fire time that starts twice, and an attempt that does', () => {
    expect(checksOf([line('start', 10), line('ok', 20), line('start', 30, { pid: 2 }), line('ok', 40, { pid: 2 })])).toEqual([
      'an attempt begins once',
      'a fire time starts once',
    ]);
  });

  it('sees a second attempt of what may run once at most', () => {
    const lines = [line('start', 10), sign('kill', 20), line('start', 2_000, { pid: 2, attempt: 2 }), line('ok', 2_010, { pid: 2, attempt: 2 })];
    expect(checksOf(lines)).toEqual([]);
    expect(checksOf(lines, job({ options: { onCrash: 'drop' } }))).toEqual(['at most once']);
  });

  const other = { pid: 2, scheduledFor: START + 100 };
  const overlap = [line('start', 10), line('ok', 1_900), line('start', 1_000, other), line('ok', 1_100, other)];

  it('sees two runs at a time where one is allowed', () => {
    expect(checksOf([...ticks(0, 2_000), ...overlap])).toEqual(['maxInstances']);
    expect(checksOf([...ticks(0, 2_000), ...overlap], job({ limit: 2 }))).toEqual([]);
  });

  it('lets another run begin once the holder is dead', () => {
    expect(checksOf([...ticks(0, 400), line('start', 10), sign('kill', 450), line('start', 1_400, other), line('ok', 1_500, other)])).toEqual([]);
  });

  it('lets another run begin once the holder stood still for a lease, but not at once', () => {
    const frozen = [...ticks(0, 300), ...ticks(1_650, 2_000)];
    const told = line('abort', 1_700, { aborted: true, code: 'LEASE_LOST' });
    expect(checksOf([...frozen, ...overlap, told])).toEqual([]);
    const early = { ...other, scheduledFor: START + 200 };
    expect(checksOf([...frozen, line('start', 10), line('threw', 1_710), told, line('start', 500, early), line('ok', 600, early)])).toEqual(['maxInstances']);
  });

  it('wants a run to be told that its lease was lost', () => {
    const lasting = [line('start', 10), line('ok', 3_000), line('start', 1_500, other), line('ok', 2_900, other)];
    const frozen = [...ticks(0, 300), ...ticks(1_650, 3_000)];
    expect(checksOf([...frozen, ...lasting])).toEqual(['maxInstances']);
    expect(checksOf([...frozen, ...lasting, line('abort', 1_700, { aborted: true, code: 'LEASE_LOST' })])).toEqual([]);
    // Of an abort for another reason nobody took the lease.
    expect(checksOf([...frozen, ...lasting, line('abort', 1_700, { aborted: true, code: 'JOB_ABORTED' })])).toEqual(['maxInstances']);
  });

  it('sees two attempts of one run at a time, whatever the job allows', () => {
    const second = { pid: 2, attempt: 2 };
    const lines = [...ticks(0, 300), line('start', 10), line('ok', 100), line('start', 50, second), line('ok', 60, second)];
    expect(checksOf(lines, job({ limit: Number.POSITIVE_INFINITY }))).toEqual(['one attempt of a run at a time']);
  });

  it('sees what starts while its job is paused', () => {
    const late = { scheduledFor: START + 1_000 };
    const lines = [call('call', 'pause', 0, 1), call('done', 'pause', 10, 1), line('start', 1_000, late), line('ok', 1_001, late)];
    expect(checksOf(lines)).toEqual(['paused is paused']);
    expect(checksOf([...lines, call('call', 'resume', 900, 2)])).toEqual([]);
    // Nobody knows when a resume without an answer had its effect.
    expect(checksOf([...lines, call('call', 'resume', 5, 2)])).toEqual([]);
  });

  it('reports lines that fit nowhere', () => {
    expect(checksOf([line('ok', 10)])).toEqual(['oddity']);
    expect(checksOf([{ ...sign('fault', 10), text: 'boom' }])).toEqual(['oddity']);
  });
});

describe('the audit of the ledger', () => {
  const NONE = { succeeded: 0, failed: 0, cancelled: 0, abandoned: 0, missed: 0, coalesced: 0, skipped: 0 };

  function report(verdict: RunReport['verdict'], from: number, changes: Partial<RunReport> = {}): RunReport {
    const isRange = verdict === 'missed' || verdict === 'coalesced' || verdict === 'skipped';
    const whole: Partial<RunReport> = {
      jobId: 'a',
      runId: isRange ? null : `a@${START + from}`,
      verdict,
      reason: null,
      scheduledFor: new Date(START + from),
      scheduledTo: new Date(START + from),
      count: 1,
      isExact: true,
      isManual: false,
      attempt: isRange ? 0 : 1,
      startedAt: null,
      finishedAt: new Date(START + from),
      durationMs: null,
      node: 'n1',
      error: null,
      result: verdict === 'succeeded' ? valueOf(`a@${START + from}`) : undefined,
      ...changes,
    };
    return whole as RunReport;
  }

  /** The job has dealt with its fire times at 0, 100, 200 and 300. */
  function checks(reports: readonly RunReport[], lines: readonly Line[], changes: { readonly plan?: JobPlan; readonly mark?: string; readonly through?: number; readonly pruned?: number } = {}): string[] {
    const counts = { ...NONE };
    for (const { verdict, count } of reports) counts[verdict] += count;
    const { plan = job(), through = 300 } = changes;
    const state = {
      plans: new Map([[plan.id, plan]]),
      start: START,
      restAt: START + 399,
      jobs: new Map([['a', { lastFireTime: new Date(START + through), runs: [], stats: counts, metadata: changes.mark === undefined ? {} : { mark: changes.mark } }]]),
      reports,
      history: historyOf([sign('hello', 0), ...lines]),
      pruned: new Map(changes.pruned === undefined ? [] : [['a', START + changes.pruned]]),
    } as unknown as LedgerState;
    return auditLedger(state).breaches.map(({ check }) => check);
  }

  const four = [
    report('succeeded', 0),
    report('skipped', 100, { scheduledTo: new Date(START + 200), count: 2 }),
    report('failed', 300, { attempt: 2 }),
  ];
  const last = { scheduledFor: START + 300 };
  const told = [
    line('start', 1),
    line('ok', 2),
    line('start', 3, last),
    line('threw', 4, last),
    line('start', 5, { ...last, attempt: 2 }),
    line('threw', 6, { ...last, attempt: 2 }),
  ];

  it('has nothing against a history that adds up', () => {
    expect(checks(four, told)).toEqual([]);
  });

  it('sees a hole, a second verdict, a verdict on nothing and a wrong count', () => {
    expect(checks([four[0]!, four[2]!], told)).toEqual(['no fire time is lost']);
    expect(checks([...four, report('missed', 200)], told)).toEqual(['one verdict']);
    expect(checks([...four, report('missed', 250)], told)).toEqual(['a verdict is on a fire time', 'a range counts its fire times']);
    expect(checks([four[0]!, { ...four[1]!, count: 3 }, four[2]!], told)).toEqual(['a range counts its fire times']);
    expect(checks(four, told, { through: 400 })).toEqual(['no fire time is lost']);
  });

  it('asks for nothing that the store has dropped to keep the ledger small', () => {
    expect(checks(four.slice(2), told, { pruned: 200 })).toEqual([]);
    expect(checks(four.slice(2), told, { pruned: 100 })).toEqual(['no fire time is lost']);
  });

  it('sees a schedule that stands still', () => {
    const plan = job({ schedule: { kind: 'every', ms: 100 } });
    const state = { plan, through: -5_000 };
    expect(checks([], [], state)).toEqual(['goes on']);
    expect(checks([], [], { ...state, plan: { ...plan, pausable: true } })).toEqual([]);
  });

  it('sees a verdict that the log does not bear out', () => {
    expect(checks(four, told.slice(2))).toEqual(['a verdict has its run']);
    expect(checks(four, told.filter(({ what }) => what !== 'ok'))).toEqual(['a verdict is what happened']);
    expect(checks([{ ...four[0]!, node: 'n2' }, ...four.slice(1)], told)).toEqual(['only the holder finishes a run']);
    expect(checks([{ ...four[0]!, result: 7 }, ...four.slice(1)], told)).toEqual(['a result is what the task returned']);
    const lost = line('abort', 1.5, { aborted: true, code: 'LEASE_LOST' });
    expect(checks(four, [...told, lost])).toEqual(['only the holder finishes a run']);
    const again = [line('start', 7, { attempt: 2 }), line('ok', 8, { attempt: 2 })];
    expect(checks(four, [...told, ...again])).toEqual(['a verdict is the end']);
  });

  it('sees a run without a verdict', () => {
    const more = { scheduledFor: START + 350 };
    expect(checks(four, [...told, line('start', 7, more)])).toEqual(['a run that began has a verdict']);
  });

  it('holds the store to what it answered', () => {
    const asked = [call('call', 'run', 10, 1), call('done', 'run', 11, 1, { runId: 'a#7' })];
    expect(checks(four, [...told, ...asked])).toEqual(['a run asked for has a verdict']);
    const added = [call('call', 'add', 10, 1, { jobId: 'once' }), call('done', 'add', 11, 1, { jobId: 'once' })];
    expect(checks(four, [...told, ...added])).toEqual(['a job that was added fires once']);
    const changed = [
      call('call', 'modify', 10, 1, { mark: 'x' }),
      call('done', 'modify', 11, 1, { mark: 'x' }),
      call('call', 'modify', 12, 2, { mark: 'y' }),
    ];
    expect(checks(four, [...told, ...changed], { mark: 'x' })).toEqual([]);
    expect(checks(four, [...told, ...changed], { mark: 'y' })).toEqual([]);
    expect(checks(four, [...told, ...changed])).toEqual(['a change that was answered stays']);
    const answered = [...changed, call('done', 'modify', 13, 2, { mark: 'y' })];
    expect(checks(four, [...told, ...answered], { mark: 'x' })).toEqual(['a change that was answered stays']);
  });
});

describe('the plan', () => {
  it('is the same for the same seed', () => {
    expect(planJobs(7, START)).toEqual(planJobs(7, START));
    expect(planJobs(7, START)).not.toEqual(planJobs(8, START));
    const ids = planJobs(7, START).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('knows the fire times without a trigger', () => {
    expect(fireTimes({ kind: 'every', ms: 250 }, START, START + 600)).toEqual([START, START + 250, START + 500]);
    expect(fireTimes({ kind: 'second' }, START, START + 1_999)).toEqual([START, START + 1_000]);
    expect(fireTimes({ kind: 'at', at: START + 5 }, START, START + 4)).toEqual([]);
    expect(fireTimes({ kind: 'after', ms: 5 }, START, START + 400)).toBeUndefined();
  });
});

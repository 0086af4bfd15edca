import { describe, expect, it } from 'vitest';
import type { RunReport } from 'punctual';
import { readHistory, type History } from '../../scripts/campaign/attempts.js';
import { auditLedger, type LedgerState } from '../../scripts/campaign/audit-ledger.js';
import { auditLog } from '../../scripts/campaign/audit-log.js';
import { auditTakeovers, WAKE_MS, type TakeoverFindings } from '../../scripts/campaign/audit-takeover.js';
import type { CallLine, Line, ProcessLine, RunLine } from '../../scripts/campaign/log.js';
import { fireTimes, planJobs, valueOf, type JobPlan } from '../../scripts/campaign/plan.js';

const START = Date.UTC(2026, 0, 1);

function job(changes: Partial<JobPlan> = {}): JobPlan {
  return { id: 'a', task: 'work', ms: 0, schedule: { kind: 'every', ms: 100 }, options: {}, limit: 1, pausable: false, tags: [], ...changes };
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
  for (let at = from + 50; at <= to; at += 50) signs.push(sign('tick', at, pid));
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

  it('gives a process that stands still again the time that it has lost', () => {
    const lines = [line('start', 10), line('ok', 2_200), line('start', 1_500, other), line('ok', 2_150, other)];
    const told = line('abort', 2_190, { aborted: true, code: 'LEASE_LOST' });
    expect(checksOf([...ticks(0, 300), ...ticks(1_650, 2_200), ...lines, told])).toEqual(['maxInstances']);
    expect(checksOf([...ticks(0, 300), ...ticks(1_650, 1_700), ...ticks(1_900, 2_200), ...lines, told])).toEqual([]);
    expect(checksOf([...ticks(0, 1_700), ...ticks(1_900, 2_200), ...lines, told])).toEqual(['maxInstances']);
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

  describe('of a node that cannot reach the store', () => {
    const troubled = [sign('trouble', 200), sign('calm', 900)];
    const mine = [line('start', 10), line('ok', 1_500)];
    const told = line('abort', 950, { aborted: true, code: 'LEASE_LOST' });
    const next = (at: number): Line[] => [line('start', at, { pid: 2, attempt: 2 }), line('ok', at + 50, { pid: 2, attempt: 2 })];

    it('wants its runs to be told before another node takes them over', () => {
      const alive = [...ticks(0, 1_600), ...ticks(0, 1_600, 2), ...troubled, ...mine];
      expect(checksOf([...alive, told, ...next(1_100)])).toEqual([]);
      expect(checksOf([...alive, told, ...next(940)])).toEqual(['one attempt of a run at a time', 'maxInstances']);
      expect(checksOf([...alive, ...next(1_100)])).toEqual(['one attempt of a run at a time', 'maxInstances']);
    });

    it('wants nothing of a node that stood still when it should have told them', () => {
      // For less than what is left of a lease right before a renewal, but there was none for long.
      const still = [...ticks(0, 850), ...ticks(1_150, 1_600), ...mine];
      const late = line('abort', 1_200, { aborted: true, code: 'LEASE_LOST' });
      expect(checksOf([...still, late, ...next(1_100)])).toEqual(['one attempt of a run at a time', 'maxInstances']);
      expect(checksOf([...still, ...troubled, late, ...next(1_100)])).toEqual([]);
      // The trouble of the store itself is everybody's, that of another node is not.
      expect(checksOf([...still, sign('trouble', 200, 0), sign('calm', 900, 0), late, ...next(1_100)])).toEqual([]);
      expect(checksOf([...still, sign('trouble', 200, 3), sign('calm', 900, 3), late, ...next(1_100)])).toEqual(['one attempt of a run at a time', 'maxInstances']);
    });
  });

  it('lets a node that leaves give back what does not heed its signal, once it was told', () => {
    const told = line('abort', 600, { aborted: true, code: 'JOB_ABORTED' });
    const lines = [...ticks(0, 2_000), told, ...overlap];
    expect(checksOf([...lines, sign('leave', 590)])).toEqual([]);
    expect(checksOf([...lines, sign('leave', 610)])).toEqual(['maxInstances']);
    expect(checksOf(lines)).toEqual(['maxInstances']);
  });

  it('knows that a process stood still until it left', () => {
    const lines = [line('start', 10), line('start', 1_500, other), line('ok', 1_950, other), sign('bye', 1_900)];
    expect(checksOf([...ticks(0, 300), ...lines])).toEqual([]);
    expect(checksOf([...ticks(0, 1_850), ...lines])).toEqual(['maxInstances']);
  });

  it('takes what a process had begun when it left for cut short', () => {
    expect(checksOf([...ticks(0, 400), line('start', 10), sign('bye', 450), line('start', 460, other), line('ok', 500, other)])).toEqual([]);
  });

  it('sees what starts after its job was removed', () => {
    const lines = [call('call', 'remove', 0, 1), call('done', 'remove', 10, 1), line('start', 1_000), line('ok', 1_001)];
    expect(checksOf(lines)).toEqual(['removed is removed']);
    expect(checksOf([lines[0]!, ...lines.slice(2)])).toEqual([]);
    expect(checksOf([lines[0]!, { ...lines[1]!, error: 'STORE_FAILED' } as Line, ...lines.slice(2)])).toEqual([]);
  });

  it('sees what starts while its job is paused', () => {
    const late = { scheduledFor: START + 1_000 };
    const lines = [call('call', 'pause', 0, 1), call('done', 'pause', 10, 1), line('start', 1_000, late), line('ok', 1_001, late)];
    expect(checksOf(lines)).toEqual(['paused is paused']);
    expect(checksOf([...lines, call('call', 'resume', 900, 2)])).toEqual([]);
    // Nobody knows when a resume without an answer had its effect, nor which was first of two that were asked for at once.
    expect(checksOf([...lines, call('call', 'resume', 5, 2)])).toEqual([]);
    const answered = [...lines.slice(2), call('call', 'pause', 4, 1), call('done', 'pause', 10, 1), call('call', 'resume', 2, 2)];
    expect(checksOf([...answered, call('done', 'resume', 6, 2)])).toEqual([]);
    expect(checksOf([...answered, call('done', 'resume', 3, 2)])).toEqual(['paused is paused']);
  });

  it('lets a process that was slow be heard of later, by as much', () => {
    const late = { scheduledFor: START + 1_000 };
    const runs = (at: number): Line[] => [call('call', 'pause', 0, 1), call('done', 'pause', 10, 1), line('start', at, late), line('ok', at + 1, late)];
    const halting = [...ticks(0, 200), ...ticks(350, 2_000)];
    expect(checksOf([...ticks(0, 2_000), ...runs(520)])).toEqual(['paused is paused']);
    // What it stood still, and a third of a lease in which it waits for an answer.
    expect(checksOf([...halting, ...runs(960)])).toEqual([]);
    expect(checksOf([...halting, ...runs(1_000)])).toEqual(['paused is paused']);
    expect(checksOf([...ticks(0, 2_000), sign('trouble', 100), sign('calm', 200), ...runs(840)])).toEqual([]);
    expect(checksOf([...ticks(0, 2_000), sign('trouble', 100), sign('calm', 200), ...runs(850)])).toEqual(['paused is paused']);
  });

  it('knows that a lease is not renewed while the store does not answer', () => {
    const lines = [line('start', 10), line('ok', 2_200), line('start', 1_800, other), line('ok', 2_150, other)];
    const told = line('abort', 1_990, { aborted: true, code: 'LEASE_LOST' });
    const halting = [...ticks(0, 1_600), ...ticks(1_950, 2_200), ...lines, told];
    const asked = (at: number, ms: number): Line[] => [call('call', 'modify', at, 1, { mark: 'x' }), call('done', 'modify', at + ms, 1, { mark: 'x' })];
    expect(checksOf(halting)).toEqual(['maxInstances']);
    expect(checksOf([...halting, ...asked(1_200, 500)])).toEqual([]);
    // For the time that the process stood still itself it waited for nothing.
    expect(checksOf([...halting, ...asked(1_590, 370)])).toEqual(['maxInstances']);
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
  function checks(reports: readonly RunReport[], lines: readonly Line[], changes: { readonly plan?: JobPlan; readonly mark?: string; readonly through?: number; readonly pruned?: number; readonly full?: boolean } = {}): string[] {
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
      full: new Set(changes.full === true ? ['a'] : []),
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

  it('asks for no verdict on a run by hand where as many entries are kept as there may be', () => {
    const byHand = { runId: 'a#1', scheduledFor: START + 250, manual: true };
    const lines = [...told, line('start', 7, byHand), line('ok', 8, byHand)];
    expect(checks(four, lines, { full: true })).toEqual([]);
    expect(checks(four, lines)).toEqual(['a run that began has a verdict']);
    expect(checks(four.slice(0, 2), lines.slice(0, 2), { full: true })).toEqual(['no fire time is lost']);
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

describe('the audit of takeovers', () => {
  const LEASE = 1_000;
  const plans = new Map([['a', job()]]);
  /** It ran in process 1, which was killed at 2,000. */
  const dead = [...ticks(0, 1_950), line('start', 1_500), sign('kill', 2_000)];
  const witness = ticks(0, 9_000, 2);
  const NOTHING = { breaches: [], delays: [], untold: 0 };
  const again = (at: number): Line[] => [line('start', at, { pid: 2, attempt: 2 }), line('ok', at + 10, { pid: 2, attempt: 2 })];

  function findings(lines: readonly Line[], reports: readonly { readonly runId: string; readonly finishedAt: Date }[] = [], pruned = new Map<string, number>(), full = new Set<string>()): TakeoverFindings {
    const history = readHistory([...lines].sort((a, b) => a.at - b.at), LEASE);
    return auditTakeovers({ plans, history, reports: reports as unknown as RunReport[], wallOffset: START, pruned, full });
  }
  const checks = (lines: readonly Line[]): string[] => findings(lines).breaches.map(({ check }) => check);

  it('wants somebody who can to take over within a lease', () => {
    expect(findings([...dead, ...witness, ...again(2_900)])).toEqual({ breaches: [], delays: [900], untold: 0 });
    expect(checks([...dead, ...witness, ...again(2_000 + LEASE + WAKE_MS + 1)])).toEqual(['taken over in time']);
    expect(checks([...dead, ...witness])).toEqual(['taken over in time']);
  });

  it('takes a verdict for an answer', () => {
    const runId = `a@${START}`;
    expect(findings([...dead, ...witness], [{ runId, finishedAt: new Date(START + 2_950) }]).delays).toEqual([950]);
    expect(findings([...dead, ...witness], [{ runId, finishedAt: new Date(START + 9_000) }]).breaches.length).toBe(1);
  });

  it('knows nothing of what the store has dropped to keep the ledger small', () => {
    expect(findings([...dead, ...witness], [], new Map([['a', START]]))).toEqual(NOTHING);
    expect(findings([...dead, ...witness], [], new Map([['a', START - 1]])).breaches.length).toBe(1);
  });

  it('gives a lease more where another may have died with it', () => {
    const third = [...ticks(0, 2_500, 3), sign('kill', 2_600, 3)];
    expect(checks([...dead, ...witness, ...third, ...again(4_900)])).toEqual([]);
    expect(checks([...dead, ...witness, ...third, ...again(5_001)])).toEqual(['taken over in time']);
  });

  it('cannot tell who is late while the machine is slow, and says so', () => {
    const late = again(4_100);
    // A fifth of a second without a sign of life, and an answer that took as long: of the witness, or of anybody.
    const halting = [...ticks(0, 2_500, 2), ...ticks(2_650, 9_000, 2)];
    const asked = (pid: number, at: number): Line[] => [call('call', 'modify', at, 1, { pid, mark: 'x' }), call('done', 'modify', at + 200, 1, { pid, mark: 'x' })];
    expect(findings([...dead, ...halting, ...late])).toEqual({ ...NOTHING, untold: 1 });
    expect(findings([...dead, ...witness, ...asked(2, 2_500), ...late])).toEqual({ ...NOTHING, untold: 1 });
    expect(findings([...dead, ...witness, ...ticks(0, 9_000, 3), ...asked(3, 2_500), ...late])).toEqual({ ...NOTHING, untold: 1 });
    expect(checks([...dead, ...witness, ...asked(2, 9_000), ...late])).toEqual(['taken over in time']);
    // Who has one witness that was not slow knows.
    expect(checks([...dead, ...halting, ...ticks(0, 9_000, 3), ...late])).toEqual(['taken over in time']);
    // One that was disturbed on purpose waits for itself alone.
    const third = [...ticks(0, 9_000, 3), sign('trouble', 2_400, 3), sign('calm', 2_500, 3)];
    expect(checks([...dead, ...witness, ...third, ...asked(3, 2_450), ...again(6_000)])).toEqual(['taken over in time']);
    expect(findings([...dead, ...halting, ...again(2_900)])).toEqual({ ...NOTHING, delays: [900] });
  });

  it('asks nobody who could not', () => {
    expect(findings(dead)).toEqual(NOTHING);
    expect(findings([...dead, ...ticks(0, 2_500, 2), ...ticks(3_200, 9_000, 2)])).toEqual(NOTHING);
    expect(findings([...dead, ...witness, sign('trouble', 2_100, 2), sign('calm', 2_200, 2)])).toEqual(NOTHING);
    expect(findings([...dead, ...witness, sign('trouble', 2_100, 0), sign('calm', 2_200, 0)])).toEqual(NOTHING);
    expect(findings([...dead, ...witness, sign('leave', 2_500, 2)])).toEqual(NOTHING);
  });

  it('wants nothing for runs whose end, or loss, was told before', () => {
    expect(findings([...dead, ...witness, line('ok', 1_900)])).toEqual(NOTHING);
    expect(findings([...dead, ...witness, line('abort', 1_900, { aborted: true, code: 'LEASE_LOST' })])).toEqual(NOTHING);
  });
});

describe('the plan', () => {
  const planOf = (seed: number): JobPlan[] => planJobs({ seed, start: START, leaseMs: 1_000 });

  it('is the same for the same seed', () => {
    expect(planOf(7)).toEqual(planOf(7));
    expect(planOf(7)).not.toEqual(planOf(8));
    const ids = planOf(7).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('knows the fire times without a trigger', () => {
    expect(fireTimes({ kind: 'every', ms: 250 }, START, START + 600)).toEqual([START, START + 250, START + 500]);
    expect(fireTimes({ kind: 'second' }, START, START + 1_999)).toEqual([START, START + 1_000]);
    expect(fireTimes({ kind: 'at', at: START + 5 }, START, START + 4)).toEqual([]);
    expect(fireTimes({ kind: 'after', ms: 5 }, START, START + 400)).toBeUndefined();
  });
});

import { describe, expect, it } from 'vitest';
import type { Job, RunReport } from 'punctual';
import { readHistory, type History } from '../../scripts/campaign/attempts.js';
import { auditAlarms } from '../../scripts/campaign/audit-alarms.js';
import { auditLinks, type LinkFindings } from '../../scripts/campaign/audit-links.js';
import { auditLog } from '../../scripts/campaign/audit-log.js';
import type { CallLine, Line, ProcessLine, RunLine } from '../../scripts/campaign/log.js';
import { BEAT_MS, MUTE_MS, planJobs, planLimits, type JobPlan } from '../../scripts/campaign/plan.js';
import type { SimLimit } from '../../src/testing/simulation/features.js';

const START = Date.UTC(2026, 0, 1);
const LEASE = 1_000;

function job(changes: Partial<JobPlan> = {}): JobPlan {
  return { id: 'a', task: 'work', ms: 0, schedule: { kind: 'every', ms: 100 }, options: {}, limit: 1, pausable: false, tags: [], ...changes };
}

function line(what: RunLine['what'], at: number, jobId: string, changes: Partial<RunLine> = {}): RunLine {
  const scheduledFor = START + (changes.scheduledFor ?? 0);
  return { what, at, pid: 1, jobId, runId: `${jobId}@${scheduledFor}`, attempt: 1, manual: false, aborted: false, startedAt: START + at, ...changes, scheduledFor };
}

/** From its first line to its last. */
function run(jobId: string, from: number, to: number, changes: Partial<RunLine> = {}): RunLine[] {
  return [line('start', from, jobId, changes), line('ok', to, jobId, changes)];
}

function sign(what: ProcessLine['what'], at: number, pid: number): ProcessLine {
  return { what, at, pid, node: `n${pid}` };
}

function ticks(from: number, to: number, pid = 1): ProcessLine[] {
  const signs = [sign('hello', from, pid)];
  for (let at = from + 50; at <= to; at += 50) signs.push(sign('tick', at, pid));
  return signs;
}

function historyOf(lines: readonly Line[]): History {
  return readHistory([...lines].sort((a, b) => a.at - b.at), LEASE);
}

describe('the audit of limits', () => {
  const plans = new Map([job({ id: 'a', tags: ['few'] }), job({ id: 'b', tags: ['few'] }), job({ id: 'c', task: 'narrow' }), job({ id: 'd' })].map((plan) => [plan.id, plan]));
  const few: SimLimit = { subject: 'tag', name: 'few', options: { concurrency: 1 } };
  const checks = (limit: SimLimit, lines: readonly Line[]): string[] => auditLog(historyOf(lines), plans, [limit], START).map(({ check }) => check);
  const other = { pid: 2 };
  const well = [...ticks(0, 3_000), ...ticks(0, 3_000, 2)];

  it('sees two at a time of different jobs where one is allowed, and looks at no others', () => {
    expect(checks(few, [...well, ...run('a', 10, 500), ...run('b', 400, 600, other)])).toEqual(['limit of tag few']);
    expect(checks(few, [...well, ...run('a', 10, 500), ...run('b', 501, 600, other)])).toEqual([]);
    expect(checks(few, [...well, ...run('a', 10, 500), ...run('c', 100, 600, other), ...run('d', 100, 600, other)])).toEqual([]);
    expect(checks({ ...few, options: { concurrency: 2 } }, [...well, ...run('a', 10, 500), ...run('b', 400, 600, other)])).toEqual([]);
    const narrow: SimLimit = { subject: 'task', name: 'narrow', options: { concurrency: 1 } };
    expect(checks(narrow, [...well, ...run('c', 10, 500), ...run('c', 600, 700), ...run('c', 300, 400, { ...other, scheduledFor: 100 })])).toContain('limit of task narrow');
  });

  it('lets another begin beside one whose process stood still for longer than its lease, and only then', () => {
    const still = [...ticks(0, 300), ...ticks(1_650, 3_000), ...ticks(0, 3_000, 2)];
    const told = line('abort', 1_700, 'a', { aborted: true, code: 'LEASE_LOST' });
    const late = [line('start', 10, 'a'), line('threw', 2_500, 'a')];
    expect(checks(few, [...still, ...late, told, ...run('b', 1_400, 2_400, other)])).toEqual([]);
    // Too early, never told, or not still at all.
    expect(checks(few, [...still, ...late, told, ...run('b', 600, 1_400, other)])).toEqual(['limit of tag few']);
    expect(checks(few, [...still, ...late, ...run('b', 1_400, 2_400, other)])).toEqual(['limit of tag few']);
    expect(checks(few, [...well, ...late, told, ...run('b', 1_400, 2_400, other)])).toEqual(['limit of tag few']);
  });

  const rated: SimLimit = { subject: 'tag', name: 'few', options: { rateLimit: { max: 2, per: 1_000 } } };
  const starts = (...at: readonly number[]): Line[] => at.flatMap((from, index) => run('a', from, from + 1, { scheduledFor: index * 100 }));

  it('sees more starts than a rate allows', () => {
    expect(checks(rated, [...well, ...starts(1_500, 1_600, 1_900)])).toEqual(['rate of tag few']);
    expect(checks(rated, [...well, ...starts(1_500, 1_600, 2_500, 2_600)])).toEqual([]);
  });

  it('takes a start as of when its node took it for, and none of a process that was held up', () => {
    const early = run('a', 1_500, 1_501, { startedAt: START + 1_100 });
    expect(checks(rated, [...well, ...early, ...starts(1_600, 1_900).slice(2), ...run('b', 1_700, 1_701)])).toEqual([]);
    const halting = [...ticks(0, 1_300), ...ticks(1_490, 3_000), ...ticks(0, 3_000, 2)];
    expect(checks(rated, [...halting, ...starts(1_500, 1_600, 1_900)])).toEqual([]);
    expect(checks(rated, [...well, sign('trouble', 1_000, 1), sign('calm', 1_100, 1), ...starts(1_500, 1_600, 1_900)])).toEqual([]);
    expect(checks(rated, [...well, sign('trouble', 1_000, 3), sign('calm', 1_100, 3), ...starts(1_500, 1_600, 1_900)])).toEqual(['rate of tag few']);
  });
});

function report(jobId: string, verdict: RunReport['verdict'], scheduledFor = 0, changes: Partial<RunReport> = {}): RunReport {
  const whole: Partial<RunReport> = { jobId, runId: `${jobId}@${START + scheduledFor}`, verdict, reason: null, scheduledFor: new Date(START + scheduledFor), ...changes };
  return whole as RunReport;
}

describe('the audit of jobs that follow others', () => {
  const follower = job({ id: 'f', schedule: { kind: 'follows', jobs: ['s'], on: 'success' } });
  const any = job({ id: 'f', schedule: { kind: 'follows', jobs: ['s'], on: 'any' } });
  const cause = (scheduledFor = 0, verdict = 'succeeded'): RunLine['follows'] => [{ jobId: 's', runId: `s@${START + scheduledFor}`, verdict }];
  const findings = (plan: JobPlan, lines: readonly Line[], reports: readonly RunReport[]): LinkFindings => auditLinks({ plans: new Map([[plan.id, plan]]), history: historyOf(lines), reports });
  const checks = (lines: readonly Line[], reports: readonly RunReport[], plan = follower): string[] => findings(plan, lines, reports).breaches.map(({ check }) => check);
  const source = run('s', 10, 20);
  const ended = [report('s', 'succeeded')];

  it('wants one run of each end', () => {
    expect(findings(follower, [...source, ...run('f', 30, 40, { follows: cause() })], ended)).toEqual({ breaches: [], followed: 1, waited: 0, repeated: 0 });
    expect(checks(source, ended)).toEqual(['none is forgotten']);
    const twice = [...run('f', 30, 40, { follows: cause() }), ...run('f', 50, 60, { scheduledFor: 5, follows: cause() })];
    expect(checks([...source, ...twice], ended)).toEqual(['follows once']);
    // The next attempt of a run is the same one.
    expect(checks([...source, ...run('f', 30, 40, { follows: cause() }), ...run('f', 50, 60, { attempt: 2, follows: cause() })], ended)).toEqual([]);
    expect(checks([...source, ...run('f', 30, 40)], ended)).toEqual(['follows one end', 'none is forgotten']);
  });

  it('wants none before, or of what did not happen', () => {
    expect(checks([...source, ...run('f', 15, 40, { follows: cause() })], ended)).toEqual(['never before']);
    const failed = [report('s', 'failed')];
    const threw = [line('start', 10, 's'), line('threw', 20, 's')];
    expect(checks(threw, failed)).toEqual([]);
    expect(checks(threw, failed, any)).toEqual(['none is forgotten']);
    expect(checks([...threw, ...run('f', 30, 40, { follows: cause(0, 'failed') })], failed, any)).toEqual([]);
    expect(checks([...threw, ...run('f', 30, 40, { follows: cause() })], failed)).toEqual(['follows what has happened', 'never before']);
  });

  function call(what: CallLine['what'], at: number, id: number, changes: Partial<CallLine> = {}): CallLine {
    return { what, call: 'enqueue', at, id, pid: 1, jobId: 'e', ...changes };
  }
  const runId = `e@${START}`;
  const answered = (id = 1, changes: Partial<CallLine> = {}): Line[] => [call('call', id, id, changes), call('done', id + 0.5, id, { runId, ...changes })];
  const enqueued = [...run('e', 30, 40)];
  const had = [report('e', 'succeeded')];

  it('holds what was enqueued to one run for an id', () => {
    expect(checks([...answered(), ...enqueued], had)).toEqual([]);
    expect(checks([...answered(), ...answered(2), ...enqueued], had)).toEqual([]);
    expect(checks(answered(), [])).toEqual(['what was enqueued has a verdict']);
    const again = run('e', 50, 60, { scheduledFor: 7 });
    expect(checks([...answered(), ...enqueued, ...again], had)).toEqual(['an id is run once']);
    expect(checks([...answered(), ...answered(2, { runId: 'e@7' }), ...enqueued], had)).toEqual(['an id is run once']);
    // A call without an answer may have its effect later than another.
    const doubtful = [call('call', 1, 1), call('done', 1.5, 1, { error: 'STORE_FAILED' }), ...answered(2), ...enqueued, ...again];
    expect(findings(follower, doubtful, had)).toEqual({ breaches: [], followed: 0, waited: 0, repeated: 1 });
    expect(checks([call('call', 1, 1), ...enqueued, ...again], had)).toEqual(['an id is run once']);
  });

  it('holds back, and calls off, what depends on others', () => {
    const depends = { dependsOn: [{ jobId: 's', runId: `s@${START}` }] };
    const asked = [...answered(1, depends), ...source];
    expect(findings(follower, [...asked, ...enqueued, ...run('f', 30, 40, { follows: cause() })], [...ended, ...had])).toEqual({ breaches: [], followed: 1, waited: 1, repeated: 0 });
    const next = (lines: readonly Line[], reports: readonly RunReport[]): string[] => checks(lines, reports, any).filter((check) => check !== 'none is forgotten');
    expect(next([...asked, ...run('e', 15, 40)], [...ended, ...had])).toEqual(['never before']);
    expect(next([...answered(1, depends), ...enqueued], [report('s', 'failed'), ...had])).toEqual(['never before', 'called off with what it depends on']);
    const off = report('e', 'cancelled', 0, { reason: 'dependency-failed' });
    expect(next(asked, [report('s', 'failed'), off])).toEqual([]);
    expect(next(asked, [...ended, off])).toEqual(['called off with what it depends on']);
    const whichever = answered(1, { dependsOn: [{ jobId: 's' }] });
    expect(next([...whichever, ...source, ...run('e', 30, 40, { follows: cause() })], [...ended, ...had])).toEqual([]);
    expect(next([...whichever, ...source, ...enqueued], [...ended, ...had])).toEqual(['never before']);
  });
});

describe('the audit of alarms', () => {
  const at = START + 1_000;
  const deadline = at + MUTE_MS;
  const mute = job({ id: 'mute-1', task: 'nobody', schedule: { kind: 'mute', at } });
  const tell = (jobId: string, why: string, when: number, pid = 1): Line => ({ what: 'event', at: 2_100, pid, text: 'jobOverdue', alarm: { jobId, why, deadline: when } });
  const rang = (raisedAt: number, changes: Partial<NonNullable<Job['overdue']>> = {}): Job['overdue'] => ({ why: 'not-started', deadline: new Date(deadline), raisedAt: new Date(START + raisedAt), ...changes });

  function checks(lines: readonly Line[], overdue: Job['overdue'], { restAt = START + 9_000, reports = [] as readonly RunReport[] } = {}): string[] {
    const plans = new Map([mute, job({ id: 'beat' })].map((plan) => [plan.id, plan]));
    const settler = [...ticks(8_000, 9_000, 9), sign('settle', 9_000, 9)];
    const jobs = new Map([[mute.id, { overdue }]]);
    return auditAlarms({ plans, jobs, reports, history: historyOf([...lines, ...settler]), start: START, restAt, wallOffset: START, pruned: new Map() }).map(({ check }) => check);
  }

  it('wants an alarm of what nobody runs, once and with its deadline', () => {
    expect(checks([tell('mute-1', 'not-started', deadline)], rang(2_050))).toEqual([]);
    expect(checks([], null)).toEqual(['an alarm rings']);
    expect(checks([], null, { restAt: deadline - 1 })).toEqual([]);
    expect(checks([], rang(2_050, { deadline: new Date(deadline - 1) }))).toEqual(['an alarm is right']);
    const told = [tell('mute-1', 'not-started', deadline), tell('mute-1', 'not-started', deadline, 2)];
    expect(checks(told, rang(2_050))).toEqual(['an alarm is told once']);
  });

  it('lets only a process that may have died, or was cut off, raise an alarm and tell nobody', () => {
    expect(checks([], rang(2_050))).toEqual([]);
    expect(checks([], rang(8_100))).toEqual(['an alarm rings']);
  });

  it('wants an alarm to count from a success', () => {
    const success = report('beat', 'succeeded', 0, { finishedAt: new Date(START + 3_000) });
    const rung = [tell('beat', 'no-success', START + 3_000 + BEAT_MS)];
    expect(checks(rung, rang(2_050), { reports: [success] })).toEqual([]);
    expect(checks(rung, rang(2_050))).toEqual(['an alarm is right']);
    expect(checks([tell('queue', 'no-success', START)], rang(2_050))).toEqual(['an alarm is right']);
  });
});

describe('the plan', () => {
  it('has limits for which there is more to do than they allow, jobs that follow others, and alarms', () => {
    const jobs = planJobs({ seed: 3, start: START, leaseMs: LEASE });
    const limits = planLimits({ seed: 3, leaseMs: LEASE });
    const ids = new Set(jobs.map(({ id }) => id));
    expect(limits.every(({ subject, name }) => jobs.some(({ task, tags }) => (subject === 'task' ? task === name : tags.includes(name))))).toBe(true);
    const followers = jobs.flatMap(({ schedule }) => (schedule.kind === 'follows' ? [schedule.jobs] : []));
    expect(followers.length).toBeGreaterThan(0);
    expect(followers.flat().filter((id) => !ids.has(id))).toEqual([]);
    expect(jobs.filter(({ options }) => options.expect !== undefined).length).toBeGreaterThan(1);
  });
});

import fc from 'fast-check';
import type { JobRecord, RunningRun, WaitingRun } from 'punctual';
import { describe, expect, it } from 'vitest';
import { cancelRun } from '../../src/core/cancel.js';
import { decide } from '../../src/core/decide.js';
import type { Decision } from '../../src/core/draft.js';
import { modifyJob, newRecord, pauseJob, removeJob, requestRun, resumeJob } from '../../src/core/edit.js';
import { finishRun } from '../../src/core/finish.js';
import { raiseAlarm } from '../../src/core/raise-alarm.js';
import { alarmAt, RAISED } from '../../src/model/alarm.js';
import { definition, Grid } from './support.js';

const EVERY = 100;
const LEASE = 150;
const limit = fc.option(fc.integer({ min: 1, max: 500 }), { nil: null });
const policies = fc.record({
  expect: fc.option(fc.record({ successWithinMs: limit, maxLatenessMs: limit }), { nil: null, freq: 10 }),
  maxConsecutiveFailures: fc.option(fc.integer({ min: 1, max: 4 }), { nil: null }),
  overlap: fc.constantFrom('skip', 'queue', 'queueAll', 'allow', 'replace'),
  onCrash: fc.constantFrom('retry', 'drop'),
  retry: fc.constantFrom(null, { maxAttempts: 2, delayMs: 30, backoff: 'fixed', maxDelayMs: 30, jitter: 0, retryIf: null }),
  misfireGraceMs: fc.option(fc.integer({ min: 0, max: 300 }), { nil: null }),
  maxRuns: fc.option(fc.integer({ min: 1, max: 20 }), { nil: null, freq: 4 }),
} as const);

/** Something happens after some time. */
const step = fc.record({
  after: fc.integer({ min: 0, max: 250 }),
  act: fc.constantFrom('claim', 'claim', 'claim without room', 'succeed', 'succeed', 'fail', 'fail', 'fail', 'look', 'look', 'pause', 'resume', 'run', 'cancel', 'modify'),
  limits: fc.option(fc.record({ successWithinMs: limit, maxLatenessMs: limit }), { nil: null }),
});

interface World {
  record: JobRecord | null;
  now: number;
  readonly said: { at: number; type: string; before: JobRecord; decision: Decision }[];
}

function act(world: World, { act: what, limits }: { act: string; limits: JobRecord['definition']['policy']['expect'] }): Decision | undefined {
  const { record, now } = world;
  if (record === null) return undefined;
  const context = { now, node: 'n' };
  const held = record.state.runs.find((run): run is RunningRun => run.state === 'running');
  switch (what) {
    case 'claim':
    case 'claim without room':
      return decide(record, { ...context, leaseUntil: now + LEASE, process: null, slots: what === 'claim' ? 5 : 0, executes: () => false });
    case 'succeed':
      return held && finishRun(record, held, { kind: 'succeeded', result: null }, context);
    case 'fail':
      return held && finishRun(record, held, { kind: 'failed', error: { name: 'E', message: 'm', code: null, stack: null }, retryable: true, timedOut: false }, context);
    case 'look':
      return raiseAlarm(record, context);
    case 'pause':
      return pauseJob(record, null, context);
    case 'resume':
      return resumeJob(record, now % 2 === 0, context);
    case 'run':
      return requestRun(record, null, context).decision;
    case 'cancel':
      return held && cancelRun(record, held.id, 'why', context);
    default:
      return modifyJob(record, { ...record.definition, policy: { ...record.definition.policy, expect: limits } }, context);
  }
}

function live(policy: Parameters<typeof definition>[1], steps: readonly { after: number; act: string; limits: JobRecord['definition']['policy']['expect'] }[]): World {
  const world: World = { record: newRecord('job', definition(new Grid(EVERY), policy), false, 1), now: 1, said: [] };
  for (const one of steps) {
    world.now += one.after;
    const before = world.record;
    const decision = act(world, one);
    if (before === null || decision === undefined) continue;
    world.record = decision.next;
    world.said.push({ at: world.now, type: one.act, before, decision });
  }
  return world;
}

const lives = (check: (world: World) => void): void => {
  fc.assert(fc.property(policies, fc.array(step, { maxLength: 40 }), (policy, steps) => { check(live(policy, steps)); }), { numRuns: 400 });
};

describe('alarms, whatever happens', () => {
  it('no record that was written has an alarm that is due and was not raised', () => {
    lives(({ said }) => {
      for (const { at, decision: { next } } of said) {
        const alarm = next === null ? null : alarmAt(next);
        if (alarm !== null && alarm !== RAISED) expect(alarm).toBeGreaterThan(at);
      }
    });
  });

  it('each is told once, and so is its end, in turn; the record says which it is', () => {
    lives(({ said }) => {
      let isOverdue = false;
      for (const { decision } of said) {
        for (const { type } of decision.notices) {
          if (type !== 'jobOverdue' && type !== 'jobRecovered') continue;
          expect(type === 'jobOverdue').toBe(!isOverdue);
          isOverdue = type === 'jobOverdue';
        }
        expect(decision.next === null ? false : decision.next.state.watch?.overdue != null).toBe(isOverdue);
        if (decision.next !== null && isOverdue) expect(alarmAt(decision.next)).toBe(RAISED);
      }
    });
  });

  it('is raised only for what was due before, and never of a job that is paused or of which nothing is expected', () => {
    lives(({ said }) => {
      for (const { at, decision } of said) {
        for (const notice of decision.notices) if (notice.type === 'jobOverdue') expect(notice.deadline).toBeLessThanOrEqual(at);
        const { next } = decision;
        if (next === null) continue;
        const { status, watch } = next.state;
        if (status === 'paused' || status === 'removed' || next.definition.policy.expect === null) expect([watch, alarmAt(next)]).toEqual([null, null]);
      }
    });
  });

  it('is over with a success, where one was expected', () => {
    lives(({ said }) => {
      for (const { at, type, before, decision } of said) {
        const within = before.definition.policy.expect?.successWithinMs ?? null;
        if (type !== 'succeed' || within === null || decision.next === null) continue;
        const { watch } = decision.next.state;
        if (watch?.overdue) expect(watch.overdue.why).toBe('not-started');
        expect(decision.next.state.stats.lastSuccessAt).toBe(at);
      }
    });
  });

  it('looking changes nothing but the alarm', () => {
    lives(({ said }) => {
      for (const { type, before, decision } of said) {
        if (type !== 'look') continue;
        expect(decision.next).toEqual({ ...before, state: { ...before.state, watch: decision.next?.state.watch } });
        expect([decision.start, decision.ledger]).toEqual([[], []]);
      }
    });
  });

  it('what a job without expectations costs is nothing: its state has no watch', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const { record } = live({ expect: null }, steps.filter(({ act: what }) => what !== 'modify'));
      if (record !== null) expect(record.state.watch).toBeNull();
    }));
  });
});

describe('failures in a row, whatever happens', () => {
  it('are those of scheduled runs since the last success, or since the job was resumed', () => {
    lives(({ said }) => {
      let failures = 0;
      for (const { type, decision } of said) {
        if (type === 'resume') failures = 0;
        for (const { verdict, manual } of decision.ledger) {
          if (manual) continue;
          if (verdict === 'succeeded') failures = 0;
          if (verdict === 'failed' || verdict === 'abandoned') failures += 1;
        }
        if (decision.next !== null) expect(decision.next.state.stats.consecutiveFailures).toBe(failures);
      }
    });
  });

  it('pause the job exactly when they reach the limit and it goes on, and are told with the pause', () => {
    lives(({ said }) => {
      for (const { before, decision } of said) {
        const paused = decision.notices.filter(({ type }) => type === 'jobPaused');
        const most = before.definition.policy.maxConsecutiveFailures;
        const { next } = decision;
        const failures = next?.state.stats.consecutiveFailures ?? 0;
        if (paused.length > 0) {
          expect(next?.state).toMatchObject({ status: 'paused', reason: 'max-consecutive-failures' });
          expect(paused).toMatchObject([{ failures }]);
          expect(failures).toBeGreaterThanOrEqual(most ?? Number.POSITIVE_INFINITY);
        } else if (next?.state.status === 'active' && most !== null && failures > before.state.stats.consecutiveFailures && failures >= most) {
          // Only what is left to run, and nothing to hold back.
          expect(next.state.nextFireTime).toBeNull();
          expect(next.state.runs.some((run) => run.state === 'waiting' && !run.manual)).toBe(false);
        }
      }
    });
  });
});

describe('a record of an earlier release', () => {
  const expected = { expect: { successWithinMs: 50, maxLatenessMs: null } };

  it('that was written without a watch is found, and watched from then on', () => {
    const record = newRecord('job', definition(new Grid(EVERY), expected), false, 1);
    const without = { ...record, state: { ...record.state, watch: null } };
    expect(alarmAt(without)).toBe(51);
    const { next, notices } = raiseAlarm(without, { now: 200, node: 'n' });
    expect(notices).toEqual([]);
    expect(next?.state.watch).toEqual({ since: 200, overdue: null });
    expect(alarmAt(next!)).toBe(250);
  });

  it('a watch that began in the future, by a clock that was ahead, begins now', () => {
    const record = newRecord('job', definition(new Grid(EVERY), expected), false, 1_000_000);
    const { next } = raiseAlarm(record, { now: 200, node: 'n' });
    expect(next?.state.watch).toEqual({ since: 200, overdue: null });
  });
});

it('a run that waits is late by when it was due, jitter included; one that has begun, or was asked for by hand, is not', () => {
  const record = newRecord('job', definition(new Grid(1_000), { expect: { successWithinMs: null, maxLatenessMs: 10 }, jitterMs: 40 }), false, 1);
  const run: WaitingRun = { state: 'waiting', id: 'job@100', scheduledFor: 100, attempt: 0, manual: false, catchUp: false, crashes: 0, args: null, cause: 'queued', readyAt: 500 };
  const withRun = (parts: Partial<WaitingRun>): JobRecord => ({ ...record, state: { ...record.state, nextFireTime: null, nextDueAt: null, runs: [{ ...run, ...parts }] } });
  expect(alarmAt(withRun({}))).toBe(150);
  expect(alarmAt(withRun({ readyAt: 120 }))).toBe(130);
  expect(alarmAt(withRun({ attempt: 1, cause: 'retry' }))).toBeNull();
  expect(alarmAt(withRun({ manual: true }))).toBeNull();
  expect(removeJob(withRun({}), { now: 400, node: 'n' })?.next).toBeNull();
});

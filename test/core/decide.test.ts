import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobPolicy, JobRecord, LedgerEntry, Trigger } from 'punctual';
import { decide } from '../../src/core/decide.js';
import type { Decision } from '../../src/core/draft.js';
import { retryQuarantined } from '../../src/core/edit.js';
import { finishRun } from '../../src/core/finish.js';
import { nextFire } from '../../src/core/fires.js';
import { auditLedger } from '../../src/core/verify.js';
import { runningCount, slotLimit, wakeAt } from '../../src/model/job.js';
import { context, deepFreeze, Grid, record, running, TwoWayGrid, waiting } from './support.js';

const policies = fc.record({
  misfireGraceMs: fc.option(fc.integer({ min: 0, max: 300 })),
  coalesce: fc.constantFrom('latest', 'earliest', 'all'),
  maxCatchUp: fc.integer({ min: 1, max: 6 }),
  maxInstances: fc.integer({ min: 1, max: 3 }),
  overlap: fc.constantFrom('skip', 'queue', 'queueAll', 'replace', 'allow'),
  queueLimit: fc.integer({ min: 1, max: 4 }),
  jitterMs: fc.constantFrom(0, 0, 3, 50),
  maxRuns: fc.option(fc.integer({ min: 1, max: 12 }), { freq: 3 }),
  endTime: fc.option(fc.integer({ min: 100, max: 3_000 }), { freq: 3 }),
  onCrash: fc.constantFrom('retry', 'drop'),
  maxCrashes: fc.integer({ min: 0, max: 2 }),
  retry: fc.option(
    fc.constant({ maxAttempts: 2, delayMs: 15, backoff: 'fixed' as const, maxDelayMs: 1_000, jitter: 0, retryIf: null }),
  ),
});
const triggers: fc.Arbitrary<() => Trigger> = fc
  .tuple(fc.integer({ min: 3, max: 60 }), fc.boolean())
  .map(([every, twoWay]) => () => (twoWay ? new TwoWayGrid(every) : new Grid(every)));

/** Time passes; the oldest run ends somehow, or goes on until its lease is over; then the planner is asked. */
interface Step {
  readonly wait: number;
  readonly slots: number;
  readonly ends: 'not' | 'succeeded' | 'failed' | 'cancelled';
}
const scripts: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    wait: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 900 })),
    slots: fc.constantFrom(0, 1, 2, 100),
    ends: fc.constantFrom('not', 'succeeded', 'failed', 'cancelled'),
  }),
  { minLength: 1, maxLength: 25 },
);
const roomy = scripts.map((script) => script.map((step) => ({ ...step, slots: 100 })));

interface Story {
  readonly first: JobRecord;
  readonly last: JobRecord | null;
  readonly ledger: readonly LedgerEntry[];
  readonly moments: readonly { readonly now: number; readonly slots: number; readonly decision: Decision }[];
}

const ERROR = { name: 'Error', message: 'no', code: null, stack: null };

function play(makeTrigger: () => Trigger, policy: Partial<JobPolicy>, script: readonly Step[]): Story {
  const first = deepFreeze(record(makeTrigger(), policy));
  const ledger: LedgerEntry[] = [];
  const moments: Story['moments'][number][] = [];
  let now = 0;
  let current: JobRecord | null = first;
  const take = (decision: Decision): JobRecord | null => {
    ledger.push(...decision.ledger);
    return deepFreeze(decision.next);
  };
  for (const { wait, slots, ends } of script) {
    now += wait;
    const held = current.state.runs.find((run) => run.state === 'running');
    if (ends !== 'not' && held !== undefined) {
      const outcome =
        ends === 'succeeded'
          ? ({ kind: ends, result: null } as const)
          : ends === 'failed'
            ? ({ kind: ends, error: ERROR, retryable: true, timedOut: false } as const)
            : ({ kind: ends, reason: 'test', error: null } as const);
      const decision = finishRun(current, held, outcome, { now, node: 'n1' });
      if (decision !== undefined) current = take(decision);
    }
    if (current === null) break;
    const decision = decide(current, context(now, { slots, leaseUntil: now + 200 }));
    moments.push({ now, slots, decision });
    current = take(decision);
    if (current === null) break;
  }
  return { first, last: current, ledger, moments };
}

describe('decide, over random policies, downtimes, outcomes and crashes', () => {
  it('gives every fire time up to its cursor exactly one verdict or live run', () => {
    fc.assert(
      fc.property(triggers, policies, scripts, (makeTrigger, policy, script) => {
        const { first, last, ledger } = play(makeTrigger, policy, script);
        expect(auditLedger('job', last ?? undefined, ledger, null).problems).toEqual([]);
        // And by a count that owes nothing to the audit.
        const reached = last === null ? Math.max(0, ...ledger.map((entry) => entry.scheduledTo)) : (last.state.lastFireTime ?? 0);
        let expected = 0;
        for (let at = nextFire(first.definition, 0); at !== null && at <= reached; at = nextFire(first.definition, at)) expected += 1;
        const verdicts = ledger.reduce((sum, entry) => sum + entry.count, 0);
        expect(verdicts + (last?.state.runs.length ?? 0)).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('makes progress: nothing that could be done now is left', () => {
    fc.assert(
      fc.property(triggers, policies, roomy, (makeTrigger, policy, script) => {
        for (const { now, decision } of play(makeTrigger, policy, script).moments) {
          const wake = decision.next === null ? null : wakeAt(decision.next);
          if (wake !== null) expect(wake).toBeGreaterThan(now);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('never has more runs at one time than maxInstances, and starts no more than the executor takes', () => {
    fc.assert(
      fc.property(triggers, policies, scripts, (makeTrigger, policy, script) => {
        for (const { slots, decision } of play(makeTrigger, policy, script).moments) {
          expect(decision.start.length).toBeLessThanOrEqual(slots);
          if (decision.next === null) continue;
          expect(runningCount(decision.next.state.runs)).toBeLessThanOrEqual(slotLimit(decision.next.definition.policy));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('starts each fire time at most once as attempt 1', () => {
    fc.assert(
      fc.property(triggers, policies, scripts, (makeTrigger, policy, script) => {
        const { moments } = play(makeTrigger, policy, script);
        const started = moments.flatMap(({ decision }) => decision.start.filter((run) => run.attempt === 1).map((run) => run.id));
        expect(new Set(started).size).toBe(started.length);
      }),
      { numRuns: 300 },
    );
  });

  it('never counts more scheduled runs than maxRuns, and never fires beyond endTime', () => {
    fc.assert(
      fc.property(triggers, policies, scripts, (makeTrigger, policy, script) => {
        const { moments, ledger, first } = play(makeTrigger, policy, script);
        const { maxRuns, endTime } = first.definition.policy;
        for (const { decision } of moments) {
          if (maxRuns !== null) expect(decision.next?.state.runCount ?? 0).toBeLessThanOrEqual(maxRuns);
          for (const run of decision.start) expect(run.scheduledFor).toBeLessThanOrEqual(endTime ?? Number.POSITIVE_INFINITY);
        }
        for (const entry of ledger) expect(entry.scheduledTo).toBeLessThanOrEqual(endTime ?? Number.POSITIVE_INFINITY);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps a bounded number of runs in a record', () => {
    fc.assert(
      fc.property(triggers, policies, roomy, (makeTrigger, policy, script) => {
        const { moments, first } = play(makeTrigger, policy, script);
        const { overlap, queueLimit, maxCatchUp, maxInstances } = first.definition.policy;
        const queue = overlap === 'queue' || overlap === 'replace' ? 1 : overlap === 'queueAll' ? queueLimit : 0;
        for (const { decision } of moments) {
          const queued = decision.next?.state.runs.filter((run) => run.state === 'waiting' && run.cause === 'queued') ?? [];
          expect(queued.length).toBeLessThanOrEqual(Math.max(queue, maxCatchUp) + maxInstances);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is deterministic, and writes to nothing it was given (all of it is frozen)', () => {
    fc.assert(
      fc.property(triggers, policies, scripts, (makeTrigger, policy, script) => {
        const once = JSON.stringify(play(makeTrigger, policy, script).moments);
        expect(JSON.stringify(play(makeTrigger, policy, script).moments)).toBe(once);
      }),
      { numRuns: 100 },
    );
  });
});

describe('decide', () => {
  it('does nothing before anything is due', () => {
    const job = record(new Grid(10));
    expect(decide(job, context(9))).toMatchObject({ start: [], ledger: [], notices: [], next: { state: job.state } });
  });

  it('starts a run whose id says which fire time it is for, under a token that grows', () => {
    const first = decide(record(new Grid(10), { overlap: 'allow' }), context(10));
    expect(first.start).toMatchObject([{ id: 'job@10', scheduledFor: 10, attempt: 1, owner: 'n1', leaseUntil: 1_010, catchUp: false }]);
    const second = decide(first.next ?? record(new Grid(10)), context(20));
    expect(second.start[0]?.token).toBeGreaterThan(first.start[0]?.token ?? Number.POSITIVE_INFINITY);
  });

  it('keeps a run for another node, or for later, when this one has no room', () => {
    const { start, next } = decide(record(new Grid(10)), context(10, { slots: 0 }));
    expect(start).toEqual([]);
    expect(next?.state.runs).toMatchObject([{ state: 'waiting', id: 'job@10', attempt: 0 }]);
    expect(next && wakeAt(next)).toBe(10);
  });

  it('takes a run over whose lease has run out, as the next attempt', () => {
    const job = record(new Grid(1_000), {}, { runs: [running({ owner: 'n2', leaseUntil: 500 })] });
    expect(decide(job, context(499)).start).toEqual([]);
    const { start, notices } = decide(job, context(500));
    expect(start).toMatchObject([{ id: 'job@10', attempt: 2, owner: 'n1', crashes: 1 }]);
    expect(notices).toMatchObject([{ type: 'jobAbandoned', retried: true, runId: 'job@10', scheduledFor: 10, attempt: 1 }]);
  });

  it('renews a lease that ran out unnoticed while this node still executes the run', () => {
    const job = record(new Grid(1_000), {}, { runs: [running({ leaseUntil: 500 })] });
    const { start, next, notices } = decide(job, context(600, { executes: (jobId, run) => jobId === 'job' && run.token === 1 }));
    expect([start, notices]).toEqual([[], []]);
    expect(next?.state.runs).toMatchObject([{ state: 'running', leaseUntil: 1_600 }]);
  });

  it.each([
    ['that is to run at most once', { onCrash: 'drop' as const }, 0, 'on-crash-drop'],
    ['that has killed too many nodes', { maxCrashes: 2 }, 2, 'max-crashes'],
  ])('gives a run up %s', (_, policy, crashes, reason) => {
    const job = record(new Grid(1_000), policy, { runs: [running({ leaseUntil: 500, crashes })] });
    const { next, ledger, notices } = decide(job, context(500));
    expect(next?.state.runs).toEqual([]);
    expect(ledger).toMatchObject([{ runId: 'job@10', verdict: 'abandoned', reason }]);
    expect(notices).toMatchObject([{ type: 'jobAbandoned', retried: false }]);
  });

  it('calls a run cancelled whose node died after it was told to abort it', () => {
    const job = record(new Grid(1_000), {}, { runs: [running({ leaseUntil: 500, abort: 'replaced' })] });
    expect(decide(job, context(500)).ledger).toMatchObject([{ verdict: 'cancelled', reason: 'replaced' }]);
  });

  it('calls a run a catch-up from a lateness of 30 s, or when it stands for several', () => {
    const late = (now: number): boolean | undefined => decide(record(new Grid(60_000)), context(now)).start[0]?.catchUp;
    expect([60_000, 90_000, 90_001, 120_000].map(late)).toEqual([false, false, true, true]);
  });

  it('puts a job in quarantine whose trigger throws, with what it had', () => {
    const trigger = Object.assign(new Grid(10), { next: () => { throw new Error('broken'); } });
    const job = record(new Grid(10), {}, { runs: [running()] });
    const { next, notices } = decide({ ...job, definition: { ...job.definition, trigger } }, context(10, { executes: () => true }));
    expect(next?.state).toMatchObject({ status: 'quarantined', reason: 'broken', runs: [{ id: 'job@10' }] });
    expect(notices.at(-1)).toEqual({ type: 'jobQuarantined', reason: 'broken' });
  });

  it('deals with what is due before it puts a job in quarantine whose trigger throws, and goes on from there', () => {
    const broken = { from: 30 };
    const trigger = new (class extends TwoWayGrid {
      override next(after: number): number | null {
        if (after >= broken.from) throw new Error('broken');
        return super.next(after);
      }
    })(10);
    const job = record(trigger);
    const { next, start, ledger, notices } = decide(job, context(30));
    expect(start).toMatchObject([{ scheduledFor: 30 }]);
    expect(ledger).toMatchObject([{ verdict: 'coalesced', scheduledFor: 10, scheduledTo: 20 }]);
    expect(notices.at(-1)).toEqual({ type: 'jobQuarantined', reason: 'broken' });
    expect(next?.state).toMatchObject({ status: 'quarantined', nextFireTime: null, lastFireTime: 30 });

    const late = decide(record(trigger, { misfireGraceMs: 5 }, { nextFireTime: 30, nextDueAt: 30 }), context(36));
    expect(late).toMatchObject({ next: { state: { status: 'quarantined', nextFireTime: null } }, ledger: [{ verdict: 'missed', scheduledFor: 30 }] });
    const ended = decide(record(trigger, { maxRuns: 1 }, { nextFireTime: 30, nextDueAt: 30 }), context(30));
    expect(ended.next?.state).toMatchObject({ status: 'active', nextFireTime: null, runs: [{ scheduledFor: 30 }] });

    broken.from = Infinity;
    expect(retryQuarantined(next!, { now: 25, node: 'n1' })?.next?.state).toMatchObject({ status: 'active', nextFireTime: 40 });
    expect(retryQuarantined(next!, { now: 75, node: 'n1' })?.next?.state).toMatchObject({ status: 'active', nextFireTime: 40 });
  });

  it('puts a job in quarantine whose trigger throws where the fire time after a completion is jittered', () => {
    let asked = 0;
    const trigger = Object.assign(new Grid(10), {
      nextAfterCompletion: (at: number) => at + 10,
      next: (at: number) => {
        if (++asked > 2) throw new Error('broken');
        return at + 10;
      },
    });
    const job = record(trigger, { jitterMs: 5 }, { nextFireTime: null, nextDueAt: null, runs: [running()] });
    const ended = finishRun(job, running(), { kind: 'succeeded', result: null }, { now: 20, node: 'n1' });
    expect(ended).toMatchObject({ next: { state: { status: 'quarantined', reason: 'broken' } }, ledger: [{ verdict: 'succeeded' }] });
  });

  it('starts manual runs of a paused job, and none of its schedule', () => {
    const runs = [waiting(), waiting({ id: 'job#5', manual: true })];
    const { start, next } = decide(record(new Grid(10), {}, { status: 'paused', runs }), context(50));
    expect(start.map((run) => run.id)).toEqual(['job#5']);
    expect(next?.state).toMatchObject({ nextFireTime: 10, runs: [{ id: 'job@10', state: 'waiting' }, { state: 'running' }] });
  });

  it('deletes a removed job once its last run is over', () => {
    const gone = record(new Grid(10), { onCrash: 'drop' }, { status: 'removed', nextFireTime: null, nextDueAt: null, runs: [running({ leaseUntil: 5 })] });
    expect(decide(gone, context(10))).toMatchObject({ next: null, ledger: [{ verdict: 'abandoned' }] });
  });

  it('completes a job without another fire time when its last run is over', () => {
    const { next, start } = decide(record(new Grid(10, 10)), context(10));
    const ended = finishRun(next ?? record(new Grid(10)), start[0] ?? running(), { kind: 'succeeded', result: null }, { now: 12, node: 'n1' });
    expect(next?.state).toMatchObject({ nextFireTime: null });
    expect(ended).toMatchObject({ next: null, notices: [{ type: 'jobCompleted', reason: 'exhausted', runCount: 1 }] });
  });
});

describe('a backlog (coalesce: all) that meets a run from before', () => {
  const busy = (policy: Partial<JobPolicy>): Decision => {
    const state = { nextFireTime: 20, nextDueAt: 20, lastFireTime: 10, runs: [running()] };
    return decide(record(new Grid(10), { coalesce: 'all', ...policy }, state), context(50));
  };
  const idsOf = ({ next }: Decision): string[] => next?.state.runs.map((run) => run.id) ?? [];
  const verdictsOf = ({ ledger }: Decision): unknown[] => ledger.map((entry) => [entry.reason, entry.scheduledFor]);

  it('is skipped as a whole, not only its first', () => {
    const decision = busy({ overlap: 'skip' });
    expect(verdictsOf(decision)).toEqual([20, 30, 40, 50].map((at) => ['max-instances', at]));
    expect(idsOf(decision)).toEqual(['job@10']);
  });

  it('is queued as far as overlap allows', () => {
    expect(idsOf(busy({ overlap: 'queue' }))).toEqual(['job@10', 'job@20']);
    expect(idsOf(busy({ overlap: 'queueAll', queueLimit: 3 }))).toEqual(['job@10', 'job@20', 'job@30', 'job@40']);
  });

  it('has its newest take the place of all', () => {
    const decision = busy({ overlap: 'replace' });
    expect(decision.next?.state.runs).toMatchObject([{ id: 'job@10', abort: 'replaced' }, { id: 'job@50', state: 'waiting' }]);
    expect(verdictsOf(decision)).toEqual([20, 30, 40].map((at) => ['replaced', at]));
  });

  it('and waits for itself when nothing else was running', () => {
    const decision = decide(record(new Grid(10), { coalesce: 'all' }), context(40));
    expect(decision.start.map((run) => run.id)).toEqual(['job@10']);
    expect(idsOf(decision)).toEqual(['job@10', 'job@20', 'job@30', 'job@40']);
    expect(decision.ledger).toEqual([]);
  });
});

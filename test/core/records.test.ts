import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SystemClock, type LedgerEntry, type RunRecord } from 'punctual';
import { finishRun, releaseRun, renewRun } from '../../src/core/finish.js';
import { Lifecycle } from '../../src/core/lifecycle.js';
import { auditLedger } from '../../src/core/verify.js';
import { runningCount, slotLimit, wakeAt } from '../../src/model/job.js';
import { Heap, type HeapItem } from '../../src/stores/shared/heap.js';
import { Grid, record, running, waiting } from './support.js';

const acting = { now: 50, node: 'n1' };

describe('fencing: finishRun, renewRun and releaseRun', () => {
  it('change a run for the holder of its token, and for nobody else', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 }), fc.constantFrom('job@10', 'job@20'), (token, held, id) => {
        const job = record(new Grid(10), {}, { runs: [running({ token })], fence: 5 });
        const mine = token === held && id === 'job@10';
        const run = { id, token: held };
        expect(finishRun(job, run, { kind: 'succeeded', result: null }, acting) !== undefined).toBe(mine);
        expect(renewRun(job, run, 9_999) !== undefined).toBe(mine);
        expect(releaseRun(job, run, 'shutdown', acting) !== undefined).toBe(mine);
      }),
    );
  });

  it('a run that waits is nobody\'s to finish', () => {
    const job = record(new Grid(10), {}, { runs: [waiting()] });
    expect(finishRun(job, { id: 'job@10', token: 1 }, { kind: 'succeeded', result: null }, acting)).toBeUndefined();
  });

  it('renewing moves the lease and nothing else', () => {
    const job = record(new Grid(10), {}, { runs: [running({ id: 'job@5', token: 7 }), running()], fence: 7 });
    expect(renewRun(job, running(), 9_999)).toEqual({ ...job, state: { ...job.state, runs: [job.state.runs[0], running({ leaseUntil: 9_999 })] } });
  });
});

describe('wakeAt', () => {
  it('is the earliest of the fire time, leases, and waiting runs that have a slot', () => {
    const runs = fc.array(
      fc.oneof(
        fc.record({ leaseUntil: fc.option(fc.integer({ min: 0, max: 100 })) }).map((more): RunRecord => running(more)),
        fc.record({ readyAt: fc.integer({ min: 0, max: 100 }), manual: fc.boolean() }).map((more): RunRecord => waiting(more)),
      ),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(runs, fc.constantFrom('active', 'paused', 'quarantined', 'removed'), fc.integer({ min: 1, max: 3 }), (list, status, maxInstances) => {
        const job = record(new Grid(10), { maxInstances }, { runs: list, status, nextDueAt: 60 });
        const hasSlot = runningCount(list) < slotLimit(job.definition.policy);
        const times = list.flatMap((run) => {
          if (run.state === 'running') return run.leaseUntil ?? [];
          return hasSlot && (status === 'active' || (run.manual && status !== 'removed')) ? run.readyAt : [];
        });
        const all = status === 'active' ? [...times, 60] : times;
        expect(wakeAt(job)).toBe(all.length === 0 ? null : Math.min(...all));
      }),
    );
  });
});

describe('auditLedger', () => {
  const entry = (from: number, to = from, more: Partial<LedgerEntry> = {}): LedgerEntry => ({
    jobId: 'job', runId: null, verdict: 'succeeded', reason: null, scheduledFor: from, scheduledTo: to, count: (to - from) / 10 + 1,
    exact: true, manual: false, generation: 0, attempt: 1, startedAt: null, at: to, node: 'n1', error: null, result: null, ...more,
  });
  const job = record(new Grid(10), {}, { lastFireTime: 60, nextFireTime: 70, nextDueAt: 70 });
  const audit = (entries: LedgerEntry[], pruned: number | null = null): unknown[] =>
    auditLedger('job', job, entries, pruned).problems.map(({ problem, scheduledFor }) => [problem, scheduledFor]);

  it('accepts a whole history, ranges included, in whatever order the verdicts fell', () => {
    expect(audit([entry(10), entry(60), entry(20, 40), entry(50), entry(33, 33, { manual: true })])).toEqual([]);
  });

  it('finds a hole, in the middle and at the end', () => {
    expect(audit([entry(10), entry(30, 60)])).toEqual([['missing', 20]]);
    expect(audit([entry(10, 50)])).toEqual([['missing', 60]]);
  });

  it('finds a fire time with two verdicts', () => {
    expect(audit([entry(10, 60), entry(30)])).toContainEqual(['duplicate', 30]);
  });

  it('finds a verdict on what is no fire time', () => {
    expect(audit([entry(10, 60), entry(65)])).toContainEqual(['unexpected', 65]);
  });

  it('asks nothing of what was pruned', () => {
    expect(audit([entry(50, 60)], 40)).toEqual([]);
    expect(audit([entry(60)], 40)).toEqual([['missing', 50]]);
  });
});

describe('the heap of the memory index', () => {
  interface Item extends HeapItem { key: number }

  it('gives back the least first, whatever was pushed and taken out in between', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('push', 'pop', 'remove'), fc.nat(50), fc.nat(50)), { maxLength: 120 }), (actions) => {
        const heap = new Heap<Item>((a, b) => a.key < b.key);
        const model: Item[] = [];
        for (const [action, which, key] of actions) {
          const item = model[which % Math.max(1, model.length)];
          if (action === 'push' || item === undefined) {
            const added = { key, position: 0 };
            model.push(added);
            heap.push(added);
          } else {
            const gone = action === 'pop' ? heap.pop() : (heap.remove(item), item);
            if (action === 'pop') expect(gone?.key).toBe(Math.min(...model.map((each) => each.key)));
            model.splice(model.indexOf(gone ?? item), 1);
          }
          expect(heap.size).toBe(model.length);
        }
        const rest = model.map((each) => each.key).sort((a, b) => a - b);
        expect(rest.map(() => heap.pop()?.key)).toEqual(rest);
      }),
    );
  });
});

describe('the lifecycle', () => {
  it('knows no other moves than its table', () => {
    const life = new Lifecycle();
    expect(() => { life.to('running'); }).toThrow(/stopped cannot become running, only starting/);
    for (const next of ['starting', 'running', 'paused', 'running', 'stopping', 'stopped'] as const) life.to(next);
    expect(life.state).toBe('stopped');
  });
});

describe('SystemClock', () => {
  afterEach(() => { vi.useRealTimers(); });

  it('sets timers longer than the platform can, and cancels them at any stage', () => {
    vi.useFakeTimers();
    const clock = new SystemClock();
    const fired: string[] = [];
    const days = 86_400_000;
    clock.setTimer(60 * days, () => { fired.push('kept'); });
    const cancelled = clock.setTimer(60 * days, () => { fired.push('cancelled'); });
    vi.advanceTimersByTime(59 * days);
    expect(fired).toEqual([]);
    cancelled.cancel();
    vi.advanceTimersByTime(days);
    expect(fired).toEqual(['kept']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

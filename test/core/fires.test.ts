import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dueAt, fireAfterCompletion, fireRange, lastDue, nextFire, previousFire } from '../../src/core/fires.js';
import { definition, Grid, Listed, TwoWayGrid } from './support.js';

const every = fc.integer({ min: 1, max: 500 });
const instants = fc
  .uniqueArray(fc.integer({ min: 0, max: 2_000 }), { minLength: 1, maxLength: 40 })
  .map((list) => list.sort((a, b) => a - b));

describe('nextFire', () => {
  it('stays within the bounds of the job, both inclusive', () => {
    const bounded = definition(new Grid(10), { startTime: 30, endTime: 50 });
    expect([-5, 0, 29, 30, 49, 50].map((after) => nextFire(bounded, after))).toEqual([30, 30, 30, 40, 50, null]);
  });

  it.each([[Number.NaN], [5], [4], [Number.POSITIVE_INFINITY]])('refuses a trigger that answers %d for what follows 5', (answer) => {
    const trigger = { kind: 'stuck', next: () => answer, toJSON: () => ({ kind: 'stuck', v: 1 }) };
    expect(() => nextFire(definition(trigger), 5)).toThrow(/"stuck" answered .* after 5/);
  });
});

describe('fireAfterCompletion', () => {
  it('measures from the end of the run, within the bounds', () => {
    const trigger = Object.assign(new Grid(10), { nextAfterCompletion: (t: number) => t + 10 });
    expect(fireAfterCompletion(definition(trigger), 7)).toBe(17);
    expect(fireAfterCompletion(definition(trigger, { startTime: 100 }), 7)).toBe(100);
    expect(fireAfterCompletion(definition(trigger, { endTime: 16 }), 7)).toBeNull();
  });
});

describe('previousFire', () => {
  it('by bisection is what enumeration finds', () => {
    fc.assert(
      fc.property(instants, fc.integer({ min: 0, max: 2_100 }), fc.option(fc.integer({ min: 0, max: 2_000 })), (list, before, endTime) => {
        const [first = 0] = list;
        if (endTime !== null && first > endTime) return;
        const expected = list.filter((at) => at < before && (endTime === null || at <= endTime)).at(-1) ?? null;
        expect(previousFire(definition(new Listed(list), { endTime }), first, before)).toBe(expected);
      }),
    );
  });

  it("with the trigger's own `previous` answers the same, within the bounds of the job", () => {
    fc.assert(
      fc.property(every, fc.integer({ min: 0, max: 5_000 }), fc.option(fc.integer({ min: 500, max: 5_000 })), (step, before, endTime) => {
        const expected = previousFire(definition(new Grid(step), { endTime }), step, before);
        expect(previousFire(definition(new TwoWayGrid(step), { endTime }), step, before)).toBe(expected);
      }),
    );
  });

  it('finds the last second of a year with few questions', () => {
    const trigger = new Grid(1_000);
    const year = 365 * 86_400_000;
    expect(previousFire(definition(trigger), 1_000, year + 1)).toBe(year);
    expect(trigger.asked).toBeLessThan(60);
  });

  it('answers the first when nothing lies between, and null before it', () => {
    expect([11, 20, 10].map((before) => previousFire(definition(new Grid(10)), 10, before))).toEqual([10, 10, null]);
  });
});

describe('dueAt', () => {
  const jitter = fc.integer({ min: 0, max: 2_000 });
  const nth = fc.integer({ min: 1, max: 1_000 });

  it('is the fire time or later, by no more than the jitter, and before the one that follows', () => {
    fc.assert(
      fc.property(fc.string(), every, jitter, nth, (id, step, jitterMs, n) => {
        const delay = dueAt(id, definition(new Grid(step), { jitterMs }), n * step) - n * step;
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(jitterMs);
        expect(delay).toBeLessThan(step);
      }),
    );
  });

  it('is the same each time it is asked, on every node', () => {
    fc.assert(
      fc.property(fc.string(), jitter, nth, (id, jitterMs, n) => {
        const ask = (): number => dueAt(id, definition(new Grid(700), { jitterMs }), n * 700);
        expect(ask()).toBe(ask());
      }),
    );
  });

  it('spreads over the whole range, and differs by job and by fire time', () => {
    const job = definition(new Grid(60_000), { jitterMs: 10_000 });
    const ofJobs = Array.from({ length: 300 }, (_, i) => dueAt(`job-${i}`, job, 60_000) - 60_000);
    const ofTimes = Array.from({ length: 300 }, (_, i) => dueAt('job', job, 60_000 * (i + 1)) - 60_000 * (i + 1));
    for (const delays of [ofJobs, ofTimes]) {
      const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
      expect(mean).toBeGreaterThan(4_000);
      expect(mean).toBeLessThan(6_000);
      expect(new Set(delays.map((delay) => Math.floor(delay / 1_000))).size).toBeGreaterThanOrEqual(10);
    }
  });

  it('costs no question without jitter', () => {
    const trigger = new Grid(10);
    expect(dueAt('job', definition(trigger), 10)).toBe(10);
    expect(trigger.asked).toBe(0);
  });
});

describe('lastDue', () => {
  it('is the last fire time whose due instant has come', () => {
    fc.assert(
      fc.property(fc.string(), every, fc.integer({ min: 0, max: 800 }), fc.integer({ min: 0, max: 6_000 }), (id, step, jitterMs, now) => {
        const job = definition(new Grid(step), { jitterMs });
        let expected: number | null = null;
        for (let fire = step; fire <= now; fire += step) if (dueAt(id, job, fire) <= now) expected = fire;
        if (expected !== null) expect(lastDue(id, job, step, now)).toBe(expected);
      }),
    );
  });
});

describe('fireRange', () => {
  it('counts by arithmetic where the trigger can, and one by one while they are few', () => {
    expect(fireRange(definition(new Grid(10)), 10, 10)).toEqual({ scheduledFor: 10, scheduledTo: 10, count: 1, exact: true });
    expect(fireRange(definition(new Grid(10)), 10, 90)).toEqual({ scheduledFor: 10, scheduledTo: 90, count: 9, exact: true });
    const counting = Object.assign(new Grid(1), { count: (from: number, to: number) => to - from + 1 });
    expect(fireRange(definition(counting), 1, 1_000_000)).toMatchObject({ count: 1_000_000, exact: true });
    expect(counting.asked).toBe(0);
  });

  it('gives a lower bound, and says so, where counting would cost too much', () => {
    const trigger = new Grid(1);
    expect(fireRange(definition(trigger), 1, 1_000_000)).toMatchObject({ count: 1_000, exact: false });
    expect(trigger.asked).toBeLessThan(1_001);
  });
});

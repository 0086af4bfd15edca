import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { longGap } from '../../src/core/fire-gap.js';
import { definition, Grid, Listed } from './support.js';

describe('longGap', () => {
  it('finds the first long stretch that enumeration finds, as far as it looks', () => {
    const lists = fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 40 }).map((list) => list.sort((a, b) => a - b));
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 120 }), (list, length) => {
        const gaps = list.map((to, index) => ({ from: list[index - 1] ?? 0, to })).filter(({ from, to }) => to - from >= length);
        const found = longGap(definition(new Listed(list)), 0, length);
        if (found !== null) expect(found).toEqual(gaps[0]);
        // Each look but the last goes on to a fire time from which the next one is at least `length` further on, in two.
        else expect(gaps.filter(({ to }) => to <= length * 7)).toEqual([]);
      }),
    );
  });

  it('asks the trigger a few times only, however dense it is', () => {
    let asked = 0;
    const seconds = new Grid(1_000);
    const counting = {
      kind: 'counting',
      next: (after: number) => (asked++, seconds.next(after)),
      previous: (before: number) => (asked++, Math.ceil(before / 1_000) * 1_000 - 1_000),
      toJSON: () => ({ kind: 'counting', v: 1 }),
    };
    expect(longGap(definition(counting), 0, 31_536_000_000)).toBeNull();
    expect(asked).toBeLessThan(50);
  });

  it('keeps to the bounds of the job', () => {
    expect(longGap(definition(new Grid(10), { startTime: 100 }), 5, 50)).toEqual({ from: 5, to: 100 });
    expect(longGap(definition(new Grid(100), { endTime: 150 }), 0, 101)).toBeNull();
    expect(longGap(definition(new Grid(100), { endTime: 50 }), 0, 10)).toBeNull();
  });
});

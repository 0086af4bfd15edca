import { describe, expect, it } from 'vitest';
import { simulate } from '../../src/testing/simulation/simulation.js';

/** Worlds in all; `npm run simulate` plays thousands. */
const SEEDS = 120;
const GROUPS = 4;

describe('simulated worlds', () => {
  it.each(Array.from({ length: GROUPS }, (_, group) => group))(
    'keep every promise, group %i',
    async (group) => {
      const broken: unknown[] = [];
      for (let seed = group + 1; seed <= SEEDS; seed += GROUPS) {
        const { breach } = await simulate(seed);
        if (breach !== undefined) broken.push({ seed, ...breach });
      }
      expect(broken).toEqual([]);
    },
    300_000,
  );

  it('play the same way again, step by step', async () => {
    for (const seed of [3, 8, 26]) {
      const first: string[] = [];
      const second: string[] = [];
      await simulate(seed, (line) => first.push(line));
      await simulate(seed, (line) => second.push(line));
      expect(first.length).toBeGreaterThan(50);
      expect(second).toEqual(first);
    }
  });

  it('hold what they are there for: crashes, takeovers, retries, lost answers, jumps, limits, links, alarms', async () => {
    const sum = {
      crashes: 0, freezes: 0, takeovers: 0, retries: 0, lostAnswers: 0, doubledWrites: 0, jumps: 0, outages: 0, lostCommits: 0,
      limitedStarts: 0, holds: 0, follows: 0, waitsMet: 0, calledOff: 0, alarms: 0, suspensions: 0,
    };
    for (let seed = 1; seed <= 40 || (seed <= 300 && Object.values(sum).includes(0)); seed++) {
      const { totals } = await simulate(seed);
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += totals[name];
    }
    for (const [name, count] of Object.entries(sum)) expect(count, name).toBeGreaterThan(0);
  }, 300_000);
});

import { expect, test } from 'vitest';
import { fuzz } from './support/fuzz.js';

// scripts/fuzz-cron.ts goes on for as long as one likes.
test('random expressions fire as in croner and cron-parser, away from changes of the clock', () => {
  const { compared, differences, refused } = fuzz(20260101, 400);
  expect(differences).toEqual([]);
  expect(compared).toBeGreaterThan(600);
  // croner takes all of these; cron-parser refuses lists that name a value twice.
  expect(refused.croner).toBeLessThan(20);
});

import { expect, it } from 'vitest';
import { retryDelay } from '../../src/core/retry.js';

it('is a number, however many attempts there were', () => {
  const policy = { maxAttempts: 10_000, backoff: 'exponential', maxDelayMs: 60_000, jitter: 0, retryIf: null } as const;
  expect(retryDelay({ ...policy, delayMs: 0 }, 'job@0', 5_000)).toBe(0);
  expect(retryDelay({ ...policy, delayMs: 1 }, 'job@0', 5_000)).toBe(60_000);
});

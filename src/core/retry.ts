import type { RetryPolicy } from '../model/job.js';
import { hashFraction } from './hash.js';

/** More would lead to infinity, which times a delay of 0 is no number. */
const MAX_DOUBLINGS = 60;

/**
 * How long to wait after attempt number `attempt` failed. `exponential` doubles from `delayMs`; both are capped
 * by `maxDelayMs`. Jitter shortens, never lengthens, so that the cap holds, and depends only on run and attempt.
 */
export function retryDelay(policy: RetryPolicy, runId: string, attempt: number): number {
  const raw = policy.backoff === 'exponential' ? policy.delayMs * 2 ** Math.min(attempt - 1, MAX_DOUBLINGS) : policy.delayMs;
  const capped = Math.min(raw, policy.maxDelayMs);
  return Math.round(capped * (1 - policy.jitter * hashFraction(runId, attempt)));
}

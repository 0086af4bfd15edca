import type { RetryPolicy } from '../model/job.js';
import { hashFraction } from './hash.js';

/**
 * How long to wait after attempt number `attempt` failed. `exponential` doubles from `delayMs`; both are capped
 * by `maxDelayMs`. Jitter shortens, never lengthens, so that the cap holds, and depends only on run and attempt.
 */
export function retryDelay(policy: RetryPolicy, runId: string, attempt: number): number {
  const raw = policy.backoff === 'exponential' ? policy.delayMs * 2 ** (attempt - 1) : policy.delayMs;
  const capped = Math.min(raw, policy.maxDelayMs);
  return Math.round(capped * (1 - policy.jitter * hashFraction(runId, attempt)));
}

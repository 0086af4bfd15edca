import type { JobState } from '../model/job.js';
import { TOO_MANY_FAILURES } from '../model/notice.js';
import type { Draft } from './draft.js';

/**
 * Whether the runs that got their verdicts with this change make as many failures in a row as the job may have. Those of
 * before do not count again: a limit that was lowered waits for the next failure. A job that each node runs by itself
 * goes on: its copies have nobody who would resume them one by one.
 */
export function hasFailedTooOften({ record, stats }: Draft): boolean {
  const { maxConsecutiveFailures: most, exclusive } = record.definition.policy;
  if (most === null || !exclusive || stats.consecutiveFailures < most) return false;
  return stats.consecutiveFailures > record.state.stats.consecutiveFailures;
}

/** The state of a job that is paused because it failed too often. */
export function suspend(draft: Draft, state: JobState): JobState {
  draft.note({ type: 'jobPaused', reason: TOO_MANY_FAILURES, failures: draft.stats.consecutiveFailures, error: draft.lastError });
  return { ...state, status: 'paused', reason: TOO_MANY_FAILURES };
}

import type { EpochMs } from '../ports/trigger.js';
import type { LedgerEntry, Verdict } from './ledger.js';

/** What the ledger entries of a job add up to, manual runs included. */
export interface JobStats {
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly abandoned: number;
  /** Fire times without a run of their own. */
  readonly missed: number;
  readonly coalesced: number;
  readonly skipped: number;
  /** Runs of which the duration is known, and the sum of it in ms: from the start of the last attempt to the verdict. */
  readonly timedRuns: number;
  readonly totalDurationMs: number;
  /** Of the latest run that has its verdict. */
  readonly lastRunId: string | null;
  readonly lastVerdict: Verdict | null;
  readonly lastFinishedAt: EpochMs | null;
  readonly lastDurationMs: number | null;
  /** Scheduled runs in a row that failed or were abandoned, up to the latest. 0 again after a success, and when the job is resumed. */
  readonly consecutiveFailures: number;
  readonly lastSuccessAt: EpochMs | null;
}

export const NO_STATS: JobStats = Object.freeze({
  succeeded: 0,
  failed: 0,
  cancelled: 0,
  abandoned: 0,
  missed: 0,
  coalesced: 0,
  skipped: 0,
  timedRuns: 0,
  totalDurationMs: 0,
  lastRunId: null,
  lastVerdict: null,
  lastFinishedAt: null,
  lastDurationMs: null,
  consecutiveFailures: 0,
  lastSuccessAt: null,
});

/** The counters with one more entry. */
export function withEntry(stats: JobStats, entry: LedgerEntry): JobStats {
  const { runId, startedAt, at, verdict } = entry;
  const isRun = runId !== null;
  // A clock that was set back makes no negative durations.
  const durationMs = isRun && startedAt !== null ? Math.max(0, at - startedAt) : null;
  return {
    succeeded: stats.succeeded + (verdict === 'succeeded' ? entry.count : 0),
    failed: stats.failed + (verdict === 'failed' ? entry.count : 0),
    cancelled: stats.cancelled + (verdict === 'cancelled' ? entry.count : 0),
    abandoned: stats.abandoned + (verdict === 'abandoned' ? entry.count : 0),
    missed: stats.missed + (verdict === 'missed' ? entry.count : 0),
    coalesced: stats.coalesced + (verdict === 'coalesced' ? entry.count : 0),
    skipped: stats.skipped + (verdict === 'skipped' ? entry.count : 0),
    timedRuns: stats.timedRuns + (durationMs === null ? 0 : 1),
    totalDurationMs: stats.totalDurationMs + (durationMs ?? 0),
    lastRunId: isRun ? runId : stats.lastRunId,
    lastVerdict: isRun ? verdict : stats.lastVerdict,
    lastFinishedAt: isRun ? at : stats.lastFinishedAt,
    lastDurationMs: isRun ? durationMs : stats.lastDurationMs,
    consecutiveFailures: failuresAfter(stats.consecutiveFailures, entry),
    lastSuccessAt: verdict === 'succeeded' ? at : stats.lastSuccessAt,
  };
}

/** Runs by hand are somebody's trials: that they fail or succeed says nothing of the schedule. */
function failuresAfter(before: number, { manual, verdict }: LedgerEntry): number {
  if (manual) return before;
  if (verdict === 'succeeded') return 0;
  return verdict === 'failed' || verdict === 'abandoned' ? before + 1 : before;
}

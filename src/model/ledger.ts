import type { EpochMs } from '../ports/trigger.js';
import type { ErrorInfo } from './run.js';

/** The end of a fire time. Each fire time of an active job gets exactly one. */
export type Verdict = 'succeeded' | 'failed' | 'missed' | 'coalesced' | 'skipped' | 'cancelled' | 'abandoned';

/** One line of the history: the verdict on one fire time, or on a contiguous range of them. */
export interface LedgerEntry {
  readonly jobId: string;
  /** `null` when no run was made (missed, coalesced, skipped). */
  readonly runId: string | null;
  readonly verdict: Verdict;
  /** Why, where the verdict alone does not say: `max-instances`, `paused`, `misfire-grace`, … */
  readonly reason: string | null;
  /** The fire time, or the first of a range. */
  readonly scheduledFor: EpochMs;
  /** The last fire time of a range; equal to `scheduledFor` for one. */
  readonly scheduledTo: EpochMs;
  /** How many fire times this entry stands for. */
  readonly count: number;
  /** `false` when counting them would have cost too much: then `count` is a lower bound. */
  readonly exact: boolean;
  readonly manual: boolean;
  readonly generation: number;
  /** Attempts made; 0 when none began. */
  readonly attempt: number;
  readonly startedAt: EpochMs | null;
  /** When the verdict fell. */
  readonly at: EpochMs;
  /** The node that gave the verdict. */
  readonly node: string;
  readonly error: ErrorInfo | null;
  /** What the task returned; `null` when that was nothing, or is not kept. */
  readonly result: StoredResult | null;
}

/** A value as a serializer wrote it. */
export interface SerializedValue {
  /** Name of the serializer. */
  readonly by: string;
  readonly data: string;
}

/** A task's return value as it is kept, or the reason why it is not. */
export interface StoredResult {
  readonly value: SerializedValue | null;
  readonly omitted: 'too-large' | 'unserializable' | null;
  /** When it may be forgotten. */
  readonly expiresAt: EpochMs;
}

/** Selects ledger entries. Everything given must hold. */
export interface LedgerQuery {
  readonly jobId?: string | undefined;
  readonly runId?: string | undefined;
  readonly verdicts?: readonly Verdict[] | undefined;
  /** Fire time at or after this. */
  readonly from?: EpochMs | undefined;
  /** Fire time at or before this. */
  readonly to?: EpochMs | undefined;
}

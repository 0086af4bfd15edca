import type { LedgerEntry, StoredResult, Verdict } from '../model/ledger.js';
import type { ErrorInfo } from '../model/run.js';
import type { JobCodec } from '../ports/job-codec.js';
import type { EpochMs } from '../ports/trigger.js';
import { toInstant, type InstantInput } from '../time/instant.js';
import { refuseUnknownKeys } from '../errors/options.js';
import { flag, nonEmpty, oneOf, whole } from './policy.js';
import { listLedgers } from './merged-ledger.js';
import type { StoreLoop } from './store-loop.js';

/** Selects lines of the history. Everything given must hold. */
export interface RunQuery {
  readonly jobId?: string | undefined;
  readonly runId?: string | undefined;
  readonly verdict?: Verdict | readonly Verdict[] | undefined;
  /** Fire time at or after this. */
  readonly from?: InstantInput | undefined;
  /** Fire time at or before this. */
  readonly to?: InstantInput | undefined;
  /** The newest verdict first. Default `false`: in the order in which they fell. */
  readonly newestFirst?: boolean | undefined;
  /** Lines at most. Default 1,000. */
  readonly limit?: number | undefined;
  /** Where a page before this one ended. */
  readonly cursor?: string | undefined;
  /** Alias of the store. Default: `'default'`. */
  readonly jobStore?: string | undefined;
}

/** A line of the history: the verdict on a fire time, or on a contiguous range of them. */
export interface RunReport {
  readonly jobId: string;
  /** `null` when no run was made (missed, coalesced, skipped). */
  readonly runId: string | null;
  readonly verdict: Verdict;
  readonly reason: string | null;
  readonly scheduledFor: Date;
  /** The last fire time of a range; else the same as `scheduledFor`. */
  readonly scheduledTo: Date;
  readonly count: number;
  /** `false`: `count` is a lower bound, because counting would have cost too much. */
  readonly isExact: boolean;
  readonly isManual: boolean;
  /** Attempts made. */
  readonly attempt: number;
  readonly startedAt: Date | null;
  /** When the verdict fell. */
  readonly finishedAt: Date;
  /** From the start of the last attempt to the verdict, in ms. */
  readonly durationMs: number | null;
  readonly node: string;
  readonly error: ErrorInfo | null;
  /** What the task returned, for as long as it is kept (`resultTtl`); else `undefined`. */
  readonly result: unknown;
  /** Why the result is not there, if it was left out: larger than `maxResultSize`, or not plain data, or not readable here. */
  readonly resultOmitted: 'too-large' | 'unserializable' | 'unreadable' | null;
}

/** A page of reports: an array that knows where the next one begins. */
export type RunReports = readonly RunReport[] & { readonly nextCursor: string | null };

export const VERDICTS: readonly Verdict[] = ['succeeded', 'failed', 'missed', 'coalesced', 'skipped', 'cancelled', 'abandoned'];
const RUN_QUERY_KEYS: readonly (keyof RunQuery)[] = ['jobId', 'runId', 'verdict', 'from', 'to', 'newestFirst', 'limit', 'cursor', 'jobStore'];
const PAGE = 1_000;

export async function listRuns(loops: readonly StoreLoop[], query: RunQuery, timezone: string, codec: JobCodec): Promise<RunReports> {
  refuseUnknownKeys(query, '', RUN_QUERY_KEYS);
  const { verdict } = query;
  const verdicts = verdict === undefined ? undefined : (Array.isArray(verdict) ? verdict : [verdict]).map((v) => oneOf(v, 'verdict', VERDICTS));
  const page = await listLedgers(loops, {
    jobId: query.jobId === undefined ? undefined : nonEmpty(query.jobId, 'jobId'),
    runId: query.runId === undefined ? undefined : nonEmpty(query.runId, 'runId'),
    verdicts,
    from: query.from === undefined ? undefined : toInstant(query.from, 'from', timezone),
    to: query.to === undefined ? undefined : toInstant(query.to, 'to', timezone),
    newestFirst: flag(query.newestFirst, 'newestFirst'),
    limit: whole(query.limit ?? PAGE, 'limit', 1),
    after: query.cursor === undefined ? undefined : nonEmpty(query.cursor, 'cursor'),
  });
  const now = loops[0]!.now();
  return withCursor(page.entries.map((entry) => toReport(entry, codec, now)), page.nextCursor);
}

/** The cursor beside the list and not among its contents: an array that compares, copies and prints as one. */
export function withCursor<T>(list: T[], nextCursor: string | null): T[] & { readonly nextCursor: string | null } {
  return Object.defineProperty(list, 'nextCursor', { value: nextCursor }) as T[] & { readonly nextCursor: string | null };
}

function toReport(entry: LedgerEntry, codec: JobCodec, now: EpochMs): RunReport {
  const { startedAt, at } = entry;
  return {
    jobId: entry.jobId,
    runId: entry.runId,
    verdict: entry.verdict,
    reason: entry.reason,
    scheduledFor: new Date(entry.scheduledFor),
    scheduledTo: new Date(entry.scheduledTo),
    count: entry.count,
    isExact: entry.exact,
    isManual: entry.manual,
    attempt: entry.attempt,
    startedAt: startedAt === null ? null : new Date(startedAt),
    finishedAt: new Date(at),
    durationMs: startedAt === null ? null : Math.max(0, at - startedAt),
    node: entry.node,
    error: entry.error,
    ...readResult(entry.result, codec, now),
  };
}

export function readResult(stored: StoredResult | null, codec: JobCodec, now: EpochMs): Pick<RunReport, 'result' | 'resultOmitted'> {
  if (stored === null || stored.expiresAt <= now) return { result: undefined, resultOmitted: null };
  if (stored.value === null) return { result: undefined, resultOmitted: stored.omitted };
  try {
    return { result: codec.deserialize(stored.value), resultOmitted: null };
  } catch {
    return { result: undefined, resultOmitted: 'unreadable' };
  }
}

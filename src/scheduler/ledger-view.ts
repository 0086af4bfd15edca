import { auditLedger, type LedgerAudit, type LedgerProblem as Problem } from '../core/verify.js';
import type { LedgerEntry, Verdict } from '../model/ledger.js';
import type { ErrorInfo } from '../model/run.js';
import { toInstant, type InstantInput } from '../time/instant.js';
import { refuseUnknownKeys } from '../errors/options.js';
import { flag, nonEmpty, oneOf, whole } from './policy.js';
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
}

/** A page of reports: an array that knows where the next one begins. */
export type RunReports = readonly RunReport[] & { readonly nextCursor: string | null };

/** A fire time whose history does not add up. */
export interface LedgerProblem {
  readonly jobId: string;
  readonly scheduledFor: Date;
  /** `missing`: it has no verdict. `duplicate`: it has more than one. `unexpected`: it is no fire time of the trigger. */
  readonly problem: 'missing' | 'duplicate' | 'unexpected';
}

/** What `verifyLedger` found. */
export interface LedgerReport {
  /** No problem was found. */
  readonly ok: boolean;
  readonly problems: readonly LedgerProblem[];
  readonly jobs: number;
  /** Fire times by verdict; ranges count by their `count`. */
  readonly counts: Readonly<Record<Verdict, number>>;
  /** Runs without a verdict yet. */
  readonly pending: number;
  /** Jobs whose oldest entries the store has dropped to keep the ledger small: those are in no count any more. */
  readonly prunedJobs: number;
}

const VERDICTS: readonly Verdict[] = ['succeeded', 'failed', 'missed', 'coalesced', 'skipped', 'cancelled', 'abandoned'];
const RUN_QUERY_KEYS: readonly (keyof RunQuery)[] = ['jobId', 'runId', 'verdict', 'from', 'to', 'newestFirst', 'limit', 'cursor', 'jobStore'];
const PAGE = 1_000;

export async function listRuns(loop: StoreLoop, query: RunQuery, timezone: string): Promise<RunReports> {
  refuseUnknownKeys(query, '', RUN_QUERY_KEYS);
  const { verdict } = query;
  const verdicts = verdict === undefined ? undefined : (Array.isArray(verdict) ? verdict : [verdict]).map((v) => oneOf(v, 'verdict', VERDICTS));
  const page = await loop.access.listLedger({
    jobId: query.jobId === undefined ? undefined : nonEmpty(query.jobId, 'jobId'),
    runId: query.runId === undefined ? undefined : nonEmpty(query.runId, 'runId'),
    verdicts,
    from: query.from === undefined ? undefined : toInstant(query.from, 'from', timezone),
    to: query.to === undefined ? undefined : toInstant(query.to, 'to', timezone),
    newestFirst: flag(query.newestFirst, 'newestFirst'),
    limit: whole(query.limit ?? PAGE, 'limit', 1),
    after: query.cursor === undefined ? undefined : nonEmpty(query.cursor, 'cursor'),
  });
  return withCursor(page.entries.map(toReport), page.nextCursor);
}

/** The cursor beside the list and not among its contents: an array that compares, copies and prints as one. */
export function withCursor<T>(list: T[], nextCursor: string | null): T[] & { readonly nextCursor: string | null } {
  return Object.defineProperty(list, 'nextCursor', { value: nextCursor }) as T[] & { readonly nextCursor: string | null };
}

function toReport(entry: LedgerEntry): RunReport {
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
    durationMs: startedAt === null ? null : at - startedAt,
    node: entry.node,
    error: entry.error,
  };
}

/** Checks the history of one job, or of every job of the store. */
export async function verifyLedger(loop: StoreLoop, jobId: string | undefined): Promise<LedgerReport> {
  const { access } = loop;
  // Jobs first, then their history: a verdict that falls in between is seen as one too many, never as one too few,
  // so each job is read again right before its entries.
  const entries = new Map<string, LedgerEntry[]>();
  if (jobId === undefined) {
    let after: string | undefined;
    do {
      const page = await access.list({ limit: PAGE, after });
      for (const { record } of page.jobs) entries.set(record.id, []);
      after = page.nextCursor ?? undefined;
    } while (after !== undefined);
  } else {
    entries.set(jobId, []);
  }
  for (const entry of await readHistory(loop, jobId)) {
    const same = entries.get(entry.jobId);
    if (same === undefined) entries.set(entry.jobId, [entry]);
    else same.push(entry);
  }

  const problems: Problem[] = [];
  const counts = { succeeded: 0, failed: 0, missed: 0, coalesced: 0, skipped: 0, cancelled: 0, abandoned: 0 };
  let pending = 0;
  let prunedJobs = 0;
  for (const [id, history] of entries) {
    const { audit, pruned } = await auditSettled(loop, id, history);
    problems.push(...audit.problems);
    for (const verdict of VERDICTS) counts[verdict] += audit.counts[verdict];
    pending += audit.pending;
    if (pruned) prunedJobs += 1;
  }
  const dated = problems.map((found) => ({ ...found, scheduledFor: new Date(found.scheduledFor) }));
  return { ok: dated.length === 0, problems: dated, jobs: entries.size, counts, pending, prunedJobs };
}

/** Audits one job; what looks wrong is read again, because the job may have moved on between the two reads. */
async function auditSettled(
  loop: StoreLoop,
  id: string,
  given: readonly LedgerEntry[],
): Promise<{ audit: LedgerAudit; pruned: boolean }> {
  const { access } = loop;
  let history = given;
  for (let attempt = 1; ; attempt++) {
    const stored = await access.get(id);
    const prunedThrough = await access.prunedThrough(id);
    const audit = auditLedger(id, stored?.record, history, prunedThrough);
    if (audit.problems.length === 0 || attempt === 3) return { audit, pruned: prunedThrough !== null };
    history = await readHistory(loop, id);
  }
}

async function readHistory(loop: StoreLoop, jobId: string | undefined): Promise<LedgerEntry[]> {
  const history: LedgerEntry[] = [];
  let after: string | undefined;
  do {
    const page = await loop.access.listLedger({ jobId, limit: PAGE, after });
    history.push(...page.entries);
    after = page.nextCursor ?? undefined;
  } while (after !== undefined);
  return history;
}

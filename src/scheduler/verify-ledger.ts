import { auditLedger, type LedgerAudit } from '../core/verify.js';
import { JobNotFoundError } from '../errors/job-errors.js';
import type { LedgerEntry, Verdict } from '../model/ledger.js';
import type { Clock } from '../ports/clock.js';
import { VERDICTS } from './ledger-view.js';
import type { StoreLoop } from './store-loop.js';

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

/** Entries and jobs read at a time. */
const PAGE = 1_000;
/** Jobs checked under way at one time, to hide the way to a database; then everything else has its turn. */
const TOGETHER = 16;

/**
 * Checks the history of one job, or of every job of the store, one after another: what it takes in memory is the history
 * of a few jobs. @throws JobNotFoundError for a job of which there is neither a record nor a history.
 */
export async function verifyLedger(loop: StoreLoop, clock: Clock, jobId: string | undefined): Promise<LedgerReport> {
  const report = new ReportDraft();
  if (jobId !== undefined) {
    if ((await loop.access.get(jobId)) === undefined && (await loop.access.listLedger({ jobId, limit: 1 })).entries.length === 0) {
      throw new JobNotFoundError(jobId, loop.access.alias);
    }
    report.add(await auditJob(loop, jobId));
    return report.finish();
  }
  const seen = new Set<string>();
  const check = async (ids: readonly string[]): Promise<void> => {
    for (let at = 0; at < ids.length; at += TOGETHER) {
      for (const audited of await Promise.all(ids.slice(at, at + TOGETHER).map((id) => auditJob(loop, id)))) report.add(audited);
      await new Promise<void>((resolve) => { clock.defer(resolve); });
    }
  };
  for (let after: string | undefined; ;) {
    const page = await loop.access.list({ limit: PAGE, after });
    const ids = page.jobs.map(({ record }) => record.id);
    for (const id of ids) seen.add(id);
    await check(ids);
    if (page.nextCursor === null) break;
    after = page.nextCursor;
  }
  // Jobs that are gone are in the history alone.
  for (let after: string | undefined; ;) {
    const page = await loop.access.listLedger({ limit: PAGE, after });
    const gone = new Set(page.entries.map((entry) => entry.jobId).filter((id) => !seen.has(id)));
    for (const id of gone) seen.add(id);
    await check([...gone]);
    if (page.nextCursor === null) return report.finish();
    after = page.nextCursor;
    await new Promise<void>((resolve) => { clock.defer(resolve); });
  }
}

/** One report of two. What has a copy is one job. */
export function addReports(report: LedgerReport, copies: LedgerReport): LedgerReport {
  const counts = { ...report.counts };
  for (const verdict of VERDICTS) counts[verdict] += copies.counts[verdict];
  return {
    ...report,
    ok: report.ok && copies.ok,
    problems: [...report.problems, ...copies.problems],
    counts,
    pending: report.pending + copies.pending,
    prunedJobs: report.prunedJobs + copies.prunedJobs,
  };
}

interface Audited {
  readonly audit: LedgerAudit;
  readonly pruned: boolean;
}

/** Audits one job; what looks wrong is read again, because the job may have moved on between the reads. */
async function auditJob(loop: StoreLoop, id: string): Promise<Audited> {
  const { access } = loop;
  for (let attempt = 1; ; attempt++) {
    // The job first, then its history: a verdict that falls in between is seen as one too many, never as one too few.
    const stored = await access.get(id);
    const prunedThrough = await access.prunedThrough(id);
    const audit = auditLedger(id, stored?.record, await readHistory(loop, id), prunedThrough);
    if (audit.problems.length === 0 || attempt === 3) return { audit, pruned: prunedThrough !== null };
  }
}

async function readHistory(loop: StoreLoop, jobId: string): Promise<LedgerEntry[]> {
  const history: LedgerEntry[] = [];
  for (let after: string | undefined; ;) {
    const page = await loop.access.listLedger({ jobId, limit: PAGE, after });
    history.push(...page.entries);
    if (page.nextCursor === null) return history;
    after = page.nextCursor;
  }
}

/** The report as it grows. */
class ReportDraft {
  readonly #problems: LedgerProblem[] = [];
  readonly #counts = { succeeded: 0, failed: 0, missed: 0, coalesced: 0, skipped: 0, cancelled: 0, abandoned: 0 };
  #jobs = 0;
  #pending = 0;
  #prunedJobs = 0;

  add({ audit, pruned }: Audited): void {
    this.#jobs += 1;
    for (const found of audit.problems) this.#problems.push({ ...found, scheduledFor: new Date(found.scheduledFor) });
    for (const verdict of VERDICTS) this.#counts[verdict] += audit.counts[verdict];
    this.#pending += audit.pending;
    if (pruned) this.#prunedJobs += 1;
  }

  finish(): LedgerReport {
    const problems = this.#problems;
    return { ok: problems.length === 0, problems, jobs: this.#jobs, counts: this.#counts, pending: this.#pending, prunedJobs: this.#prunedJobs };
  }
}

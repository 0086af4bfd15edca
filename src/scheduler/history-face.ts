import { jobIdOf } from './run-ids.js';
import type { JobSelector } from './job.js';
import { listRuns, type RunQuery, type RunReport, type RunReports } from './ledger-view.js';
import { refuseUnknownKeys } from '../errors/options.js';
import { nonEmpty } from './policy.js';
import { TaskFace } from './task-face.js';
import type { StoreLoop } from './store-loop.js';
import { addReports, verifyLedger, type LedgerReport } from './verify-ledger.js';

async function historyOf(loop: StoreLoop, jobId: string): Promise<StoreLoop> {
  return loop.nodeJobs === undefined ? loop : loop.nodeJobs.historyOf(jobId);
}

/** What a scheduler tells of the past. */
export abstract class HistoryFace extends TaskFace {
  /**
   * The history: one line per fire time, or per range of fire times, that has its verdict. That of a job which each node runs
   * (`exclusive: false`) is with each node: what this one ran is told, and is gone with it. Ask each of the others for theirs.
   */
  async getRuns(query: RunQuery = {}): Promise<RunReports> {
    const loop = this.directory.require(query.jobStore ?? 'default');
    await loop.open(this.context());
    const jobId = query.jobId ?? jobIdOf(query.runId);
    return listRuns(jobId === undefined ? loop.all : [await historyOf(loop, jobId)], query, this.options.timezone, this.codec);
  }

  /**
   * How a run ended, and what it returned, as long as the history keeps that; `undefined` while it has no verdict, and when
   * nothing is known of it. @throws InvalidOptionError, UnknownStoreError
   *
   * @example
   * ```ts
   * const sources = await Promise.all(currentRun().follows.map(({ runId }) => scheduler.getRun(runId!)));
   * ```
   */
  async getRun(runId: string, options: JobSelector = {}): Promise<RunReport | undefined> {
    refuseUnknownKeys(options, '', ['jobStore']);
    const [report] = await this.getRuns({ runId: nonEmpty(runId, 'runId'), jobStore: options.jobStore, newestFirst: true, limit: 1 });
    return report;
  }

  /** Checks that the history adds up: every fire time of an active job has exactly one verdict, or a live run. Of jobs that each node runs, on this node. */
  async verifyLedger(query: { readonly jobId?: string | undefined; readonly jobStore?: string | undefined } = {}): Promise<LedgerReport> {
    refuseUnknownKeys(query, '', ['jobId', 'jobStore']);
    const loop = this.directory.require(query.jobStore ?? 'default');
    await loop.open(this.context());
    if (query.jobId !== undefined) return verifyLedger(await historyOf(loop, nonEmpty(query.jobId, 'jobId')), this.options.clock, query.jobId);
    const reports = await Promise.all(loop.all.map((each) => verifyLedger(each, this.options.clock, undefined)));
    return reports.reduce(addReports);
  }
}

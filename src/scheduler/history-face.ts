import { jobIdOf } from './run-ids.js';
import { listRuns, type RunQuery, type RunReports } from './ledger-view.js';
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
   * The history: one line per fire time, or per range of fire times, that has its verdict. That of a job which each node runs is
   * with each node: it is asked for by `jobId` or `runId`, and is what this node ran.
   */
  async getRuns(query: RunQuery = {}): Promise<RunReports> {
    const loop = this.directory.require(query.jobStore ?? 'default');
    await loop.open(this.context());
    const jobId = query.jobId ?? jobIdOf(query.runId);
    return listRuns(jobId === undefined ? loop : await historyOf(loop, jobId), query, this.options.timezone, this.codec);
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

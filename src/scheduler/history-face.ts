import { listRuns, type RunQuery, type RunReports } from './ledger-view.js';
import { refuseUnknownKeys } from '../errors/options.js';
import { nonEmpty } from './policy.js';
import { TaskFace } from './task-face.js';
import { verifyLedger, type LedgerReport } from './verify-ledger.js';

/** What a scheduler tells of the past. */
export abstract class HistoryFace extends TaskFace {
  /** The history: one line per fire time, or per range of fire times, that has its verdict. */
  async getRuns(query: RunQuery = {}): Promise<RunReports> {
    const loop = this.directory.require(query.jobStore ?? 'default');
    await loop.open(this.context());
    return listRuns(loop, query, this.options.timezone, this.codec);
  }

  /** Checks that the history adds up: every fire time of an active job has exactly one verdict, or a live run. */
  async verifyLedger(query: { readonly jobId?: string | undefined; readonly jobStore?: string | undefined } = {}): Promise<LedgerReport> {
    refuseUnknownKeys(query, '', ['jobId', 'jobStore']);
    const loop = this.directory.require(query.jobStore ?? 'default');
    await loop.open(this.context());
    return verifyLedger(loop, this.options.clock, query.jobId === undefined ? undefined : nonEmpty(query.jobId, 'jobId'));
  }
}

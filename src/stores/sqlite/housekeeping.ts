import type { EpochMs } from '../../ports/trigger.js';
import type { Connection } from './connection.js';
import type { SQLiteStatement } from './driver.js';
import type { Lanes } from './lanes.js';
import type { SQLiteLedger } from './sqlite-ledger.js';

/** Entries dealt with at a time: one to three milliseconds of work. */
const PIECE = 200;
/** Histories of which the length is looked at in one piece. */
const LOOKS = 50;
const SWEEP_EVERY_MS = 600_000;
/** Age from which what is noted of single jobs that are gone becomes one note for all: then it counts for new jobs, too. */
const MERGED_AFTER_MS = 86_400_000;

export interface Retention {
  readonly perJob: number;
  readonly maxAgeMs: number | null;
}

type Old = [seq: number, jobId: string, manual: number, scheduledTo: number, isOld: number];

/** Drops what is no longer to be kept, a piece at a time. */
export class Housekeeping {
  readonly #connection: Connection;
  readonly #ledger: SQLiteLedger;
  readonly #lanes: Lanes;
  readonly #retention: Retention;
  readonly #cut: SQLiteStatement;
  readonly #oldestOf: SQLiteStatement;
  readonly #deleteLine: SQLiteStatement;
  readonly #resetLines: SQLiteStatement;
  readonly #hasExpired: SQLiteStatement;
  readonly #expire: SQLiteStatement;
  readonly #oldest: SQLiteStatement;
  readonly #staleClaims: SQLiteStatement;
  readonly #gone: SQLiteStatement;
  readonly #deletePruned: SQLiteStatement;
  #nextSweep = Number.NEGATIVE_INFINITY;
  /** Where the sweep through the histories of jobs that are gone has got to; `null`: nowhere, it is not going on. */
  #sweepAt: string | null = null;

  constructor(connection: Connection, ledger: SQLiteLedger, lanes: Lanes, retention: Retention) {
    this.#connection = connection;
    this.#ledger = ledger;
    this.#lanes = lanes;
    this.#retention = retention;
    this.#cut = connection.prepareRows('SELECT seq FROM {ledger} WHERE job_id = ? ORDER BY seq DESC LIMIT 1 OFFSET ?');
    this.#oldestOf = connection.prepareRows(
      'SELECT seq, job_id, manual, scheduled_to, 1 FROM {ledger} WHERE job_id = ? AND seq <= ? ORDER BY seq LIMIT ?',
    );
    this.#deleteLine = connection.prepare('DELETE FROM {ledger} WHERE seq = ?');
    this.#resetLines = connection.prepare('UPDATE {jobs} SET lines = ? WHERE id = ?');
    this.#hasExpired = connection.prepareRows('SELECT 1 FROM {ledger} WHERE result_expires_at IS NOT NULL AND result_expires_at <= ? LIMIT 1');
    this.#expire = connection.prepare(
      `UPDATE {ledger} SET result = NULL, result_expires_at = NULL WHERE seq IN
         (SELECT seq FROM {ledger} WHERE result_expires_at IS NOT NULL AND result_expires_at <= ? LIMIT ?)`,
    );
    // The very last line stays, so that the numbers of the lines go on from it.
    this.#oldest = connection.prepareRows(
      `SELECT seq, job_id, manual, scheduled_to, at < ? AND seq < (SELECT max(seq) FROM {ledger})
       FROM {ledger} ORDER BY seq LIMIT ?`,
    );
    this.#staleClaims = connection.prepare('DELETE FROM {claims} WHERE until < ?');
    this.#gone = connection.prepareRows(
      `SELECT job_id, through, NOT EXISTS (SELECT 1 FROM {jobs} WHERE id = job_id) AND NOT EXISTS (SELECT 1 FROM {ledger} l WHERE l.job_id = p.job_id)
       FROM {pruned} p WHERE job_id > ? ORDER BY job_id LIMIT ?`,
    );
    this.#deletePruned = connection.prepare('DELETE FROM {pruned} WHERE job_id = ?');
  }

  /** One piece of it. Answers whether something was done, so that there may be more. */
  maintain(now: EpochMs): boolean {
    return this.#pruneJob() || this.#expireResults(now) || this.#dropOld(now) || this.#sweep(now);
  }

  #pruneJob(): boolean {
    const { perJob } = this.#retention;
    const { grownJobs, pruneAbove } = this.#ledger;
    let looked = 0;
    for (const jobId of grownJobs) {
      if ((looked += 1) > LOOKS) return true;
      const isLong = this.#connection.read(() => this.#cut.get(jobId, pruneAbove)) !== undefined;
      const cut = isLong ? (this.#connection.read(() => this.#cut.get(jobId, perJob)) as [number] | undefined) : undefined;
      const lines = cut === undefined ? [] : (this.#connection.read(() => this.#oldestOf.all(jobId, cut[0], PIECE)) as Old[]);
      const isDone = lines.length < PIECE;
      if (isDone) {
        grownJobs.delete(jobId);
        this.#ledger.onShort(jobId, perJob);
      }
      if (lines.length === 0) continue;
      this.#connection.write(() => {
        this.#drop(lines);
        if (isDone) this.#resetLines.run(perJob, jobId);
      });
      return true;
    }
    return false;
  }

  #expireResults(now: EpochMs): boolean {
    if (this.#connection.read(() => this.#hasExpired.get(now)) === undefined) return false;
    this.#connection.write(() => this.#expire.run(now, PIECE));
    return true;
  }

  #dropOld(now: EpochMs): boolean {
    const { maxAgeMs } = this.#retention;
    if (maxAgeMs === null) return false;
    const lines = (this.#connection.read(() => this.#oldest.all(now - maxAgeMs, PIECE)) as Old[]).filter(([, , , , isOld]) => isOld === 1);
    if (lines.length === 0) return false;
    this.#connection.write(() => this.#drop(lines));
    return true;
  }

  /** Drops lines, and notes that they were there. */
  #drop(lines: readonly Old[]): void {
    const through = new Map<string, number>();
    for (const [seq, jobId, manual, scheduledTo] of lines) {
      this.#deleteLine.run(seq);
      if (manual === 1) continue;
      through.set(jobId, Math.max(through.get(jobId) ?? scheduledTo, scheduledTo));
    }
    for (const [jobId, at] of through) this.#ledger.prune(jobId, at);
  }

  /** What hardly ever is there: lanes without jobs, claims of dead processes, notes on jobs of which nothing is left. */
  #sweep(now: EpochMs): boolean {
    if (this.#sweepAt === null) {
      if (now < this.#nextSweep) return false;
      this.#nextSweep = now + SWEEP_EVERY_MS;
      this.#sweepAt = '';
      this.#connection.write(() => this.#staleClaims.run(now - SWEEP_EVERY_MS));
      this.#lanes.dropEmpty();
      return true;
    }
    const from = this.#sweepAt;
    const rows = this.#connection.read(() => this.#gone.all(from, PIECE)) as [string, number, number][];
    this.#sweepAt = rows.length < PIECE ? null : (rows.at(-1)?.[0] ?? null);
    const gone = rows.filter(([, through, isGone]) => isGone === 1 && through < now - MERGED_AFTER_MS);
    if (gone.length > 0) {
      this.#connection.write(() => {
        for (const [jobId, through] of gone) {
          this.#ledger.prune('', through);
          this.#deletePruned.run(jobId);
        }
      });
    }
    return this.#sweepAt !== null;
  }
}

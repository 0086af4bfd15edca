import type { EpochMs } from '../../ports/trigger.js';
import type { Database } from './database.js';
import type { PostgresLedger } from './postgres-ledger.js';
import { storable } from './texts.js';

/** Entries dealt with at a time. */
const PIECE = 500;
const SWEEP_EVERY_MS = 600_000;
/** Age from which what is noted of single jobs that are gone becomes one note for all: then it counts for new jobs, too. */
const MERGED_AFTER_MS = 86_400_000;

export interface Retention {
  readonly perJob: number;
  readonly maxAgeMs: number | null;
}

/** Drops lines, and notes that they were there, in one statement. `old` is which; those that somebody else is dropping are not waited for. */
const DROP = `
  noted AS (
    INSERT INTO {pruned} AS p SELECT job_id, max(scheduled_to) FROM old WHERE NOT manual GROUP BY job_id ORDER BY job_id
    ON CONFLICT (job_id) DO UPDATE SET through = greatest(p.through, excluded.through)
  ), dropped AS (
    DELETE FROM {ledger} WHERE seq = ANY (ARRAY (SELECT seq FROM old)) RETURNING 1
  )
  SELECT count(*) FROM dropped`;

/** Drops what is no longer to be kept, a piece at a time. */
export class Housekeeping {
  readonly #database: Database;
  readonly #ledger: PostgresLedger;
  readonly #retention: Retention;
  #nextSweep = Number.NEGATIVE_INFINITY;

  constructor(database: Database, ledger: PostgresLedger, retention: Retention) {
    this.#database = database;
    this.#ledger = ledger;
    this.#retention = retention;
  }

  /** One piece of it. Answers whether something was done, so that there may be more. */
  async maintain(now: EpochMs): Promise<boolean> {
    return (await this.#pruneJob()) || (await this.#expireResults(now)) || (await this.#dropOld(now)) || this.#sweep(now);
  }

  async #pruneJob(): Promise<boolean> {
    const [jobId] = this.#ledger.grownJobs;
    if (jobId === undefined) return false;
    const { perJob } = this.#retention;
    const dropped = await this.#count(
      `WITH cut AS (SELECT seq FROM {ledger} WHERE job_id = $1 ORDER BY seq DESC OFFSET $2 LIMIT 1), old AS MATERIALIZED (
         SELECT seq, job_id, manual, scheduled_to FROM {ledger} WHERE job_id = $1 AND seq <= (SELECT seq FROM cut)
         ORDER BY seq LIMIT ${PIECE} FOR UPDATE SKIP LOCKED
       ), ${DROP}`,
      [storable(jobId), perJob],
    );
    if (dropped < PIECE) {
      this.#ledger.grownJobs.delete(jobId);
      await this.#database.query('UPDATE {jobs} SET lines = $2 WHERE id = $1 AND lines > $3', [storable(jobId), perJob, this.#ledger.pruneAbove]);
    }
    return true;
  }

  async #expireResults(now: EpochMs): Promise<boolean> {
    const expired = await this.#count(
      `WITH expired AS (
         UPDATE {ledger} SET result = NULL, result_expires_at = NULL WHERE seq = ANY (ARRAY (
           SELECT seq FROM {ledger} WHERE result_expires_at IS NOT NULL AND result_expires_at <= $1 LIMIT ${PIECE} FOR UPDATE SKIP LOCKED
         )) RETURNING 1
       ) SELECT count(*) FROM expired`,
      [now],
    );
    return expired > 0;
  }

  async #dropOld(now: EpochMs): Promise<boolean> {
    const { maxAgeMs } = this.#retention;
    if (maxAgeMs === null) return false;
    const dropped = await this.#count(
      `WITH old AS MATERIALIZED (
         SELECT seq, job_id, manual, scheduled_to FROM {ledger}
         WHERE at < $1 AND seq = ANY (ARRAY (SELECT seq FROM {ledger} ORDER BY seq LIMIT ${PIECE})) FOR UPDATE SKIP LOCKED
       ), ${DROP}`,
      [now - maxAgeMs],
    );
    return dropped > 0;
  }

  /** What hardly ever is there: notes on jobs of which nothing is left. */
  async #sweep(now: EpochMs): Promise<boolean> {
    if (now < this.#nextSweep) return false;
    const merged = await this.#count(
      `WITH gone AS (
         DELETE FROM {pruned} WHERE job_id = ANY (ARRAY (
           SELECT job_id FROM {pruned} p WHERE job_id > '' AND through < $1
             AND NOT EXISTS (SELECT 1 FROM {jobs} WHERE id = p.job_id) AND NOT EXISTS (SELECT 1 FROM {ledger} WHERE job_id = p.job_id)
           ORDER BY job_id LIMIT ${PIECE} FOR UPDATE SKIP LOCKED
         )) RETURNING through
       ), noted AS (
         INSERT INTO {pruned} AS p SELECT '', max(through) FROM gone HAVING count(*) > 0
         ON CONFLICT (job_id) DO UPDATE SET through = greatest(p.through, excluded.through)
       )
       SELECT count(*) FROM gone`,
      [now - MERGED_AFTER_MS],
    );
    if (merged < PIECE) this.#nextSweep = now + SWEEP_EVERY_MS;
    return merged > 0;
  }

  async #count(sql: string, values: unknown[]): Promise<number> {
    const [row] = await this.#database.query(sql, values);
    return Number(row?.[0] ?? 0);
  }
}

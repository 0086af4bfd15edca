import { loadSqliteDriver } from './load.mjs';

const BATCH = 100;

/**
 * The least a durable scheduler could write, by hand: one table of jobs with an index on what is due, one of history
 * with an index on its job. No definitions, policies, leases, revisions or events, and one process that owns the file.
 *
 * @param {string} path
 * @param {number} [stateLength] of a text that is written with each change of a job, as long as punctual's; 0: none
 */
export async function openRaw(path, stateLength = 0) {
  const Database = await loadSqliteDriver();
  const database = new Database(path);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  database.exec(`
    CREATE TABLE jobs (
      seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, task TEXT NOT NULL, every INTEGER NOT NULL,
      wake_at INTEGER, status TEXT NOT NULL, runs INTEGER NOT NULL, started_at INTEGER, state TEXT
    ) STRICT;
    CREATE INDEX jobs_due ON jobs (wake_at) WHERE wake_at IS NOT NULL;
    CREATE TABLE ledger (
      seq INTEGER PRIMARY KEY, job_id TEXT NOT NULL, run_id TEXT NOT NULL, verdict TEXT NOT NULL,
      scheduled_for INTEGER NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, node TEXT NOT NULL
    ) STRICT;
    CREATE INDEX ledger_job ON ledger (job_id);
  `);
  const state = stateLength === 0 ? null : 'x'.repeat(stateLength);
  const insert = database.prepare(
    `INSERT INTO jobs (id, task, every, wake_at, status, runs, state) VALUES (?, 'noop', 3600000, ?, 'active', 0, ?)`,
  );
  const due = database
    .prepare('SELECT seq, id, every, wake_at FROM jobs WHERE wake_at <= ? ORDER BY wake_at LIMIT ?')
    .raw();
  const start = database.prepare(
    `UPDATE jobs SET status = 'running', started_at = ?, wake_at = ?, state = ? WHERE seq = ?`,
  );
  const finish = database.prepare(`UPDATE jobs SET status = 'active', runs = runs + 1, state = ? WHERE seq = ?`);
  const record = database.prepare(
    `INSERT INTO ledger (job_id, run_id, verdict, scheduled_for, started_at, ended_at, node) VALUES (?, ?, 'succeeded', ?, ?, ?, ?)`,
  );

  return {
    /**
     * In transactions of 100.
     *
     * @param {number} jobs
     * @param {number} at
     */
    add(jobs, at) {
      const some = database.transaction((/** @type {number} */ from) => {
        for (let i = from; i < Math.min(from + BATCH, jobs); i++) insert.run(`job-${i}`, at, state);
      });
      for (let from = 0; from < jobs; from += BATCH) some(from);
    },

    /**
     * Everything that is due: a hundred claimed and marked as started in one transaction, finished and recorded in the
     * next. Answers how many.
     *
     * @param {number} now
     */
    work(now) {
      const begin = database.transaction(() => {
        const rows = /** @type {[seq: number, id: string, every: number, wakeAt: number][]} */ (due.all(now, BATCH));
        for (const [seq, , every, wakeAt] of rows) start.run(now, wakeAt + every, state, seq);
        return rows;
      });
      const end = database.transaction((/** @type {ReturnType<typeof begin>} */ rows) => {
        for (const [seq, id, , wakeAt] of rows) {
          finish.run(state, seq);
          record.run(id, `${id}@${wakeAt}`, wakeAt, now, Date.now(), 'host-1');
        }
      });
      let done = 0;
      for (;;) {
        const rows = begin.immediate();
        if (rows.length === 0) return done;
        end.immediate(rows);
        done += rows.length;
      }
    },

    close: () => database.close(),
  };
}

import { loadPgDriver } from './load.mjs';

const BATCH = 100;

/**
 * The least a durable scheduler could write, by hand: one table of jobs with an index on what is due, one of history
 * with an index on its job; one connection, prepared statements, a hundred jobs a statement. No definitions, policies,
 * leases, revisions or events.
 *
 * @param {string} url
 * @param {number} [stateLength] of a text that is written with each change of a job, as long as punctual's; 0: none
 */
export async function openRaw(url, stateLength = 0) {
  const { Client } = await loadPgDriver();
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`
    CREATE TABLE jobs (
      id text PRIMARY KEY, task text NOT NULL, every bigint NOT NULL, wake_at bigint, status text NOT NULL,
      runs int NOT NULL, started_at bigint, state text
    ) WITH (fillfactor = 70);
    CREATE INDEX jobs_due ON jobs (wake_at) WHERE wake_at IS NOT NULL;
    CREATE TABLE ledger (
      seq bigserial PRIMARY KEY, job_id text NOT NULL, run_id text NOT NULL, verdict text NOT NULL,
      scheduled_for bigint NOT NULL, started_at bigint NOT NULL, ended_at bigint NOT NULL, node text NOT NULL
    );
    CREATE INDEX ledger_job ON ledger (job_id, seq);
  `);
  const state = stateLength === 0 ? null : 'x'.repeat(stateLength);
  const start = {
    name: 'start',
    text: `UPDATE jobs SET status = 'running', started_at = $1, wake_at = wake_at + every, state = $3
      WHERE id = ANY (ARRAY (SELECT id FROM jobs WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2 FOR UPDATE SKIP LOCKED))
      RETURNING id, wake_at - every`,
  };
  const finish = {
    name: 'finish',
    text: `WITH done AS (
        UPDATE jobs SET status = 'active', runs = runs + 1, state = $5 WHERE id = ANY ($1::text[])
      )
      INSERT INTO ledger (job_id, run_id, verdict, scheduled_for, started_at, ended_at, node)
      SELECT id, id || '@' || at, 'succeeded', at, $3, $4, 'host-1' FROM unnest($1::text[], $2::bigint[]) AS r (id, at)`,
  };

  return {
    /**
     * @param {number} jobs
     * @param {number} at
     */
    async add(jobs, at) {
      await client.query(
        `INSERT INTO jobs SELECT 'job-' || i, 'noop', 3600000, $2, 'active', 0, NULL, $3 FROM generate_series(1, $1) AS i`,
        [jobs, at, state],
      );
    },

    /**
     * Everything that is due: a hundred claimed and marked as started in one statement, finished and recorded in the next.
     * Answers how many.
     *
     * @param {number} now
     */
    async work(now) {
      let done = 0;
      for (;;) {
        const { rows } = await client.query({ ...start, values: [now, BATCH, state], rowMode: 'array' });
        if (rows.length === 0) return done;
        const ids = rows.map(([id]) => id);
        const times = rows.map(([, at]) => at);
        await client.query({ ...finish, values: [ids, times, now, Date.now(), state] });
        done += rows.length;
      }
    },

    close: () => client.end(),
  };
}

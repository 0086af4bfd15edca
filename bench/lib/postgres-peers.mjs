import { collectOnce } from './cold-and-warm.mjs';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadPeer, loadPgDriver } from './load.mjs';

const quiet = () => {};

/**
 * graphile-worker on a database: `jobs` no-op jobs, queued before. Answers how long they took, in ms, from `run()` until the
 * last one is gone from its table.
 *
 * @param {string} url
 * @param {number} jobs
 * @param {Readonly<Record<string, unknown>>} settings of its preset, beside those of its own performance test
 */
export async function graphileRuns(url, jobs, settings) {
  const { Logger, makeWorkerUtils, run } = await loadPeer('graphile-worker');
  const logger = new Logger(() => quiet);
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.migrate();
  await utils.release();
  const database = await connect(url);
  await database.query(
    `SELECT graphile_worker.add_job('noop', json_build_object('id', i)) FROM generate_series(1, $1::int) AS i`,
    [jobs],
  );
  const { seen, all } = counter(jobs);
  collectOnce();
  const start = performance.now();
  const runner = await run({
    preset: { worker: { connectionString: url, concurrentJobs: 24, maxPoolSize: 25, logger, ...settings } },
    noHandleSignals: true,
    taskList: { noop: async () => seen(1) },
  });
  await all;
  await none(database, 'SELECT count(*) FROM graphile_worker.jobs');
  const ms = performance.now() - start;
  await runner.stop();
  await database.end();
  return ms;
}

/**
 * pg-boss on a database: `jobs` no-op jobs, queued before. Answers how long they took, in ms, from `work()` until the last
 * one is recorded as completed.
 *
 * @param {string} url
 * @param {number} jobs
 * @param {{ batchSize: number, workers?: number, notifies?: boolean }} how `workers` fetch beside one another; a worker that
 *   `notifies` tells that there is more, where it would fetch once in half a second
 */
export async function pgBossRuns(url, jobs, { batchSize, workers = 1, notifies = false }) {
  const { default: PgBoss } = await loadPeer('pg-boss');
  const boss = new PgBoss({ connectionString: url, max: 20, supervise: false, schedule: false });
  boss.on('error', console.error);
  await boss.start();
  await boss.createQueue('noop');
  for (let from = 0; from < jobs; from += 5_000) {
    await boss.insert(
      Array.from({ length: Math.min(5_000, jobs - from) }, (_, i) => ({ name: 'noop', data: { id: from + i } })),
    );
  }
  const database = await connect(url);
  await database.query('ANALYZE');
  const { seen, all } = counter(jobs);
  collectOnce();
  const start = performance.now();
  for (let i = 0; i < workers; i++) {
    const worker = await boss.work(
      'noop',
      { batchSize, pollingIntervalSeconds: 0.5 },
      async (/** @type {unknown[]} */ batch) => {
        seen(batch.length);
        if (notifies) boss.notifyWorker(worker);
      },
    );
  }
  await all;
  await none(database, `SELECT count(*) FROM pgboss.job WHERE name = 'noop' AND state <> 'completed'`);
  const ms = performance.now() - start;
  await boss.stop({ graceful: false, wait: false });
  await database.end();
  return ms;
}

/** @param {string} url */
async function connect(url) {
  const { Client } = await loadPgDriver();
  const client = new Client({ connectionString: url });
  client.on('error', quiet);
  await client.connect();
  return client;
}

/** @param {number} jobs */
function counter(jobs) {
  let left = jobs;
  /** @type {() => void} */
  let finish = quiet;
  /** @type {Promise<void>} */
  const all = new Promise((resolve) => {
    finish = resolve;
  });
  return {
    all,
    /** @param {number} some */
    seen(some) {
      left -= some;
      if (left <= 0) finish();
    },
  };
}

/**
 * @param {import('pg').Client} database
 * @param {string} count
 */
async function none(database, count) {
  for (;;) {
    const { rows } = await database.query({ text: count, rowMode: 'array' });
    if (Number(rows[0]?.[0]) === 0) return;
    await sleep(5);
  }
}

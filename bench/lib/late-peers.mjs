import { loadBullMq, loadPeer } from './load.mjs';

const quiet = () => {};

/**
 * What the measurement of lateness gives: called at the beginning of each run with the instant it was asked for.
 *
 * @typedef {(at: number) => void} Began
 */

/**
 * BullMQ: so many job schedulers that fire each second. Answers how to stop.
 *
 * @param {string} url
 * @param {number} jobs
 * @param {Began} began
 */
export async function bullEverySecond(url, jobs, began) {
  return bull(
    url,
    async (queue) => {
      await Promise.all(
        Array.from({ length: jobs }, (_, i) =>
          queue.upsertJobScheduler(`job-${i}`, { every: 1_000 }, { opts: { removeOnComplete: true } }),
        ),
      );
    },
    // `repeat:<scheduler>:<instant>`
    ({ id }) => began(Number(id?.split(':').at(-1))),
  );
}

/**
 * BullMQ: delayed jobs.
 *
 * @param {string} url
 * @param {readonly number[]} instants
 * @param {Began} began
 */
export async function bullOnce(url, instants, began) {
  return bull(
    url,
    async (queue) => {
      await queue.addBulk(instants.map((at) => ({ name: 'noop', data: { at }, opts: { delay: at - Date.now() } })));
    },
    ({ data }) => began(data.at),
  );
}

/**
 * @param {string} url
 * @param {(queue: any) => Promise<void>} add
 * @param {(job: any) => void} run
 */
async function bull(url, add, run) {
  const { Queue, Worker } = await loadBullMq();
  const connection = { url, maxRetriesPerRequest: null };
  const queue = new Queue('noop', { connection });
  const worker = new Worker('noop', async (/** @type {any} */ job) => { run(job); }, { connection, concurrency: 100 });
  worker.on('error', quiet);
  await worker.waitUntilReady();
  await add(queue);
  return async () => {
    await worker.close();
    await queue.close();
  };
}

/**
 * pg-boss: jobs with `startAfter`, fetched as often as it allows.
 *
 * @param {string} url
 * @param {readonly number[]} instants
 * @param {Began} began
 */
export async function pgBossOnce(url, instants, began) {
  const { default: PgBoss } = await loadPeer('pg-boss');
  const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
  boss.on('error', quiet);
  await boss.start();
  await boss.createQueue('noop');
  await boss.insert(instants.map((at) => ({ name: 'noop', data: { at }, startAfter: new Date(at).toISOString() })));
  await boss.work(
    'noop',
    { batchSize: 1_000, pollingIntervalSeconds: 0.5 },
    async (/** @type {{ data: { at: number } }[]} */ batch) => {
      for (const { data } of batch) began(data.at);
    },
  );
  return () => boss.stop({ graceful: false, wait: false });
}

/**
 * graphile-worker: jobs with `run_at`, asked for twenty times more often than by default.
 *
 * @param {string} url
 * @param {readonly number[]} instants
 * @param {Began} began
 */
export async function graphileOnce(url, instants, began) {
  const { Logger, run } = await loadPeer('graphile-worker');
  const runner = await run({
    preset: {
      worker: {
        connectionString: url,
        concurrentJobs: 24,
        maxPoolSize: 25,
        pollInterval: 100,
        logger: new Logger(() => quiet),
      },
    },
    noHandleSignals: true,
    taskList: { noop: async (/** @type {{ at: number }} */ { at }) => began(at) },
  });
  await Promise.all(instants.map((at) => runner.addJob('noop', { at }, { runAt: new Date(at) })));
  return () => runner.stop();
}

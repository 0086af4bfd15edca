import { collectOnce } from './cold-and-warm.mjs';
import { loadBullMq } from './load.mjs';

const ADDED_TOGETHER = 1_000;

/**
 * BullMQ: `jobs` no-op jobs, queued before, worked off by one worker. Answers how long they took, in ms, from the start of
 * the worker until its last `completed`.
 *
 * @param {string} url
 * @param {number} jobs
 * @param {number} concurrency
 */
export async function bullRuns(url, jobs, concurrency) {
  const { Queue, Worker } = await loadBullMq();
  const connection = { url, maxRetriesPerRequest: null };
  const queue = new Queue('noop', { connection });
  for (let from = 0; from < jobs; from += ADDED_TOGETHER) {
    await queue.addBulk(
      Array.from({ length: Math.min(ADDED_TOGETHER, jobs - from) }, (_, i) => ({
        name: 'noop',
        data: { id: from + i },
      })),
    );
  }
  const worker = new Worker('noop', async () => {}, { connection, concurrency, autorun: false });
  worker.on('error', console.error);
  await worker.waitUntilReady();
  let left = jobs;
  /** @type {Promise<void>} */
  const all = new Promise((resolve) => {
    worker.on('completed', () => {
      left -= 1;
      if (left === 0) resolve();
    });
  });
  collectOnce();
  const start = performance.now();
  const running = worker.run();
  await all;
  const ms = performance.now() - start;
  const completed = await queue.getCompletedCount();
  await worker.close();
  await running;
  await queue.close();
  if (completed !== jobs) throw new Error(`${completed} jobs completed`);
  return ms;
}

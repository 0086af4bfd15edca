import { collectOnce } from './cold-and-warm.mjs';
import { loadPunctual } from './load.mjs';
import { executed } from './sqlite-jobs.mjs';

const HOUR_MS = 3_600_000;
const ADDED_TOGETHER = 5_000;

/**
 * A scheduler on a shared store, not started. Nothing is told but errors.
 *
 * @param {import('punctual').JobStore} store
 * @param {import('punctual').SchedulerOptions} [options]
 */
export async function schedulerOn(store, options = {}) {
  const { AsyncScheduler } = await loadPunctual();
  return new AsyncScheduler({
    timezone: 'UTC',
    logger: { debug() {}, info() {}, warn() {}, error: console.error },
    jobStores: { default: store },
    tasks: { noop: async () => {} },
    ...options,
  });
}

/**
 * A store whose server's clock is ahead, so that jobs are due which were added as jobs of the future.
 *
 * @param {import('punctual').JobStore} store
 * @param {number} ms
 */
export function ahead(store, ms) {
  const now = store.now?.bind(store);
  if (now === undefined) throw new Error('the store has no clock of its own');
  store.now = async () => (await now()) + ms;
  return store;
}

/**
 * Adds hourly jobs of one task.
 *
 * @param {import('punctual').JobStore} store
 * @param {number} jobs
 * @param {number} startTime
 */
export async function fill(store, jobs, startTime) {
  const { IntervalTrigger } = await loadPunctual();
  const trigger = new IntervalTrigger({ hours: 1 }, { startTime });
  const adding = await schedulerOn(store);
  for (let from = 0; from < jobs; from += ADDED_TOGETHER) {
    const some = Array.from({ length: Math.min(ADDED_TOGETHER, jobs - from) }, (_, i) => ({
      id: `job-${from + i}`,
      task: 'noop',
      trigger,
    }));
    await adding.addJobs(some);
  }
  await adding.shutdown();
}

/**
 * Runs of hourly jobs that are due at once, per second, from `start()` until the last `jobExecuted`.
 *
 * @param {() => import('punctual').JobStore} makeStore on a server with nothing on it
 * @param {number} jobs
 */
export async function dueRuns(makeStore, jobs) {
  await fill(makeStore(), jobs, Date.now() + HOUR_MS);
  const scheduler = await schedulerOn(ahead(makeStore(), HOUR_MS + 1));
  const all = executed(scheduler, jobs);
  collectOnce();
  const start = performance.now();
  await scheduler.start();
  await all;
  const ms = performance.now() - start;
  const recorded = await scheduler.getRuns({ verdict: 'succeeded', limit: 2 * jobs });
  await scheduler.shutdown();
  if (recorded.length !== jobs) throw new Error(`${recorded.length} runs in the ledger`);
  return (jobs / ms) * 1000;
}

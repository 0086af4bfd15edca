import { loadPunctual, loadSqlite, loadSqliteDriver } from './load.mjs';

const BATCH = 10_000;

/**
 * A scheduler on a file, not started. Nothing is told but errors.
 *
 * @param {string} path
 * @param {readonly string[]} tasks what it can run; none of them does anything
 * @param {import('punctual').SchedulerOptions} [options]
 */
export async function schedulerOn(path, tasks = ['noop'], options = {}) {
  const { AsyncScheduler } = await loadPunctual();
  const { SQLiteJobStore } = await loadSqlite();
  const scheduler = new AsyncScheduler({
    timezone: 'UTC',
    logger: { debug() {}, info() {}, warn() {}, error: console.error },
    jobStores: { default: new SQLiteJobStore({ path, synchronous: 'NORMAL' }) },
    ...options,
  });
  for (const task of tasks) scheduler.defineTask(task, async () => {});
  return scheduler;
}

/**
 * A clock that is ahead, so that jobs are due which were added as jobs of the future: nothing has to be waited for.
 *
 * @param {number} ms
 * @returns {Promise<import('punctual').Clock>}
 */
export async function clockAhead(ms) {
  const { SystemClock } = await loadPunctual();
  class ClockAhead extends SystemClock {
    /** @override */
    now() {
      return super.now() + ms;
    }
  }
  return new ClockAhead();
}

/**
 * Adds hourly jobs to a file.
 *
 * @param {string} path
 * @param {number} jobs
 * @param {(i: number) => { at: number, task?: string }} job its first fire time, and which of the tasks it runs: the first unless it says
 * @param {readonly string[]} [tasks]
 */
export async function fill(path, jobs, job, tasks = ['noop']) {
  const { IntervalTrigger } = await loadPunctual();
  const scheduler = await schedulerOn(path, tasks);
  for (let from = 0; from < jobs; from += BATCH) {
    await scheduler.addJobs(
      Array.from({ length: Math.min(BATCH, jobs - from) }, (_, i) => {
        const { at, task = tasks[0] ?? '' } = job(from + i);
        return { id: `job-${from + i}`, task, trigger: new IntervalTrigger({ hours: 1 }, { startTime: at }) };
      }),
    );
  }
  await scheduler.shutdown();
}

/**
 * Resolves when so many runs of a scheduler have been recorded.
 *
 * @param {import('punctual').AsyncScheduler} scheduler
 * @param {number} runs
 * @returns {Promise<void>}
 */
export function executed(scheduler, runs) {
  return new Promise((resolve) => {
    let left = runs;
    scheduler.on('jobExecuted', () => {
      left -= 1;
      if (left === 0) resolve();
    });
  });
}

/**
 * How many runs succeeded, as the file says: all of them as objects would leave the next round much to collect.
 *
 * @param {string} path
 */
export async function recordedRuns(path) {
  const Database = await loadSqliteDriver();
  const database = new Database(path);
  const count = database.prepare(`SELECT count(*) FROM punctual_ledger WHERE verdict = 'succeeded'`).pluck().get();
  database.close();
  return Number(count);
}

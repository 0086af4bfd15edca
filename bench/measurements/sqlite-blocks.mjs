import { collectOnce, SETTLING_ROUNDS, WARM_ROUNDS } from '../lib/cold-and-warm.mjs';
import { column } from '../lib/measurement.mjs';
import { withFile } from '../lib/sqlite-files.mjs';
import { clockAhead, executed, fill, schedulerOn } from '../lib/sqlite-jobs.mjs';
import { median, quantile, show } from '../lib/stats.mjs';

const JOBS = 10_000;
const HOUR_MS = 3_600_000;
const TARGET_MS = 10;
/** Turns without work are over at once, and would hide those with. */
const BUSY_MS = 0.2;

/** @param {import('punctual').SchedulerOptions} [options] */
function punctual(options) {
  return withFile(async (path) => {
    const at = Date.now() + HOUR_MS;
    await fill(path, JOBS, () => ({ at }));
    const scheduler = await schedulerOn(path, ['noop'], { clock: await clockAhead(HOUR_MS + 1), ...options });
    const all = executed(scheduler, JOBS);
    collectOnce();
    /** @type {number[]} */
    const turns = [];
    let last = performance.now();
    let isOver = false;
    const probe = () => {
      const now = performance.now();
      turns.push(now - last);
      last = now;
      if (!isOver) setImmediate(probe);
    };
    const started = scheduler.start();
    await new Promise((resolve) => setImmediate(resolve));
    last = performance.now();
    setImmediate(probe);
    await started;
    await all;
    isOver = true;
    await new Promise((resolve) => setImmediate(resolve));
    await scheduler.shutdown();
    return turns.filter((ms) => ms >= BUSY_MS);
  });
}

/**
 * The turns of a process that has done the same before, and the longest of one that has just begun.
 *
 * @param {import('punctual').SchedulerOptions} [options]
 */
async function coldAndWarm(options) {
  const cold = Math.max(...(await punctual(options)));
  for (let round = 1; round < SETTLING_ROUNDS; round++) await punctual(options);
  const busy = [];
  for (let round = 0; round < WARM_ROUNDS; round++) busy.push(...(await punctual(options)));
  return { p50: median(busy), p99: quantile(busy, 0.99), most: Math.max(...busy), turns: busy.length / WARM_ROUNDS, cold };
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'sqlite-blocks',
  title: `SQLite: how long the event loop is held while ${show(JOBS)} due jobs are worked off`,
  method: [
    'As in the measurement of runs. A chain of `setImmediate` notes the time between two turns of the event loop, from `start()` until the last `jobExecuted`; turns below 0.2 ms, in which nothing was done, are left out. better-sqlite3 is synchronous: a batch is claimed, committed, run and recorded in one turn or two, and the first turn opens the file. Of a first round the longest turn is given (“cold”: the code is not compiled yet); ' +
      `after ${SETTLING_ROUNDS - 1} more, the turns of ${WARM_ROUNDS} rounds on new files count.`,
  ],
  rounds: 5,
  contenders: {
    default: { measure: () => coldAndWarm() },
    'batch of 10': { measure: () => coldAndWarm({ batchSize: 10 }) },
  },
  report(samples) {
    /**
     * @param {string} title
     * @param {string} contender
     */
    const row = (title, contender) => [
      title,
      ...['p50', 'p99', 'most', 'turns', 'cold'].map((field) => show(median(column(samples, contender, field)))),
    ];
    const p99 = median(column(samples, 'default', 'p99'));
    return {
      head: ['', 'p50 (ms)', 'p99 (ms)', 'longest (ms)', 'turns', 'longest, cold (ms)'],
      rows: [row('default', 'default'), row('`batchSize: 10`', 'batch of 10')],
      checks: [{ target: `p99 ≤ ${TARGET_MS} ms`, figure: `${show(p99)} ms`, met: p99 <= TARGET_MS }],
    };
  },
};

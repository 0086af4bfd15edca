import { loadPunctual, loadPostgres } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { openRaw } from '../lib/postgres-raw.mjs';
import { withServer } from '../lib/postgres-servers.mjs';
import { executed } from '../lib/sqlite-jobs.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const JOBS = 10_000;
const MORE_JOBS = 50_000;
const HOUR_MS = 3_600_000;
const ADDED_TOGETHER = 10_000;
/** As long as the state of a job is in punctual's table. */
const STATE_LENGTH = 430;

/**
 * @param {string} url
 * @param {number} ahead how far the server's clock is ahead, for the scheduler, in ms
 */
async function schedulerOn(url, ahead) {
  const { AsyncScheduler } = await loadPunctual();
  const { PostgresJobStore } = await loadPostgres();
  class StoreAhead extends PostgresJobStore {
    /** @override */
    async now() {
      return (await super.now()) + ahead;
    }
  }
  return new AsyncScheduler({
    timezone: 'UTC',
    logger: { debug() {}, info() {}, warn() {}, error: console.error },
    jobStores: { default: new StoreAhead({ connectionString: url }) },
    tasks: { noop: async () => {} },
  });
}

/** @param {number} jobs */
async function punctual(jobs) {
  const { IntervalTrigger } = await loadPunctual();
  const sample = await withServer(async (url) => {
    const trigger = new IntervalTrigger({ hours: 1 }, { startTime: Date.now() + HOUR_MS });
    const adding = await schedulerOn(url, 0);
    for (let from = 0; from < jobs; from += ADDED_TOGETHER) {
      const some = Array.from({ length: Math.min(ADDED_TOGETHER, jobs - from) }, (_, i) => ({ id: `job-${from + i}`, task: 'noop', trigger }));
      await adding.addJobs(some);
    }
    await adding.shutdown();
    const scheduler = await schedulerOn(url, HOUR_MS + 1);
    const all = executed(scheduler, jobs);
    globalThis.gc?.();
    const start = performance.now();
    await scheduler.start();
    await all;
    const ms = performance.now() - start;
    const recorded = await scheduler.getRuns({ verdict: 'succeeded', limit: 2 * jobs });
    await scheduler.shutdown();
    if (recorded.length !== jobs) throw new Error(`${recorded.length} runs in the ledger`);
    return { perSecond: (jobs / ms) * 1000, ms };
  });
  return sample ?? {};
}

/**
 * @param {number} jobs
 * @param {number} [stateLength]
 */
async function raw(jobs, stateLength) {
  const sample = await withServer(async (url) => {
    const database = await openRaw(url, stateLength);
    const now = Date.now();
    await database.add(jobs, now);
    globalThis.gc?.();
    const start = performance.now();
    const done = await database.work(now);
    const ms = performance.now() - start;
    await database.close();
    if (done !== jobs) throw new Error(`${done} jobs`);
    return { perSecond: (jobs / ms) * 1000, ms };
  });
  return sample ?? {};
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'postgres-runs',
  title: `PostgreSQL: ${show(JOBS)} no-op durable runs, due at once`,
  method: [
    `A server of its own for each sample, on this machine, with the settings it comes with: fsync and synchronous_commit are on. Hourly jobs of one task, added to a new schema; for the scheduler that starts on it the server's clock is an hour ahead, by which all are due; runs per second from \`start()\` until the last \`jobExecuted\`. Ledger on, default policies. Once more with ${show(MORE_JOBS)} jobs: the first thousands of runs are not compiled yet.`,
    'By hand: pg, one connection and prepared statements, two tables with an index each. A hundred due jobs locked (SKIP LOCKED) and updated as started in one statement; updated as finished, and a row of history inserted for each, in the next. No definitions, policies, leases, revisions or events. Once more with a text in each job that is written with each change, as long as the state that punctual keeps.',
  ],
  rounds: 5,
  contenders: {
    punctual: { measure: () => punctual(JOBS) },
    raw: { measure: () => raw(JOBS) },
    'raw, as long': { measure: () => raw(JOBS, STATE_LENGTH) },
    'punctual, more': { measure: () => punctual(MORE_JOBS), rounds: 2 },
    'raw, more': { measure: () => raw(MORE_JOBS), rounds: 2 },
  },
  report(samples) {
    /** @param {string} contender */
    const rates = (contender) => column(samples, contender, 'perSecond');
    /**
     * @param {string} title
     * @param {string} contender
     * @param {string} [rawContender]
     */
    const row = (title, contender, rawContender = 'raw') => [
      title,
      show(median(rates(contender))),
      `${show(ratio(rates(contender), rates(rawContender)))}×`,
    ];
    const toRaw = ratio(rates('punctual'), rates('raw'));
    return {
      head: ['', 'runs/s', 'against by hand'],
      rows: [
        row('punctual', 'punctual'),
        row('by hand', 'raw'),
        row('by hand, rows as long as punctual’s', 'raw, as long'),
        row(`punctual, ${show(MORE_JOBS)} jobs`, 'punctual, more', 'raw, more'),
        row(`by hand, ${show(MORE_JOBS)} jobs`, 'raw, more', 'raw, more'),
      ],
      checks: [
        { target: '≥ 0.5× by hand', figure: `${show(toRaw)}×`, met: Number.isNaN(toRaw) ? null : toRaw >= 0.5 },
      ],
    };
  },
};

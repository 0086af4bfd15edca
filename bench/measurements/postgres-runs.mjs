import { loadPostgres } from '../lib/load.mjs';
import { coldAndWarm, coldColumns, collectOnce, METHOD } from '../lib/cold-and-warm.mjs';
import { column } from '../lib/measurement.mjs';
import { graphileRuns, pgBossRuns } from '../lib/postgres-peers.mjs';
import { openRaw } from '../lib/postgres-raw.mjs';
import { withServer } from '../lib/postgres-servers.mjs';
import { dueRuns } from '../lib/remote-jobs.mjs';
import { sized } from '../lib/size.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const JOBS = sized(10_000);
const MORE_JOBS = sized(50_000);
/** Of the peer that takes them one at a time. */
const FEWER_JOBS = sized(4_000);
/** Beyond that pg-boss gains nothing. */
const BOSS_BATCH = 1_000;
const BOSS_WORKERS = 10;
/** As long as the state of a job is in punctual's table. */
const STATE_LENGTH = 430;

/** @param {number} jobs */
async function punctual(jobs) {
  const { PostgresJobStore } = await loadPostgres();
  return (await withServer((url) => dueRuns(() => new PostgresJobStore({ connectionString: url }), jobs))) ?? Number.NaN;
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
    collectOnce();
    const start = performance.now();
    const done = await database.work(now);
    const ms = performance.now() - start;
    await database.close();
    if (done !== jobs) throw new Error(`${done} jobs`);
    return (jobs / ms) * 1000;
  });
  return sample ?? Number.NaN;
}

/**
 * @param {number} jobs
 * @param {(url: string) => Promise<number>} work answers the milliseconds
 */
async function peer(jobs, work) {
  const sample = await withServer(async (url) => {
    const ms = await work(url);
    return (jobs / ms) * 1000;
  });
  return sample ?? Number.NaN;
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'postgres-runs',
  title: `PostgreSQL: ${show(JOBS)} no-op durable runs, due at once`,
  method: [
    `A server of its own for each sample, on this machine, with the settings it comes with: fsync and synchronous_commit are on. Hourly jobs of one task, added to a new schema; for the scheduler that starts on it the server's clock is an hour ahead, by which all are due; runs per second from \`start()\` until the last \`jobExecuted\`. Ledger on, default policies. Once more with ${show(MORE_JOBS)} jobs.`,
    METHOD,
    'By hand: pg, one connection and prepared statements, two tables with an index each. A hundred due jobs locked (SKIP LOCKED) and updated as started in one statement; updated as finished, and a row of history inserted for each, in the next. No definitions, policies, leases, revisions or events. Once more with a text in each job that is written with each change, as long as the state that punctual keeps.',
    `graphile-worker 0.17, one process, with 24 jobs at a time and 25 connections as in its performance test; from \`run()\` until its table of jobs is empty, since it deletes what is done. As it comes, ${show(FEWER_JOBS)} jobs, each fetched and completed by a statement of its own; and with what makes it fastest, a local queue of 500 and jobs completed together.`,
    `pg-boss 10: \`work()\` with batches of ${show(BOSS_BATCH)}, one call of the handler and one verdict for all of a batch, which it fetches every half a second, the shortest interval it takes; until all are recorded as completed. The same with \`notifyWorker\` at the end of each batch, by which the next is fetched at once. And with ${show(FEWER_JOBS)} jobs, a call and a verdict for each as the others have it, by ${BOSS_WORKERS} workers, notified as well.`,
  ],
  rounds: 3,
  contenders: {
    punctual: { measure: () => coldAndWarm(() => punctual(JOBS)) },
    raw: { measure: () => coldAndWarm(() => raw(JOBS)) },
    'raw, as long': { measure: () => coldAndWarm(() => raw(JOBS, STATE_LENGTH)) },
    graphile: { measure: () => coldAndWarm(() => peer(FEWER_JOBS, (url) => graphileRuns(url, FEWER_JOBS, {}))) },
    'graphile, fastest': {
      measure: () =>
        coldAndWarm(() =>
          peer(JOBS, (url) =>
            graphileRuns(url, JOBS, { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }),
          ),
        ),
    },
    // What takes seconds is warm by far the most of its first round.
    'pg-boss': { measure: async () => ({ perSecond: await peer(JOBS, (url) => pgBossRuns(url, JOBS, { batchSize: BOSS_BATCH })) }) },
    'pg-boss, notified': {
      measure: () => coldAndWarm(() => peer(JOBS, (url) => pgBossRuns(url, JOBS, { batchSize: BOSS_BATCH, notifies: true }))),
    },
    'pg-boss, singly': {
      measure: async () => ({
        perSecond: await peer(FEWER_JOBS, (url) =>
          pgBossRuns(url, FEWER_JOBS, { batchSize: 1, notifies: true, workers: BOSS_WORKERS }),
        ),
      }),
      rounds: 1,
    },
    'punctual, more': { measure: async () => ({ perSecond: await punctual(MORE_JOBS) }), rounds: 1 },
    'raw, more': { measure: async () => ({ perSecond: await raw(MORE_JOBS) }), rounds: 1 },
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
      ...[rawContender, 'graphile', 'pg-boss', 'pg-boss, notified'].map((other) => `${show(ratio(rates(contender), rates(other)))}×`),
      ...coldColumns(samples, contender, rawContender),
    ];
    /**
     * @param {string} title
     * @param {string} contender
     * @param {number} least
     */
    const check = (title, contender, least) => {
      const factor = ratio(rates('punctual'), rates(contender));
      return {
        target: `≥ ${least}× ${title}`,
        figure: `${show(factor)}×`,
        met: Number.isNaN(factor) ? null : factor >= least,
      };
    };
    return {
      head: [
        '',
        'runs/s',
        'against by hand',
        'against graphile-worker',
        'against pg-boss',
        '… in notified batches',
        'cold (runs/s)',
        '… against by hand',
      ],
      rows: [
        row('punctual', 'punctual'),
        row('by hand', 'raw'),
        row('by hand, rows as long as punctual’s', 'raw, as long'),
        row('graphile-worker', 'graphile'),
        row('graphile-worker, fastest', 'graphile, fastest'),
        row('pg-boss, batches', 'pg-boss'),
        row('pg-boss, batches, notified', 'pg-boss, notified'),
        row('pg-boss, a call for each job', 'pg-boss, singly'),
        row(`punctual, ${show(MORE_JOBS)} jobs`, 'punctual, more', 'raw, more'),
        row(`by hand, ${show(MORE_JOBS)} jobs`, 'raw, more', 'raw, more'),
      ],
      checks: [
        check('by hand', 'raw', 0.5),
        check('graphile-worker', 'graphile', 5),
        check('pg-boss, `work()` in batches', 'pg-boss', 4),
      ],
    };
  },
};

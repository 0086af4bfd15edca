import { apscheduler } from '../lib/apscheduler.mjs';
import { coldAndWarm, coldColumns, collectOnce, METHOD } from '../lib/cold-and-warm.mjs';
import { column } from '../lib/measurement.mjs';
import { withFile } from '../lib/sqlite-files.mjs';
import { clockAhead, executed, fill, recordedRuns, schedulerOn } from '../lib/sqlite-jobs.mjs';
import { openRaw } from '../lib/sqlite-raw.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const JOBS = 10_000;
const HOUR_MS = 3_600_000;
const MORE_JOBS = 100_000;
/** APScheduler reads all that is due at once and then writes job by job: fewer jobs, the same rate. */
const PEER_JOBS = 2_000;
/** As long as the state of a job is in punctual's table. */
const STATE_LENGTH = 430;

/** @param {number} jobs */
function punctual(jobs) {
  return withFile(async (path) => {
    const at = Date.now() + HOUR_MS;
    await fill(path, jobs, () => ({ at }));
    const scheduler = await schedulerOn(path, ['noop'], { clock: await clockAhead(HOUR_MS + 1) });
    const all = executed(scheduler, jobs);
    collectOnce();
    const start = performance.now();
    await scheduler.start();
    await all;
    const ms = performance.now() - start;
    await scheduler.shutdown();
    const recorded = await recordedRuns(path);
    if (recorded !== jobs) throw new Error(`${recorded} runs in the ledger`);
    return (jobs / ms) * 1000;
  });
}

/**
 * @param {number} jobs
 * @param {number} [stateLength]
 */
function raw(jobs, stateLength) {
  return withFile(async (path) => {
    const database = await openRaw(path, stateLength);
    const now = Date.now();
    database.add(jobs, now);
    collectOnce();
    const start = performance.now();
    const done = database.work(now);
    const ms = performance.now() - start;
    database.close();
    if (done !== jobs) throw new Error(`${done} jobs`);
    return (jobs / ms) * 1000;
  });
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'sqlite-runs',
  title: `SQLite: ${show(JOBS)} no-op durable runs, due at once`,
  method: [
    `Hourly jobs of one task, added to a new file; the scheduler that starts on it has a clock that is an hour ahead, by which all are due; runs per second from \`start()\` until the last \`jobExecuted\`. Ledger on, default policies, write-ahead log, synchronous NORMAL. Once more with ${show(MORE_JOBS)} jobs.`,
    METHOD,
    'By hand: better-sqlite3 and prepared statements, two tables with an index each. A hundred due jobs selected and updated as started in one transaction; updated as finished, and a row of history inserted for each, in the next. No definitions, policies, leases, revisions or events. Once more with a text in each job that is written with each change, as long as the state that punctual keeps.',
    `APScheduler 3 with \`SQLAlchemyJobStore\`: ${show(PEER_JOBS)} hourly jobs, from \`resume()\` until the last \`EVENT_JOB_EXECUTED\`; with the same settings of SQLite, and as it comes (rollback journal, synchronous FULL). It has no history, and writes a job once, when it hands it to its executor.`,
  ],
  rounds: 5,
  contenders: {
    punctual: { measure: () => coldAndWarm(() => punctual(JOBS)) },
    raw: { measure: () => coldAndWarm(() => raw(JOBS)) },
    'raw, as long': { measure: () => coldAndWarm(() => raw(JOBS, STATE_LENGTH)) },
    apscheduler: { measure: () => withFile((path) => apscheduler('run', PEER_JOBS, path, 'wal')), rounds: 3 },
    'apscheduler, default': {
      measure: () => withFile((path) => apscheduler('run', PEER_JOBS, path, 'default')),
      rounds: 1,
    },
    'punctual, more': { measure: async () => ({ perSecond: await punctual(MORE_JOBS) }), rounds: 2 },
    'raw, more': { measure: async () => ({ perSecond: await raw(MORE_JOBS) }), rounds: 2 },
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
      `${show(ratio(rates(contender), rates('apscheduler')))}×`,
      `${show(ratio(rates(contender), rates('apscheduler, default')))}×`,
      ...coldColumns(samples, contender, rawContender),
    ];
    const toRaw = ratio(rates('punctual'), rates('raw'));
    const toPeer = ratio(rates('punctual'), rates('apscheduler'));
    const toDefault = ratio(rates('punctual'), rates('apscheduler, default'));
    return {
      head: ['', 'runs/s', 'against by hand', 'against APScheduler', '… as it comes', 'cold (runs/s)', '… against by hand'],
      rows: [
        row('punctual', 'punctual'),
        row('by hand', 'raw'),
        row('by hand, rows as long as punctual’s', 'raw, as long'),
        row('APScheduler, same settings', 'apscheduler'),
        row('APScheduler, as it comes', 'apscheduler, default'),
        row(`punctual, ${show(MORE_JOBS)} jobs`, 'punctual, more', 'raw, more'),
        row(`by hand, ${show(MORE_JOBS)} jobs`, 'raw, more', 'raw, more'),
      ],
      checks: [
        { target: '≥ 0.4× by hand', figure: `${show(toRaw)}×`, met: toRaw >= 0.4 },
        {
          target: '≥ 50× APScheduler, same settings',
          figure: `${show(toPeer)}×`,
          met: Number.isNaN(toPeer) ? null : toPeer >= 50,
        },
        {
          target: '≥ 50× APScheduler, as it comes',
          figure: `${show(toDefault)}×`,
          met: Number.isNaN(toDefault) ? null : toDefault >= 50,
        },
      ],
    };
  },
};

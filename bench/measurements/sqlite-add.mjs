import { apscheduler } from '../lib/apscheduler.mjs';
import { loadPunctual } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { withFile } from '../lib/sqlite-files.mjs';
import { schedulerOn } from '../lib/sqlite-jobs.mjs';
import { openRaw } from '../lib/sqlite-raw.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const JOBS = 100_000;
/** APScheduler adds them one by one, in a transaction each. */
const PEER_JOBS = 2_000;

function punctual() {
  return withFile(async (path) => {
    const { IntervalTrigger } = await loadPunctual();
    const scheduler = await schedulerOn(path);
    await scheduler.start();
    globalThis.gc?.();
    const start = performance.now();
    await scheduler.addJobs(
      Array.from({ length: JOBS }, (_, i) => ({
        task: 'noop',
        trigger: new IntervalTrigger({ hours: 1 }),
        id: `job-${i}`,
      })),
    );
    const ms = performance.now() - start;
    await scheduler.shutdown();
    return { perSecond: (JOBS / ms) * 1000 };
  });
}

function raw() {
  return withFile(async (path) => {
    const database = await openRaw(path);
    globalThis.gc?.();
    const start = performance.now();
    database.add(JOBS, Date.now() + 3_600_000);
    const ms = performance.now() - start;
    database.close();
    return { perSecond: (JOBS / ms) * 1000 };
  });
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'sqlite-add',
  title: `SQLite: adding ${show(JOBS)} jobs`,
  method: [
    'One `addJobs(…)` of hourly jobs to a started scheduler on a new file, the array of specifications built inside the measured time. Write-ahead log, synchronous NORMAL.',
    'By hand: better-sqlite3, one table with two indexes, a prepared insert, transactions of 100.',
    `APScheduler 3 with \`SQLAlchemyJobStore\` and the same settings of SQLite: ${show(PEER_JOBS)} jobs, \`add_job\` one by one, since there is no other way.`,
  ],
  rounds: 5,
  contenders: {
    punctual: { measure: punctual },
    raw: { measure: raw },
    apscheduler: { measure: () => withFile((path) => apscheduler('add', PEER_JOBS, path, 'wal')), rounds: 3 },
  },
  report(samples) {
    /** @param {string} contender */
    const rates = (contender) => column(samples, contender, 'perSecond');
    /**
     * @param {string} title
     * @param {string} contender
     */
    const row = (title, contender) => [
      title,
      show(median(rates(contender))),
      `${show(ratio(rates(contender), rates('raw')))}×`,
      `${show(ratio(rates(contender), rates('apscheduler')))}×`,
    ];
    const own = median(rates('punctual'));
    return {
      head: ['', 'jobs/s', 'against by hand', 'against APScheduler'],
      rows: [row('punctual `addJobs`', 'punctual'), row('by hand', 'raw'), row('APScheduler', 'apscheduler')],
      checks: [{ target: '≥ 50,000 jobs/s', figure: show(own), met: own >= 50_000 }],
    };
  },
};

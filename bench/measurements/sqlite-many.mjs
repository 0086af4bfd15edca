import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { column } from '../lib/measurement.mjs';
import { makeFolder } from '../lib/sqlite-files.mjs';
import { clockAhead, executed, fill, schedulerOn } from '../lib/sqlite-jobs.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const FEW = 1_000;
const MANY = Number(process.env['PUNCTUAL_BENCH_MANY'] ?? 1_000_000);
const FIRED = 10_000;
const HOUR_MS = 3_600_000;
/** From the making of the files until the jobs come due that are to fire by the thousands. */
const FIRES_AFTER_MS = 10 * 24 * HOUR_MS;
/** ... and the others, which never do. */
const IDLE_MS = 10 * 365 * 24 * HOUR_MS;
const TASKS = ['first', 'fires', 'neighbours', 'idle'];
const FOLDER = 'PUNCTUAL_BENCH_FOLDER';

const START_MS = 200;
const START_MB = 60;

/**
 * The files, made once: with one job that is due each hour from now on, and the idle ones; in two of the three there are
 * also those that are to fire: beside one another, and in the large one as many again, scattered among the idle.
 */
async function prepare() {
  const folder = await makeFolder();
  process.env[FOLDER] = folder;
  const now = Date.now();
  const hour = (/** @type {number} */ i) => (i % 1_000) * HOUR_MS;
  const idle = (/** @type {number} */ i) => ({ at: now + IDLE_MS + hour(i), task: 'idle' });
  const due = { at: now, task: 'first' };
  const fires = { at: now + FIRES_AFTER_MS, task: 'fires' };
  /** @param {number} idleJobs */
  const scattered = (idleJobs) => {
    const every = Math.floor((idleJobs + FIRED) / FIRED);
    return (/** @type {number} */ i) => {
      if (i >= idleJobs + FIRED) return { ...fires, task: 'neighbours' };
      if (i === FEW) return due;
      return i % every === every - 1 && i < every * FIRED ? fires : idle(i);
    };
  };
  await fill(join(folder, 'few.db'), FEW, (i) => (i === 0 ? due : idle(i)), TASKS);
  // All but every eleventh fires.
  await fill(
    join(folder, 'few-and-fires.db'),
    FEW + FIRED,
    (i) => (i % 11 === 0 ? idle(i) : { ...fires, task: 'neighbours' }),
    TASKS,
  );
  await fill(join(folder, 'many.db'), MANY + 2 * FIRED, scattered(MANY), TASKS);
  return async () => {
    await rm(folder, { recursive: true, force: true });
  };
}

/**
 * A scheduler an hour later than the one before it, on a file that stays: what has fired fires again.
 *
 * @param {string} name
 * @param {readonly string[]} tasks
 * @param {number} aheadMs
 */
async function later(name, tasks, aheadMs) {
  const folder = process.env[FOLDER] ?? '';
  const counter = join(folder, `${name}.count`);
  const count = Number(await readFile(counter, 'utf8').catch(() => '0')) + 1;
  await writeFile(counter, String(count));
  return schedulerOn(join(folder, name), tasks, { clock: await clockAhead(count * HOUR_MS + aheadMs) });
}

/** @param {string} name */
async function start(name) {
  const scheduler = await later(name, TASKS, 0);
  /** @type {Promise<number>} */
  const first = new Promise((resolve) => {
    scheduler.on('jobStarted', () => resolve(performance.now()));
  });
  const before = performance.now();
  await scheduler.start();
  const ms = (await first) - before;
  const { rss } = process.memoryUsage();
  // What the scheduler does once everything has run, too.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  globalThis.gc?.();
  const after = process.memoryUsage();
  await scheduler.shutdown();
  return { ms, rssMb: Math.max(rss, after.rss) / 1024 ** 2, heapMb: after.heapUsed / 1024 ** 2 };
}

/**
 * @param {string} name
 * @param {string} task
 */
async function fire(name, task) {
  const scheduler = await later(name, [task, 'idle'], FIRES_AFTER_MS);
  const all = executed(scheduler, FIRED);
  globalThis.gc?.();
  const before = performance.now();
  await scheduler.start();
  await all;
  const us = ((performance.now() - before) / FIRED) * 1000;
  await scheduler.shutdown();
  return { us };
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'sqlite-many',
  title: `SQLite: a file with ${show(MANY)} jobs`,
  method: [
    `Files that are made once, outside of the measured time, and lie in the system's cache. Start: a new process with a file of ${show(FEW)} or ${show(MANY + 2 * FIRED)} idle jobs, one of which is due; from \`start()\` until that job has started. Memory: the resident set (the larger of then and a second later) and the heap after a garbage collection, a second later.`,
    `Fires: ${show(FIRED)} hourly jobs that are due, in a file with ${show(FEW)} or ${show(MANY)} idle ones; from \`start()\` until the last \`jobExecuted\`, per run. A clock that is ahead lets the same jobs fire again in each round. Those that fire were added one after another and lie on the same pages of the file; scattered, each has pages of its own, which are all read and written.`,
  ],
  rounds: 5,
  prepare,
  contenders: {
    'start, few': { measure: () => start('few.db') },
    'start, many': { measure: () => start('many.db') },
    'fires, few': { measure: () => fire('few-and-fires.db', 'neighbours') },
    'fires, many': { measure: () => fire('many.db', 'neighbours') },
    'scattered, many': { measure: () => fire('many.db', 'fires') },
  },
  report(samples) {
    /**
     * @param {string} contender
     * @param {string} field
     */
    const all = (contender, field) => column(samples, contender, field);
    /**
     * @param {string} title
     * @param {string} size
     */
    const row = (title, size) => [
      title,
      ...['ms', 'rssMb', 'heapMb'].map((field) => show(median(all(`start, ${size}`, field)))),
      show(median(all(`fires, ${size}`, 'us'))),
      show(median(all(`scattered, ${size}`, 'us'))),
    ];
    /** @param {string} field */
    const more = (field) =>
      median(all('start, many', field).map((value, round) => value - (all('start, few', field)[round] ?? Number.NaN)));
    const ms = median(all('start, many', 'ms'));
    const perFire = ratio(all('fires, many', 'us'), all('fires, few', 'us'));
    const scattered = ratio(all('scattered, many', 'us'), all('fires, few', 'us'));
    return {
      head: ['idle jobs', 'until the first run (ms)', 'resident (MB)', 'heap (MB)', 'per fire (µs)', 'scattered (µs)'],
      rows: [row(show(FEW), 'few'), row(show(MANY), 'many')],
      checks: [
        { target: `first run ≤ ${START_MS} ms`, figure: `${show(ms)} ms`, met: ms <= START_MS },
        {
          target: `≤ ${START_MB} MB more memory`,
          figure: `${show(more('rssMb'))} MB resident, ${show(more('heapMb'))} MB heap`,
          met: more('rssMb') <= START_MB && more('heapMb') <= START_MB,
        },
        { target: 'per fire ≤ 1.3×', figure: `${show(perFire)}×`, met: perFire <= 1.3 },
        { target: '... of jobs scattered among the idle', figure: `${show(scattered)}×`, met: scattered <= 1.3 },
      ],
    };
  },
};

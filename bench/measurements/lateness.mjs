import { wallClock } from '../lib/clock.mjs';
import { lead } from '../lib/lead.mjs';
import { loadPeer, loadPunctual } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { median, quantile, ratio, show } from '../lib/stats.mjs';
import { inTurns } from '../lib/turns.mjs';

const JOBS = 10_000;
const SPREAD_MS = 5_000;
/** What has not run by then never will. */
const PATIENCE_MS = 15_000;

/** @param {number} i */
const evenly = (i) => Math.floor((i * SPREAD_MS) / JOBS);
/** @param {number} i */
const onWholeSeconds = (i) => Math.floor(evenly(i) / 1000) * 1000;

/**
 * Adds the jobs and waits for the first run of each.
 *
 * @param {number} leadMs enough to add them all
 * @param {(i: number) => number} offset of each job's instant from the first one, in ms
 * @param {(task: () => Promise<void>, at: number, i: number) => unknown} add
 */
async function lateness(leadMs, offset, add) {
  const now = await wallClock();
  const start = Math.ceil((now() + lead(leadMs)) / 1000) * 1000;
  /** @type {number[]} */
  const late = [];
  /** @type {() => void} */
  let finish = () => {};
  /** @type {Promise<void>} */
  const finished = new Promise((resolve) => {
    finish = resolve;
  });
  await inTurns(JOBS, (i) => {
    const at = start + offset(i);
    let ran = false;
    return add(
      async () => {
        if (ran) return;
        ran = true;
        if (late.push(now() - at) === JOBS) finish();
      },
      at,
      i,
    );
  });
  if (now() > start - 100) throw new Error('the jobs were not added in time');
  globalThis.gc?.();
  const hopeless = setTimeout(finish, start + SPREAD_MS + PATIENCE_MS - now());
  await finished;
  clearTimeout(hopeless);
  return { p50: quantile(late, 0.5), p99: quantile(late, 0.99), max: quantile(late, 1), lost: JOBS - late.length };
}

/** @param {(i: number) => number} offset */
async function punctual(offset) {
  const { AsyncScheduler, DateTrigger } = await loadPunctual();
  const scheduler = new AsyncScheduler();
  await scheduler.start();
  return lateness(1_500, offset, (task, at) => scheduler.addJob(task, new DateTrigger(at)));
}

/** @param {(i: number) => number} offset */
function timers(offset) {
  return lateness(1_500, offset, (task, at) => setTimeout(() => void task(), at - Date.now()));
}

async function croner() {
  const { Cron } = await loadPeer('croner');
  return lateness(6_000, evenly, (task, at) => new Cron(new Date(at), task));
}

async function cron() {
  const { CronJob } = await loadPeer('cron');
  // It asks its date again when a timer went off early, and throws from that timer if the date has passed since.
  process.on('uncaughtException', (error) => {
    if (error.constructor.name !== 'CronError') throw error;
  });
  return lateness(4_000, evenly, (task, at) => CronJob.from({ cronTime: new Date(at), onTick: task, start: true }));
}

async function nodeSchedule() {
  const { default: schedule } = await loadPeer('node-schedule');
  return lateness(4_000, evenly, (task, at) => schedule.scheduleJob(new Date(at), task));
}

async function nodeCron() {
  const { default: cron } = await loadPeer('node-cron');
  return lateness(4_000, onWholeSeconds, (task, at) => cron.schedule(`${new Date(at).getSeconds()} * * * * *`, task));
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'lateness',
  title: `Lateness of ${show(JOBS)} jobs spread over ${SPREAD_MS / 1000} s`,
  method: [
    'One-shot jobs, two in each millisecond; lateness is the moment the function begins less the instant it was asked for, by the wall clock. Negative: early, which bare timers can be by up to a millisecond.',
    'punctual: `DateTrigger`, one job completed and removed per run. Bare timers: `setTimeout` with the milliseconds that are left. croner, cron, node-schedule: a `Date`.',
    'node-cron has whole seconds only: 2,000 jobs in each of 5 seconds, first run; the rows “on whole seconds” are its comparison.',
  ],
  rounds: 3,
  contenders: {
    timers: { measure: () => timers(evenly) },
    punctual: { measure: () => punctual(evenly) },
    croner: { measure: croner, rounds: 1 },
    cron: { measure: cron, rounds: 1 },
    'node-schedule': { measure: nodeSchedule, rounds: 1 },
    'timers, whole': { measure: () => timers(onWholeSeconds), rounds: 1 },
    'punctual, whole': { measure: () => punctual(onWholeSeconds), rounds: 1 },
    'node-cron': { measure: nodeCron, rounds: 1 },
  },
  report(samples) {
    /**
     * @param {string} title
     * @param {string} contender
     * @param {string} baseline
     */
    const row = (title, contender, baseline) => [
      title,
      ...['p50', 'p99', 'max'].map((field) => show(median(column(samples, contender, field)))),
      show(median(column(samples, contender, 'lost'))),
      `${show(ratio(column(samples, contender, 'p99'), column(samples, baseline, 'p99')))}×`,
    ];
    const toTimers = ratio(column(samples, 'punctual', 'p99'), column(samples, 'timers', 'p99'));
    return {
      head: ['', 'p50 (ms)', 'p99 (ms)', 'max (ms)', 'never run', 'p99 against `setTimeout`'],
      rows: [
        row('bare `setTimeout`', 'timers', 'timers'),
        row('punctual', 'punctual', 'timers'),
        row('croner', 'croner', 'timers'),
        row('cron', 'cron', 'timers'),
        row('node-schedule', 'node-schedule', 'timers'),
        row('bare `setTimeout`, on whole seconds', 'timers, whole', 'timers, whole'),
        row('punctual, on whole seconds', 'punctual, whole', 'timers, whole'),
        row('node-cron, on whole seconds', 'node-cron', 'timers, whole'),
      ],
      checks: [{ target: 'p99 within 1.5× of bare `setTimeout`', figure: `${show(toTimers)}×`, met: toTimers <= 1.5 }],
    };
  },
};

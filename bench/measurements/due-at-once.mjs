import { wallClock } from '../lib/clock.mjs';
import { lead } from '../lib/lead.mjs';
import { loadPeer, loadPunctual } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { median, ratio, show } from '../lib/stats.mjs';
import { inTurns } from '../lib/turns.mjs';

const JOBS = 100_000;
/** For the peers that take long to add jobs; their rates are compared. */
const FEWER_JOBS = 20_000;

/**
 * Lets `jobs` come due at one instant, a whole second `leadMs` or a little more from now, and measures from that instant
 * until the last of them has run.
 *
 * @param {number} jobs
 * @param {number} leadMs enough to add them all
 * @param {(task: () => Promise<void>, at: number) => unknown} add
 * @param {() => unknown} [settled] resolves when nothing is left to do for runs whose function has returned
 */
async function perSecond(jobs, leadMs, add, settled) {
  const now = await wallClock();
  const at = Math.ceil((now() + lead(leadMs)) / 1000) * 1000;
  let left = jobs;
  let first = 0;
  /** @type {() => void} */
  let finish = () => {};
  /** @type {Promise<void>} */
  const finished = new Promise((resolve) => {
    finish = resolve;
  });
  await add(async () => {
    if (left === jobs) first = now();
    left -= 1;
    if (left === 0) finish();
  }, at);
  if (now() > at - 100) throw new Error('the jobs were not added in time');
  globalThis.gc?.();
  await finished;
  await settled?.();
  const end = now();
  if (first < at - 2) throw new Error(`the first one ran ${at - first} ms early`);
  return { perSecond: (jobs / (end - at)) * 1000, firstMs: first - at, ms: end - at };
}

/** @param {boolean} heard whether somebody listens to the events of each run */
async function punctual(heard) {
  const { AsyncScheduler, IntervalTrigger } = await loadPunctual();
  const scheduler = new AsyncScheduler();
  let events = 0;
  if (heard)
    for (const type of /** @type {const} */ (['jobStarted', 'jobExecuted'])) scheduler.on(type, () => (events += 1));
  await scheduler.start();
  const sample = await perSecond(
    JOBS,
    4_000,
    (task, at) =>
      scheduler.addJobs(
        Array.from({ length: JOBS }, (_, i) => ({
          task,
          trigger: new IntervalTrigger({ hours: 1 }, { startTime: at }),
          id: `job-${i}`,
        })),
      ),
    () => scheduler.shutdown(),
  );
  if (heard && events !== 2 * JOBS) throw new Error(`${events} events`);
  const recorded = await scheduler.getRuns({ verdict: 'succeeded', limit: 2 * JOBS });
  if (recorded.length !== JOBS) throw new Error(`${recorded.length} runs in the ledger`);
  return sample;
}

async function toad() {
  const { AsyncTask, SimpleIntervalJob, ToadScheduler } = await loadPeer('toad-scheduler');
  const scheduler = new ToadScheduler();
  return perSecond(JOBS, 4_000, (task, at) => {
    const shared = new AsyncTask('task', task);
    return inTurns(JOBS, (i) => {
      const schedule = { milliseconds: at - Date.now() };
      scheduler.addSimpleIntervalJob(new SimpleIntervalJob(schedule, shared, { id: `job-${i}` }));
    });
  });
}

async function timers() {
  return perSecond(JOBS, 4_000, (task, at) => inTurns(JOBS, () => setTimeout(() => void task(), at - Date.now())));
}

async function croner() {
  const { Cron } = await loadPeer('croner');
  return perSecond(FEWER_JOBS, 10_000, (task, at) => {
    const date = new Date(at);
    return inTurns(FEWER_JOBS, (i) => new Cron(date, { name: `job-${i}` }, task));
  });
}

async function cron() {
  const { CronJob } = await loadPeer('cron');
  return perSecond(FEWER_JOBS, 10_000, (task, at) => {
    const date = new Date(at);
    return inTurns(FEWER_JOBS, () => CronJob.from({ cronTime: date, onTick: task, start: true }));
  });
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'due-at-once',
  title: `${show(JOBS)} no-op async jobs due at once`,
  method: [
    'Jobs whose next time is one and the same instant; runs per second from that instant until the last one is done.',
    'punctual: `IntervalTrigger` with a `startTime`, default policies, ledger on; done means that every verdict is recorded and `shutdown()` has resolved. Once more with listeners for `jobStarted` and `jobExecuted`.',
    'toad-scheduler: `SimpleIntervalJob` with the milliseconds that are left, one shared `AsyncTask`. It keeps no record, and `isExecuting` is its one policy. Bare timers: `setTimeout` with the milliseconds that are left.',
    `croner and cron: one date and no repetition, which is kind to them (after a run by a pattern they work out the next time, and come to a fraction of the rate); ${show(FEWER_JOBS)} jobs, and their rates are compared.`,
  ],
  rounds: 3,
  contenders: {
    punctual: { measure: () => punctual(false) },
    toad: { measure: toad },
    timers: { measure: timers },
    'punctual, heard': { measure: () => punctual(true), rounds: 1 },
    croner: { measure: croner, rounds: 1 },
    cron: { measure: cron, rounds: 1 },
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
      `${show(ratio(rates(contender), rates('toad')))}×`,
      `${show(ratio(rates(contender), rates('croner')))}×`,
    ];
    const toToad = ratio(rates('punctual'), rates('toad'));
    const toCroner = ratio(rates('punctual'), rates('croner'));
    return {
      head: ['', 'runs/s', 'against toad-scheduler', 'against croner'],
      rows: [
        row('punctual', 'punctual'),
        row('punctual, with listeners', 'punctual, heard'),
        row('bare `setTimeout`', 'timers'),
        row('toad-scheduler', 'toad'),
        row('cron', 'cron'),
        row('croner', 'croner'),
      ],
      checks: [
        { target: '≥ 1× toad-scheduler', figure: `${show(toToad)}×`, met: toToad >= 1 },
        { target: '≥ 4× croner', figure: `${show(toCroner)}×`, met: toCroner >= 4 },
      ],
    };
  },
};

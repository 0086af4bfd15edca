import { loadPeer, loadPunctual } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const JOBS = 100_000;
/** croner works out the next time of a cron pattern for each job; a few of the jobs give the same rate. */
const CRONER_JOBS = 5_000;
const task = async () => {};

/**
 * @param {number} jobs
 * @param {() => void | Promise<void>} add
 */
async function perSecond(jobs, add) {
  globalThis.gc?.();
  const start = performance.now();
  await add();
  return { perSecond: (jobs / (performance.now() - start)) * 1000 };
}

/** @param {(i: number) => { id?: string }} options */
async function addOneByOne(options) {
  const { AsyncScheduler, IntervalTrigger } = await loadPunctual();
  const scheduler = new AsyncScheduler();
  await scheduler.start();
  return perSecond(JOBS, async () => {
    for (let i = 0; i < JOBS; i++) await scheduler.addJob(task, new IntervalTrigger({ hours: 1 }), options(i));
  });
}

async function addAtOnce() {
  const { AsyncScheduler, IntervalTrigger } = await loadPunctual();
  const scheduler = new AsyncScheduler();
  await scheduler.start();
  return perSecond(JOBS, async () => {
    const specs = Array.from({ length: JOBS }, (_, i) => ({
      task,
      trigger: new IntervalTrigger({ hours: 1 }),
      id: `job-${i}`,
    }));
    await scheduler.addJobs(specs);
  });
}

/** @param {(i: number) => { id?: string }} options */
async function addToToad(options) {
  const { AsyncTask, SimpleIntervalJob, ToadScheduler } = await loadPeer('toad-scheduler');
  const scheduler = new ToadScheduler();
  const shared = new AsyncTask('task', task);
  return perSecond(JOBS, () => {
    for (let i = 0; i < JOBS; i++) {
      scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ hours: 1 }, shared, options(i)));
    }
  });
}

async function addToCroner() {
  const { Cron } = await loadPeer('croner');
  return perSecond(CRONER_JOBS, () => {
    for (let i = 0; i < CRONER_JOBS; i++) new Cron('0 * * * *', { name: `job-${i}` }, task);
  });
}

/** @param {number} i */
const withId = (i) => ({ id: `job-${i}` });
const withoutId = () => ({});

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'add',
  title: `Add ${show(JOBS)} interval jobs (memory store)`,
  method: [
    'All jobs share one function, have an id and a trigger or schedule object of their own, and go to a scheduler that runs. punctual: `await addJob(…)` one after another, or one `addJobs(…)` with the array of specifications built inside the measured time.',
    'toad-scheduler: `addSimpleIntervalJob` with one shared `AsyncTask`; it stores an interval timer and no policy.',
    `croner has no intervals: an hourly cron pattern, ${show(CRONER_JOBS)} jobs, and its rate is compared.`,
    'Each sample is a fresh process without a warm-up, as when a program starts.',
  ],
  rounds: 5,
  contenders: {
    addJob: { measure: () => addOneByOne(withId) },
    toad: { measure: () => addToToad(withId) },
    addJobs: { measure: addAtOnce },
    croner: { measure: addToCroner },
    'addJob, no id': { measure: () => addOneByOne(withoutId), rounds: 3 },
    'toad, no id': { measure: () => addToToad(withoutId), rounds: 3 },
  },
  report(samples) {
    /** @param {string} contender */
    const rates = (contender) => column(samples, contender, 'perSecond');
    /**
     * @param {string} title
     * @param {string} contender
     * @param {string} toad
     */
    const row = (title, contender, toad = 'toad') => [
      title,
      show(median(rates(contender))),
      `${show(ratio(rates(contender), rates(toad)))}×`,
      `${show(ratio(rates(contender), rates('croner')))}×`,
    ];
    const toToad = ratio(rates('addJob'), rates('toad'));
    const toCroner = ratio(rates('addJob'), rates('croner'));
    return {
      head: ['', 'jobs/s', 'against toad-scheduler', 'against croner'],
      rows: [
        row('punctual `addJob`', 'addJob'),
        row('punctual `addJobs`', 'addJobs'),
        row('toad-scheduler', 'toad'),
        row('croner', 'croner'),
        row('punctual `addJob`, id made up', 'addJob, no id', 'toad, no id'),
        row('toad-scheduler, no id', 'toad, no id', 'toad, no id'),
      ],
      checks: [
        { target: '`addJob` ≥ 3× toad-scheduler', figure: `${show(toToad)}×`, met: toToad >= 3 },
        { target: '`addJob` ≥ 30× croner', figure: `${show(toCroner)}×`, met: toCroner >= 30 },
      ],
    };
  },
};

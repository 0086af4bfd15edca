import { loadPeer, loadPunctual } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const JOBS = 1_000_000;
const BATCH = 10_000;
const task = async () => {};

/**
 * What `add` leaves on the heap, per job. Buffers outside the heap count as well.
 *
 * @param {number} jobs
 * @param {() => unknown} add answers what has to stay reachable
 */
async function bytesPerJob(jobs, add) {
  const before = await used();
  const kept = await add();
  const after = await used();
  if (kept === undefined) throw new Error('nothing holds the jobs');
  return { bytes: (after - before) / jobs };
}

async function used() {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** @param {(i: number) => import('punctual').JobOptions} options */
async function punctual(options) {
  const { AsyncScheduler, IntervalTrigger } = await loadPunctual();
  const scheduler = new AsyncScheduler();
  await scheduler.start();
  return bytesPerJob(JOBS, async () => {
    for (let i = 0; i < JOBS; i += BATCH) {
      await scheduler.addJobs(
        Array.from({ length: BATCH }, (_, j) => ({
          task,
          trigger: new IntervalTrigger({ hours: 1 }),
          ...options(i + j),
        })),
      );
    }
    return scheduler;
  });
}

async function toad() {
  const { AsyncTask, SimpleIntervalJob, ToadScheduler } = await loadPeer('toad-scheduler');
  const scheduler = new ToadScheduler();
  const shared = new AsyncTask('task', task);
  return bytesPerJob(JOBS, () => {
    for (let i = 0; i < JOBS; i++) {
      scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ hours: 1 }, shared, { id: `job-${i}` }));
    }
    return scheduler;
  });
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'heap',
  title: `Heap per idle job, ${show(JOBS)} jobs`,
  method: [
    'Heap in use and external memory after forced garbage collections, with the jobs minus without, divided by the jobs. Each job has an id, a trigger or schedule object of its own and the function of all others.',
    'punctual: once without further options, once with an own `options` object of six policies, a tag and arguments per job.',
    'toad-scheduler: one shared `AsyncTask`; what a job has is its timer, its schedule and its id.',
  ],
  rounds: 1,
  contenders: {
    punctual: { measure: () => punctual((i) => ({ id: `job-${i}` })) },
    toad: { measure: toad },
    'punctual, options': {
      measure: () =>
        punctual((i) => ({
          id: `job-${i}`,
          args: [i],
          tags: ['report'],
          coalesce: 'latest',
          maxInstances: 2,
          misfireGraceTime: 60_000,
          timeout: 30_000,
          jitter: 1_000,
          retry: { maxAttempts: 3, delay: 500 },
        })),
    },
  },
  report(samples) {
    /** @param {string} contender */
    const bytes = (contender) => column(samples, contender, 'bytes');
    /**
     * @param {string} title
     * @param {string} contender
     */
    const row = (title, contender) => [
      title,
      show(median(bytes(contender))),
      `${show(ratio(bytes(contender), bytes('toad')))}×`,
    ];
    const own = median(bytes('punctual'));
    const toToad = ratio(bytes('punctual'), bytes('toad'));
    return {
      head: ['', 'bytes per job', 'against toad-scheduler'],
      rows: [
        row('punctual', 'punctual'),
        row('punctual, six policies, a tag and arguments', 'punctual, options'),
        row('toad-scheduler', 'toad'),
      ],
      checks: [
        { target: 'at most 900 bytes', figure: show(own), met: own <= 900 },
        { target: 'no more than toad-scheduler', figure: `${show(toToad)}×`, met: toToad <= 1 },
      ],
    };
  },
};

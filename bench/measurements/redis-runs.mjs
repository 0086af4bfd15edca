import { loadRedis } from '../lib/load.mjs';
import { coldAndWarm, coldColumns, collectOnce, METHOD } from '../lib/cold-and-warm.mjs';
import { column } from '../lib/measurement.mjs';
import { bullRuns } from '../lib/redis-peers.mjs';
import { openRaw } from '../lib/redis-raw.mjs';
import { withRedis } from '../lib/redis-servers.mjs';
import { dueRuns } from '../lib/remote-jobs.mjs';
import { sized } from '../lib/size.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const JOBS = sized(10_000);
const MORE_JOBS = sized(50_000);
/** As long as the state of a job is that punctual writes. */
const STATE_LENGTH = 220;
const CONCURRENCIES = [20, 100, 300];

/** @param {number} jobs */
async function punctual(jobs) {
  const { RedisJobStore } = await loadRedis();
  return (await withRedis((url) => dueRuns(() => new RedisJobStore({ url }), jobs))) ?? Number.NaN;
}

/**
 * @param {number} jobs
 * @param {number} [stateLength]
 */
async function raw(jobs, stateLength) {
  const sample = await withRedis(async (url) => {
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

/** @param {number} concurrency */
async function bullmq(concurrency) {
  const sample = await withRedis(async (url) => {
    const ms = await bullRuns(url, JOBS, concurrency);
    return (JOBS / ms) * 1000;
  });
  return sample ?? Number.NaN;
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'redis-runs',
  title: `Redis: ${show(JOBS)} no-op durable runs, due at once`,
  method: [
    `A server of its own for each sample, on this machine, with an append-only file that is written to the disk before each answer (\`appendfsync always\`). punctual, through ioredis: hourly jobs of one task; for the scheduler that starts on them the server's clock is an hour ahead, by which all are due; runs per second from \`start()\` until the last \`jobExecuted\`. Ledger on, default policies. Once more with ${show(MORE_JOBS)} jobs.`,
    METHOD,
    'By hand: ioredis, one connection, a hash for each job, a sorted set of what is due, a list of history for each job. A hundred due jobs claimed and marked as started by one script; marked as finished, with a line of history for each, by the next. No definitions, policies, leases, revisions or events. Once more with a text in each job that is written with each change, as long as the state that punctual keeps.',
    `BullMQ 6, one worker at a concurrency of ${CONCURRENCIES.join(', ')}, the best of which counts: jobs that wait in one queue, from \`run()\` until the last \`completed\`; what is done is kept. It has no recurrence to work out and fetches the next job with the call that finishes the last.`,
  ],
  rounds: 3,
  contenders: {
    punctual: { measure: () => coldAndWarm(() => punctual(JOBS)) },
    raw: { measure: () => coldAndWarm(() => raw(JOBS)) },
    'raw, as long': { measure: () => coldAndWarm(() => raw(JOBS, STATE_LENGTH)) },
    ...Object.fromEntries(
      CONCURRENCIES.map((concurrency) => [`bullmq, ${concurrency}`, { measure: () => coldAndWarm(() => bullmq(concurrency)) }]),
    ),
    'punctual, more': { measure: async () => ({ perSecond: await punctual(MORE_JOBS) }), rounds: 1 },
    'raw, more': { measure: async () => ({ perSecond: await raw(MORE_JOBS) }), rounds: 1 },
  },
  report(samples) {
    /** @param {string} contender */
    const rates = (contender) => column(samples, contender, 'perSecond');
    const peers = CONCURRENCIES.map((concurrency) => `bullmq, ${concurrency}`);
    const best = peers.reduce((a, b) => (median(rates(b)) > median(rates(a)) ? b : a));
    /**
     * @param {string} title
     * @param {string} contender
     * @param {string} [rawContender]
     */
    const row = (title, contender, rawContender = 'raw') => [
      title,
      show(median(rates(contender))),
      ...[rawContender, best].map((other) => `${show(ratio(rates(contender), rates(other)))}×`),
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
      head: ['', 'runs/s', 'against by hand', 'against BullMQ at its best', 'cold (runs/s)', '… against by hand'],
      rows: [
        row('punctual', 'punctual'),
        row('by hand', 'raw'),
        row('by hand, texts as long as punctual’s', 'raw, as long'),
        ...CONCURRENCIES.map((concurrency) => row(`BullMQ, concurrency ${concurrency}`, `bullmq, ${concurrency}`)),
        row(`punctual, ${show(MORE_JOBS)} jobs`, 'punctual, more', 'raw, more'),
        row(`by hand, ${show(MORE_JOBS)} jobs`, 'raw, more', 'raw, more'),
      ],
      checks: [check('by hand', 'raw', 0.4), check('BullMQ at its best', best, 2.5)],
    };
  },
};

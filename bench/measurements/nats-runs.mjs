import { loadNats } from '../lib/load.mjs';
import { coldAndWarm, coldColumns, collectOnce, METHOD } from '../lib/cold-and-warm.mjs';
import { column } from '../lib/measurement.mjs';
import { openRaw } from '../lib/nats-raw.mjs';
import { withNats } from '../lib/nats-servers.mjs';
import { dueRuns } from '../lib/remote-jobs.mjs';
import { sized } from '../lib/size.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const JOBS = sized(10_000);
const MORE_JOBS = sized(30_000);
/** Calls on their way at a time, as many as the store allows itself. */
const CONCURRENCY = 256;
/** As long as a job that punctual writes, headers included. */
const LENGTH = 1_400;

/** @param {number} jobs */
async function punctual(jobs) {
  const { NatsJobStore } = await loadNats();
  return (await withNats((url) => dueRuns(() => new NatsJobStore({ servers: url }), jobs))) ?? Number.NaN;
}

/**
 * @param {number} jobs
 * @param {number} length
 */
async function raw(jobs, length) {
  const sample = await withNats(async (url) => {
    const bucket = await openRaw(url, length, CONCURRENCY);
    await bucket.add(jobs);
    collectOnce();
    const start = performance.now();
    await bucket.work(jobs);
    const ms = performance.now() - start;
    await bucket.close();
    return (jobs / ms) * 1000;
  });
  return sample ?? Number.NaN;
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'nats-runs',
  title: `NATS: ${show(JOBS)} no-op durable runs, due at once`,
  method: [
    `A server of its own for each sample, on this machine, with JetStream in files as it comes. punctual: hourly jobs of one task; for the scheduler that starts on them the server's clock is an hour ahead, by which all are due; runs per second from \`start()\` until the last \`jobExecuted\`. Ledger on, default policies. Once more with ${show(MORE_JOBS)} jobs.`,
    METHOD,
    `By hand: a KV bucket through \`@nats-io/kv\`, two updates by compare-and-set for each run, ${CONCURRENCY} on their way at a time, which is what the store allows itself. No history, no index of what is due, no definitions. With values of ${LENGTH} bytes, about what punctual writes, and with empty ones.`,
    'No peer is measured.',
  ],
  rounds: 3,
  contenders: {
    punctual: { measure: () => coldAndWarm(() => punctual(JOBS)) },
    raw: { measure: () => coldAndWarm(() => raw(JOBS, LENGTH)) },
    'raw, empty': { measure: () => coldAndWarm(() => raw(JOBS, 0)) },
    'punctual, more': { measure: async () => ({ perSecond: await punctual(MORE_JOBS) }), rounds: 1 },
    'raw, more': { measure: async () => ({ perSecond: await raw(MORE_JOBS, LENGTH) }), rounds: 1 },
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
      ...coldColumns(samples, contender, rawContender),
    ];
    const toRaw = ratio(rates('punctual'), rates('raw'));
    return {
      head: ['', 'runs/s', 'against by hand', 'cold (runs/s)', '… against by hand'],
      rows: [
        row('punctual', 'punctual'),
        row('by hand', 'raw'),
        row('by hand, empty values', 'raw, empty'),
        row(`punctual, ${show(MORE_JOBS)} jobs`, 'punctual, more', 'raw, more'),
        row(`by hand, ${show(MORE_JOBS)} jobs`, 'raw, more', 'raw, more'),
      ],
      checks: [{ target: '≥ 0.6× by hand', figure: `${show(toRaw)}×`, met: Number.isNaN(toRaw) ? null : toRaw >= 0.6 }],
    };
  },
};

import { setTimeout as sleep } from 'node:timers/promises';
import { wallClock } from '../lib/clock.mjs';
import { engines } from '../lib/engines.mjs';
import { bullEverySecond, bullOnce, graphileOnce, pgBossOnce } from '../lib/late-peers.mjs';
import { lead } from '../lib/lead.mjs';
import { loadPunctual } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { schedulerOn } from '../lib/remote-jobs.mjs';
import { sized } from '../lib/size.mjs';
import { median, quantile, ratio, show } from '../lib/stats.mjs';

const JOBS = sized(1_000);
const WARM_UP_MS = 2_000;
const WATCH_MS = 8_000;
const SPREAD_MS = 5_000;
const LEAD_MS = 3_000;
/** What has not run by then never will. */
const PATIENCE_MS = 5_000;

/** @typedef {import('../lib/engines.mjs').EngineName} EngineName */
/** @typedef {import('../lib/late-peers.mjs').Began} Began */

/**
 * Jobs that fire each second, a while.
 *
 * @param {EngineName} engine
 * @param {(url: string, began: Began) => Promise<() => Promise<unknown>>} go answers how to stop
 */
async function everySecond(engine, go) {
  const sample = await engines[engine].use(async (url) => {
    const now = await wallClock();
    /** @type {number[]} */
    const late = [];
    const stop = await go(url, (at) => void late.push(now() - at));
    globalThis.gc?.();
    await sleep(WARM_UP_MS);
    late.length = 0;
    await sleep(WATCH_MS);
    const seen = [...late];
    await stop();
    return { ...figures(seen), share: seen.length / ((JOBS * WATCH_MS) / 1000) };
  });
  return sample ?? {};
}

/**
 * One-shot jobs, evenly over some seconds.
 *
 * @param {EngineName} engine
 * @param {(url: string, instants: readonly number[], began: Began) => Promise<() => Promise<unknown>>} go answers how to stop
 */
async function once(engine, go) {
  const sample = await engines[engine].use(async (url) => {
    const now = await wallClock();
    const first = Math.ceil(now()) + lead(LEAD_MS);
    const instants = Array.from({ length: JOBS }, (_, i) => first + Math.floor((i * SPREAD_MS) / JOBS));
    /** @type {number[]} */
    const late = [];
    const stop = await go(url, instants, (at) => void late.push(now() - at));
    if (now() > first - 100) throw new Error('the jobs were not added in time');
    globalThis.gc?.();
    const hopeless = first + SPREAD_MS + PATIENCE_MS;
    while (late.length < JOBS && now() < hopeless) await sleep(20);
    await stop();
    return { ...figures(late), share: late.length / JOBS };
  });
  return sample ?? {};
}

/** @param {readonly number[]} late */
function figures(late) {
  return { p50: quantile(late, 0.5), p99: quantile(late, 0.99), max: quantile(late, 1) };
}

/** @param {EngineName} engine */
function punctualEverySecond(engine) {
  return everySecond(engine, async (url, began) => {
    const { IntervalTrigger, currentRun } = await loadPunctual();
    const scheduler = await schedulerOn((await engines[engine].stores(url))(), {
      tasks: { noop: async () => began(currentRun().scheduledFor.getTime()) },
    });
    const start = Date.now() + lead(1_000);
    await scheduler.addJobs(
      Array.from({ length: JOBS }, (_, i) => ({
        id: `job-${i}`,
        task: 'noop',
        trigger: new IntervalTrigger({ seconds: 1 }, { startTime: start + Math.floor((i * 1000) / JOBS) }),
      })),
    );
    await scheduler.start();
    return () => scheduler.shutdown();
  });
}

/** @param {EngineName} engine */
function punctualOnce(engine) {
  return once(engine, async (url, instants, began) => {
    const { DateTrigger, currentRun } = await loadPunctual();
    const scheduler = await schedulerOn((await engines[engine].stores(url))(), {
      tasks: { noop: async () => began(currentRun().scheduledFor.getTime()) },
    });
    await scheduler.start();
    await scheduler.addJobs(instants.map((at, i) => ({ id: `job-${i}`, task: 'noop', trigger: new DateTrigger(at) })));
    return () => scheduler.shutdown();
  });
}

const NAMES = /** @type {EngineName[]} */ (Object.keys(engines));

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'remote-lateness',
  title: `Shared stores: lateness of ${show(JOBS)} jobs`,
  method: [
    `A server of its own for each sample, on this machine, with durable settings (see the measurements of runs); one node. Lateness is the moment the function begins less the instant it was asked for, by the wall clock.`,
    `Each second: ${show(JOBS)} jobs with an interval of a second, their instants evenly over it; ${WATCH_MS / 1000} s are looked at after ${WARM_UP_MS / 1000} s. The share is of the runs that fall into that time. BullMQ: as many job schedulers with \`every: 1000\`, a worker at a concurrency of 100.`,
    `Once: ${show(JOBS)} jobs, evenly over ${SPREAD_MS / 1000} s, added before. BullMQ: \`delay\`. pg-boss: \`startAfter\`, fetched each half second, which is the least it takes. graphile-worker: \`run_at\`, asked for every 100 ms (by default 2 s).`,
  ],
  rounds: 1,
  contenders: {
    ...Object.fromEntries(NAMES.map((engine) => [`second, ${engine}`, { measure: () => punctualEverySecond(engine) }])),
    'second, bullmq': { measure: () => everySecond('redis', (url, began) => bullEverySecond(url, JOBS, began)) },
    ...Object.fromEntries(NAMES.map((engine) => [`once, ${engine}`, { measure: () => punctualOnce(engine) }])),
    'once, bullmq': { measure: () => once('redis', bullOnce) },
    'once, pg-boss': { measure: () => once('postgres', pgBossOnce) },
    'once, graphile': { measure: () => once('postgres', graphileOnce) },
  },
  report(samples) {
    /**
     * @param {string} contender
     * @param {string} field
     */
    const figure = (contender, field) => median(column(samples, contender, field));
    /**
     * @param {string} title
     * @param {string} contender
     * @param {string} peer
     */
    const row = (title, contender, peer) => [
      title,
      ...['p50', 'p99', 'max'].map((field) => show(figure(contender, field))),
      `${show(figure(contender, 'share') * 100)} %`,
      `${show(ratio(column(samples, contender, 'p99'), column(samples, peer, 'p99')))}×`,
    ];
    /**
     * @param {string} target
     * @param {string} contender
     * @param {string} field
     * @param {number} most
     */
    const check = (target, contender, field, most) => {
      const ms = figure(contender, field);
      const all = figure(contender, 'share') > 0.97;
      return {
        target: `${target}: ${field} ≤ ${most} ms`,
        figure: `${show(ms)} ms`,
        met: Number.isNaN(ms) ? null : ms <= most && all,
      };
    };
    return {
      head: ['', 'p50 (ms)', 'p99 (ms)', 'max (ms)', 'share run', 'p99 against BullMQ'],
      rows: [
        ...NAMES.map((engine) => row(`each second, ${engines[engine].title}`, `second, ${engine}`, 'second, bullmq')),
        row('each second, BullMQ', 'second, bullmq', 'second, bullmq'),
        ...NAMES.map((engine) => row(`once, ${engines[engine].title}`, `once, ${engine}`, 'once, bullmq')),
        row('once, BullMQ', 'once, bullmq', 'once, bullmq'),
        row('once, pg-boss', 'once, pg-boss', 'once, bullmq'),
        row('once, graphile-worker', 'once, graphile', 'once, bullmq'),
      ],
      checks: NAMES.flatMap((engine) => [
        check(`each second, ${engines[engine].title}`, `second, ${engine}`, 'p50', 10),
        check(`each second, ${engines[engine].title}`, `second, ${engine}`, 'p99', 100),
        check(`once, ${engines[engine].title}`, `once, ${engine}`, 'p99', 30),
      ]),
    };
  },
};

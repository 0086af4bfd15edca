import { loadPeer, loadPunctual } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { median, show } from '../lib/stats.mjs';

const JOBS = 10_000;
const WATCH_MS = 65_000;
const HOUR_MS = 3_600_000;
const task = async () => {};

/** Timers set and gone off since the last look: `setTimeout` and `setInterval` are replaced by ones that count. */
const count = { set: 0, wakeUps: 0 };
for (const name of /** @type {const} */ (['setTimeout', 'setInterval'])) {
  const original = globalThis[name];
  /** @type {any} */ (globalThis)[name] = (
    /** @type {(...args: unknown[]) => void} */ callback,
    /** @type {number} */ delay,
    /** @type {unknown[]} */ ...args
  ) => {
    count.set += 1;
    return original(
      (...given) => {
        count.wakeUps += 1;
        callback(...given);
      },
      delay,
      ...args,
    );
  };
}
const quietTimeout = setTimeout;

/**
 * @param {() => unknown} add
 */
async function watch(add) {
  const kept = await add();
  globalThis.gc?.();
  // Past what adding left behind: just-in-time compilation, garbage collection.
  await pause(3_000);
  const cpu = process.cpuUsage();
  const start = performance.now();
  Object.assign(count, { set: 0, wakeUps: 0 });
  await pause(WATCH_MS);
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - start) / 1000;
  if (kept === undefined) throw new Error('nothing holds the jobs');
  return {
    // The pause itself is one timer, set and gone off.
    timersSet: count.set - 1,
    wakeUps: count.wakeUps - 1,
    cpuMs: (user + system) / 1000,
    cpuPercent: (user + system) / 10_000 / seconds,
  };
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => quietTimeout(resolve, ms));
}

async function punctual() {
  const { AsyncScheduler, IntervalTrigger } = await loadPunctual();
  const scheduler = new AsyncScheduler();
  await scheduler.start();
  return watch(async () => {
    for (let i = 0; i < JOBS; i++) await scheduler.addJob(task, new IntervalTrigger({ hours: 1 }));
    return scheduler;
  });
}

async function croner() {
  const { Cron } = await loadPeer('croner');
  return watch(() => {
    const date = new Date(Date.now() + HOUR_MS);
    return Array.from({ length: JOBS }, () => new Cron(date, task));
  });
}

async function toad() {
  const { AsyncTask, SimpleIntervalJob, ToadScheduler } = await loadPeer('toad-scheduler');
  const scheduler = new ToadScheduler();
  const shared = new AsyncTask('task', task);
  return watch(() => {
    for (let i = 0; i < JOBS; i++) scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ hours: 1 }, shared));
    return scheduler;
  });
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'idle',
  title: `Idle: ${show(JOBS)} jobs an hour away, watched for ${WATCH_MS / 1000} s`,
  method: [
    'Processor time of the whole process, and timers set and gone off, by a `setTimeout` and `setInterval` that count. “Nothing” is a process that only waits: what Node itself costs.',
    'croner: one date an hour away. All run side by side, each in a process of its own.',
  ],
  rounds: 1,
  sideBySide: true,
  contenders: {
    punctual: { measure: punctual },
    nothing: { measure: () => watch(() => null) },
    toad: { measure: toad },
    croner: { measure: croner },
  },
  report(samples) {
    /**
     * @param {string} title
     * @param {string} contender
     */
    const row = (title, contender) => [
      title,
      ...['wakeUps', 'timersSet', 'cpuMs', 'cpuPercent'].map((field) =>
        show(median(column(samples, contender, field))),
      ),
    ];
    const wakeUps = median(column(samples, 'punctual', 'wakeUps'));
    const cpuMs = median(column(samples, 'punctual', 'cpuMs'));
    const ticks = Math.ceil(WATCH_MS / 30_000);
    return {
      head: ['', 'wake-ups', 'timers set', 'processor time (ms)', 'of one core (%)'],
      rows: [
        row('nothing', 'nothing'),
        row('punctual', 'punctual'),
        row('toad-scheduler', 'toad'),
        row('croner', 'croner'),
      ],
      checks: [
        {
          target: 'no wake-ups but the 30 s tick',
          figure: `${wakeUps} wake-ups, ${show(cpuMs)} ms of processor time`,
          met: wakeUps <= ticks,
        },
      ],
    };
  },
};

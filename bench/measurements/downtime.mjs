import { loadPunctual, loadTesting } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { median, show } from '../lib/stats.mjs';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const REPEATS = 20;
/** What cannot be made up for is a warning each time. */
const logger = { debug() {}, info() {}, warn() {}, error: console.error };

/**
 * A trigger that counts what it is asked.
 *
 * @param {import('punctual').Trigger} trigger
 */
function counting(trigger) {
  const asked = { questions: 0 };
  const counted = new Set(['next', 'previous', 'count', 'first']);
  const proxy = new Proxy(trigger, {
    get(target, key) {
      const value = Reflect.get(target, key, target);
      if (key === 'withDefaults') return undefined;
      if (typeof value !== 'function') return value;
      return (/** @type {unknown[]} */ ...args) => {
        if (counted.has(String(key))) asked.questions += 1;
        return Reflect.apply(value, target, args);
      };
    },
  });
  return { proxy, asked };
}

/**
 * A job runs each second; its scheduler stops, the clock goes on by `downMs`, and the next scheduler finds the job in
 * the store.
 *
 * @param {number} downMs
 * @param {(lib: typeof import('punctual'), start: number) => import('punctual').Trigger} makeTrigger
 * @param {'latest' | 'all'} coalesce
 */
async function catchUp(downMs, makeTrigger, coalesce) {
  const punctual = await loadPunctual();
  const { VirtualClock } = await loadTesting();
  const { AsyncScheduler, MemoryJobStore } = punctual;
  const samples = [];
  for (let i = 0; i < REPEATS; i++) {
    const clock = new VirtualClock('2026-01-01T00:00:00Z');
    const store = new MemoryJobStore();
    const { proxy, asked } = counting(makeTrigger(punctual, clock.now()));
    let runs = 0;
    const before = new AsyncScheduler({ clock, logger, timezone: 'UTC', jobStores: { default: store } });
    await before.addJob(() => (runs += 1), proxy, { id: 'each-second', coalesce });
    await before.start();
    await clock.advance(10_000);
    await before.shutdown();

    clock.jump(downMs);
    const after = new AsyncScheduler({ clock, logger, timezone: 'UTC', jobStores: { default: store } });
    /** @type {number | undefined} */
    let lost;
    after.on('jobCoalesced', ({ count }) => (lost = count));
    runs = 0;
    asked.questions = 0;
    globalThis.gc?.();
    const heap = process.memoryUsage().heapUsed;
    const start = performance.now();
    await after.start();
    await clock.settle();
    samples.push({
      ms: performance.now() - start,
      heapKb: (process.memoryUsage().heapUsed - heap) / 1024,
      questions: asked.questions,
      runs,
      lost: lost ?? 0,
    });
    await after.shutdown();
  }
  const [first] = samples;
  if (first === undefined || first.runs === 0) throw new Error('nothing was made up for');
  return {
    ms: median(samples.map(({ ms }) => ms)),
    heapKb: median(samples.map(({ heapKb }) => heapKb)),
    questions: first.questions,
    runs: first.runs,
    lost: first.lost,
  };
}

/** @type {Readonly<Record<string, number>>} */
const downtimes = { 'an hour': HOUR_MS, '30 days': 30 * DAY_MS, 'a year': 365 * DAY_MS };

/** @type {Readonly<Record<string, { trigger: Parameters<typeof catchUp>[1], coalesce: 'latest' | 'all' }>>} */
const jobs = {
  'interval, coalesce': {
    trigger: ({ IntervalTrigger }, start) => new IntervalTrigger({ seconds: 1 }, { startTime: start }),
    coalesce: 'latest',
  },
  'cron, coalesce': {
    trigger: ({ CronTrigger }) => new CronTrigger('* * * * * *', { timezone: 'UTC' }),
    coalesce: 'latest',
  },
  'cron, all (at most 100 runs)': {
    trigger: ({ CronTrigger }) => new CronTrigger('* * * * * *', { timezone: 'UTC' }),
    coalesce: 'all',
  },
};

const cases = Object.entries(jobs).flatMap(([job, { trigger, coalesce }]) =>
  Object.entries(downtimes).map(([downtime, ms]) => ({
    name: `${job}; ${downtime}`,
    job,
    downtime,
    measure: () => catchUp(ms, trigger, coalesce),
  })),
);

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'downtime',
  title: 'A one-second job after downtime',
  method: [
    'On the virtual clock: a job each second, its scheduler shut down, the clock set on, a new scheduler started on the same store. From `start()` until everything has come to rest, which is three turns of the event loop or more; median of 20 times in one process.',
    'Questions are calls of `next`, `previous`, `count` and `first` of the trigger. Heap is what was allocated meanwhile and not yet collected.',
    'No peer: those in memory forget their jobs. APScheduler enumerates every missed time.',
  ],
  rounds: 1,
  contenders: Object.fromEntries(cases.map(({ name, measure }) => [name, { measure }])),
  report(samples) {
    /**
     * @param {string} name
     * @param {string} field
     */
    const figure = (name, field) => median(column(samples, name, field));
    const hour = 'interval, coalesce; an hour';
    const year = 'interval, coalesce; a year';
    const time = figure(year, 'ms') / figure(hour, 'ms');
    const heap = figure(year, 'heapKb') / figure(hour, 'heapKb');
    return {
      head: ['job', 'downtime', 'time (ms)', 'heap (kB)', 'questions', 'runs', 'coalesced'],
      rows: cases.map(({ name, job, downtime }) => [
        job,
        downtime,
        show(figure(name, 'ms')),
        show(figure(name, 'heapKb')),
        ...['questions', 'runs', 'lost'].map((field) => figure(name, field).toLocaleString('en-US')),
      ]),
      checks: [
        {
          target: 'after a year as after an hour',
          figure: `${show(time)}× the time, ${show(heap)}× the memory`,
          met: time <= 1.5 && heap <= 1.5,
        },
      ],
    };
  },
};

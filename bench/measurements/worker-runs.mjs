import { fileURLToPath } from 'node:url';
import { loadPunctual, loadTinypool, loadWorkers } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { Run } from '../lib/run.mjs';
import { median, quantile, ratio, show } from '../lib/stats.mjs';

const RUNS = 3_000;
const WARM_UP = 500;
const TICK_MS = 20;
const WATCH_MS = 6_000;
const module = new URL('../lib/worker-tasks.mjs', import.meta.url);

/**
 * The time of one run after another, each waited for.
 *
 * @param {(i: number) => PromiseLike<unknown>} run
 */
async function oneByOne(run) {
  for (let i = 0; i < WARM_UP; i++) await run(i);
  const start = performance.now();
  for (let i = 0; i < RUNS; i++) if ((await run(i)) !== i + 1) throw new Error('the task answered something else');
  return { microseconds: ((performance.now() - start) * 1000) / RUNS };
}

/** @param {'worker_threads' | 'child_process'} runtime */
async function tinypool(runtime) {
  const Tinypool = await loadTinypool();
  const env = /** @type {Record<string, string>} */ (process.env);
  const filename = fileURLToPath(new URL('../lib/worker-tasks-pool.mjs', import.meta.url));
  const pool = new Tinypool({ runtime, filename, minThreads: 1, maxThreads: 1, useAtomics: false, env });
  return oneByOne((i) => pool.run({ a: i, b: 1 }));
}

/** @param {'WorkerThreadExecutor' | 'ChildProcessExecutor'} kind */
async function executor(kind) {
  const { SystemClock } = await loadPunctual();
  const workers = new (await loadWorkers())[kind]({ maxWorkers: 1 });
  workers.open({ clock: new SystemClock(), logger: console, roomMade: () => undefined });
  const found = { url: module.href, export: 'add' };
  return oneByOne((i) => workers.execute(new Run('add', i, [i, 1], found)));
}

/** @param {boolean} busy whether a thread computes meanwhile */
async function lateness(busy) {
  const { AsyncScheduler, IntervalTrigger, currentRun } = await loadPunctual();
  const { WorkerThreadExecutor } = await loadWorkers();
  const scheduler = new AsyncScheduler({ executors: { threads: new WorkerThreadExecutor({ maxWorkers: 1 }) } });
  /** @type {number[]} */
  const late = [];
  await scheduler.addJob(
    () => void late.push(performance.timeOrigin + performance.now() - currentRun().scheduledFor.getTime()),
    new IntervalTrigger({ milliseconds: TICK_MS }),
  );
  await scheduler.start();
  if (busy) {
    scheduler.defineTask('spin', { module, export: 'spin' }, { executor: 'threads' });
    const job = await scheduler.addJob('spin', '@yearly', { args: [WATCH_MS + 4_000] });
    await job.run();
  }
  // Past the start of the thread, and what is compiled on the way.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  late.length = 0;
  await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  return { p50: quantile(late, 0.5), p99: quantile(late, 0.99), runs: late.length };
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'worker-runs',
  title: 'Runs in worker threads and child processes',
  method: [
    `Time of a run: ${show(RUNS)} runs of a task that adds two numbers, one after the other in one worker that is warm. tinypool: \`useAtomics: false\`, so that its worker's event loop runs between runs, as ours does. punctual: the executor alone; its runs carry what \`currentRun()\` tells.`,
    `Lateness: a job every ${TICK_MS} ms on the scheduler's thread for ${WATCH_MS / 1000} s, with nothing else to do, and beside a thread that computes all the time.`,
  ],
  rounds: 3,
  contenders: {
    'tinypool, thread': { measure: () => tinypool('worker_threads') },
    'punctual, thread': { measure: () => executor('WorkerThreadExecutor') },
    'tinypool, process': { measure: () => tinypool('child_process') },
    'punctual, process': { measure: () => executor('ChildProcessExecutor') },
    idle: { measure: () => lateness(false) },
    computing: { measure: () => lateness(true) },
  },
  report(samples) {
    /** @param {string} kind */
    const overhead = (kind) => ratio(column(samples, `punctual, ${kind}`, 'microseconds'), column(samples, `tinypool, ${kind}`, 'microseconds'));
    const late = ratio(column(samples, 'computing', 'p99'), column(samples, 'idle', 'p99'));
    /** @param {string} contender @param {string} field */
    const cell = (contender, field) => show(median(column(samples, contender, field)));
    return {
      head: ['', 'one run (µs)', 'p50 lateness (ms)', 'p99 lateness (ms)'],
      rows: [
        ...['tinypool, thread', 'punctual, thread', 'tinypool, process', 'punctual, process'].map((name) => [name, cell(name, 'microseconds'), '', '']),
        ...['idle', 'computing'].map((name) => [`a job on the scheduler's thread, ${name === 'idle' ? 'all threads idle' : 'a thread computing'}`, '', cell(name, 'p50'), cell(name, 'p99')]),
      ],
      checks: [
        { target: 'a run in a thread within 1.3× of the bare pool', figure: `${show(overhead('thread'))}×`, met: overhead('thread') <= 1.3 },
        { target: 'a run in a process within 1.3× of the bare pool', figure: `${show(overhead('process'))}×`, met: overhead('process') <= 1.3 },
        { target: 'p99 lateness beside a computing thread within 2× of idle', figure: `${show(late)}×`, met: late <= 2 },
      ],
    };
  },
};

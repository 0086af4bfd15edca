import { loadPunctual } from './load.mjs';

/** Messages on their way at a time, for all. */
export const CONCURRENCY = 256;

/**
 * Messages a second that `send` hands over, so many on their way at a time. Some go before, to be compiled.
 *
 * @param {number} count
 * @param {(i: number) => Promise<unknown>} send
 */
export async function handedOver(count, send) {
  let next = 0;
  const work = (/** @type {number} */ until) =>
    Promise.all(
      Array.from({ length: CONCURRENCY }, async () => {
        while (next < until) await send(next++);
      }),
    );
  const before = Math.ceil(count / 4);
  await work(before);
  globalThis.gc?.();
  const start = performance.now();
  await work(before + count);
  const ms = performance.now() - start;
  return { perSecond: (count / ms) * 1000, ms };
}

/**
 * The same by an executor of punctual alone, without a scheduler before it.
 *
 * @param {number} count
 * @param {import('punctual').Executor & { ready(): Promise<void> }} executor
 */
export async function handedOverBy(count, executor) {
  const { SystemClock } = await loadPunctual();
  executor.open?.({ clock: new SystemClock(), logger: console, roomMade: () => undefined });
  await executor.ready();
  // Made before: what a scheduler would have made anyway.
  const runs = Array.from({ length: 2 * count }, (_, i) => runOf(i));
  const sample = await handedOver(count, async (i) => executor.execute(runs[i] ?? runOf(i)));
  await executor.close?.();
  return sample;
}

const policy = { timeoutMs: null, retry: null, onCrash: /** @type {const} */ ('retry'), maxCrashes: 3, priority: 0 };

/** @param {number} i */
function runOf(i) {
  const controller = new AbortController();
  const at = new Date(1_750_000_000_000 + i);
  const context = {
    jobId: 'mail-to-customers',
    jobName: null,
    runId: `mail-to-customers@${at.getTime()}`,
    task: 'mail',
    scheduledFor: at,
    startedAt: at,
    attempt: 1,
    isCatchUp: false,
    isManual: false,
    follows: [],
    signal: controller.signal,
    nextRunTime: at,
    logger: console,
    tags: [],
    metadata: {},
  };
  const { jobId, runId, task, signal } = context;
  return { jobId, runId, task, fn: () => undefined, module: null, args: ['ada@example.com', i], signal, context, policy };
}

/** As long as the body of such a run, and with headers like its own. */
export const BODY = Buffer.alloc(470, 'x');
export const HEADERS = {
  'punctual-run-id': 'mail-to-customers@1750000000000',
  'punctual-job-id': 'mail-to-customers',
  'punctual-task': 'mail',
  'punctual-scheduled-for': '2025-06-15T15:06:40.000Z',
  'punctual-attempt': '1',
};

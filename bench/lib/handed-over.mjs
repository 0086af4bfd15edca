import { loadPunctual } from './load.mjs';
import { Run } from './run.mjs';

/** Messages on their way at a time, for all. */
export const CONCURRENCY = 256;

/**
 * Messages a second that `send` hands over, so many on their way at a time. Some go before, to be compiled. The runs are made
 * before, for whoever sends them: a scheduler has them anyway.
 *
 * @param {number} count
 * @param {(run: Run) => unknown} send
 */
export async function handedOver(count, send) {
  const before = Math.ceil(count / 4);
  const runs = Array.from({ length: before + count }, (_, i) => new Run('mail', i, ['ada@example.com', i]));
  const work = (/** @type {readonly Run[]} */ some) => {
    const each = some.values();
    return Promise.all(
      Array.from({ length: CONCURRENCY }, async () => {
        for (const run of each) await send(run);
      }),
    );
  };
  await work(runs.slice(0, before));
  globalThis.gc?.();
  const start = performance.now();
  await work(runs.slice(before));
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
  const sample = await handedOver(count, (run) => executor.execute(run));
  await executor.close?.();
  return sample;
}

/** What such a run says, with headers like its own. */
export const MESSAGE = {
  v: 1,
  id: 'mail-to-customers@1750000000000:1',
  runId: 'mail-to-customers@1750000000000',
  jobId: 'mail-to-customers',
  jobName: null,
  task: 'mail',
  scheduledFor: 1_750_000_000_000,
  startedAt: 1_750_000_000_000,
  attempt: 1,
  isCatchUp: false,
  isManual: false,
  follows: [],
  nextRunTime: 1_750_000_000_000,
  tags: [],
  metadata: null,
  args: { by: 'devalue', data: '[[1,2],"ada@example.com",10000]' },
  policy: { timeoutMs: null, retry: null, onCrash: 'retry', maxCrashes: 3, priority: 0 },
  replyTo: null,
};
export const HEADERS = {
  'punctual-run-id': 'mail-to-customers@1750000000000',
  'punctual-job-id': 'mail-to-customers',
  'punctual-task': 'mail',
  'punctual-scheduled-for': '2025-06-15T15:06:40.000Z',
  'punctual-attempt': '1',
};

/**
 * How do I retry, limit and cancel runs?
 *
 * Every run has an AbortSignal. It fires on timeout, when a newer run replaces this one, and when a shutdown can't wait
 * any longer; `signal.reason` says which. Hand it to fetch, timers, database clients.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncScheduler, currentRun, isPunctualError } from 'punctual';

const scheduler = new AsyncScheduler({ logger: { debug() {}, info() {}, warn() {}, error() {} } });
const soon = (): Date => new Date(Date.now() + 50);
const never = new Date('9999-01-01T00:00:00Z'); // for jobs that are only run by hand

// 1. Retries: three attempts, 40 ms and 80 ms apart. They share one run id, which makes it an idempotency key.
const runIds = new Set<string>();
await scheduler.addJob(
  () => {
    const { attempt, runId } = currentRun();
    runIds.add(runId);
    if (attempt < 3) throw new Error(`attempt ${attempt} failed`);
  },
  soon(),
  { id: 'retried', retry: { maxAttempts: 3, delay: 40, backoff: 'exponential', maxDelay: { seconds: 1 } } },
);

// 2. Only some errors are worth another attempt.
await scheduler.addJob(
  () => {
    throw Object.assign(new Error('bad request'), { status: 400 });
  },
  soon(),
  { id: 'hopeless', retry: { maxAttempts: 5, retryIf: (error) => (error as { status?: number }).status !== 400 } },
);

// 3. A timeout. The promise of the task is abandoned only if the task ignores the signal; here it obeys.
await scheduler.addJob(
  async () => {
    await sleep(60_000, undefined, { signal: currentRun().signal });
  },
  soon(),
  { id: 'too-slow', timeout: 100 },
);

// 4. "Only the newest counts": a new run aborts the one that is going on, and starts when that has ended.
const replaced: string[] = [];
await scheduler.addJob(
  async (page: string) => {
    const { signal } = currentRun();
    try {
      await sleep(1_500, undefined, { signal });
      replaced.push(`${page} rendered`);
    } catch (error) {
      const { reason } = signal;
      replaced.push(`${page} ${isPunctualError(reason, 'JOB_ABORTED') ? reason.message : 'failed'}`);
      throw error;
    }
  },
  '* * * * * *',
  { id: 'render', args: ['page'], overlap: 'replace', maxRuns: 2 },
);

const rendered = new Promise<void>((resolve) => {
  scheduler.on('jobCompleted', ({ jobId }) => {
    if (jobId === 'render') resolve();
  });
});
await scheduler.start();

// 5. A run by hand: its value, or its error, comes back.
await scheduler.addJob((a: number, b: number) => a / b, never, { id: 'divide', args: [6, 3] });
const run = await scheduler.runJob('divide');
console.log('6 / 3 =', await run.result());
const other = await scheduler.runJob('divide', { args: [1, 4] });
console.log('1 / 4 =', await other.result());

await rendered;

// 6. A shutdown that does not wait aborts what is going on.
await scheduler.addJob(() => sleep(60_000, undefined, { signal: currentRun().signal }), never, { id: 'endless' });
const endless = await scheduler.runJob('endless');
const ending = assert.rejects(endless.result());
await sleep(50);
await scheduler.shutdown({ wait: false });
await ending;

for (const { jobId, verdict, reason, attempt, error } of await scheduler.getRuns()) {
  console.log(jobId.padEnd(9), verdict.padEnd(9), `attempts ${attempt}`, reason ?? '', error?.message ?? '');
}
console.log(replaced.join(', '));

const verdictOf = async (jobId: string): Promise<string> => (await scheduler.getRuns({ jobId }))[0]?.verdict ?? 'none';
assert.equal(runIds.size, 1);
assert.equal(await verdictOf('retried'), 'succeeded');
assert.equal(await verdictOf('hopeless'), 'failed');
assert.equal(await verdictOf('too-slow'), 'failed');
assert.equal((await scheduler.getRuns({ jobId: 'too-slow' }))[0]?.reason, 'timeout');
assert.deepEqual(replaced, ['page The run was aborted: replaced.', 'page rendered']);

/**
 * How do I run what computes for long, or what might crash?
 *
 * In worker threads or child processes. The scheduler's own thread stays free, a task that does not stop when its time is
 * up is ended with its worker, and a worker that crashes is the error of one run. The task is a module and an export.
 */
import assert from 'node:assert/strict';
import { AsyncScheduler, IntervalTrigger, isPunctualError } from 'punctual';
import { ChildProcessExecutor, WorkerThreadExecutor } from 'punctual/workers';
import type * as primes from './worker-tasks/primes.js';

// Only for tasks in TypeScript, as here, and only before Node 22.18.
const execArgv = ['--import', new URL('./worker-tasks/register-tsx.mjs', import.meta.url).href];

const scheduler = new AsyncScheduler({
  executors: {
    threads: new WorkerThreadExecutor({ maxWorkers: 2, killAfter: { milliseconds: 100 }, execArgv }),
    processes: new ChildProcessExecutor({ maxWorkers: 1, memoryLimitMb: 256 }),
  },
});
scheduler.on('jobError', ({ jobId, error }) => { console.log(`${jobId}: ${error.name}`); });

const module = new URL('./worker-tasks/primes.ts', import.meta.url); // in your program: './primes.js'
const countPrimes = scheduler.defineTask<typeof primes.countPrimes>('primes', { module, export: 'countPrimes' });
const never = scheduler.defineTask<typeof primes.never>('never', { module, export: 'never' }, { executor: 'threads' });
const leave = scheduler.defineTask<typeof primes.leave>('leave', { module, export: 'leave' }, { executor: 'processes' });

// 1. While a thread computes, this one keeps its appointments.
let ticks = 0;
await scheduler.addJob(() => { ticks += 1; }, new IntervalTrigger({ milliseconds: 20 }), { id: 'ticks' });
await scheduler.start();
const inThread = await scheduler.addJob(countPrimes, '@yearly', { id: 'in a thread', args: [1_500_000], executor: 'threads' });
const before = ticks;
console.log('in a thread:', await (await inThread.run()).result());
assert.ok(ticks > before, 'the scheduler went on meanwhile');

// 2. The same task runs in a process, and in this thread.
for (const executor of ['processes', 'default']) {
  const job = await scheduler.addJob(countPrimes, '@yearly', { id: `by ${executor}`, args: [1_000], executor });
  assert.equal(await (await job.run()).result(), 168);
}

// 3. What never stops is ended; what leaves takes nobody along.
const outcome = async (run: Promise<{ result(): Promise<unknown> }>): Promise<unknown> => (await run).result().catch((error: unknown) => error);
const endless = await scheduler.addJob(never, '@yearly', { id: 'endless', timeout: { seconds: 3 } });
assert.ok(isPunctualError(await outcome(endless.run()), 'JOB_TIMEOUT'));
const leaving = await scheduler.addJob(leave, '@yearly', { id: 'leaving' });
assert.ok(isPunctualError(await outcome(leaving.run()), 'WORKER_CRASHED'));

await scheduler.shutdown(); // no thread and no process is left

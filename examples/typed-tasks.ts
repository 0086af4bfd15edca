/**
 * How do I get types for task names and arguments?
 *
 * Three ways, from least to most: a bare function, a task given to the constructor by name, and a reference from
 * defineTask. In each, `args` is required exactly when the function has required parameters. The lines marked with
 * @ts-expect-error do not compile, which `npm run typecheck` checks.
 */
import assert from 'node:assert/strict';
import { AsyncScheduler, isPunctualError } from 'punctual';
import { VirtualClock } from 'punctual/testing';

const clock = new VirtualClock('2026-01-01T00:00:00Z');
const log: string[] = [];

const scheduler = new AsyncScheduler({
  clock,
  timezone: 'UTC',
  tasks: {
    greet: (name: string, times: number) => log.push(`hello ${name}, ${times} times`),
    tick: (label = 'default') => log.push(`tick ${label}`),
  },
});

// 1. A bare function: its own parameters.
await scheduler.addJob((city: string) => log.push(`weather in ${city}`), '0 6 * * *', { args: ['Oslo'] });

// 2. By name: names and arguments are known from `tasks`.
await scheduler.addJob('greet', '0 7 * * *', { args: ['Ada', 3] });
await scheduler.addJob('tick', '0 8 * * *'); // no required parameter, so no args needed

// 3. By reference: for tasks defined later or in another module, with policies of their own.
const backup = scheduler.defineTask(
  'backup',
  async (options: { readonly target: string }) => void log.push(`backup to ${options.target}`),
  { timeout: { minutes: 30 }, retry: 3, maxInstances: 1 },
);
const job = await scheduler.addJob(backup, '0 9 * * *', { id: 'backup', args: [{ target: 'tape' }] });
assert.equal(job.policy.timeoutMs, 1_800_000); // the task's default

// @ts-expect-error -- `args` is missing. (It runs: JavaScript calls a function without its arguments.)
await scheduler.addJob('greet', '0 7 * * *', { id: 'no-args', paused: true });
// @ts-expect-error -- the second argument is a number.
await scheduler.addJob('greet', '0 7 * * *', { id: 'wrong-args', paused: true, args: ['Ada', 'three'] });

// A name that no task has is a type error, and an error that says what is defined.
try {
  // @ts-expect-error -- there is no such task.
  await scheduler.addJob('great', '0 7 * * *');
  assert.fail('it was accepted');
} catch (error) {
  assert.ok(isPunctualError(error, 'UNKNOWN_TASK'));
  console.log(error.message);
}

await scheduler.start();
await clock.advance({ days: 1 });
await scheduler.shutdown();
console.log(log.join('\n'));
assert.deepEqual(log, ['weather in Oslo', 'hello Ada, 3 times', 'tick default', 'backup to tape']);

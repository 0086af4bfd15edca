/**
 * Takes the package as its users have it through one working day: import it both ways, start a scheduler, let jobs run,
 * shut down, and end without being told to. It loads whichever `punctual` is installed beside it: copy it to where the
 * package is installed (scripts/smoke-on-node.mjs does), or run it here to try the built files in dist.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as imported from 'punctual';
import * as importedWorkers from 'punctual/workers';

const limitMs = 20_000;

/** @type {(scheduler: any, name: string) => Promise<any>} */
const once = (scheduler, name) => new Promise((resolve) => scheduler.once(name, resolve));

/** @type {(punctual: any) => Promise<void>} */
async function workingDay({ AsyncScheduler, CronTrigger, DateTrigger, IntervalTrigger }) {
  const scheduler = new AsyncScheduler();
  /** @type {string[]} */
  const calls = [];
  scheduler.defineTask('greet', (/** @type {string} */ name) => {
    calls.push(`hello ${name}`);
    return calls.length;
  });
  await scheduler.addJob('greet', new DateTrigger(Date.now() + 50), { id: 'greeting', args: ['world'] });
  await scheduler.addJob(() => calls.push('tick'), new IntervalTrigger({ milliseconds: 20 }), { id: 'ticking' });
  await scheduler.addJob('greet', new CronTrigger('0 3 * * *', { timezone: 'Europe/Berlin' }), {
    id: 'nightly',
    args: ['moon'],
  });
  const greeted = new Promise((resolve) => {
    scheduler.on('jobExecuted', (/** @type {any} */ event) => {
      if (event.jobId === 'greeting') resolve(event);
    });
  });
  const stopped = once(scheduler, 'schedulerShutdown');
  await scheduler.start();
  await greeted;
  assert.ok(calls.includes('hello world'), 'the job ran with its arguments');
  assert.ok((await scheduler.getJob('nightly')) !== undefined, 'the job of the night waits for its time');
  await scheduler.shutdown({ wait: true });
  await stopped;
  const afterwards = calls.length;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(calls.length, afterwards, 'nothing runs after the shutdown');
}

/** @type {(punctual: any, workers: any) => Promise<void>} */
async function elsewhere({ AsyncScheduler }, { WorkerThreadExecutor, ChildProcessExecutor }) {
  const folder = mkdtempSync(join(tmpdir(), 'punctual-smoke-task-'));
  const module = join(folder, 'task.mjs');
  writeFileSync(module, 'export const twice = (n) => n * 2;');
  const scheduler = new AsyncScheduler({
    executors: { threads: new WorkerThreadExecutor(), children: new ChildProcessExecutor() },
  });
  scheduler.defineTask('twice', { module, export: 'twice' });
  await scheduler.start();
  for (const executor of ['default', 'threads', 'children']) {
    const job = await scheduler.addJob('twice', '@yearly', { args: [21], executor });
    assert.equal(await (await job.run()).result(), 42, `the task ran by ${executor}`);
  }
  await scheduler.shutdown();
  rmSync(folder, { recursive: true });
}

const guard = setTimeout(() => {
  console.error(`Not done after ${limitMs} ms.`);
  process.exit(1);
}, limitMs);

const require = createRequire(import.meta.url);
const demanded = require('punctual');
assert.deepEqual(Object.keys(demanded).sort(), Object.keys(imported).sort(), 'both ways give the same names');
await workingDay(imported);
await workingDay(demanded);
await elsewhere(imported, importedWorkers);
await elsewhere(demanded, require('punctual/workers'));
clearTimeout(guard);
console.log(`ok: punctual on Node ${process.versions.node}, by import and by require`);
// From here on the process has to end by itself. This timer does not keep it alive; if it fires, something else does.
setTimeout(() => {
  console.error('The process does not end by itself: something is still open.');
  process.exit(1);
}, 5_000).unref();

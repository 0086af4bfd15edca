/**
 * The jobs of my program are in its code. How do I keep a durable store the same as the code?
 *
 * `sync` makes the stored jobs of an owner those that are defined: what is missing is added, what differs is changed, what
 * is no longer there is removed, and what is the same is not touched. With `dryRun` it only says so, for a deployment
 * that wants to show its plan first. Jobs of other owners, or of none (those your users have made), are left alone.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AsyncScheduler, IntervalTrigger, isPunctualError, type SyncJob } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';

const folder = await mkdtemp(join(tmpdir(), 'punctual-sync-'));
const open = (): AsyncScheduler =>
  new AsyncScheduler({
    jobStores: { default: new SQLiteJobStore(join(folder, 'jobs.db')) },
    tasks: { invoice: () => undefined, remind: (_which: string) => undefined, report: () => undefined },
    timezone: 'UTC',
  });

// ── The first release ──

const release1: SyncJob[] = [
  { id: 'invoices', task: 'invoice', trigger: '0 6 1 * *' },
  { id: 'reminders', task: 'remind', trigger: new IntervalTrigger({ hours: 1 }), args: ['overdue'] },
  { id: 'old-report', task: 'report', trigger: '@weekly' },
];
let scheduler = open();
console.log(String(await scheduler.sync(release1, { owner: 'billing' })));
await scheduler.addJob('remind', '0 9 * * *', { id: 'of-a-user', args: ['milk'] });
const { nextRunTime } = (await scheduler.getJob('reminders'))!;
await scheduler.pauseJob('invoices'); // by an operator
await scheduler.shutdown();

// ── It starts again: nothing is to be done, and nothing is written ──

scheduler = open();
const same = await scheduler.sync(release1, { owner: 'billing' });
assert.ok(same.isEmpty);
console.log(`\n${String(same)}`);
await scheduler.shutdown();

// ── The next release ──

const release2: SyncJob[] = [
  { id: 'invoices', task: 'invoice', trigger: '0 6 1 * *', retry: 3 },
  { id: 'reminders', task: 'remind', trigger: new IntervalTrigger({ hours: 1 }), args: ['due'], tags: ['mail'] },
  { id: 'report', task: 'report', trigger: '@monthly' },
];
scheduler = open();
const plan = await scheduler.sync(release2, { owner: 'billing', dryRun: true });
console.log(`\nThe plan:\n${String(plan)}`);
assert.deepEqual(await scheduler.getJob('report'), undefined); // it was only a plan
assert.deepEqual(plan.remove, ['old-report']);

await scheduler.sync(release2, { owner: 'billing' });
const ids = (await scheduler.getJobs()).map(({ id, status }) => `${id} (${status})`);
console.log(`\nNow there are: ${ids.join(', ')}`);
assert.deepEqual(ids, ['invoices (paused)', 'of-a-user (active)', 'reminders (active)', 'report (active)']);
// Other arguments do not begin another schedule.
assert.deepEqual((await scheduler.getJob('reminders'))?.nextRunTime, nextRunTime);

// ── An id that is not the owner's ──

try {
  await scheduler.sync([{ id: 'of-a-user', task: 'report', trigger: '@daily' }], { owner: 'reports' });
} catch (error) {
  assert.ok(isPunctualError(error, 'JOB_OWNED'));
  console.log(`\n${error.message}`);
}
await scheduler.shutdown();
await rm(folder, { recursive: true });

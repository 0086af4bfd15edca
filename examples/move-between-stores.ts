/**
 * How do I move jobs to another store, or back them up?
 *
 * `exportJobs` answers plain JSON: what each job is and its place in the schedule. `importJobs` adds that to any store,
 * here from memory to a SQLite file. The next fire times, counters and the grids of intervals come along; fire times that
 * came up in between are made up for by each job's policies. The history stays where it is.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AsyncScheduler, IntervalTrigger, isPunctualError } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { VirtualClock } from 'punctual/testing';

const folder = await mkdtemp(join(tmpdir(), 'punctual-move-'));
const file = join(folder, 'jobs.json');
const clock = new VirtualClock('2026-01-01T00:00:00Z');
const tasks = { poll: (_feed: URL) => undefined, report: () => undefined };

// ── The old home: memory ──

const before = new AsyncScheduler({ clock, tasks, timezone: 'UTC' });
await before.addJob('poll', new IntervalTrigger({ minutes: 7 }), {
  id: 'poll',
  args: [new URL('https://example.com/feed')],
});
await before.addJob('report', '0 9 * * 1', { id: 'report', maxRuns: 10 });
await before.start();
await clock.advance({ days: 8 });

// A bare function has no name that another process would know, and is not exported.
const bare = await before.addJob(() => undefined, '@daily', { id: 'bare' });
await assert.rejects(before.exportJobs(), (error) => isPunctualError(error, 'JOB_UNSTORABLE'));
await bare.remove();

await before.shutdown(); // what runs comes to its end: live runs are not exported
await writeFile(file, JSON.stringify(await before.exportJobs(), null, 2));
console.log(`exported: ${(await before.getJobs()).map(({ id }) => id).join(', ')}`);

// ── The new one: a database ──

await clock.advance({ minutes: 21 }); // the move takes a while
const after = new AsyncScheduler({
  clock,
  tasks,
  timezone: 'UTC',
  jobStores: { default: new SQLiteJobStore(join(folder, 'jobs.db')) },
});
const data: unknown = JSON.parse(await readFile(file, 'utf8'));
console.log('would add:', (await after.importJobs(data, { dryRun: true })).added);
const { added } = await after.importJobs(data);
console.log('added:    ', added);
assert.deepEqual((await after.importJobs(data, { onConflict: 'keep' })).kept, ['poll', 'report']); // twice does no harm

for (const id of ['poll', 'report']) {
  const [old, moved] = [await before.getJob(id), await after.getJob(id)];
  console.log(`${id}: ${moved!.runCount} runs so far, next at ${moved!.nextRunTime!.toISOString()}`);
  assert.deepEqual([moved!.nextRunTime, moved!.runCount, moved!.args], [old!.nextRunTime, old!.runCount, old!.args]);
}

await after.start();
await clock.advance(1);
const [late] = await after.getRuns({ jobId: 'poll' });
console.log(`poll makes up for the move: ${late!.count} fire times ${late!.verdict}, and one run`);
assert.ok((await after.verifyLedger()).ok);
await after.shutdown();
await rm(folder, { recursive: true });

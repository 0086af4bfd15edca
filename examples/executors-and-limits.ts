/**
 * How do I limit how much runs at the same time?
 *
 * `maxInstances` and `overlap` limit one job; an executor limits all the jobs that name it, on its node. Jobs of one
 * executor wait for one another, by priority; those of another go on. A run that waits for its executor is not late a
 * second time: its lateness was measured when it was claimed. A limit of a task or a tag holds over all nodes of a store.
 */
import assert from 'node:assert/strict';
import { AsyncExecutor, AsyncScheduler, currentRun, IntervalTrigger, MemoryJobStore } from 'punctual';
import { VirtualClock } from 'punctual/testing';

const clock = new VirtualClock('2026-01-01T00:00:00Z');
const scheduler = new AsyncScheduler({
  clock,
  timezone: 'UTC',
  executors: {
    default: new AsyncExecutor(), // no limit
    reports: new AsyncExecutor({ concurrency: 2 }), // two at a time, whatever job they belong to
  },
});

// 1. Five reports are due at nine. Two run at a time, the urgent one first.
const started: string[] = [];
const report = async (): Promise<void> => {
  started.push(`${new Date(clock.now()).toISOString().slice(11, 19)} ${currentRun().jobId}`);
  await clock.sleep({ minutes: 10 });
};
for (const id of ['a', 'b', 'c', 'd', 'urgent']) {
  await scheduler.addJob(report, '0 9 * * *', { id, executor: 'reports', priority: id === 'urgent' ? 1 : 0 });
}

// 2. A sync every 10 s that takes 25 s, under each overlap mode.
const modes = ['skip', 'queue', 'queueAll', 'replace', 'allow'] as const;
for (const overlap of modes) {
  await scheduler.addJob(
    () => clock.sleep({ seconds: 25 }, currentRun().signal),
    new IntervalTrigger({ seconds: 10 }),
    { id: overlap, overlap, queueLimit: 2, endTime: '2026-01-01T00:02:00Z', tags: ['modes'] },
  );
}

const most = new Map<string, number>();
const going = new Map<string, number>();
scheduler.on('jobStarted', ({ jobId }) => {
  going.set(jobId, (going.get(jobId) ?? 0) + 1);
  most.set(jobId, Math.max(most.get(jobId) ?? 0, going.get(jobId) ?? 0));
});
for (const type of ['jobExecuted', 'jobCancelled'] as const) {
  scheduler.on(type, ({ jobId }) => going.set(jobId, (going.get(jobId) ?? 0) - 1));
}
scheduler.on('jobMaxInstances', () => undefined); // heard, so that it is not logged

await scheduler.start();
await clock.advance({ minutes: 10 });

console.log('12 fire times, 10 s apart, 25 s each:');
for (const jobId of modes) {
  const { counts } = await scheduler.verifyLedger({ jobId });
  console.log(
    `  ${jobId.padEnd(8)} ${counts.succeeded} succeeded, ${counts.skipped} skipped, ${counts.cancelled} cancelled,`,
    `at most ${most.get(jobId) ?? 0} at a time`,
  );
  assert.equal(counts.succeeded + counts.skipped + counts.cancelled, 12);
}

await clock.advanceTo('2026-01-01T10:00:00Z');
console.log(`reports, two at a time:\n  ${started.join('\n  ')}`);
assert.equal(started[0], '09:00:00 urgent');
assert.deepEqual(
  started.map((line) => line.slice(0, 5)),
  ['09:00', '09:00', '09:10', '09:10', '09:20'],
);
assert.equal(going.get('urgent'), 0);

// 3. Executors come and go while the scheduler runs.
scheduler.addExecutor('imports', new AsyncExecutor({ concurrency: 1 }));
await scheduler.addJob(() => undefined, '0 11 * * *', { id: 'import', executor: 'imports' });
await scheduler.removeExecutor('imports'); // its jobs wait until it is there again
await clock.advanceTo('2026-01-01T11:30:00Z');
assert.equal((await scheduler.getRuns({ jobId: 'import' })).length, 0);
scheduler.addExecutor('imports', new AsyncExecutor());
await clock.settle();
assert.equal((await scheduler.getRuns({ jobId: 'import' })).length, 1);
console.log('the import waited for its executor');
await scheduler.shutdown();

// 4. Two nodes share a store. An API takes three calls in ten seconds, and one at a time for each customer.
const store = new MemoryJobStore({ shared: true }); // in production: SQLite, PostgreSQL, …
const calls: { at: number; customer: string; node: string }[] = [];
const nodes = ['a', 'b'].map((node) => {
  const worker = new AsyncScheduler({
    clock,
    node,
    jobStores: { default: store },
    limits: { tags: { 'customer:*': { concurrency: 1 } } },
  });
  worker.on('limitReached', ({ name, kind, freeAt }) => {
    console.log(`${node}: waits for ${name} (${kind})${freeAt === null ? '' : `, until ${new Date(freeAt).toISOString().slice(14, 19)}`}`);
  });
  worker.defineTask(
    'call',
    async (customer: string) => {
      calls.push({ at: clock.now(), customer, node });
      await clock.sleep({ seconds: 2 });
    },
    { rateLimit: { max: 3, per: { seconds: 10 } } },
  );
  return worker;
});
for (const worker of nodes) await worker.start();
for (let i = 0; i < 12; i++) {
  const customer = ['ada', 'bob'][i % 2]!;
  await nodes[i % 2]!.enqueue('call', { args: [customer], tags: [`customer:${customer}`] });
}
await clock.advance({ minutes: 2 });
assert.equal(calls.length, 12);
for (const { at, customer } of calls) {
  assert.ok(calls.filter((other) => other.at >= at && other.at < at + 10_000).length <= 3);
  assert.equal(calls.filter((other) => other.customer === customer && other.at >= at && other.at < at + 2_000).length, 1);
}
console.log(`12 calls, three in ten seconds: ${calls.map(({ at }) => (at - calls[0]!.at) / 1_000).join(', ')} s`);
await Promise.all(nodes.map((worker) => worker.shutdown()));

import assert from 'node:assert/strict';
import { test } from 'vitest';
import { after, IntervalTrigger, isPunctualError, MemoryJobStore, type JobStore } from 'punctual';
import { JsonJobStore } from 'punctual/testing';
import { makeWorld } from './support.js';

const stores: [string, () => JobStore][] = [
  ['memory', () => new MemoryJobStore()],
  ['json', () => new JsonJobStore()],
];

for (const [name, make] of stores) {
  test(`a job fires after each success of another, and knows of which run (${name})`, async () => {
    const { scheduler, clock, ran, fails } = makeWorld(make());
    await scheduler.addJob('work', new IntervalTrigger({ minutes: 1 }), { id: 'load', args: ['load'], maxRuns: 4 });
    await scheduler.addJob('work', after('load'), { id: 'report', args: ['report'] });
    await scheduler.addJob('work', after('load', 'failure'), { id: 'alert', args: ['alert'] });
    await scheduler.addJob('work', after(['report', 'alert'], 'success', { mode: 'any' }), { id: 'log', args: ['log'] });
    await scheduler.start();
    await clock.advance({ seconds: 90 });
    fails.add('load');
    await clock.advance({ minutes: 1 });
    fails.delete('load');
    await clock.advance({ minutes: 10 });
    assert.deepEqual(ran, [
      'load', 'report after load succeeded', 'log after report succeeded',
      'load', 'alert after load failed', 'log after alert succeeded',
      'load', 'report after load succeeded', 'log after report succeeded',
      'load', 'report after load succeeded', 'log after report succeeded',
    ]);
    assert.equal((await scheduler.verifyLedger()).ok, true);
    assert.equal(await scheduler.getJob('load'), undefined);
    // Whoever has the id next is followed.
    await scheduler.addJob('work', new Date(clock.now() + 1_000), { id: 'load', args: ['again'] });
    await clock.advance({ minutes: 1 });
    assert.deepEqual(ran.slice(-3), ['again', 'report after load succeeded', 'log after report succeeded']);
  });

  test(`work that depends on other work begins when that has succeeded (${name})`, async () => {
    const { scheduler, clock, ran } = makeWorld(make());
    await scheduler.start();
    const a = await scheduler.enqueue('work', { id: 'a', args: ['a'], delay: { minutes: 1 } });
    const b = await scheduler.enqueue('work', { id: 'b', args: ['b'], delay: { minutes: 2 } });
    const c = await scheduler.enqueue('work', { id: 'c', args: ['c'], dependsOn: [a, 'b'] });
    const d = await scheduler.enqueue('work', { id: 'd', args: ['d'], dependsOn: 'c' });
    const e = await scheduler.enqueue('work', { id: 'e', args: ['e'], dependsOn: [b.runId], delay: { minutes: 5 } });
    assert.deepEqual((await scheduler.getJob('c'))?.waitsFor, [{ jobId: 'a', runId: a.runId }, { jobId: 'b', runId: null }]);
    await clock.advance({ minutes: 1 });
    assert.deepEqual(ran, ['a']);
    await clock.advance({ minutes: 1 });
    assert.deepEqual(ran, ['a', 'b', 'c after a succeeded, b succeeded', 'd after c succeeded']);
    await clock.advance({ minutes: 3 });
    assert.deepEqual(ran.at(-1), 'e after b succeeded');
    assert.deepEqual(await Promise.all([a, b, c, d, e].map((run) => run.result())), ['a done', 'b done', 'c done', 'd done', 'e done']);
    assert.deepEqual(await scheduler.getJobs(), []);
    // What is over by then is looked up in the history.
    const f = await scheduler.enqueue('work', { id: 'f', args: ['f'], dependsOn: ['a', d.runId] });
    await clock.advance(0);
    assert.equal(await f.result(), 'f done');
    assert.equal((await scheduler.getRun(f.runId))?.result, 'f done');
    assert.equal(await scheduler.getRun('nobody@1'), undefined);
    assert.equal(ran.at(-1), 'f after a succeeded, d succeeded');
  });

  test(`what depends on work that failed is called off, or not, as it says (${name})`, async () => {
    const { scheduler, clock, ran, fails, events } = makeWorld(make());
    fails.add('a');
    await scheduler.start();
    const a = await scheduler.enqueue('work', { id: 'a', args: ['a'], delay: 1_000, retry: { maxAttempts: 2, delay: 1_000 } });
    a.result().catch(() => undefined);
    const b = await scheduler.enqueue('work', { id: 'b', args: ['b'], dependsOn: a });
    const c = await scheduler.enqueue('work', { id: 'c', args: ['c'], dependsOn: b });
    const d = await scheduler.enqueue('work', { id: 'd', args: ['d'], dependsOn: a, onDependencyFailure: 'run' });
    const e = await scheduler.enqueue('work', { id: 'e', args: ['e'], dependsOn: a, onDependencyFailure: 'wait' });
    const ends = Promise.allSettled([b, c, d].map((run) => run.result()));
    await clock.advance({ seconds: 1 });
    assert.deepEqual(ran, ['a'], 'an attempt that is tried again is no end');
    await clock.advance({ minutes: 5 });
    const [endOfB, endOfC, endOfD] = await ends;
    assert.ok(endOfB?.status === 'rejected' && isPunctualError(endOfB.reason, 'RUN_NOT_SUCCEEDED') && endOfB.reason.message.includes('dependency-failed'));
    assert.ok(endOfC?.status === 'rejected');
    assert.ok(endOfD?.status === 'fulfilled');
    assert.deepEqual(ran, ['a', 'a', 'd after a failed']);
    const [report] = await scheduler.getRuns({ jobId: 'b' });
    assert.equal(report?.verdict, 'cancelled');
    assert.equal(report.reason, 'dependency-failed');
    assert.match(report.error?.message ?? '', /job "a", whose run "a@\d+" ended as failed/);
    assert.deepEqual((await scheduler.getJobs()).map(({ id }) => id), ['e']);
    assert.equal(events.of('jobCancelled').length, 2);
    // A later run of the same job.
    fails.clear();
    await scheduler.addJob('work', new Date(clock.now() + 1_000), { id: 'a', args: ['a'] });
    await clock.advance({ minutes: 1 });
    assert.equal(await e.result(), 'e done');
    assert.equal((await scheduler.verifyLedger()).ok, true);
  });

  test(`what has failed before is found out at once (${name})`, async () => {
    const { scheduler, clock, fails } = makeWorld(make());
    fails.add('a');
    await scheduler.start();
    const a = await scheduler.enqueue('work', { id: 'a', args: ['a'] });
    a.result().catch(() => undefined);
    await clock.advance({ seconds: 10 });
    const b = await scheduler.enqueue('work', { id: 'b', args: ['b'], dependsOn: 'a' });
    const end = b.result().then(() => 'ran', (error: unknown) => error);
    await clock.advance(0);
    assert.ok(isPunctualError(await end, 'RUN_NOT_SUCCEEDED'));
    const [report] = await scheduler.getRuns({ jobId: 'b' });
    assert.equal(report?.reason, 'dependency-failed');
  });

  test(`what depends on a job that is removed is called off (${name})`, async () => {
    const { scheduler, clock, ran } = makeWorld(make());
    await scheduler.start();
    await scheduler.addJob('work', '@yearly', { id: 'a', args: ['a'] });
    const b = await scheduler.enqueue('work', { id: 'b', args: ['b'], dependsOn: 'a' });
    const end = b.result().then(() => 'ran', (error: unknown) => error);
    await scheduler.removeJob('a');
    await clock.advance(0);
    assert.ok(isPunctualError(await end, 'RUN_NOT_SUCCEEDED'));
    assert.deepEqual(ran, []);
    assert.deepEqual(await scheduler.getJobs(), []);
  });
}

import assert from 'node:assert/strict';
import { after, AfterTrigger, IntervalTrigger, isPunctualError, MemoryJobStore, OrTrigger } from 'punctual';
import { JsonJobStore } from 'punctual/testing';
import { describe, test } from 'vitest';
import { makeWorld } from './support.js';

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return isPunctualError(error) ? error.code : String(error);
  }
  return 'none';
}

describe('refuses, before anything is changed,', () => {
  test('what it cannot follow', async () => {
    const store = new JsonJobStore();
    const { scheduler, clock } = makeWorld(store);
    await scheduler.start();
    const add = (options: object): Promise<unknown> => scheduler.enqueue('work', { id: 'x', args: ['x'], ...options });
    assert.equal(await codeOf(add({ dependsOn: 'nobody' })), 'UNKNOWN_DEPENDENCY');
    assert.equal(await codeOf(add({ dependsOn: ['nobody@12'] })), 'UNKNOWN_DEPENDENCY');
    assert.equal(await codeOf(add({ dependsOn: { runId: 'nobody@12', jobId: 'nobody' } })), 'UNKNOWN_DEPENDENCY');
    assert.equal(await codeOf(scheduler.addJob('work', after('nobody'), { id: 'x', args: ['x'] })), 'UNKNOWN_DEPENDENCY');
    assert.equal(await codeOf(scheduler.addJobs([{ task: 'work', trigger: after(['y', 'nobody']), id: 'x', args: ['x'] }, { task: 'work', trigger: '@daily', id: 'y', args: ['y'] }])), 'UNKNOWN_DEPENDENCY');
    for (const dependsOn of [7, '', null, {}, [''], [{}], { runId: 'a@1' }]) assert.equal(await codeOf(add({ dependsOn })), 'INVALID_OPTION', JSON.stringify(dependsOn));
    assert.equal(await codeOf(add({ dependsOn: 'x', onDependencyFailure: 'explode' })), 'INVALID_OPTION');
    assert.equal(await codeOf(add({ onDependencyFailure: 'run' })), 'INVALID_OPTION');
    assert.equal(await codeOf(scheduler.sync([{ id: 'x', task: 'work', trigger: '@daily', args: ['x'], dependsOn: 'y' } as never], { owner: 'me' })), 'INVALID_OPTION');
    assert.deepEqual((await store.list({ limit: 9 })).jobs, []);
    // The run of a job that is there, but not that one.
    await scheduler.addJob('work', '@daily', { id: 'daily', args: ['daily'] });
    assert.equal(await codeOf(add({ dependsOn: `daily@${clock.now() + 1}` })), 'UNKNOWN_DEPENDENCY');
    assert.equal((await store.get('daily'))?.record.state.links, undefined);
    for (const jobs of [[], 7, [''], [{}]]) assert.throws(() => after(jobs as never), (error) => isPunctualError(error, 'INVALID_OPTION'));
    assert.throws(() => after('a', 'sometimes' as never), (error) => isPunctualError(error, 'INVALID_OPTION'));
    assert.throws(() => after('a', 'any', { mode: 'both' as never }), (error) => isPunctualError(error, 'INVALID_OPTION'));
    assert.throws(() => new OrTrigger([after('a'), new IntervalTrigger({ minutes: 1 })]), (error) => isPunctualError(error, 'INVALID_TRIGGER'));
  });

  test('jobs that would follow each other in a circle', async () => {
    const store = new JsonJobStore();
    const { scheduler } = makeWorld(store);
    const work = { task: 'work', args: ['x'] } as const;
    assert.equal(await codeOf(scheduler.addJob('work', after('self'), { id: 'self', args: ['x'] })), 'DEPENDENCY_CYCLE');
    await assert.rejects(scheduler.addJobs([{ ...work, id: 'a', trigger: after('c') }, { ...work, id: 'b', trigger: after('a') }, { ...work, id: 'c', trigger: after('b') }]), (error) => {
      assert.ok(isPunctualError(error, 'DEPENDENCY_CYCLE'));
      assert.deepEqual((error as unknown as { cycle: string[] }).cycle, ['a', 'c', 'b', 'a']);
      return true;
    });
    assert.deepEqual((await store.list({ limit: 9 })).jobs, []);
    await scheduler.addJob('work', '@daily', { id: 'a', args: ['x'] });
    await scheduler.addJob('work', after('a'), { id: 'b', args: ['x'] });
    await scheduler.addJob('work', after('b'), { id: 'c', args: ['x'] });
    const before = JSON.stringify((await store.list({ limit: 9 })).jobs);
    assert.equal(await codeOf(scheduler.rescheduleJob('a', after('c'))), 'DEPENDENCY_CYCLE');
    assert.equal(await codeOf(scheduler.addJob('work', after('a'), { id: 'a', args: ['x'], replaceExisting: true })), 'DEPENDENCY_CYCLE');
    assert.equal(await codeOf(scheduler.addJob('work', '@weekly', { id: 'a', args: ['x'], replaceExisting: true, dependsOn: 'c' })), 'DEPENDENCY_CYCLE');
    assert.equal(await codeOf(scheduler.sync([{ id: 'a', task: 'work', trigger: after('c'), args: ['x'] }], { owner: 'me', adopt: true })), 'DEPENDENCY_CYCLE');
    assert.equal(await codeOf(scheduler.sync([{ id: 'a', task: 'work', trigger: after('c'), args: ['x'] }], { owner: 'me', adopt: true, dryRun: true })), 'DEPENDENCY_CYCLE');
    assert.equal(JSON.stringify((await store.list({ limit: 9 })).jobs), before);
  });

  test('jobs that each node runs', async () => {
    const { scheduler } = makeWorld(new JsonJobStore());
    await scheduler.addJob('work', '@daily', { id: 'each', args: ['x'], exclusive: false });
    await scheduler.addJob('work', '@daily', { id: 'one', args: ['x'] });
    assert.equal(await codeOf(scheduler.enqueue('work', { id: 'x', args: ['x'], dependsOn: 'each' })), 'INVALID_OPTION');
    assert.equal(await codeOf(scheduler.addJob('work', after('each'), { id: 'x', args: ['x'] })), 'INVALID_OPTION');
    assert.equal(await codeOf(scheduler.addJob('work', after('one'), { id: 'x', args: ['x'], exclusive: false })), 'INVALID_OPTION');
    await scheduler.addJob('work', after('one'), { id: 'x', args: ['x'] });
    assert.equal(await codeOf(scheduler.modifyJob('x', { exclusive: false })), 'INVALID_OPTION');
  });
});

describe('the policies of any job hold for one that follows', () => {
  test('overlap and coalescing', async () => {
    const { scheduler, clock, ran } = makeWorld();
    await scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'a', args: ['a'] });
    await scheduler.addJob('work', after('a'), { id: 'skips', args: ['skips', 25] });
    await scheduler.addJob('work', after('a'), { id: 'queues', args: ['queues', 25], overlap: 'queueAll' });
    await scheduler.start();
    await clock.advance({ seconds: 41 });
    await scheduler.removeJob('a');
    await clock.advance({ seconds: 200 });
    const count = (name: string): number => ran.filter((line) => line.startsWith(name)).length;
    assert.deepEqual([count('a'), count('skips'), count('queues')], [4, 2, 4]);
    assert.equal((await scheduler.getRuns({ jobId: 'skips', verdict: 'skipped' })).length, 2);
    assert.equal((await scheduler.verifyLedger()).ok, true);
  });

  test('a pause keeps what came up, for whoever resumes to catch up with, or skips it', async () => {
    for (const catchUp of [true, false]) {
      const { scheduler, clock, ran } = makeWorld();
      await scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'a', args: ['a'], maxRuns: 4 });
      await scheduler.addJob('work', after('a'), { id: 'b', args: ['b'], coalesce: 'all', overlap: 'queueAll' });
      await scheduler.addJob('work', after('a'), { id: 'c', args: ['c'] });
      await scheduler.start();
      await clock.advance({ seconds: 10 });
      await scheduler.pauseJob('b');
      await scheduler.pauseJob('c');
      await clock.advance({ seconds: 20 });
      await scheduler.resumeJob('b', { catchUp });
      await scheduler.resumeJob('c', { catchUp });
      await clock.advance({ seconds: 20 });
      const count = (name: string): number => ran.filter((line) => line.startsWith(`${name} after a succeeded`)).length;
      assert.deepEqual([count('b'), count('c')], catchUp ? [4, 3] : [2, 2]);
      const verdicts = (await scheduler.getRuns({ jobId: 'b' })).map(({ verdict, count: n }) => `${verdict} ${n}`);
      assert.deepEqual(verdicts, catchUp ? Array.from({ length: 4 }, () => 'succeeded 1') : ['succeeded 1', 'skipped 2', 'succeeded 1']);
      assert.equal((await scheduler.verifyLedger()).ok, true);
    }
  });

  test('grace counts from the end that was followed, and for one that waited from when it need not any more', async () => {
    const { scheduler, clock, ran } = makeWorld(new MemoryJobStore(), { jobDefaults: { misfireGraceTime: { seconds: 5 } } });
    await scheduler.addJob('work', new Date(clock.now() + 10_000), { id: 'a', args: ['a', 600] });
    await scheduler.addJob('work', after('a'), { id: 'b', args: ['b'] });
    await scheduler.start();
    const run = await scheduler.enqueue('work', { id: 'c', args: ['c'], dependsOn: 'a' });
    await clock.advance({ minutes: 30 });
    assert.deepEqual(ran, ['a', 'b after a succeeded', 'c after a succeeded']);
    assert.equal(await run.result(), 'c done');
  });

  test('the number of runs, the bounds and the jitter', async () => {
    const { scheduler, clock, ran, events } = makeWorld();
    await scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'a', args: ['a'] });
    await scheduler.addJob('work', after('a'), { id: 'twice', args: ['twice'], maxRuns: 2 });
    await scheduler.addJob('work', after('a'), { id: 'bound', args: ['bound'], startTime: new Date(clock.now() + 15_000), endTime: new Date(clock.now() + 35_000) });
    await scheduler.addJob('work', after('a'), { id: 'late', args: ['late'], jitter: 5_000 });
    await scheduler.start();
    await clock.advance({ seconds: 60 });
    const count = (name: string): number => ran.filter((line) => line.startsWith(`${name} after a succeeded`)).length;
    assert.deepEqual([count('twice'), count('bound'), count('late')], [2, 2, 5]);
    assert.equal(events.of('jobCompleted').some(({ jobId }) => jobId === 'twice'), true);
    assert.equal(await scheduler.getJob('twice'), undefined);
    assert.equal(await scheduler.getJob('bound'), undefined, 'after its end it has no fire times any more');
  });
});

test('of several jobs, it fires once each of them has ended since, or with each of them', async () => {
  const { scheduler, clock, ran } = makeWorld();
  await scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'a', args: ['a'] });
  await scheduler.addJob('work', new IntervalTrigger({ seconds: 30 }), { id: 'b', args: ['b '] });
  await scheduler.addJob('work', after(['a', 'b']), { id: 'both', args: ['both'] });
  await scheduler.addJob('work', after(['a', 'b'], 'any', { mode: 'any' }), { id: 'each', args: ['each'], coalesce: 'all', overlap: 'queueAll' });
  await scheduler.start();
  await clock.advance({ seconds: 69 });
  const count = (name: string): number => ran.filter((line) => line.startsWith(name)).length;
  assert.deepEqual([count('a'), count('b '), count('both'), count('each')], [6, 2, 2, 8]);
  assert.equal(ran.filter((line) => line === 'both after a succeeded, b succeeded').length, 2);
});

test('an end that is not asked for makes no fire time', async () => {
  const { scheduler, clock, ran, fails } = makeWorld();
  fails.add('a');
  await scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'a', args: ['a'], retry: { maxAttempts: 2, delay: 1_000 } });
  await scheduler.addJob('work', after('a'), { id: 'well', args: ['well'] });
  await scheduler.addJob('work', after('a', 'failure'), { id: 'ill', args: ['ill'] });
  await scheduler.addJob('work', after('a', 'any'), { id: 'any', args: ['any'] });
  await scheduler.start();
  await clock.advance({ seconds: 15 });
  assert.deepEqual(ran, ['a', 'a', 'ill after a failed', 'any after a failed']);
  fails.clear();
  await clock.advance({ seconds: 10 });
  assert.deepEqual(ran.slice(4), ['a', 'well after a succeeded', 'any after a succeeded']);
  // A run that is called off has ended as well, and has neither succeeded nor failed.
  const next = (await scheduler.nextRunTimes('a', 1))[0]!;
  await scheduler.cancelRun(`a@${next.getTime()}`);
  await clock.advance({ seconds: 1 });
  assert.deepEqual(ran.slice(7), ['any after a cancelled']);
});

test('trigger and links come back as they were written', () => {
  const trigger = after([{ id: 'a' }, 'b', 'b'], 'failure', { mode: 'any', jitter: 5 });
  assert.deepEqual(AfterTrigger.read(trigger.toJSON()).toJSON(), trigger.toJSON());
  assert.deepEqual(trigger.follows, { jobs: ['a', 'b'], on: 'failure', mode: 'any' });
  assert.equal(trigger.describe(), 'After "a" or "b" has failed, delayed by up to 5 milliseconds');
  assert.equal(after(['a', 'b']).describe(), 'After "a" and "b" have each succeeded');
});

import assert from 'node:assert/strict';
import { after, IntervalTrigger, isPunctualError, MemoryJobStore } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, test } from 'vitest';
import { makeWorld, START } from './support.js';

const STARTS = 4;

async function followersOf(store: JsonJobStore, id: string): Promise<string[]> {
  const followers = (await store.get(id))?.record.state.links?.followers ?? [];
  return followers.map(({ to, once }) => (once === undefined ? to : `${to} once`)).sort();
}

describe('a record holds each follower once', () => {
  test('whose program adds it at each start, while it waits', async () => {
    const store = new JsonJobStore();
    const clock = new VirtualClock(START);
    const ran: string[] = [];
    const date = new Date(clock.now() + 3_600_000);
    for (let start = 0; start < STARTS; start++) {
      const { scheduler } = makeWorld(store, { node: `n${start}` }, clock, ran);
      await scheduler.addJob('work', date, { id: 'a', args: ['a'], replaceExisting: true });
      await scheduler.addJob('work', new Date(START), { id: 'b', args: ['b'], dependsOn: 'a', replaceExisting: true });
      await scheduler.start();
      await clock.advance({ minutes: 5 });
      assert.deepEqual(await followersOf(store, 'a'), ['b once']);
      if (start === STARTS - 1) await clock.advance({ hours: 1 });
      await scheduler.shutdown();
    }
    assert.deepEqual(ran, ['a', 'b after a succeeded']);
  });

  test('whose dependencies are others at each start', async () => {
    const store = new JsonJobStore();
    const { scheduler, clock, ran } = makeWorld(store);
    await scheduler.addJob('work', '@yearly', { id: 'a', args: ['a'] });
    await scheduler.addJob('work', '@yearly', { id: 'x', args: ['x'] });
    await scheduler.start();
    for (let start = 0; start < 10; start++) {
      await scheduler.addJob('work', new Date(START), { id: 'b', args: ['b'], dependsOn: start % 2 === 0 ? ['a', 'x'] : 'a', replaceExisting: true });
      assert.deepEqual(await followersOf(store, 'a'), ['b once']);
    }
    // What it waits for by now is what counts.
    await scheduler.runJob('a');
    await clock.advance({ seconds: 1 });
    assert.deepEqual(ran, ['a', 'b after a succeeded']);
    assert.deepEqual(await followersOf(store, 'a'), []);
  });

  test('that is added with what it follows, in one call', async () => {
    const store = new JsonJobStore();
    const clock = new VirtualClock(START);
    const ran: string[] = [];
    const hourly = new IntervalTrigger({ hours: 1 }, { startTime: clock.now() + 3_600_000 });
    for (let start = 0; start < STARTS; start++) {
      const { scheduler } = makeWorld(store, { node: `n${start}` }, clock, ran);
      await scheduler.addJobs([
        { task: 'work', trigger: hourly, id: 'a', args: ['a'], replaceExisting: true },
        { task: 'work', trigger: after('a'), id: 'b', args: ['b'], replaceExisting: true },
        { task: 'work', trigger: new Date(START), id: 'c', args: ['c'], dependsOn: 'a', replaceExisting: true },
      ]);
      await scheduler.start();
      await clock.advance({ minutes: 5 });
      assert.deepEqual(await followersOf(store, 'a'), ['b', 'c once']);
      if (start === STARTS - 1) await clock.advance({ hours: 1 });
      await scheduler.shutdown();
    }
    assert.deepEqual([...ran].sort(), ['a', 'b after a succeeded', 'c after a succeeded']);
  });

  test('and none that is gone, however long it is until what it waited for', async () => {
    const store = new JsonJobStore();
    const { scheduler, clock } = makeWorld(store);
    await scheduler.start();
    await scheduler.addJob('work', '@yearly', { id: 'a', args: ['a'] });
    await scheduler.addJob('work', '@yearly', { id: 'b', args: ['b'] });
    const { jobId } = await scheduler.enqueue('work', { args: ['c'], dependsOn: 'a' });
    await scheduler.removeJob(jobId);
    // One that is called off for one of them is no longer told of the other.
    await scheduler.enqueue('work', { args: ['d'], dependsOn: ['a', 'b'] });
    await scheduler.removeJob('b');
    await clock.advance(0);
    assert.deepEqual((await store.list({ limit: 10 })).jobs.map(({ record }) => `${record.id} ${JSON.stringify(record.state.links) ?? 'free'}`), ['a free']);
  });
});

test('what a job waited for and has had is not waited for anew when it is added again', async () => {
  const { scheduler, clock, ran } = makeWorld(new JsonJobStore());
  await scheduler.start();
  await scheduler.addJob('work', new IntervalTrigger({ hours: 10 }), { id: 'a', args: ['a'] });
  await scheduler.addJob('work', new IntervalTrigger({ hours: 15 }), { id: 'b', args: ['b'] });
  const add = (): Promise<unknown> => scheduler.addJob('work', new Date(START), { id: 'c', args: ['c'], dependsOn: ['a', 'b'], replaceExisting: true });
  await add();
  await clock.advance({ hours: 11 });
  await add();
  assert.deepEqual((await scheduler.getJob('c'))?.waitsFor.length, 1);
  await clock.advance({ hours: 5 });
  assert.deepEqual(ran, ['a', 'b', 'c after a succeeded, b succeeded']);
});

test('a job that others follow cannot become one of each node’s, of which they would hear no more', async () => {
  const { scheduler, clock, ran } = makeWorld(new MemoryJobStore({ shared: true }));
  await scheduler.start();
  const trigger = new IntervalTrigger({ minutes: 1 });
  await scheduler.addJob('work', trigger, { id: 'a', args: ['a'] });
  await scheduler.addJob('work', after('a'), { id: 'b', args: ['b'] });
  const refused = [
    () => scheduler.modifyJob('a', { exclusive: false }),
    () => scheduler.addJob('work', trigger, { id: 'a', args: ['a'], exclusive: false, replaceExisting: true }),
    () => scheduler.sync([{ task: 'work', trigger, id: 'a', args: ['a'], exclusive: false }], { owner: 'x', adopt: true }),
  ];
  for (const change of refused) await assert.rejects(change, (error) => isPunctualError(error, 'INVALID_OPTION') && error.message.includes('others follow'));
  await clock.advance({ minutes: 2 });
  assert.deepEqual(ran, ['a', 'b after a succeeded', 'a', 'b after a succeeded']);
});

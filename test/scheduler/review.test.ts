import { AsyncExecutor, AsyncScheduler, IntervalTrigger, MemoryJobStore, type JobChange, type Revision, type StoredJob } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';

const START = Date.UTC(2026, 0, 1);

/** A store that answers in the next turn, as one at the end of a wire does. */
class AsyncStore extends MemoryJobStore {
  override get(id: string): StoredJob | undefined {
    return Promise.resolve().then(() => super.get(id)) as unknown as StoredJob | undefined;
  }

  override commit(changes: readonly JobChange[]): (Revision | undefined)[] {
    return Promise.resolve().then(() => super.commit(changes)) as unknown as (Revision | undefined)[];
  }
}

it('gives each of several calls of runJob that meet the result of its own run', async () => {
  const clock = new VirtualClock(START);
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: new AsyncStore() } });
  await scheduler.addJob((x: number) => x, new IntervalTrigger({ hours: 1 }), { id: 'job', args: [0] });
  await scheduler.start();
  const handles = await Promise.all([1, 2, 3].map((x) => scheduler.runJob('job', { args: [x] })));
  const results = Promise.all(handles.map((handle) => handle.result()));
  await clock.advance({ minutes: 1 });
  expect(await results).toEqual([1, 2, 3]);
  await scheduler.shutdown();
});

it('fires from no store after a pause that came during a resume', async () => {
  const clock = new VirtualClock(START);
  const jobStores = { default: new MemoryJobStore(), other: new MemoryJobStore() };
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', jobStores });
  let runs = 0;
  await scheduler.addJob(() => { runs += 1; }, new IntervalTrigger({ seconds: 1 }), { jobStore: 'other' });
  await scheduler.start({ paused: true });
  const resumed = scheduler.resume();
  await scheduler.pause();
  await resumed;
  await clock.advance({ seconds: 5 });
  expect(scheduler.state).toBe('paused');
  expect(runs).toBe(0);
  await scheduler.shutdown();
});

it('gives an alias to one of two job stores added at once', async () => {
  const scheduler = new AsyncScheduler({ timezone: 'UTC' });
  const refused = new MemoryJobStore();
  const added = await Promise.allSettled([scheduler.addJobStore('extra', new MemoryJobStore()), scheduler.addJobStore('extra', refused)]);
  expect(added).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'INVALID_OPTION' } }]);
  await scheduler.addJobStore('another', refused); // it was closed again, and can be used
  await scheduler.shutdown();
});

it('tells of a jump of the clock once, however many job stores there are', async () => {
  const clock = new VirtualClock(START);
  const jobStores = { default: new MemoryJobStore(), other: new MemoryJobStore() };
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', jobStores });
  const jumps: number[] = [];
  scheduler.on('clockJump', ({ byMs }) => jumps.push(byMs));
  await scheduler.start();
  clock.jump(60_000);
  await clock.settle();
  clock.jump(-30_000);
  await clock.settle();
  expect(jumps).toEqual([60_000, -30_000]);
  await scheduler.shutdown();
});

it('gives the room of a run that has ended to another store, while its own store is away', async () => {
  const clock = new VirtualClock(START);
  const away = new AsyncStore();
  const executors = { default: new AsyncExecutor({ concurrency: 1 }) };
  const logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const jobStores = { default: away, other: new MemoryJobStore() };
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', jobStores, executors, logger });
  let startedAt: number | undefined;
  await scheduler.addJob(() => clock.sleep({ seconds: 2 }), new Date(START + 1_000), { id: 'first' });
  await scheduler.addJob(() => { startedAt = clock.now(); }, new Date(START + 2_000), { id: 'second', jobStore: 'other' });
  await scheduler.start();
  await clock.advance({ seconds: 2 });
  const commit = away.commit.bind(away);
  away.commit = () => { throw new Error('away'); };
  await clock.advance({ seconds: 8 });
  expect(startedAt).toBe(START + 3_000);
  away.commit = commit;
  await clock.advance({ minutes: 1 });
  await scheduler.shutdown();
});

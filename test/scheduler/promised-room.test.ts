import { AsyncExecutor, AsyncScheduler, IntervalTrigger, MemoryJobStore, type JobChange, type Revision } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';

/** Answers commits a little later, as a store behind a network does. */
class RemoteStore extends MemoryJobStore {
  readonly #clock: VirtualClock;
  constructor(clock: VirtualClock) {
    super();
    this.#clock = clock;
  }
  override commit(changes: readonly JobChange[]): (Revision | undefined)[] {
    const answers = super.commit(changes);
    return this.#clock.sleep(50).then(() => answers) as unknown as (Revision | undefined)[];
  }
}

it('two stores do not promise the room of one executor twice', async () => {
  const clock = new VirtualClock();
  let running = 0;
  let most = 0;
  const task = async (): Promise<void> => {
    most = Math.max(most, (running += 1));
    await clock.sleep(500);
    running -= 1;
  };
  const scheduler = new AsyncScheduler({
    clock,
    timezone: 'UTC',
    jobStores: { default: new RemoteStore(clock), other: new RemoteStore(clock) },
    executors: { default: new AsyncExecutor({ concurrency: 2 }) },
  });
  for (const jobStore of ['default', 'other']) {
    for (let i = 0; i < 3; i++) await scheduler.addJob(task, new IntervalTrigger({ seconds: 10 }), { jobStore, paused: true });
  }
  await scheduler.start();
  const resumed = Promise.all((await scheduler.getJobs()).map((job) => job.resume()));
  await clock.advance({ minutes: 1 });
  await resumed;
  const { counts } = await scheduler.verifyLedger();
  expect(most).toBe(2);
  expect(counts.succeeded).toBeGreaterThan(9);
  const down = scheduler.shutdown();
  await clock.advance({ seconds: 5 });
  await down;
});

it('a new schedule gives back nothing of what maxRuns has used up', async () => {
  const clock = new VirtualClock();
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
  let runs = 0;
  const job = await scheduler.addJob(
    async () => {
      runs += 1;
      await clock.sleep(30_000);
    },
    new IntervalTrigger({ seconds: 1 }),
    { maxRuns: 1 },
  );
  await scheduler.start();
  await clock.advance({ seconds: 2 });
  await expect(job.reschedule(new IntervalTrigger({ seconds: 2 }))).rejects.toMatchObject({ code: 'NEVER_FIRES' });
  await clock.advance({ minutes: 2 });
  expect(runs).toBe(1);
  expect(await job.refresh()).toBeUndefined();
  await scheduler.shutdown();
});

import { AsyncExecutor, AsyncScheduler, currentRun, IntervalTrigger, MemoryJobStore, StartupTrigger } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';

const T0 = Date.UTC(2026, 0, 1);

function setUp() {
  const clock = new VirtualClock(T0);
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: new MemoryJobStore() } });
  const fired: number[] = [];
  const task = (): void => void fired.push(currentRun().scheduledFor.getTime() - T0);
  return { clock, scheduler, fired, task };
}

it('a startup job fires once at each start, and is never complete', async () => {
  const { clock, scheduler, fired, task } = setUp();
  const job = await scheduler.addJob(task, new StartupTrigger(), { id: 'warm-up' });
  expect(job.nextRunTime).toBeNull();
  await clock.advance({ minutes: 1 });
  await scheduler.start();
  await clock.advance({ hours: 1 });
  expect(fired).toEqual([60_000]);
  await scheduler.shutdown();
  await scheduler.start();
  await clock.advance({ hours: 1 });
  expect(fired).toEqual([60_000, 60_000 + 3_600_000]);
  expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, counts: { succeeded: 2 } });
  expect((await scheduler.getJob('warm-up'))?.status).toBe('active');
  await scheduler.shutdown();
});

it('waits out its delay, and leaves a paused job alone', async () => {
  const { clock, scheduler, fired, task } = setUp();
  await scheduler.addJob(task, new StartupTrigger({ delay: { seconds: 30 } }), { id: 'later' });
  await scheduler.addJob(task, new StartupTrigger(), { id: 'paused', paused: true });
  await scheduler.start();
  await clock.advance({ seconds: 29 });
  expect(fired).toEqual([]);
  await clock.advance({ seconds: 1 });
  expect(fired).toEqual([30_000]);
  await scheduler.resumeJob('paused');
  await clock.advance({ hours: 1 });
  expect(fired).toEqual([30_000]);
  await scheduler.shutdown();
});

it('added while the scheduler runs, it waits for the next start; maxRuns completes it', async () => {
  const { clock, scheduler, fired, task } = setUp();
  await scheduler.start();
  await scheduler.addJob(task, new StartupTrigger(), { id: 'once', maxRuns: 1 });
  await clock.advance({ hours: 1 });
  expect(fired).toEqual([]);
  await scheduler.shutdown();
  await scheduler.start();
  await clock.advance({ seconds: 1 });
  expect(fired).toEqual([3_600_000]);
  expect(await scheduler.getJob('once')).toBeUndefined();
  await scheduler.shutdown();
});

it('jobs of one instant and priority start in the order in which they were added', async () => {
  const { clock, scheduler } = setUp();
  const order: string[] = [];
  const ids = Array.from({ length: 40 }, (_, i) => `job-${(i * 7) % 40}`);
  for (const id of ids) {
    await scheduler.addJob(() => void order.push(id), new IntervalTrigger({ minutes: 1 }), { id });
  }
  await scheduler.pauseJob(ids[3]!);
  await scheduler.resumeJob(ids[3]!);
  await scheduler.start();
  await clock.advance({ minutes: 1 });
  const moved = [...ids.filter((id) => id !== ids[3]), ids[3]];
  expect(order).toEqual(moved);
  await scheduler.shutdown();
});

it('a job that moves between executors is in the line of one only', async () => {
  const clock = new VirtualClock(T0);
  const executors = { default: new AsyncExecutor(), other: new AsyncExecutor() };
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', executors });
  const ran: number[] = [];
  await scheduler.addJob(() => undefined, new IntervalTrigger({ seconds: 50 }), { id: 'elsewhere', executor: 'other' });
  await scheduler.addJob(() => void ran.push((clock.now() - T0) / 1_000), new IntervalTrigger({ seconds: 10 }), { id: 'mover' });
  for (let i = 0; i < 4; i++) await scheduler.modifyJob('mover', { executor: i % 2 === 0 ? 'other' : 'default' });
  await scheduler.rescheduleJob('mover', new IntervalTrigger({ seconds: 20 }));
  await scheduler.start();
  await clock.advance({ seconds: 45 });
  expect(ran).toEqual([20, 40]);
  await scheduler.shutdown();
});

it('getRuns refuses what is no query', async () => {
  const { scheduler } = setUp();
  await expect(scheduler.getRuns({ jobId: '' })).rejects.toThrow(/`jobId`/);
  await expect(scheduler.getRuns({ newestFirst: 1 as never })).rejects.toThrow(/`newestFirst`/);
  await expect(scheduler.getRuns({ cursor: 'nonsense' })).rejects.toThrow(/`cursor`/);
});

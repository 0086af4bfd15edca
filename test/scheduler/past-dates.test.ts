import { DateTrigger, IntervalTrigger, isPunctualError, type JobStore } from 'punctual';
import { JsonJobStore } from 'punctual/testing';
import { SQLiteJobStore } from 'punctual/sqlite';
import { describe, expect, it } from 'vitest';
import { end, failure, makeWorld, SECOND, START_MS, type World } from './support/world.js';

const AT = new Date(START_MS + 5 * SECOND);

/** A program at its next start: the same calls, a day later. */
async function nextStart(jobStore: JobStore, before: World): Promise<World & { runs: string[] }> {
  await before.scheduler.shutdown();
  const runs: string[] = [];
  const world = makeWorld({ jobStores: { default: jobStore }, tasks: { invoice: () => void runs.push('invoice') } });
  await world.clock.advance({ days: 1 });
  return { ...world, runs };
}

async function firstStart(jobStore: JobStore): Promise<World> {
  const world = makeWorld({ jobStores: { default: jobStore }, tasks: { invoice: () => undefined } });
  await world.scheduler.addJob('invoice', AT, { id: 'invoice', replaceExisting: true });
  await world.scheduler.start();
  await world.clock.advance({ seconds: 10 });
  expect(await world.scheduler.getJob('invoice')).toBeUndefined();
  return world;
}

describe.each([
  ['JsonJobStore', (): JobStore => new JsonJobStore()],
])('a date that has had its run, in a %s', (_, make) => {
  it('does not come up again because the next start of the program adds its job again', async () => {
    const jobStore = make();
    const { scheduler, clock, runs } = await nextStart(jobStore, await firstStart(jobStore));
    await scheduler.start();
    const job = await scheduler.addJob('invoice', AT, { id: 'invoice', replaceExisting: true });
    const [again] = await scheduler.addJobs([{ task: 'invoice', trigger: AT, id: 'invoice', replaceExisting: true }]);
    await clock.advance({ days: 1 });
    expect(runs).toEqual([]);
    expect([job.nextRunTime, again?.nextRunTime, await job.refresh()]).toEqual([null, null, undefined]);
    expect((await scheduler.verifyLedger()).problems).toEqual([]);
  });

  it('is refused where nothing says that it may be there already', async () => {
    const jobStore = make();
    const { scheduler } = await nextStart(jobStore, await firstStart(jobStore));
    const error = await failure(scheduler.addJob('invoice', AT, { id: 'invoice' }));
    expect(isPunctualError(error, 'NEVER_FIRES')).toBe(true);
    expect(error.message).toContain(`${AT.toISOString()} has its verdict`);
    expect(await scheduler.getJobs()).toEqual([]);
  });

  it('is over for sync, which neither adds it again nor fails', async () => {
    const jobStore = make();
    const before = makeWorld({ jobStores: { default: jobStore }, tasks: { invoice: () => undefined } });
    const jobs = [
      { id: 'invoice', task: 'invoice', trigger: AT },
      { id: 'week', task: 'invoice', trigger: new IntervalTrigger({ seconds: 1 }, { endTime: new Date(START_MS + 3 * SECOND) }) },
    ];
    expect(String(await before.scheduler.sync(jobs, { owner: 'app' }))).toContain('2 created');
    await before.scheduler.start();
    await before.clock.advance({ seconds: 10 });
    const { scheduler, clock, runs } = await nextStart(jobStore, before);
    await scheduler.start();
    for (const dryRun of [true, false]) {
      expect(await scheduler.sync(jobs, { owner: 'app', dryRun })).toMatchObject({ create: [], change: [], remove: [], keep: ['invoice', 'week'] });
    }
    await clock.advance({ days: 1 });
    expect(runs).toEqual([]);
    const never = { id: 'never', task: 'invoice', trigger: '0 0 30 2 *' };
    expect(isPunctualError(await failure(scheduler.sync([...jobs, never], { owner: 'app' })), 'NEVER_FIRES')).toBe(true);
  });

  it('still fires where it has no verdict yet, and another date or id is another matter', async () => {
    const jobStore = make();
    const { scheduler, clock, runs } = await nextStart(jobStore, await firstStart(jobStore));
    await scheduler.start();
    await scheduler.addJob('invoice', new DateTrigger(new Date(AT.getTime() + 1)), { id: 'invoice' });
    await scheduler.addJob('invoice', AT, { id: 'other' });
    await clock.advance({ seconds: 1 });
    expect(runs).toEqual(['invoice', 'invoice']);
  });

  it('can be parked for runJob', async () => {
    const jobStore = make();
    const { scheduler } = await nextStart(jobStore, await firstStart(jobStore));
    expect((await scheduler.addJob('invoice', AT, { id: 'invoice', paused: true })).status).toBe('paused');
  });
});

it('a date that may have had its run, for all that is left of the history, does not come up again', async () => {
  const jobStore = new SQLiteJobStore({ path: ':memory:', ledger: { maxAge: { minutes: 5 } } });
  const runs: string[] = [];
  const world = makeWorld({ jobStores: { default: jobStore }, tasks: { invoice: () => void runs.push('invoice'), other: () => undefined } });
  await world.scheduler.addJob('invoice', AT, { id: 'invoice' });
  await world.scheduler.addJob('other', new IntervalTrigger({ minutes: 1 }), { id: 'other' });
  await world.scheduler.start();
  await world.clock.advance({ minutes: 30 });
  expect(await world.scheduler.getRuns({ jobId: 'invoice' })).toEqual([]);
  await world.scheduler.addJob('invoice', AT, { id: 'invoice', replaceExisting: true });
  await world.clock.advance({ minutes: 1 });
  expect(runs).toEqual(['invoice']);
  await end(world.scheduler, world.clock);
});

it('a date that has had its run does not come up again from a SQLite database', async () => {
  const jobStore = new SQLiteJobStore(':memory:');
  const world = makeWorld({ jobStores: { default: jobStore }, tasks: { invoice: () => undefined } });
  await world.scheduler.addJob('invoice', AT, { id: 'invoice' });
  await world.scheduler.start();
  await world.clock.advance({ seconds: 10 });
  expect(await world.scheduler.getRuns()).toHaveLength(1);
  await world.scheduler.addJob('invoice', AT, { id: 'invoice', replaceExisting: true });
  await world.clock.advance({ seconds: 10 });
  expect(await world.scheduler.getRuns()).toHaveLength(1);
  await end(world.scheduler, world.clock);
});

import { IntervalTrigger, isPunctualError, MemoryJobStore, type JobStore, type Serializer, type Trigger } from 'punctual';
import { JsonJobStore } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { failure, makeWorld, SECOND, START_MS } from './support/world.js';

const every = (seconds: number): IntervalTrigger => new IntervalTrigger({ seconds });
const stores: Record<string, () => JobStore> = { MemoryJobStore: () => new MemoryJobStore(), JsonJobStore: () => new JsonJobStore() };

describe.each(Object.entries(stores))('results in the history of a %s', (_, make) => {
  it('are what the task returned, as it was then', async () => {
    const { clock, scheduler } = makeWorld({ jobStores: { default: make() } });
    const count = { runs: 0, at: new Date(5), seen: new Map([['a', 1n]]) };
    scheduler.defineTask('count', () => {
      count.runs += 1;
      return count;
    });
    const job = await scheduler.addJob('count', every(10), { id: 'count' });
    expect(await job.lastRun()).toBeUndefined();
    await scheduler.start();
    await clock.advance({ seconds: 20 });
    const runs = await scheduler.getRuns({ jobId: 'count' });
    expect(runs.map(({ result }) => (result as typeof count).runs)).toEqual([1, 2]);
    expect(runs[0]?.result).toEqual({ ...count, runs: 1 });
    const last = await (await job.refresh())?.lastRun();
    expect(last).toMatchObject({ verdict: 'succeeded', result: { runs: 2 }, resultOmitted: null, scheduledFor: new Date(START_MS + 20 * SECOND) });
  });

  it('are forgotten when their time is up, and not kept at all without one', async () => {
    const { clock, scheduler } = makeWorld({ jobStores: { default: make() } });
    scheduler.defineTask('five', () => 5);
    const at = new Date(START_MS + SECOND);
    await scheduler.addJob('five', at, { id: 'day' });
    await scheduler.addJob('five', at, { id: 'minute', resultTtl: { minutes: 1 } });
    await scheduler.addJob('five', at, { id: 'none', resultTtl: null });
    await scheduler.addJob('five', at, { id: 'zero', resultTtl: 0 });
    await scheduler.start();
    const results = async (): Promise<unknown> => Object.fromEntries((await scheduler.getRuns()).map(({ jobId, result }) => [jobId, result]));
    await clock.advance({ seconds: 2 });
    expect(await results()).toEqual({ day: 5, minute: 5, none: undefined, zero: undefined });
    await clock.advance({ minutes: 1 });
    expect(await results()).toEqual({ day: 5, minute: undefined, none: undefined, zero: undefined });
    await clock.advance({ days: 1 });
    expect(await results()).toEqual({ day: undefined, minute: undefined, none: undefined, zero: undefined });
  });

  it('that are too large or no plain data fail nothing, and the history says so', async () => {
    const { clock, scheduler } = makeWorld({ jobStores: { default: make() }, maxResultSize: 100 });
    const values: Record<string, unknown> = {
      long: 'x'.repeat(101),
      wide: { list: Array.from({ length: 200 }, (_, i) => i) },
      bytes: new Uint8Array(1_000),
      fn: () => 1,
      instance: scheduler,
      nothing: undefined,
      small: 'x'.repeat(50),
    };
    scheduler.defineTask('answer', (key: string) => values[key]);
    for (const key of Object.keys(values)) await scheduler.addJob('answer', new Date(START_MS + SECOND), { id: key, args: [key] });
    await scheduler.start();
    await clock.advance({ seconds: 2 });
    const runs = await scheduler.getRuns();
    expect(new Set(runs.map(({ verdict }) => verdict))).toEqual(new Set(['succeeded']));
    expect(Object.fromEntries(runs.map(({ jobId, result, resultOmitted }) => [jobId, [typeof result, resultOmitted]]))).toEqual({
      long: ['undefined', 'too-large'],
      wide: ['undefined', 'too-large'],
      bytes: ['undefined', 'too-large'],
      fn: ['undefined', 'unserializable'],
      instance: ['undefined', 'unserializable'],
      nothing: ['undefined', null],
      small: ['string', null],
    });
  });
});

it('a serializer that is not there leaves results unreadable, and the history says so', async () => {
  const jobStore = new JsonJobStore();
  const secret: Serializer = {
    name: 'secret',
    serialize: (value) => JSON.stringify(value),
    deserialize: (data) => JSON.parse(data) as unknown,
  };
  const first = makeWorld({ jobStores: { default: jobStore }, serializer: secret });
  first.scheduler.defineTask('five', () => 5);
  await first.scheduler.addJob('five', every(10), { id: 'five' });
  await first.scheduler.start();
  await first.clock.advance({ seconds: 10 });
  expect((await first.scheduler.getRuns())[0]?.result).toBe(5);
  const second = makeWorld({ jobStores: { default: jobStore }, node: 'node-b' });
  expect((await second.scheduler.getRuns())[0]).toMatchObject({ result: undefined, resultOmitted: 'unreadable' });
});

it.each([
  ['serializer', { name: 'x' }],
  ['serializer', { serialize: String, deserialize: String, name: '' }],
  ['maxResultSize', -1],
])('refuses a bad %s', async (option, value) => {
  expect((await failure(() => makeWorld({ [option]: value } as never))).message).toContain(option);
});

describe('the statistics of a job', () => {
  it('add up, manual runs included', async () => {
    const { clock, scheduler } = makeWorld();
    let fails = false;
    const job = await scheduler.addJob(
      async () => {
        await clock.sleep(fails ? 300 : 100);
        if (fails) throw new Error('no');
      },
      every(10),
      { id: 'job' },
    );
    expect(job.stats).toEqual({
      runs: 0, succeeded: 0, failed: 0, cancelled: 0, abandoned: 0, missed: 0, coalesced: 0, skipped: 0,
      averageDurationMs: null, lastRunId: null, lastVerdict: null, lastFinishedAt: null, lastDurationMs: null,
      consecutiveFailures: 0, lastSuccessAt: null,
    });
    await scheduler.start();
    await clock.advance({ seconds: 15 });
    fails = true;
    await clock.advance({ seconds: 10 });
    await scheduler.runJob('job');
    await clock.advance({ seconds: 1 });
    const { stats } = (await job.refresh())!;
    expect(stats).toMatchObject({ runs: 3, succeeded: 1, failed: 2, lastVerdict: 'failed', lastDurationMs: 300 });
    expect(stats.averageDurationMs).toBeCloseTo(700 / 3);
    expect(stats.lastRunId).toMatch(/^job#/);
    expect(stats.lastFinishedAt).toBeInstanceOf(Date);
  });

  it('count fire times of which no run was made, and outlive the entries of the history', async () => {
    const { clock, scheduler } = makeWorld({ jobStores: { default: new MemoryJobStore({ ledger: { perJob: 2 } }) } });
    const job = await scheduler.addJob(() => 1, every(10), { id: 'job' });
    await scheduler.start();
    await clock.advance({ seconds: 50 });
    await scheduler.pause();
    await clock.advance({ seconds: 50 });
    await scheduler.resume();
    await clock.advance({ seconds: 1 });
    expect((await job.refresh())?.stats).toMatchObject({ succeeded: 6, coalesced: 4, runs: 6 });
    expect(await scheduler.getRuns({ jobId: 'job' })).toHaveLength(2);
  });

  it('belong to the job, not to its id', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(() => 1, every(10), { id: 'job' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    await scheduler.removeJob('job');
    expect((await scheduler.addJob(() => 1, every(10), { id: 'job' })).stats.runs).toBe(0);
  });
});

it('lastRun of a handle is the last run by now', async () => {
  const { clock, scheduler } = makeWorld();
  let n = 0;
  const job = await scheduler.addJob(() => ++n, every(10), { id: 'job' });
  await scheduler.start();
  await clock.advance({ seconds: 20 });
  expect(await job.lastRun()).toMatchObject({ result: 2, verdict: 'succeeded' });
});

describe('verifyLedger', () => {
  it('tells of the other jobs, too, when the trigger of one that is paused throws', async () => {
    const { clock, scheduler } = makeWorld();
    let isBroken = false;
    const breaking: Trigger = {
      kind: 'breaking',
      next: (after) => {
        if (isBroken) throw new Error('this trigger is broken');
        return (Math.floor(after / (10 * SECOND)) + 1) * 10 * SECOND;
      },
      toJSON: () => ({ kind: 'breaking', v: 1 }),
    };
    scheduler.defineTask('work', () => undefined);
    await scheduler.addJob('work', breaking, { id: 'breaking' });
    await scheduler.addJob('work', every(10), { id: 'sound' });
    await scheduler.start();
    await clock.advance({ seconds: 30 });
    await scheduler.pauseJob('breaking');
    isBroken = true;
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, problems: [], jobs: 2, counts: { succeeded: 6 } });
  });

  it('refuses a job nobody knows, and takes one that is gone but has a history', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(() => 1, new Date(START_MS + SECOND), { id: 'once' });
    await scheduler.start();
    await clock.advance({ seconds: 2 });
    expect(await scheduler.verifyLedger({ jobId: 'once' })).toMatchObject({ ok: true, jobs: 1, counts: { succeeded: 1 } });
    expect(isPunctualError(await failure(scheduler.verifyLedger({ jobId: 'none' })), 'JOB_NOT_FOUND')).toBe(true);
  });

  it('counts jobs that are gone beside those that are there, each once', async () => {
    const { clock, scheduler } = makeWorld();
    for (let i = 0; i < 40; i++) await scheduler.addJob(() => 1, i % 2 === 0 ? every(1) : new Date(START_MS + SECOND), { id: `job-${i}` });
    await scheduler.start();
    await clock.advance({ seconds: 3 });
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, jobs: 40, pending: 0, counts: { succeeded: 20 * 3 + 20 } });
  });
});

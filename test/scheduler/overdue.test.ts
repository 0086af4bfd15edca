import { AsyncExecutor, AsyncScheduler, DateTrigger, IntervalTrigger, MemoryJobStore, type JobStore, type SchedulerOptions } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFile } from '../stores/sqlite/support.js';
import { FaultyStore } from './support/stores.js';
import { DAY, end, gate, HOUR, makeWorld, MemoryLogger, MINUTE, Recorder, SECOND, START, START_MS, type Gate } from './support/world.js';

const hourly = (): IntervalTrigger => new IntervalTrigger({ hours: 1 });

interface Node {
  readonly scheduler: AsyncScheduler;
  readonly recorder: Recorder;
  readonly logger: MemoryLogger;
}

function nodeOn(jobStore: JobStore, clock: VirtualClock, node: string, options: SchedulerOptions = {}): Node {
  const logger = new MemoryLogger();
  const scheduler = new AsyncScheduler({ timezone: 'UTC', logger, clock, node, jobStores: { default: jobStore }, ...options });
  const recorder = new Recorder();
  scheduler.addListener(recorder.listener);
  onTestFinished(() => end(scheduler, clock));
  return { scheduler, recorder, logger };
}

/** Calls to a store, by name. */
function counting(to: JsonJobStore): { store: JobStore; calls: string[] } {
  const calls: string[] = [];
  const store = new Proxy<JobStore>(to, {
    get: (_, name) => {
      const value: unknown = Reflect.get(to, name, to);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        calls.push(String(name));
        return (value as (...args: unknown[]) => unknown).apply(to, args);
      };
    },
  });
  return { store, calls };
}

describe('expect.successWithin', () => {
  it('tells once when a job has not succeeded for so long, and when it has', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    let isBroken = false;
    await scheduler.addJob(() => { if (isBroken) throw new Error('no'); }, hourly(), { id: 'job', expect: { successWithin: { minutes: 90 } }, tags: ['t'] });
    await scheduler.start();
    await clock.advance(2 * HOUR);
    isBroken = true;
    await clock.advance(89 * MINUTE);
    expect(recorder.of('jobOverdue')).toEqual([]);
    await clock.advance(MINUTE);
    const deadline = START_MS + 2 * HOUR + 90 * MINUTE;
    expect(recorder.of('jobOverdue')).toMatchObject([
      { jobId: 'job', tags: ['t'], why: 'no-success', deadline, overdueMs: 0, lastSuccessAt: START_MS + 2 * HOUR, scheduledFor: START_MS + 4 * HOUR, running: [] },
    ]);
    expect((await scheduler.getJob('job'))?.overdue).toEqual({ why: 'no-success', deadline: new Date(deadline), raisedAt: new Date(deadline) });
    expect((await scheduler.getJobs({ overdue: true })).map(({ id }) => id)).toEqual(['job']);
    expect(scheduler.health().jobStores['default']?.overdue).toBe(1);

    await clock.advance(DAY);
    expect(recorder.of('jobOverdue')).toHaveLength(1);
    isBroken = false;
    await clock.advance(HOUR);
    const [recovered] = recorder.of('jobRecovered');
    expect(recovered).toMatchObject({ jobId: 'job', why: 'no-success', reason: 'met' });
    expect(recovered!.overdueMs).toBe(recovered!.at - deadline);
    expect(recorder.of('jobRecovered')).toHaveLength(1);
    await clock.advance(10 * SECOND);
    expect((await scheduler.getJob('job'))?.overdue).toBeNull();
    expect(await scheduler.getJobs({ overdue: true })).toEqual([]);
    expect(scheduler.health().jobStores['default']?.overdue).toBe(0);
    isBroken = true;
    await clock.advance(3 * HOUR);
    expect(recorder.of('jobOverdue')).toHaveLength(2);
  });

  it('counts from when the job was added, or resumed', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    await scheduler.addJob(() => undefined, '@yearly', { id: 'job', expect: { successWithin: { hours: 2 } } });
    await scheduler.start();
    await clock.advance(HOUR);
    await scheduler.pauseJob('job');
    await clock.advance(DAY);
    expect(recorder.of('jobOverdue')).toEqual([]);
    await scheduler.resumeJob('job');
    await clock.advance(2 * HOUR - SECOND);
    expect(recorder.of('jobOverdue')).toEqual([]);
    await clock.advance(SECOND);
    expect(recorder.of('jobOverdue')).toMatchObject([{ deadline: START_MS + DAY + 3 * HOUR, lastSuccessAt: null }]);
  });

  it('is met by a run by hand', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    await scheduler.addJob(() => undefined, '@yearly', { id: 'job', expect: { successWithin: { hours: 1 } } });
    await scheduler.start();
    await clock.advance(2 * HOUR);
    await (await scheduler.runJob('job')).result();
    expect(recorder.of('jobRecovered')).toMatchObject([{ reason: 'met', overdueMs: HOUR }]);
    await clock.advance(HOUR);
    expect(recorder.of('jobOverdue')).toHaveLength(2);
  });

  it('tells of a run that hangs, and names it', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    await scheduler.addJob(() => new Promise(() => undefined), hourly(), { id: 'job', expect: { successWithin: { hours: 3 } } });
    await scheduler.start();
    await clock.advance(3 * HOUR);
    expect(recorder.of('jobOverdue')).toMatchObject([{ why: 'no-success', running: [{ runId: `job@${START_MS + HOUR}`, node: 'node-a', ageMs: 2 * HOUR }] }]);
  });

  it('tells of a job in quarantine', async () => {
    const clock = new VirtualClock(START);
    const { scheduler, recorder } = nodeOn(new JsonJobStore(), clock, 'a');
    scheduler.defineTask('work', () => undefined, { args: { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => (clock.now() > START_MS ? { issues: [{ message: 'no' }] } : { value }) } } as never });
    await scheduler.addJob('work', hourly(), { id: 'job', args: [], expect: { successWithin: { hours: 5 } } });
    await scheduler.start();
    await clock.advance(5 * HOUR + 20 * SECOND);
    expect((await scheduler.getJob('job'))?.status).toBe('quarantined');
    expect(recorder.of('jobOverdue')).toMatchObject([{ jobId: 'job', why: 'no-success' }]);
  });

  it('in a store of this scheduler alone is told to the millisecond, and costs a year of virtual time no looks', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    await scheduler.addJob(() => undefined, new DateTrigger(new Date(START_MS + 300 * DAY)), { id: 'job', expect: { successWithin: { days: 250 } } });
    await scheduler.start();
    await clock.advance({ days: 365 });
    expect(recorder.of('jobOverdue').map(({ at }) => at)).toEqual([START_MS + 250 * DAY]);
    expect(recorder.of('jobRecovered').map(({ at, reason }) => [at, reason])).toEqual([[START_MS + 300 * DAY, 'met']]);
  });
});

describe('expect.maxLateness', () => {
  it('tells of a fire time for which the executor has no room, and when its run begins', async () => {
    const { scheduler, clock, recorder } = makeWorld({ executors: { default: new AsyncExecutor({ concurrency: 1 }) } });
    const other = gate();
    await scheduler.addJob(async () => other.promise, new DateTrigger(new Date(START_MS + SECOND)), { id: 'other' });
    await scheduler.addJob(() => undefined, hourly(), { id: 'job', expect: { maxLateness: { minutes: 10 } } });
    await scheduler.start();
    await clock.advance(HOUR + 9 * MINUTE);
    expect(recorder.of('jobOverdue')).toEqual([]);
    await clock.advance(MINUTE);
    expect(recorder.of('jobOverdue')).toMatchObject([{ jobId: 'job', why: 'not-started', deadline: START_MS + HOUR + 10 * MINUTE, scheduledFor: START_MS + HOUR, overdueMs: 0 }]);
    await clock.advance(5 * HOUR);
    expect(recorder.of('jobOverdue')).toHaveLength(1);
    other.open();
    await clock.advance(SECOND);
    expect(recorder.of('jobRecovered')).toMatchObject([{ jobId: 'job', why: 'not-started', reason: 'met' }]);
    expect((await scheduler.getJob('job'))?.overdue).toBeNull();
  });

  it('tells of a job that is stuck behind a run of its own', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep(5 * HOUR), hourly(), { id: 'job', overlap: 'queueAll', expect: { maxLateness: { minutes: 10 } } });
    await scheduler.start();
    await clock.advance(2 * HOUR + 10 * MINUTE);
    expect(recorder.of('jobOverdue')).toMatchObject([{ why: 'not-started', scheduledFor: START_MS + 2 * HOUR, running: [{ runId: `job@${START_MS + HOUR}` }] }]);
  });

  it('tells of a job whose task is on no live node, by a node that does not have it', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const a = nodeOn(store, clock, 'a');
    const b = nodeOn(store, clock, 'b');
    a.scheduler.defineTask('work', () => undefined);
    await a.scheduler.addJob('work', hourly(), { id: 'job', expect: { maxLateness: { minutes: 10 } } });
    await b.scheduler.start();
    await clock.advance(HOUR + 10 * MINUTE + 15 * SECOND);
    expect(b.recorder.of('jobOverdue')).toMatchObject([{ node: 'b', why: 'not-started' }]);
    expect((await a.scheduler.getJobs({ overdue: true })).map(({ id }) => id)).toEqual(['job']);
    // A node that knows the task starts, and the job recovers there; the other hears of it from the store.
    await a.scheduler.start();
    await clock.advance(MINUTE);
    expect(a.recorder.of('jobRecovered')).toMatchObject([{ node: 'a', reason: 'met' }]);
    expect(b.scheduler.health().jobStores['default']?.overdue).toBe(0);
  });

  it('tells by a scheduler that is paused', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    await scheduler.addJob(() => undefined, hourly(), { id: 'job', expect: { maxLateness: { minutes: 10 } } });
    await scheduler.start();
    await scheduler.pause();
    await clock.advance(2 * HOUR);
    expect(recorder.of('jobOverdue')).toHaveLength(1);
    await scheduler.resume();
    await clock.advance(SECOND);
    expect(recorder.of('jobRecovered')).toMatchObject([{ reason: 'met' }]);
  });

  it('tells of what was late already when a node takes it on, after all were down', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const add = (node: Node): unknown => node.scheduler.addJob('work', hourly(), { id: 'job', replaceExisting: true, expect: { maxLateness: { minutes: 10 } } });
    const a = nodeOn(store, clock, 'a', { tasks: { work: () => undefined } });
    await add(a);
    await a.scheduler.start();
    await a.scheduler.shutdown();
    await clock.advance(DAY + MINUTE);
    const b = nodeOn(store, clock, 'b', { tasks: { work: () => undefined } });
    await add(b);
    await b.scheduler.start();
    await clock.advance(SECOND);
    expect(b.recorder.of('jobOverdue')).toMatchObject([{ why: 'not-started', scheduledFor: START_MS + HOUR, overdueMs: DAY + MINUTE - HOUR - 10 * MINUTE }]);
    expect(b.recorder.of('jobRecovered')).toHaveLength(1);
  });

  it('says nothing of retries, of runs by hand, of jitter, and of what was missed with a verdict', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    const expected = { maxLateness: { minutes: 10 } };
    await scheduler.addJob(() => { throw new Error('no'); }, hourly(), { id: 'retry', retry: { maxAttempts: 5, delay: { minutes: 50 }, backoff: 'fixed' }, expect: expected, overlap: 'allow' });
    await scheduler.addJob(() => undefined, hourly(), { id: 'jitter', jitter: { minutes: 55 }, expect: expected });
    await scheduler.addJob(() => clock.sleep(3 * HOUR), '@yearly', { id: 'manual', expect: expected });
    await scheduler.addJob(() => undefined, hourly(), { id: 'grace', misfireGraceTime: { minutes: 1 }, expect: expected });
    await scheduler.start();
    await scheduler.runJob('manual');
    await scheduler.runJob('manual');
    await clock.advance(10 * HOUR);
    expect(recorder.of('jobOverdue')).toEqual([]);
  });

  it('says nothing of a job that waits for others, and counts from when it could begin', async () => {
    const executors = { default: new AsyncExecutor(), narrow: new AsyncExecutor({ concurrency: 1 }) };
    const { scheduler, clock, recorder } = makeWorld({ jobStores: { default: new JsonJobStore() }, executors });
    const blocked = gate();
    scheduler.defineTask('first', () => clock.sleep(3 * HOUR));
    scheduler.defineTask('then', () => undefined);
    scheduler.defineTask('block', async () => blocked.promise, { executor: 'narrow' });
    await scheduler.start();
    await scheduler.enqueue('first', { id: 'first' });
    const expected = { maxLateness: { minutes: 10 } };
    await scheduler.enqueue('then', { id: 'then', dependsOn: 'first', expect: expected });
    await scheduler.enqueue('block', { id: 'block' });
    await scheduler.enqueue('then', { id: 'stuck', dependsOn: 'first', expect: expected, executor: 'narrow' });
    await clock.advance(3 * HOUR + MINUTE);
    expect(recorder.of('jobExecuted').map(({ jobId }) => jobId)).toEqual(['first', 'then']);
    expect(recorder.of('jobOverdue')).toEqual([]);
    await clock.advance(10 * MINUTE);
    expect(recorder.of('jobOverdue')).toMatchObject([{ jobId: 'stuck', why: 'not-started' }]);
    expect(recorder.of('jobOverdue')[0]!.deadline).toBeGreaterThanOrEqual(START_MS + 3 * HOUR + 10 * MINUTE);
    blocked.open();
    await clock.advance(MINUTE);
    expect(recorder.of('jobRecovered')).toMatchObject([{ jobId: 'stuck', reason: 'met' }]);
  });

  it('a fire time that is given up ends it, for another reason than that it began', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    await scheduler.addJob(() => undefined, hourly(), { id: 'job', misfireGraceTime: { minutes: 20 }, expect: { maxLateness: { minutes: 10 } } });
    await scheduler.start();
    await scheduler.pause();
    await clock.advance(HOUR + 30 * MINUTE);
    await scheduler.resume();
    await clock.advance(SECOND);
    expect(recorder.of('jobMissed')).toHaveLength(1);
    expect(recorder.of('jobRecovered')).toMatchObject([{ reason: 'changed' }]);
  });
});

describe('an overdue job', () => {
  const overdueJob = async (options: object = {}): Promise<ReturnType<typeof makeWorld>> => {
    const world = makeWorld();
    await world.scheduler.addJob(() => undefined, '@yearly', { id: 'job', expect: { successWithin: { hours: 1 } }, ...options });
    await world.scheduler.start();
    await world.clock.advance(2 * HOUR);
    expect(world.recorder.of('jobOverdue')).toHaveLength(1);
    return world;
  };

  it('that is paused is so no longer, and nothing is said of it while it is', async () => {
    const { scheduler, clock, recorder } = await overdueJob();
    const paused = await scheduler.pauseJob('job');
    expect(paused.overdue).toBeNull();
    expect(recorder.of('jobRecovered')).toMatchObject([{ reason: 'paused', overdueMs: HOUR }]);
    await clock.advance(DAY);
    expect(recorder.of('jobOverdue')).toHaveLength(1);
  });

  it('in whose place another is added is judged by what is expected of that, and not at all when it is added paused', async () => {
    const { scheduler, clock, recorder } = await overdueJob();
    await scheduler.addJob(() => undefined, '@yearly', { id: 'job', expect: { successWithin: { hours: 1 } }, replaceExisting: true });
    expect((await scheduler.getJob('job'))?.overdue).not.toBeNull();
    const paused = await scheduler.addJob(() => undefined, '@yearly', { id: 'job', expect: { successWithin: { hours: 1 } }, replaceExisting: true, paused: true });
    expect(paused.overdue).toBeNull();
    expect(recorder.of('jobRecovered')).toMatchObject([{ reason: 'paused' }]);
    await clock.advance(DAY);
    expect(recorder.of('jobOverdue')).toHaveLength(1);
  });

  it('that is removed is so no longer', async () => {
    const { scheduler, recorder } = await overdueJob();
    await scheduler.removeJob('job');
    expect(recorder.of('jobRecovered')).toMatchObject([{ reason: 'removed' }]);
  });

  it('of which something else is expected is judged by that', async () => {
    const { scheduler, clock, recorder } = await overdueJob();
    await scheduler.modifyJob('job', { expect: { successWithin: { hours: 3 } } });
    expect(recorder.of('jobRecovered')).toMatchObject([{ reason: 'changed' }]);
    await clock.advance(HOUR);
    expect(recorder.of('jobOverdue')).toHaveLength(2);
    await scheduler.modifyJob('job', { expect: null });
    expect(recorder.of('jobRecovered')).toHaveLength(2);
    expect((await scheduler.getJob('job'))?.overdue).toBeNull();
    await clock.advance(DAY);
    // Nothing was expected until now.
    await scheduler.modifyJob('job', { expect: { successWithin: { hours: 1 } } });
    await clock.advance(HOUR - SECOND);
    expect(recorder.of('jobOverdue')).toHaveLength(2);
    await clock.advance(SECOND);
    expect(recorder.of('jobOverdue')).toHaveLength(3);
  });

  it('stays so through a restart, and is not told of again', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const a = nodeOn(store, clock, 'a');
    a.scheduler.defineTask('work', () => undefined);
    await a.scheduler.addJob('work', '@yearly', { id: 'job', expect: { successWithin: { hours: 1 } } });
    await a.scheduler.start();
    await clock.advance(2 * HOUR);
    await a.scheduler.shutdown();
    const b = nodeOn(store, clock, 'b');
    b.scheduler.defineTask('work', () => undefined);
    await b.scheduler.addJob('work', '@yearly', { id: 'job', expect: { successWithin: { hours: 1 } }, replaceExisting: true });
    await b.scheduler.start();
    await clock.advance(2 * HOUR);
    expect(a.recorder.of('jobOverdue')).toHaveLength(1);
    expect(b.recorder.of('jobOverdue')).toEqual([]);
    expect(b.scheduler.health().jobStores['default']?.overdue).toBe(1);
    await (await b.scheduler.runJob('job')).result();
    expect(b.recorder.of('jobRecovered')).toHaveLength(1);
  });

  it('is told of once, by one of many nodes that look', async () => {
    const clock = new VirtualClock(START);
    const store = new MemoryJobStore({ shared: true });
    const nodes = Array.from({ length: 6 }, (_, i) => nodeOn(store, clock, `node-${i}`));
    for (const { scheduler } of nodes) scheduler.defineTask('work', () => undefined);
    for (let i = 0; i < 250; i++) await nodes[0]!.scheduler.addJob('work', '@yearly', { id: `job-${i}`, expect: { successWithin: { hours: 1 } } });
    for (const { scheduler } of nodes) await scheduler.start();
    await clock.advance(HOUR + 15 * SECOND);
    const told = nodes.flatMap(({ recorder }) => recorder.of('jobOverdue').map(({ jobId }) => jobId));
    expect(told).toHaveLength(250);
    expect(new Set(told).size).toBe(250);
    await clock.advance(MINUTE);
    expect(nodes.map(({ scheduler }) => scheduler.health().jobStores['default']?.overdue)).toEqual(nodes.map(() => 250));
  });

  it('is logged as an error when nobody listens', async () => {
    const clock = new VirtualClock(START);
    const logger = new MemoryLogger();
    const scheduler = new AsyncScheduler({ clock, logger, timezone: 'UTC' });
    onTestFinished(() => end(scheduler, clock));
    await scheduler.addJob(() => undefined, '@yearly', { id: 'job', expect: { successWithin: { hours: 1 } } });
    await scheduler.start();
    await clock.advance(HOUR);
    expect(logger.messages('error')).toEqual(['punctual: jobOverdue']);
  });

  it('is so in another store, too, when it is moved there, and told of once', async () => {
    const clock = new VirtualClock(START);
    const from = nodeOn(new JsonJobStore(), clock, 'a');
    from.scheduler.defineTask('work', () => undefined);
    const policy = { expect: { successWithin: { minutes: 30 }, maxLateness: { hours: 2 } }, maxConsecutiveFailures: 4 };
    await from.scheduler.addJob('work', '@yearly', { id: 'job', ...policy });
    await from.scheduler.start();
    await clock.advance(HOUR);
    const to = nodeOn(new JsonJobStore(), clock, 'b');
    to.scheduler.defineTask('work', () => undefined);
    await to.scheduler.importJobs(await from.scheduler.exportJobs());
    await to.scheduler.start();
    await clock.advance(HOUR);
    const job = await to.scheduler.getJob('job');
    expect(job!.policy).toMatchObject({ expect: { successWithinMs: 30 * MINUTE, maxLatenessMs: 2 * HOUR }, maxConsecutiveFailures: 4 });
    expect(job!.overdue).toEqual((await from.scheduler.getJob('job'))!.overdue);
    expect(to.recorder.of('jobOverdue')).toEqual([]);
    await (await to.scheduler.runJob('job')).result();
    expect(to.recorder.of('jobRecovered')).toHaveLength(1);
  });
});

describe('looking for overdue jobs', () => {
  it('asks a shared store hardly ever while nothing is expected, and every ten seconds at most while something is', async () => {
    const clock = new VirtualClock(START);
    const { store, calls } = counting(new JsonJobStore());
    const { scheduler } = nodeOn(store, clock, 'a');
    scheduler.defineTask('work', () => undefined);
    const looks = (): number => calls.filter((name) => name === 'alarms').length;
    await scheduler.start();
    await clock.advance(HOUR);
    expect(looks()).toBeLessThanOrEqual(13);
    expect(looks()).toBeGreaterThanOrEqual(11);
    await scheduler.addJob('work', '@yearly', { id: 'rare', expect: { successWithin: { days: 9 } } });
    calls.length = 0;
    await clock.advance(HOUR);
    expect(looks()).toBeLessThanOrEqual(13);
    await scheduler.addJob('work', new IntervalTrigger({ seconds: 1 }), { id: 'often', expect: { maxLateness: { seconds: 2 } } });
    calls.length = 0;
    await clock.advance(HOUR);
    expect(looks()).toBeLessThanOrEqual(361);
  });

  it('never asks a store of its own in which nothing is expected', async () => {
    const clock = new VirtualClock(START);
    const { store, calls } = counting(new JsonJobStore({ shared: false }));
    const { scheduler } = nodeOn(store, clock, 'a');
    scheduler.defineTask('work', () => undefined);
    await scheduler.addJob('work', hourly(), { id: 'job' });
    await scheduler.start();
    await clock.advance(DAY);
    expect(calls.filter((name) => name === 'alarms')).toHaveLength(1);
  });

  it('goes on after a store was away, and says once that it was', async () => {
    const clock = new VirtualClock(START);
    const inner = new MemoryJobStore({ shared: true });
    let isAway = false;
    const store = new Proxy<JobStore>(inner, {
      get: (_, name) => {
        const value: unknown = Reflect.get(inner, name, inner);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (isAway && name !== 'close') throw new Error('away');
          return (value as (...args: unknown[]) => unknown).apply(inner, args);
        };
      },
    });
    const { scheduler, recorder, logger } = nodeOn(store, clock, 'a');
    scheduler.defineTask('work', () => undefined);
    await scheduler.addJob('work', '@yearly', { id: 'job', expect: { successWithin: { hours: 1 } } });
    await scheduler.start();
    isAway = true;
    await clock.advance(2 * HOUR);
    expect(recorder.of('jobOverdue')).toEqual([]);
    expect(logger.messages('warn').filter((message) => message.includes('asked for overdue'))).toHaveLength(1);
    isAway = false;
    await clock.advance(2 * MINUTE);
    expect(recorder.of('jobOverdue')).toMatchObject([{ deadline: START_MS + HOUR }]);
  });

  it('works through a file of SQLite, for nodes that cannot run the job, and through a restart', async () => {
    const clock = new VirtualClock(START);
    const path = temporaryFile();
    const nodes = ['a', 'b'].map((node) => nodeOn(new SQLiteJobStore({ path, pollInterval: 60_000 }), clock, node));
    const adder = nodeOn(new SQLiteJobStore({ path, pollInterval: 60_000 }), clock, 'adder', { tasks: { work: () => undefined } });
    await adder.scheduler.addJob('work', hourly(), { id: 'job', expect: { maxLateness: { minutes: 10 } } });
    await adder.scheduler.addJob('work', hourly(), { id: 'other' });
    await adder.scheduler.shutdown();
    for (const { scheduler } of nodes) await scheduler.start();
    await clock.advance(2 * HOUR);
    expect(nodes.flatMap(({ recorder }) => recorder.of('jobOverdue'))).toMatchObject([{ jobId: 'job', why: 'not-started', deadline: START_MS + HOUR + 10 * MINUTE }]);
    expect((await nodes[1]!.scheduler.getJobs({ overdue: true })).map(({ id }) => id)).toEqual(['job']);
    for (const { scheduler } of nodes) await scheduler.shutdown();

    const able = nodeOn(new SQLiteJobStore({ path, pollInterval: 60_000 }), clock, 'able', { tasks: { work: () => undefined } });
    await able.scheduler.start();
    await clock.advance(MINUTE);
    expect(able.recorder.of('jobOverdue')).toEqual([]);
    expect(able.recorder.of('jobRecovered')).toMatchObject([{ jobId: 'job', why: 'not-started', reason: 'met' }]);
    expect(able.scheduler.health().jobStores['default']?.overdue).toBe(0);
  });

  it('finds a job that another node added and did not live to look after', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const a = nodeOn(store, clock, 'a');
    const b = nodeOn(store, clock, 'b');
    await b.scheduler.start();
    await clock.advance(MINUTE);
    a.scheduler.defineTask('work', () => undefined);
    await a.scheduler.addJob('work', '@yearly', { id: 'job', expect: { successWithin: { seconds: 5 } } });
    await clock.advance(310 * SECOND);
    expect(b.recorder.of('jobOverdue')).toHaveLength(1);
  });

  it('looks after jobs that another scheduler left in a store in memory', async () => {
    const clock = new VirtualClock(START);
    const store = new MemoryJobStore();
    const a = nodeOn(store, clock, 'a');
    await a.scheduler.addJob(() => undefined, '@yearly', { id: 'job', expect: { successWithin: { hours: 1 } } });
    await a.scheduler.shutdown();
    const b = nodeOn(store, clock, 'b');
    await b.scheduler.start();
    await clock.advance(HOUR);
    expect(b.recorder.of('jobOverdue')).toHaveLength(1);
  });

  it('is done by a node that stands by, too', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const nodes = ['a', 'b'].map((node) => nodeOn(store, clock, node, { ha: { mode: 'leader' } }));
    for (const { scheduler } of nodes) {
      scheduler.defineTask('work', () => undefined);
      await scheduler.start();
    }
    await clock.advance(5 * SECOND);
    const leader = nodes.find(({ scheduler }) => scheduler.isLeader)!;
    const standby = nodes.find((node) => node !== leader)!;
    await leader.scheduler.addJob('work', '@yearly', { id: 'job', expect: { successWithin: { hours: 1 } } });
    await clock.advance(HOUR + 15 * SECOND);
    expect(leader.recorder.of('jobOverdue').length + standby.recorder.of('jobOverdue').length).toBe(1);
    expect(standby.scheduler.health().jobStores['default']).toMatchObject({ role: 'standby' });
  });

  it('follows a clock that is set', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    await scheduler.addJob(() => undefined, '@yearly', { id: 'job', expect: { successWithin: { hours: 5 } } });
    await scheduler.start();
    clock.jump(6 * HOUR);
    await clock.advance(2 * SECOND);
    expect(recorder.of('jobOverdue')).toHaveLength(1);
  });

  it('looks after the jobs that each node runs, on each node', async () => {
    const clock = new VirtualClock(START);
    const store = new MemoryJobStore({ shared: true });
    const gates: Gate[] = [];
    const nodes = ['a', 'b'].map((node) => nodeOn(store, clock, node));
    for (const [i, { scheduler }] of nodes.entries()) {
      scheduler.defineTask('work', async () => {
        if (i === 1) return;
        gates.push(gate());
        await gates.at(-1)!.promise;
      });
      await scheduler.start();
    }
    await nodes[0]!.scheduler.addJob('work', '* * * * *', { id: 'job', exclusive: false, expect: { successWithin: { minutes: 30 } } });
    await clock.advance(2 * HOUR);
    expect(nodes[0]!.recorder.of('jobOverdue')).toMatchObject([{ node: 'a', why: 'no-success' }]);
    expect(nodes[1]!.recorder.of('jobOverdue')).toEqual([]);
    expect(nodes.map(({ scheduler }) => scheduler.health().jobStores['default']?.overdue)).toEqual([1, 0]);
    for (const opened of gates) opened.open();
    await clock.advance(SECOND);
    expect(nodes[0]!.recorder.of('jobRecovered')).toHaveLength(1);
  });
});

describe('the option expect', () => {
  it('is put together from the job, its task and the defaults', async () => {
    const { scheduler } = makeWorld({ jobDefaults: { expect: { maxLateness: 'PT10M' } } });
    scheduler.defineTask('task', () => undefined, { expect: { successWithin: { hours: 1 } } });
    const policyOf = async (expect?: unknown): Promise<unknown> => (await scheduler.addJob('task', '@daily', { expect } as never)).policy.expect;
    expect(await policyOf()).toEqual({ successWithinMs: HOUR, maxLatenessMs: 10 * MINUTE });
    expect(await policyOf({ successWithin: 5_000 })).toEqual({ successWithinMs: 5_000, maxLatenessMs: 10 * MINUTE });
    expect(await policyOf({ maxLateness: null })).toEqual({ successWithinMs: HOUR, maxLatenessMs: null });
    expect(await policyOf({ maxLateness: null, successWithin: null })).toBeNull();
    expect(await policyOf(null)).toBeNull();
  });

  it.each([
    [5, 'expect'], ['1h', 'expect'], [{}, 'expect'], [{ within: 5 }, 'expect.within'], [{ successWithin: 0 }, 'expect.successWithin'], [{ maxLateness: -1 }, 'expect.maxLateness'], [{ maxLateness: 'soon' }, 'expect.maxLateness'],
  ])('refuses %j', async (given, option) => {
    const { scheduler } = makeWorld();
    await expect(scheduler.addJob(() => undefined, '@daily', { expect: given as never })).rejects.toMatchObject({ code: 'INVALID_OPTION', option });
  });

  it('is refused by a store that cannot tell which jobs are overdue', async () => {
    const { scheduler } = makeWorld({ jobStores: { default: new FaultyStore() } });
    await expect(scheduler.addJob(() => undefined, '@daily', { expect: { maxLateness: 1 } })).rejects.toMatchObject({ code: 'INVALID_OPTION', option: 'expect' });
    await scheduler.addJob(() => undefined, '@daily', { id: 'job' });
    await expect(scheduler.modifyJob('job', { expect: { maxLateness: 1 } })).rejects.toMatchObject({ code: 'INVALID_OPTION', option: 'expect' });
    const able = makeWorld({ jobStores: { default: new JsonJobStore() } });
    able.scheduler.defineTask('work', () => undefined);
    await able.scheduler.addJob('work', '@daily', { id: 'expecting', expect: { maxLateness: 1 } });
    await expect(scheduler.importJobs(await able.scheduler.exportJobs())).rejects.toMatchObject({ code: 'INVALID_OPTION', option: 'expect' });
    expect((await scheduler.getJobs()).map(({ id }) => id)).toEqual(['job']);
    expect(await scheduler.getJobs({ overdue: true })).toEqual([]);
  });
});

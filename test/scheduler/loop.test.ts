import { describe, expect, it } from 'vitest';
import { AsyncExecutor, AsyncScheduler, DateTrigger, IntervalTrigger, isPunctualError, MemoryJobStore, type ClaimRequest, type Executor, type JobPolicy, type SchedulerEvent, type SchedulerOptions, type StoredJob, type Trigger } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { FaultyStore, PlainClock } from './support/stores.js';
import { DAY, failure, gate, HOUR, makeWorld, MemoryLogger, Recorder, SECOND, START, START_MS, whileTimePasses } from './support/world.js';

const every = (seconds: number): IntervalTrigger => new IntervalTrigger({ seconds });
const noop = (): undefined => undefined;
const ms = (seconds: number): number => START_MS + seconds * SECOND;

/** A scheduler on a clock that does not tell when it was set, as the system's. */
function onPlainClock(options: SchedulerOptions = {}): { virtual: VirtualClock; clock: PlainClock; scheduler: AsyncScheduler; recorder: Recorder; logger: MemoryLogger } {
  const virtual = new VirtualClock(START);
  const clock = new PlainClock(virtual);
  const logger = new MemoryLogger();
  const scheduler = new AsyncScheduler({ timezone: 'UTC', node: 'node-a', logger, ...options, clock });
  const recorder = new Recorder();
  scheduler.addListener(recorder.listener);
  return { virtual, clock, scheduler, recorder, logger };
}

describe('the timer', () => {
  it('is one, however many jobs wait', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.start();
    expect(clock.pendingTimers).toBe(0);
    await scheduler.addJobs(Array.from({ length: 500 }, (_, i) => ({ task: noop, trigger: every(10 + i) })));
    expect(clock.pendingTimers).toBe(1);
    await clock.advance({ minutes: 1 });
    expect(clock.pendingTimers).toBe(1);
  });

  it('wakes up for what is due and for nothing else, when the clock tells of jumps', async () => {
    const store = new FaultyStore();
    const { clock, scheduler } = makeWorld({ jobStores: { default: store } });
    await scheduler.addJob(noop, every(3_600), { id: 'x' });
    await scheduler.start();
    await clock.settle();
    store.calls.length = 0;
    await clock.advance(59 * 60_000);
    expect(store.calls).toEqual([]);
    await clock.advance(60_000);
    expect(store.count('claimDue')).toBeGreaterThan(0);
    expect(store.calls.length).toBeLessThan(10);
  });

  it('wakes up every 30 s, and no more often, on a clock that does not tell', async () => {
    const { virtual, clock, scheduler } = onPlainClock();
    await scheduler.addJobs(Array.from({ length: 100 }, () => ({ task: noop, trigger: every(86_400) })));
    const before = clock.delays.length;
    await scheduler.start();
    await virtual.settle();
    expect(clock.delays.slice(before)).toEqual([30_000]);
    await virtual.advance({ minutes: 10 });
    expect(clock.fired).toBe(20);
    expect(clock.pending).toBe(1);
    await scheduler.shutdown();
    expect(clock.pending).toBe(0);
  });

  it('follows maxSleep, which cannot be longer than 30 s', async () => {
    const { virtual, clock, scheduler } = onPlainClock({ maxSleep: { seconds: 5 } });
    await scheduler.start();
    await virtual.advance({ minutes: 1 });
    expect(clock.fired).toBe(12);
    await scheduler.shutdown();
    const error = await failure(() => new AsyncScheduler({ maxSleep: { minutes: 1 } }));
    expect(error.message).toMatch(/`maxSleep`.*30 s/);
  });

  it('is set anew when an earlier job is added, and not for a later one', async () => {
    const { virtual, clock, scheduler, recorder } = onPlainClock();
    await scheduler.addJob(noop, every(20), { id: 'later' });
    await scheduler.start();
    await virtual.settle();
    const before = clock.delays.length;
    await scheduler.addJob(noop, every(25));
    expect(clock.delays.length).toBe(before);
    await scheduler.addJob(noop, every(5), { id: 'sooner' });
    await virtual.advance({ seconds: 5 });
    expect(recorder.of('jobExecuted')).toMatchObject([{ jobId: 'sooner', at: ms(5) }]);
    await scheduler.shutdown();
  });

  it('keeps the process running, or not, as keepAlive says', async () => {
    for (const keepAlive of [true, false]) {
      const { virtual, clock, scheduler } = onPlainClock({ keepAlive });
      await scheduler.addJob(() => virtual.sleep(5), every(5), { timeout: SECOND });
      const before = clock.keptAlive.length;
      await scheduler.start();
      await virtual.advance({ seconds: 6 });
      expect(new Set(clock.keptAlive.slice(before))).toEqual(new Set([keepAlive]));
      await scheduler.shutdown();
    }
  });

  it('lets a job fire that is centuries away', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, new Date(START_MS + 300 * 365 * DAY), { id: 'far' });
    await scheduler.start();
    await clock.advance(299 * 365 * DAY);
    expect(recorder.of('jobStarted')).toEqual([]);
    await clock.advance(366 * DAY);
    expect(recorder.of('jobExecuted')).toHaveLength(1);
  });
});

describe('a clock that is set', () => {
  it('forwards is noticed within 30 s: an event, and what came up is dealt with', async () => {
    const { virtual, scheduler, recorder } = onPlainClock();
    await scheduler.addJob(noop, new Date(START_MS + 2 * HOUR), { id: 'x' });
    await scheduler.start();
    await virtual.advance({ seconds: 10 });
    virtual.jump(3 * HOUR);
    await virtual.advance({ seconds: 30 });
    expect(recorder.of('clockJump')).toMatchObject([{ byMs: 3 * HOUR }]);
    expect(recorder.of('jobExecuted')).toMatchObject([{ jobId: 'x', isCatchUp: true }]);
    await scheduler.shutdown();
  });

  it('backwards fires nothing twice', async () => {
    const { virtual, scheduler, recorder } = onPlainClock();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await virtual.advance({ seconds: 25 });
    virtual.jump(-15 * SECOND);
    await virtual.advance({ seconds: 60 });
    expect(recorder.of('clockJump')).toMatchObject([{ byMs: -15_000 }]);
    const fires = recorder.of('jobExecuted').map((event) => event.scheduledFor);
    expect(new Set(fires).size).toBe(fires.length);
    expect(fires).toEqual([10, 20, 30, 40, 50, 60, 70].map(ms));
    await scheduler.shutdown();
  });

  it('that drifts slowly is no jump', async () => {
    const { virtual, scheduler, recorder } = onPlainClock();
    await scheduler.start();
    for (let i = 0; i < 100; i++) {
      virtual.jump(100);
      await virtual.advance({ seconds: 30 });
    }
    expect(recorder.of('clockJump')).toEqual([]);
    await scheduler.shutdown();
  });

  it('is noticed at once where the clock tells', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, new Date(START_MS + HOUR), { id: 'x' });
    await scheduler.start();
    await clock.settle();
    clock.jump(HOUR);
    await clock.settle();
    expect(recorder.of('jobExecuted')).toHaveLength(1);
    expect(recorder.of('clockJump')).toMatchObject([{ byMs: HOUR }]);
  });
});

describe('a trigger that throws', () => {
  class Fragile implements Trigger {
    readonly kind = 'fragile';
    broken = false;
    next(after: number): number {
      if (this.broken) throw new Error('no calendar');
      return (Math.floor(after / 10_000) + 1) * 10_000;
    }
    toJSON(): { kind: string; v: number } {
      return { kind: this.kind, v: 1 };
    }
  }

  it('puts its job in quarantine, and nothing else', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const trigger = new Fragile();
    await scheduler.addJob(noop, trigger, { id: 'bad' });
    await scheduler.addJob(noop, every(10), { id: 'good' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    trigger.broken = true;
    await clock.advance({ seconds: 30 });
    expect(recorder.of('jobQuarantined')).toMatchObject([{ jobId: 'bad', reason: 'no calendar' }]);
    expect(await scheduler.getJob('bad')).toMatchObject({ status: 'quarantined', reason: 'no calendar', nextRunTime: null });
    expect(recorder.of('jobExecuted').filter((event) => event.jobId === 'good')).toHaveLength(4);
    expect(scheduler.health().ok).toBe(true);
    expect(await scheduler.getJobs({ status: 'quarantined' })).toHaveLength(1);
    expect(isPunctualError(await failure(scheduler.runJob('bad')), 'INVALID_STATE')).toBe(true);
  });

  it('retryQuarantined lets it go on from where it was', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const trigger = new Fragile();
    await scheduler.addJob(noop, trigger, { id: 'bad' });
    await scheduler.start();
    trigger.broken = true;
    await clock.advance({ seconds: 35 });
    trigger.broken = false;
    expect(await scheduler.retryQuarantined('bad')).toMatchObject({ status: 'active', reason: null });
    await clock.settle();
    expect(recorder.of('jobExecuted')).toMatchObject([{ scheduledFor: ms(10) }, { scheduledFor: ms(30), isCatchUp: true }]);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, counts: { succeeded: 2, coalesced: 1 } });
    const again = await failure(scheduler.retryQuarantined('bad'));
    expect(isPunctualError(again, 'INVALID_STATE')).toBe(true);
    expect(again.message).toContain('active');
  });

  it('that does not advance is quarantined as well, and does not hold up the loop', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    let stuck = false;
    const trigger: Trigger = { kind: 'stuck', next: (after) => (stuck ? after : after + 5_000), toJSON: () => ({ kind: 'stuck', v: 1 }) };
    await scheduler.addJob(noop, trigger, { id: 'bad' });
    await scheduler.start();
    stuck = true;
    await clock.advance({ seconds: 5 });
    expect(recorder.of('jobQuarantined')).toMatchObject([{ jobId: 'bad', reason: expect.stringContaining('"stuck" answered') as unknown }]);
  });

  it('a quarantined job can be rescheduled and removed', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const trigger = new Fragile();
    for (const id of ['a', 'b']) await scheduler.addJob(noop, trigger, { id });
    await scheduler.start();
    trigger.broken = true;
    await clock.advance({ seconds: 10 });
    await scheduler.removeJob('a');
    await scheduler.rescheduleJob('b', every(5));
    await scheduler.retryQuarantined('b');
    await clock.advance({ seconds: 5 });
    expect(recorder.of('jobExecuted').map((event) => event.jobId)).toEqual(['a', 'b', 'b']);
  });

  it('is refused when it is added', async () => {
    const { scheduler } = makeWorld();
    const trigger = new Fragile();
    trigger.broken = true;
    expect((await failure(scheduler.addJob(noop, trigger))).message).toContain('no calendar');
    expect(await scheduler.getJobs()).toEqual([]);
  });
});

describe('a store that fails', () => {
  it('is tried again ever less often; one event when it goes, one when it is back', async () => {
    const store = new FaultyStore();
    const { clock, scheduler, recorder } = makeWorld({ jobStores: { default: store } });
    await scheduler.addJob(noop, every(60), { id: 'x' });
    await scheduler.start();
    store.breakDown();
    await clock.advance({ minutes: 1 });
    expect(scheduler.health()).toMatchObject({ ok: false, state: 'running', jobStores: { default: { ok: false } } });
    store.calls.length = 0;
    await clock.advance({ minutes: 10 });
    // 100 ms doubled up to 30 s: about 9 steps, then at most 4 a minute.
    expect(store.calls.length).toBeGreaterThan(20);
    expect(store.calls.length).toBeLessThan(60);
    store.recover();
    await clock.advance({ minutes: 1 });
    expect(recorder.of('storeUnavailable')).toMatchObject([{ jobStore: 'default', operation: 'tick', error: { message: 'claimDue is broken' } }]);
    expect(recorder.of('storeRecovered')).toHaveLength(1);
    expect(recorder.of('storeRecovered')[0]?.downMs).toBeGreaterThan(10 * 60_000 - SECOND);
    expect(scheduler.health().ok).toBe(true);
    expect(recorder.of('jobExecuted').length).toBeGreaterThanOrEqual(1);
    expect((await scheduler.verifyLedger()).problems).toEqual([]);
  });

  it('backs off with jitter: two nodes do not come back in step', async () => {
    const delays: (number | undefined)[] = [];
    for (const node of ['a', 'b', 'c', 'd']) {
      const store = new FaultyStore();
      const { clock, scheduler, recorder } = makeWorld({ jobStores: { default: store }, node });
      store.breakDown();
      await scheduler.start();
      await clock.settle();
      delays.push(recorder.of('storeUnavailable')[0]?.retryInMs);
    }
    expect(new Set(delays).size).toBeGreaterThan(2);
    for (const delay of delays) expect(delay).toBeLessThanOrEqual(100);
  });

  it('keeps running runs going, and their results are written when it is back', async () => {
    const store = new FaultyStore();
    const { clock, scheduler, recorder } = makeWorld({ jobStores: { default: store } });
    const work = gate<string>();
    await scheduler.addJob(() => work.promise, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    store.breakDown();
    work.open('done');
    await clock.advance({ minutes: 5 });
    expect(recorder.of('jobExecuted')).toEqual([]);
    expect(scheduler.health().jobStores['default']).toMatchObject({ ok: false, activeRuns: 1 });
    store.recover();
    await clock.advance({ minutes: 1 });
    expect(recorder.of('jobExecuted')[0]).toMatchObject({ scheduledFor: ms(10), result: 'done' });
    expect(scheduler.health().ok).toBe(true);
    expect((await scheduler.verifyLedger()).problems).toEqual([]);
  });

  it('that hangs looks like one that fails, after storeTimeout', async () => {
    const store = new FaultyStore();
    const { clock, scheduler, recorder } = makeWorld({ jobStores: { default: store }, storeTimeout: { seconds: 4 } });
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await clock.settle();
    store.breakDown('hang');
    await clock.advance({ seconds: 13 });
    expect(recorder.of('storeUnavailable')).toEqual([]);
    await clock.advance({ seconds: 1 });
    expect(recorder.of('storeUnavailable')).toMatchObject([{ error: { message: 'no answer within 4000 ms' } }]);
    const call = failure(whileTimePasses(clock, scheduler.getJob('x')));
    expect(isPunctualError(await call, 'STORE_FAILED')).toBe(true);
    store.recover();
    await clock.advance({ minutes: 1 });
    expect(recorder.of('jobExecuted').length).toBeGreaterThan(3);
  });

  it('does not hold up a shutdown for ever', async () => {
    const store = new FaultyStore();
    const { clock, scheduler } = makeWorld({ jobStores: { default: store }, storeTimeout: { seconds: 4 } });
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    store.breakDown('hang');
    store.faults.set('close', 'hang');
    await clock.advance({ seconds: 11 });
    await whileTimePasses(clock, scheduler.shutdown({ timeout: SECOND }));
    expect(scheduler.state).toBe('stopped');
  });

  it('does not delay the jobs of another store', async () => {
    const store = new FaultyStore();
    const { clock, scheduler, recorder } = makeWorld({ jobStores: { bad: store } });
    await scheduler.addJob(noop, every(10), { id: 'a', jobStore: 'bad' });
    await scheduler.addJob(noop, every(10), { id: 'b' });
    await scheduler.start();
    store.breakDown('hang');
    await clock.advance({ minutes: 1 });
    expect(recorder.of('jobExecuted').filter((event) => event.jobId === 'b').map((event) => event.at)).toEqual([10, 20, 30, 40, 50, 60].map(ms));
    await scheduler.pauseJob('b', { jobStore: 'default' });
  });

  it('whose opening fails does not stop changes in another that is named', async () => {
    const store = new FaultyStore();
    store.faults.set('open', 'fail');
    const { scheduler } = makeWorld({ jobStores: { bad: store } });
    await scheduler.addJob(noop, every(10), { id: 'b' });
    expect((await scheduler.pauseJob('b', { jobStore: 'default' })).status).toBe('paused');
    store.recover();
  });

  it('that fails a call of yours says which, with the cause, and changes nothing', async () => {
    const store = new FaultyStore();
    const { scheduler } = makeWorld({ jobStores: { default: store } });
    const job = await scheduler.addJob(noop, every(10), { id: 'x' });
    store.faults.set('commit', 'fail');
    const error = await failure(job.pause());
    expect(isPunctualError(error, 'STORE_FAILED')).toBe(true);
    expect(error.message).toBe('Job store "default" failed to commit: commit is broken');
    expect(error.cause).toMatchObject({ message: 'commit is broken' });
    store.recover();
    expect((await job.refresh())?.revision).toBe(job.revision);
  });

  it('that cannot watch is polled', async () => {
    const store = new FaultyStore(new MemoryJobStore({ shared: true }), { watches: true });
    store.faults.set('watch', 'fail');
    const { clock, scheduler, recorder, logger } = makeWorld({ jobStores: { default: store } });
    await scheduler.start();
    expect(logger.messages('warn').join()).toContain('cannot watch');
    await scheduler.addJob(noop, every(10), { maxRuns: 1 });
    await clock.advance({ seconds: 10 });
    expect(recorder.of('jobExecuted')).toHaveLength(1);
  });

  it('whose hints get lost is polled, also under a clock that tells of jumps', async () => {
    const clock = new VirtualClock(START);
    const inner = new MemoryJobStore({ shared: true });
    // It takes who watches, and tells nobody.
    const store = Object.assign(new FaultyStore(inner), { watch: () => () => undefined });
    const { scheduler } = makeWorld({ clock, jobStores: { default: store } });
    let runs = 0;
    scheduler.defineTask('work', () => { runs += 1; });
    await scheduler.start();
    await clock.advance(10 * SECOND);
    const elsewhere = makeWorld({ clock, jobStores: { default: inner }, node: 'node-b' });
    elsewhere.scheduler.defineTask('work', () => undefined);
    await elsewhere.scheduler.addJob('work', new Date(START_MS + 11 * SECOND), { id: 'job' });
    await clock.advance(31 * SECOND);
    expect(runs).toBe(1);
  });

  it('whose watch hangs does not hold up start and shutdown', async () => {
    const store = new FaultyStore(new MemoryJobStore({ shared: true }), { watches: true });
    store.faults.set('watch', 'hang');
    const { clock, scheduler } = makeWorld({ jobStores: { default: store }, storeTimeout: { seconds: 4 } });
    await whileTimePasses(clock, scheduler.start());
    expect(scheduler.state).toBe('running');
    await whileTimePasses(clock, scheduler.shutdown());
  });
});

describe('executors', () => {
  it('run no more than they take; what waits starts as soon as there is room', async () => {
    const { clock, scheduler, recorder } = makeWorld({ executors: { narrow: new AsyncExecutor({ concurrency: 2 }) } });
    for (let i = 0; i < 5; i++) await scheduler.addJob(() => clock.sleep({ seconds: 5 }), new DateTrigger(ms(1)), { id: `j${i}`, executor: 'narrow' });
    await scheduler.start();
    await clock.advance({ seconds: 30 });
    expect(recorder.of('jobStarted').map((event) => (event.at - START_MS) / SECOND)).toEqual([1, 1, 6, 6, 11]);
  });

  it('serve several stores: room that a run of one makes goes to a job of another', async () => {
    const { clock, scheduler, recorder } = makeWorld({
      jobStores: { other: new MemoryJobStore() },
      executors: { narrow: new AsyncExecutor({ concurrency: 1 }) },
    });
    const options = { executor: 'narrow' };
    await scheduler.addJob(() => clock.sleep({ seconds: 5 }), new DateTrigger(ms(1)), { ...options, id: 'first' });
    await scheduler.addJob(() => clock.sleep({ seconds: 5 }), new DateTrigger(ms(2)), { ...options, id: 'second', jobStore: 'other' });
    await scheduler.start();
    await clock.advance({ seconds: 30 });
    expect(recorder.of('jobStarted').map((event) => [event.jobId, (event.at - START_MS) / SECOND])).toEqual([['first', 1], ['second', 6]]);
  });

  it('are added and removed while running; jobs wait for one that is not there', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.start();
    let closed = 0;
    scheduler.addExecutor('extra', new AsyncExecutor());
    await scheduler.addJob(noop, every(10), { id: 'x', executor: 'extra' });
    await clock.advance({ seconds: 10 });
    await scheduler.removeExecutor('extra');
    await clock.advance({ seconds: 25 });
    expect(recorder.of('jobExecuted')).toHaveLength(1);
    const replacement = Object.assign(new AsyncExecutor(), { close: () => { closed += 1; } });
    scheduler.addExecutor('extra', replacement);
    await clock.settle();
    expect(recorder.of('jobExecuted').map((event) => event.scheduledFor)).toEqual([10, 30].map(ms));
    await scheduler.removeExecutor('extra');
    expect(closed).toBe(1);
    expect(recorder.types()).toEqual(expect.arrayContaining(['executorAdded', 'executorRemoved']));
    expect(isPunctualError(await failure(scheduler.removeExecutor('extra')), 'UNKNOWN_EXECUTOR')).toBe(true);
    expect((await failure(() => { scheduler.addExecutor('default', new AsyncExecutor()); })).message).toMatch(/`alias`.*"default"/);
    expect((await failure(() => { scheduler.addExecutor('bad', {} as never); })).message).toMatch(/`executor`.*execute/);
  });

  it('hears that a run is to stop, once and with the reason, whether it asked for its signal or not', async () => {
    const heard: unknown[] = [];
    const executor: Executor = {
      free: 5,
      execute: (run) => new Promise((_resolve, reject) => {
        heard.push(run.abortReason, run.onAbort);
        const signal = run.jobId === 'signal' ? run.signal : undefined;
        run.onAbort = () => {
          heard.push(run.abortReason, signal?.reason);
          reject(run.abortReason!);
        };
      }),
    };
    const { clock, scheduler, recorder } = makeWorld({ executors: { own: executor } });
    await scheduler.addJob(noop, new DateTrigger(ms(1)), { id: 'plain', executor: 'own', timeout: 2_000 });
    await scheduler.addJob(noop, new DateTrigger(ms(10)), { id: 'signal', executor: 'own', timeout: 2_000 });
    await scheduler.start();
    await clock.advance({ seconds: 20 });
    const timedOut = expect.objectContaining({ code: 'JOB_TIMEOUT' }) as unknown;
    expect(heard).toEqual([undefined, null, timedOut, undefined, undefined, null, timedOut, timedOut]);
    expect(heard[6]).toBe(heard[7]);
    expect(recorder.of('jobError').map(({ jobId }) => jobId)).toEqual(['plain', 'signal']);
  });

  it('which throws when it is told to stop a run keeps nobody from telling it of others, and shuts down', async () => {
    const told: string[] = [];
    const executor: Executor = {
      free: 5,
      execute: (run) => new Promise((_resolve, reject) => {
        run.onAbort = () => {
          told.push(run.jobId);
          reject(run.abortReason!);
          throw new Error('no such thread');
        };
      }),
    };
    const { clock, scheduler, recorder, logger } = makeWorld({ executors: { own: executor } });
    for (const id of ['first', 'second']) await scheduler.addJob(noop, new DateTrigger(ms(1)), { id, executor: 'own' });
    await scheduler.start();
    await clock.advance({ seconds: 2 });
    const stopping = scheduler.shutdown({ wait: false });
    await clock.advance({ seconds: 20 });
    await stopping;
    expect(told).toEqual(['first', 'second']);
    expect(recorder.of('jobCancelled').map(({ jobId, reason }) => `${jobId} ${reason}`)).toEqual(['first shutdown', 'second shutdown']);
    expect(logger.messages('error')).toEqual(Array(2).fill('an executor failed to stop a run'));
  });

  it('whose execute throws fails the run', async () => {
    const executor = { free: 1, execute: () => { throw new Error('no threads'); } };
    const { clock, scheduler, recorder } = makeWorld({ executors: { broken: executor } });
    await scheduler.addJob(noop, new DateTrigger(ms(1)), { executor: 'broken' });
    await scheduler.start();
    await clock.advance({ seconds: 1 });
    expect(recorder.of('jobError')).toMatchObject([{ error: { message: 'no threads' } }]);
  });
});

describe('job stores', () => {
  it('are added and removed while running; a job stays in its store', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.start();
    const store = new FaultyStore();
    await scheduler.addJobStore('extra', store);
    await scheduler.addJob(noop, every(10), { id: 'x', jobStore: 'extra' });
    await clock.advance({ seconds: 10 });
    await scheduler.removeJobStore('extra');
    await clock.advance({ seconds: 25 });
    expect(recorder.of('jobExecuted')).toHaveLength(1);
    expect(store.count('close')).toBe(1);
    expect(isPunctualError(await failure(scheduler.getJobs({ jobStore: 'extra' })), 'UNKNOWN_STORE')).toBe(true);
    await scheduler.addJobStore('again', store);
    await clock.settle();
    expect(recorder.of('jobExecuted')).toMatchObject([{ jobStore: 'extra' }, { jobStore: 'again', scheduledFor: ms(30) }]);
    expect(recorder.of('jobStoreAdded').map((event) => event.jobStore)).toEqual(['extra', 'again']);
    expect(recorder.of('jobStoreRemoved').map((event) => event.jobStore)).toEqual(['extra']);
  });

  it('one that is removed lets its runs end first', async () => {
    const { clock, scheduler, recorder } = makeWorld({ jobStores: { extra: new MemoryJobStore() } });
    await scheduler.addJob(() => clock.sleep({ seconds: 5 }), every(10), { jobStore: 'extra' });
    await scheduler.start();
    await clock.advance({ seconds: 12 });
    const removed = scheduler.removeJobStore('extra');
    await clock.advance({ seconds: 3 });
    await removed;
    expect(recorder.of('jobExecuted')).toHaveLength(1);
  });

  it('refuse an alias that is taken, and what is no store', async () => {
    const { scheduler } = makeWorld();
    expect((await failure(scheduler.addJobStore('default', new MemoryJobStore()))).message).toMatch(/`alias`.*"default"/);
    expect((await failure(scheduler.addJobStore('x', {} as never))).message).toMatch(/`store`.*claimDue/);
    expect((await failure(scheduler.removeJobStore('default', { force: true } as never))).message).toMatch(/`force`/);
    expect(isPunctualError(await failure(scheduler.removeJobStore('none')), 'UNKNOWN_STORE')).toBe(true);
  });

  it('that several schedulers share hear of a job from one that is not started', async () => {
    const store = new MemoryJobStore({ shared: true });
    const worker = makeWorld({ jobStores: { default: store }, node: 'worker', tasks: { t: noop } });
    const web = makeWorld({ jobStores: { default: store }, node: 'web', clock: worker.clock, tasks: { t: noop } });
    await worker.scheduler.start();
    await worker.clock.settle();
    await web.scheduler.addJob('t', every(7), { id: 'x' });
    await worker.clock.advance({ seconds: 7 });
    expect(worker.recorder.of('jobExecuted')).toMatchObject([{ at: ms(7), node: 'worker' }] satisfies Partial<SchedulerEvent>[]);
  });
});

it('a record about which nothing can be decided goes into quarantine and holds up no other', async () => {
  class Damaged extends MemoryJobStore {
    override claimDue(request: ClaimRequest): StoredJob[] {
      return super.claimDue(request).map((stored) => {
        if (stored.record.id !== 'bad' || stored.record.state.status !== 'active') return stored;
        // What no codec would let through: a policy that is none.
        return { ...stored, record: { ...stored.record, definition: { ...stored.record.definition, policy: { executor: 'default' } as unknown as JobPolicy, trigger: null as unknown as Trigger } } };
      });
    }
  }
  const store = new Damaged();
  const { clock, scheduler, logger } = makeWorld({ jobStores: { default: store } });
  const runs: string[] = [];
  await scheduler.addJob(() => void runs.push('bad'), every(10), { id: 'bad' });
  await scheduler.addJob(() => void runs.push('good'), every(10), { id: 'good' });
  await scheduler.start();
  await clock.advance({ seconds: 20 });
  expect(runs).toEqual(['good', 'good']);
  expect(store.get('bad')?.record.state.status).toBe('quarantined');
  expect(logger.messages('error')).toContain('a job could not be dealt with; it goes into quarantine');
});

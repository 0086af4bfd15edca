import { describe, expect, it } from 'vitest';
import { AsyncScheduler, IntervalTrigger, MemoryJobStore, currentRun, isPunctualError, type Executor, type ExecutorHealth, type StoreContext } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { failure, gate, makeWorld, SECOND, START, whileTimePasses } from './support/world.js';
import { FaultyStore } from './support/stores.js';

const every = (seconds: number): IntervalTrigger => new IntervalTrigger({ seconds });

describe('start', () => {
  it('fires jobs that were added before it', async () => {
    const { clock, scheduler, seconds } = makeWorld();
    const at: number[] = [];
    await scheduler.addJob(() => { at.push(seconds()); }, every(10));
    expect(scheduler.state).toBe('stopped');
    await scheduler.start();
    expect(scheduler.state).toBe('running');
    await clock.advance({ seconds: 35 });
    expect(at).toEqual([10, 20, 30]);
  });

  it('fires nothing before it, however much time passes', async () => {
    const { clock, scheduler } = makeWorld();
    let runs = 0;
    await scheduler.addJob(() => { runs += 1; }, every(10));
    await clock.advance({ minutes: 5 });
    expect(runs).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does nothing when the scheduler runs already', async () => {
    const { scheduler, recorder } = makeWorld();
    await Promise.all([scheduler.start(), scheduler.start()]);
    await scheduler.start();
    expect(recorder.of('schedulerStarted')).toHaveLength(1);
  });

  it('with paused: true fires nothing until resume()', async () => {
    const { clock, scheduler, seconds, recorder } = makeWorld();
    const at: number[] = [];
    await scheduler.addJob(() => { at.push(seconds()); }, every(10));
    await scheduler.start({ paused: true });
    expect(scheduler.state).toBe('paused');
    await clock.advance({ seconds: 25 });
    expect(at).toEqual([]);
    await scheduler.resume();
    expect(scheduler.state).toBe('running');
    await clock.advance({ seconds: 10 });
    expect(at).toEqual([25, 30]);
    expect(recorder.types()).toEqual(expect.arrayContaining(['schedulerStarted', 'schedulerResumed', 'jobCoalesced']));
  });

  it('refuses options it does not know and values that are none', async () => {
    const { scheduler } = makeWorld();
    const unknown = await failure(scheduler.start({ pause: true } as never));
    expect(unknown.message).toMatch(/`pause`.*paused/);
    const wrong = await failure(scheduler.start({ paused: 'yes' } as never));
    expect(wrong.message).toMatch(/`paused`: expected true or false, got "yes"/);
    expect(scheduler.state).toBe('stopped');
  });

  it('that fails leaves a stopped scheduler, which can be started again', async () => {
    const store = new FaultyStore();
    store.faults.set('open', 'fail');
    const { scheduler } = makeWorld({ jobStores: { default: store } });
    expect((await failure(scheduler.start())).message).toContain('open is broken');
    expect(scheduler.state).toBe('stopped');
    store.recover();
    await scheduler.start();
    expect(scheduler.state).toBe('running');
  });

  it('refuses a memory store that another scheduler has', async () => {
    const store = new MemoryJobStore();
    const first = makeWorld({ jobStores: { default: store } });
    const second = makeWorld({ jobStores: { default: store } });
    await first.scheduler.start();
    const error = await failure(second.scheduler.start());
    expect(isPunctualError(error, 'STORE_IN_USE')).toBe(true);
    expect(error.message).toContain('shared: true');
    await first.scheduler.shutdown();
    await second.scheduler.start();
    expect(second.scheduler.state).toBe('running');
  });
});

describe('pause and resume', () => {
  it('pause lets running tasks go on and starts nothing more', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const work = gate();
    await scheduler.addJob(() => work.promise, every(10), { id: 'slow' });
    await scheduler.addJob(() => undefined, every(10), { id: 'quick' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    await scheduler.pause();
    expect(scheduler.state).toBe('paused');
    work.open();
    await clock.advance({ seconds: 60 });
    expect(recorder.of('jobExecuted').map((event) => event.jobId).sort()).toEqual(['quick', 'slow']);
    expect(recorder.of('schedulerPaused')).toHaveLength(1);
  });

  it('nothing waits on the clock while the scheduler is paused, unless it keeps the process alive', async () => {
    for (const keepAlive of [false, true]) {
      const { clock, scheduler } = makeWorld({ keepAlive });
      await scheduler.addJob(() => undefined, every(10));
      await scheduler.start();
      expect(clock.pendingTimers).toBe(1);
      await scheduler.pause();
      expect(clock.pendingTimers).toBe(keepAlive ? 1 : 0);
      await scheduler.shutdown();
      expect(clock.pendingTimers).toBe(0);
    }
  });

  it('jobs can be added, changed and removed while it is paused', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.start({ paused: true });
    await scheduler.addJob(() => undefined, every(10), { id: 'a' });
    await scheduler.addJob(() => undefined, every(10), { id: 'b' });
    await scheduler.rescheduleJob('a', every(7));
    await scheduler.removeJob('b');
    await scheduler.resume();
    await clock.advance({ seconds: 12 });
    expect(recorder.of('jobExecuted').map((event) => [event.jobId, event.scheduledFor - Date.parse(START)])).toEqual([['a', 7_000]]);
  });

  it('are refused in a state they make no sense in, with the state named', async () => {
    const { scheduler } = makeWorld();
    for (const call of [() => scheduler.pause(), () => scheduler.resume()]) {
      const error = await failure(call());
      expect(isPunctualError(error, 'INVALID_STATE')).toBe(true);
      expect(error.message).toContain('stopped');
    }
    await scheduler.start();
    expect((await failure(scheduler.resume())).message).toContain('running');
    await scheduler.pause();
    expect((await failure(scheduler.pause())).message).toContain('paused');
  });
});

describe('shutdown', () => {
  it('waits for running tasks and records what they did', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep(5 * SECOND), every(10), { id: 'slow' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    const stopped = scheduler.shutdown();
    await clock.advance({ seconds: 4 });
    expect(scheduler.state).toBe('stopping');
    expect(recorder.of('jobExecuted')).toHaveLength(0);
    await clock.advance({ seconds: 1 });
    await stopped;
    expect(scheduler.state).toBe('stopped');
    expect(recorder.of('jobExecuted')).toHaveLength(1);
    expect(recorder.of('schedulerShutdown')).toMatchObject([{ handedBack: 0 }]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('starts nothing more once it was called', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const work = gate();
    await scheduler.addJob(() => work.promise, every(10), { id: 'slow' });
    await scheduler.addJob(() => undefined, every(10), { id: 'quick' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    recorder.clear();
    const stopped = scheduler.shutdown({ timeout: { minutes: 10 } });
    await clock.advance({ minutes: 2 });
    work.open();
    await stopped;
    expect(recorder.of('jobStarted')).toEqual([]);
  });

  it('aborts what takes longer than the timeout, and says why', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const reasons: unknown[] = [];
    await scheduler.addJob(
      async () => {
        const { signal } = currentRun();
        signal.addEventListener('abort', () => reasons.push(signal.reason));
        await clock.sleep({ hours: 1 }, signal);
      },
      every(10),
      { id: 'slow' },
    );
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    const stopped = scheduler.shutdown({ timeout: 3 * SECOND });
    await clock.advance(2_999);
    expect(reasons).toEqual([]);
    await clock.advance(1);
    await stopped;
    expect(reasons).toMatchObject([{ code: 'JOB_ABORTED', reason: 'shutdown' }]);
    expect(recorder.of('jobCancelled')).toMatchObject([{ jobId: 'slow', reason: 'shutdown' }]);
    expect(recorder.of('jobError')).toEqual([]);
  });

  it('with wait: false aborts at once, without waiting for the clock', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ hours: 1 }, currentRun().signal), every(10), { id: 'slow' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    await scheduler.shutdown({ wait: false });
    expect(recorder.of('jobCancelled')).toMatchObject([{ jobId: 'slow', reason: 'shutdown' }]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('with timeout: Infinity waits as long as it takes', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ days: 2 }), every(10), { id: 'slow' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    const stopped = scheduler.shutdown({ timeout: Number.POSITIVE_INFINITY });
    await clock.advance({ days: 2 });
    await stopped;
    expect(recorder.of('jobExecuted')).toHaveLength(1);
  });

  it('hands back what ignores the abort within a second, and under the reason for which it was called off before', async () => {
    const { clock, scheduler, recorder, seconds } = makeWorld({ jobStores: { default: new MemoryJobStore({ shared: true }) } });
    const handedBack: number[] = [];
    scheduler.on('jobAbandoned', () => { handedBack.push(seconds()); });
    await scheduler.addJob(() => clock.sleep({ hours: 1 }), every(10), { id: 'deaf' });
    await scheduler.addJob(() => clock.sleep({ hours: 1 }), every(10), { id: 'unwanted' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    const [run] = recorder.of('jobStarted').filter(({ jobId }) => jobId === 'unwanted');
    await scheduler.cancelRun(run!.runId, { reason: 'nobody wants it' });
    await whileTimePasses(clock, scheduler.shutdown({ wait: false }));
    expect(handedBack).toHaveLength(1);
    expect(handedBack[0]).toBeLessThan(11);
    expect(recorder.of('jobCancelled')).toMatchObject([{ jobId: 'unwanted', reason: 'nobody wants it' }]);
  });

  it('leaves no watch of a store behind that is about to begin', async () => {
    const clock = new VirtualClock(START);
    let open = 0;
    class WatchedStore extends MemoryJobStore {
      override watch(): () => void {
        const answer = clock.sleep(100).then(() => {
          open += 1;
          return () => { open -= 1; };
        });
        return answer as unknown as () => void;
      }
    }
    const { scheduler } = makeWorld({ clock, jobStores: { default: new WatchedStore({ shared: true }) } });
    await scheduler.start({ paused: true });
    const resumed = scheduler.resume();
    const again = scheduler.pause().then(() => scheduler.resume());
    await clock.advance(50);
    const stopped = scheduler.shutdown();
    await clock.advance(SECOND);
    await Promise.all([resumed, again, stopped]);
    expect(open).toBe(0);
  });

  it('hands back what ignores the abort, and takes it up again at the next start', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const attempts: number[] = [];
    const first = gate();
    await scheduler.addJob(
      () => {
        attempts.push(currentRun().attempt);
        return attempts.length === 1 ? first.promise : undefined;
      },
      every(3_600),
      { id: 'deaf' },
    );
    await scheduler.start();
    await clock.advance({ hours: 1 });
    await whileTimePasses(clock, scheduler.shutdown({ timeout: SECOND }));
    expect(recorder.of('schedulerShutdown')).toMatchObject([{ handedBack: 1 }]);
    expect(recorder.of('jobAbandoned')).toMatchObject([{ jobId: 'deaf', retried: true }]);
    await scheduler.start();
    await clock.settle();
    expect(attempts).toEqual([1, 2]);
    expect(recorder.of('jobExecuted')).toMatchObject([{ jobId: 'deaf', attempt: 2 }]);
    // What the first attempt answers in the end is nobody's any more.
    first.open();
    await clock.advance({ seconds: 1 });
    expect(recorder.of('jobExecuted')).toHaveLength(1);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('cancels instead what must not run twice (onCrash: drop)', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => new Promise(() => undefined), every(3_600), { id: 'deaf', onCrash: 'drop' });
    await scheduler.start();
    await clock.advance({ hours: 1 });
    await whileTimePasses(clock, scheduler.shutdown({ timeout: SECOND }));
    expect(recorder.of('jobCancelled')).toMatchObject([{ jobId: 'deaf', reason: 'shutdown' }]);
    await scheduler.start();
    await clock.settle();
    expect(recorder.of('jobStarted')).toHaveLength(1);
    expect(await scheduler.getRuns({ jobId: 'deaf' })).toMatchObject([{ verdict: 'cancelled', reason: 'shutdown' }]);
  });

  it('is cut short by one that does not wait', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ days: 1 }, currentRun().signal), new Date(clock.now()), { id: 'slow' });
    await scheduler.start();
    await clock.advance(1);
    const stopped = scheduler.shutdown({ timeout: Number.POSITIVE_INFINITY });
    await clock.advance({ hours: 1 });
    expect(recorder.of('jobCancelled')).toEqual([]);
    await Promise.all([stopped, scheduler.shutdown({ wait: false })]);
    expect(recorder.of('jobCancelled')).toMatchObject([{ jobId: 'slow', reason: 'shutdown' }]);
    expect(scheduler.state).toBe('stopped');
  });

  it('is idempotent: repeated and concurrent calls wait for one shutdown', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep(5 * SECOND), every(10));
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    const calls = Promise.all([scheduler.shutdown(), scheduler.shutdown(), scheduler.shutdown()]);
    await clock.advance({ seconds: 5 });
    await calls;
    await scheduler.shutdown();
    expect(recorder.of('schedulerShutdown')).toHaveLength(1);
  });

  it('of a scheduler that was never started closes the stores it opened', async () => {
    const store = new FaultyStore();
    const { scheduler, recorder } = makeWorld({ jobStores: { default: store } });
    await scheduler.addJob(() => undefined, every(10));
    await scheduler.shutdown();
    expect(store.count('open')).toBe(1);
    expect(store.count('close')).toBe(1);
    expect(recorder.of('schedulerShutdown')).toEqual([]);
  });

  it('while it starts waits for the start', async () => {
    const { scheduler } = makeWorld();
    const starting = scheduler.start();
    await scheduler.shutdown();
    await starting;
    expect(scheduler.state).toBe('stopped');
  });

  it('happens at the end of an await using block', async () => {
    const clock = new VirtualClock(START);
    let outside: AsyncScheduler;
    {
      await using scheduler = new AsyncScheduler({ clock });
      outside = scheduler;
      await scheduler.addJob(() => undefined, every(10));
      await scheduler.start();
    }
    expect(outside.state).toBe('stopped');
    expect(clock.pendingTimers).toBe(0);
  });

  it('closes executors and stores once, and logs one that cannot be closed', async () => {
    const closed: string[] = [];
    const executor = (name: string) => ({
      free: 1,
      execute: () => undefined,
      close: () => {
        closed.push(name);
        if (name === 'broken') throw new Error('stuck');
      },
    });
    const store = new FaultyStore();
    const { scheduler, logger } = makeWorld({
      jobStores: { default: store },
      executors: { fine: executor('fine'), broken: executor('broken') },
    });
    await scheduler.start();
    await scheduler.shutdown();
    expect(closed.sort()).toEqual(['broken', 'fine']);
    expect(store.count('close')).toBe(1);
    expect(logger.messages('error')).toEqual(['a job store or executor could not be closed']);
    expect(scheduler.state).toBe('stopped');
  });

  it('refuses options it does not know, and bad values, without shutting down', async () => {
    const { scheduler } = makeWorld();
    await scheduler.start();
    expect((await failure(scheduler.shutdown({ force: true } as never))).message).toContain('`force`');
    expect((await failure(scheduler.shutdown({ timeout: -1 }))).message).toContain('`timeout`');
    expect((await failure(scheduler.shutdown({ wait: 1 } as never))).message).toContain('`wait`');
    expect(scheduler.state).toBe('running');
  });

  it('rejects the results that somebody still waits for', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(() => new Promise(() => undefined), every(10), { id: 'deaf' });
    await scheduler.start();
    const { result } = await scheduler.runJob('deaf');
    const outcome = failure(result());
    await clock.settle();
    await whileTimePasses(clock, scheduler.shutdown({ wait: false }));
    expect(isPunctualError(await outcome, 'SCHEDULER_SHUTDOWN')).toBe(true);
  });
});

describe('a start after a shutdown', () => {
  it('goes on with the jobs in the store, and records their runs', async () => {
    const { clock, scheduler, seconds, recorder } = makeWorld();
    const at: number[] = [];
    await scheduler.addJob(() => { at.push(seconds()); }, every(10), { id: 'job' });
    await scheduler.start();
    await clock.advance({ seconds: 15 });
    await scheduler.shutdown();
    await clock.advance({ seconds: 30 });
    expect(at).toEqual([10]);
    await scheduler.start();
    await clock.advance({ seconds: 15 });
    expect(at).toEqual([10, 45, 50, 60]);
    expect(recorder.of('jobExecuted')).toHaveLength(4);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, pending: 0, counts: { succeeded: 4, coalesced: 2 } });
  });

  it('writes results that the shutdown had to give up on', async () => {
    const store = new FaultyStore();
    const { clock, scheduler } = makeWorld({ jobStores: { default: store } });
    const work = gate();
    await scheduler.addJob(() => work.promise, every(3_600), { id: 'job', overlap: 'skip' });
    await scheduler.start();
    await clock.advance({ hours: 1 });
    store.breakDown();
    work.open();
    await whileTimePasses(clock, scheduler.shutdown({ timeout: SECOND }));
    store.recover();
    await scheduler.start();
    await clock.advance({ hours: 1 });
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, pending: 0, counts: { succeeded: 2 } });
  });
});

describe('health', () => {
  it('says how it is at each stage of its life', async () => {
    const { clock, scheduler } = makeWorld({ jobStores: { other: new MemoryJobStore() } });
    const idle = { ok: true, role: 'active', activeRuns: 0, claims: { won: 0, lost: 0 }, unserved: [], limits: [], overdue: 0 };
    expect(scheduler.health()).toEqual({
      ok: false,
      state: 'stopped',
      node: 'node-a',
      jobStores: { default: idle, other: idle },
      executors: { default: { ok: true } },
    });
    const work = gate();
    await scheduler.addJob(() => work.promise, every(10), { jobStore: 'other' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    expect(scheduler.health()).toMatchObject({ ok: true, state: 'running', jobStores: { other: { activeRuns: 1 } } });
    await scheduler.pause();
    expect(scheduler.health()).toMatchObject({ ok: true, state: 'paused' });
    work.open();
    await scheduler.shutdown();
    expect(scheduler.health()).toMatchObject({ ok: false, state: 'stopped', jobStores: { other: { activeRuns: 0 } } });
  });

  it('asks its executors, also one that fails to answer', async () => {
    const error = new Error('no printer');
    let health = (): ExecutorHealth => ({ ok: false, error });
    const printer: Executor = { free: 1, execute: () => undefined, health: () => health() };
    const { scheduler } = makeWorld({ executors: { printer } });
    await scheduler.start();
    expect(scheduler.health()).toMatchObject({ ok: false, state: 'running', executors: { printer: { ok: false, error }, default: { ok: true } } });
    health = () => { throw error; };
    expect(scheduler.health().executors).toEqual({ printer: { ok: false, error }, default: { ok: true } });
    health = () => ({ ok: true });
    expect(scheduler.health()).toMatchObject({ ok: true, executors: { printer: { ok: true } } });
  });
});

describe('a job store that opens slowly', () => {
  class SlowToOpen extends MemoryJobStore {
    readonly #opening: Promise<void>;
    isOpen = false;

    constructor(opening: Promise<void>) {
      super();
      this.#opening = opening;
    }
    override open(context: StoreContext): void {
      super.open(context);
      this.isOpen = true;
      return this.#opening as unknown as undefined;
    }
    override close(): void {
      super.close();
      this.isOpen = false;
    }
  }

  it('is closed by a shutdown that comes while it opens', async () => {
    const opened = gate();
    const store = new SlowToOpen(opened.promise);
    const { scheduler } = makeWorld({ jobStores: { default: store } });
    const adding = scheduler.addJob(() => undefined, every(10));
    const stopping = scheduler.shutdown();
    opened.open();
    await adding;
    await stopping;
    expect(store.isOpen).toBe(false);
  });

  it('is not taken on by a scheduler that has begun to stop, and is closed again', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ seconds: 5 }), every(10));
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    const opened = gate();
    const store = new SlowToOpen(opened.promise);
    const adding = failure(scheduler.addJobStore('late', store));
    const stopping = scheduler.shutdown();
    opened.open();
    expect(isPunctualError(await adding, 'INVALID_STATE')).toBe(true);
    await whileTimePasses(clock, stopping);
    expect(store.isOpen).toBe(false);
  });
});

import { AsyncExecutor, AsyncScheduler, InvalidOptionError, MemoryJobStore, type EpochMs, type JobStore, type SchedulerOptions } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { end, HOUR, MemoryLogger, Recorder, SECOND, START, START_MS } from './support/world.js';

interface Node {
  readonly scheduler: AsyncScheduler;
  readonly recorder: Recorder;
  readonly logger: MemoryLogger;
}

/** Several schedulers on one store, under one virtual clock unless they bring their own. */
function nodeOn(jobStore: JobStore, clock: VirtualClock, node: string, options: SchedulerOptions = {}): Node {
  const logger = new MemoryLogger();
  const scheduler = new AsyncScheduler({ timezone: 'UTC', logger, clock, node, jobStores: { default: jobStore }, ...options });
  const recorder = new Recorder();
  scheduler.addListener(recorder.listener);
  onTestFinished(() => end(scheduler, clock));
  return { scheduler, recorder, logger };
}

const names = async ({ scheduler }: Node): Promise<string[]> => (await scheduler.getNodes()).map(({ node, state }) => `${node} ${state}`);

/** A process that dies says nothing any more, and takes no leave. */
function mortal(to: JsonJobStore): { store: JobStore; die: () => void } {
  let isDead = false;
  const store = new Proxy<JobStore>(to, {
    get: (_, name) => {
      const value: unknown = Reflect.get(to, name, to);
      if (name === 'members') return { ...members(to), ...(isDead ? dead : {}) };
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => (isDead ? new Promise(() => undefined) : (value as (...args: unknown[]) => unknown).apply(to, args));
    },
  });
  return { store, die: () => { isDead = true; } };
}

const dead = { announce: () => new Promise<void>(() => undefined), withdraw: () => new Promise<void>(() => undefined) };

function members(store: JsonJobStore): NonNullable<JobStore['members']> {
  const inner = store.members;
  return { announce: (request) => inner.announce(request), list: (now) => inner.list(now), withdraw: (node) => inner.withdraw(node) };
}

describe('getNodes()', () => {
  it('tells of each node who it is, what it can do, and what it runs', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const a = nodeOn(store, clock, 'a', { executors: { default: new AsyncExecutor(), reports: new AsyncExecutor({ concurrency: 2 }) } });
    const b = nodeOn(store, clock, 'b');
    let finish = (): void => undefined;
    a.scheduler.defineTask('report', () => new Promise<void>((resolve) => { finish = resolve; }), { executor: 'reports' });
    b.scheduler.defineTask('other', () => undefined, { version: 3 });
    await a.scheduler.start();
    await clock.advance(5 * SECOND);
    await b.scheduler.start({ paused: true });
    await a.scheduler.addJob('report', '* * * * *', { id: 'daily' });
    await clock.advance(60 * SECOND);

    const nodes = await b.scheduler.getNodes();
    expect(nodes).toMatchObject([
      {
        jobStore: 'default',
        node: 'a',
        isSelf: false,
        state: 'running',
        role: 'active',
        pid: process.pid,
        startedAt: new Date(START),
        tasks: { report: 1 },
        taskCount: 1,
        executors: { default: { capacity: Infinity, free: Infinity }, reports: { capacity: 2 } },
        clockSkew: null,
        runningCount: 1,
        running: [{ jobId: 'daily', task: 'report', executor: 'reports', attempt: 1, scheduledFor: new Date(START_MS + 60 * SECOND), runId: `daily@${START_MS + 60 * SECOND}` }],
      },
      { node: 'b', isSelf: true, state: 'paused', startedAt: new Date(START_MS + 5 * SECOND), tasks: { other: 3 }, running: [], runningCount: 0 },
    ]);
    expect(nodes[0]!.host).toBeTypeOf('string');
    expect(nodes[0]!.running[0]!.leaseUntil!.getTime()).toBeGreaterThan(clock.now());
    expect(clock.now() - nodes[0]!.lastHeartbeat!.getTime()).toBeLessThanOrEqual(33 * SECOND);
    // Of itself a node knows how it is now.
    expect((await a.scheduler.getNodes())[0]).toMatchObject({ isSelf: true, executors: { reports: { capacity: 2, free: 1 } } });
    finish();
    await clock.advance(SECOND);
    expect((await b.scheduler.getNodes())[0]).toMatchObject({ running: [], runningCount: 0 });
  });

  it('a node that leaves is gone at once; what a node does is told at once', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const [a, b] = [nodeOn(store, clock, 'a'), nodeOn(store, clock, 'b')];
    await Promise.all([a.scheduler.start(), b.scheduler.start()]);
    await clock.advance(0);
    expect(await names(b)).toEqual(['a running', 'b running']);
    await a.scheduler.pause();
    await clock.advance(0);
    expect(await names(b)).toEqual(['a paused', 'b running']);
    await a.scheduler.resume();
    a.scheduler.defineTask('late', () => undefined);
    a.scheduler.addExecutor('more', new AsyncExecutor({ concurrency: 1 }));
    await clock.advance(0);
    expect((await b.scheduler.getNodes())[0]).toMatchObject({ state: 'running', tasks: { late: 1 }, executors: { more: { capacity: 1, free: 1 } } });
    const run = await a.scheduler.addJob('late', new Date(START_MS + SECOND), { id: 'x' });
    expect(run.id).toBe('x');
    await a.scheduler.shutdown();
    expect(await names(b)).toEqual(['b running']);
    await a.scheduler.start();
    await clock.advance(0);
    expect(await names(b)).toEqual(['a running', 'b running']);
  });

  it('says that a node is stopping while its runs come to an end', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const [a, b] = [nodeOn(store, clock, 'a'), nodeOn(store, clock, 'b')];
    let finish = (): void => undefined;
    a.scheduler.defineTask('slow', () => new Promise<void>((resolve) => { finish = resolve; }));
    await Promise.all([a.scheduler.start(), b.scheduler.start()]);
    await a.scheduler.addJob('slow', new Date(START_MS + SECOND), { id: 'slow' });
    await clock.advance(2 * SECOND);
    const stopping = a.scheduler.shutdown();
    await clock.advance(SECOND);
    expect(await names(b)).toEqual(['a stopping', 'b running']);
    finish();
    await clock.advance(SECOND);
    await stopping;
    expect(await names(b)).toEqual(['b running']);
  });

  it('a node that died is there until its time is up, and then for as long as runs are its own', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const { store: mortalStore, die } = mortal(store);
    const b = nodeOn(store, clock, 'b', { heartbeatInterval: 10 * SECOND, leaseDuration: 60 * SECOND });
    const a = nodeOn(mortalStore, clock, 'a', { heartbeatInterval: 10 * SECOND, leaseDuration: 60 * SECOND });
    a.scheduler.defineTask('slow', () => new Promise(() => undefined));
    await Promise.all([a.scheduler.start(), b.scheduler.start()]);
    await a.scheduler.addJob('slow', new Date(START_MS + SECOND), { id: 'slow' });
    await clock.advance(2 * SECOND);
    die();
    await clock.advance(20 * SECOND);
    expect(await names(b)).toEqual(['a running', 'b running']);
    await clock.advance(10 * SECOND);
    expect(await names(b)).toEqual(['a unheard', 'b running']);
    expect((await b.scheduler.getNodes())[0]).toMatchObject({ host: null, pid: null, lastHeartbeat: null, startedAt: null, tasks: {}, runningCount: 1 });
  });

  it('works where there are no others, before it started, and for one store of several', async () => {
    const clock = new VirtualClock(START);
    const a = nodeOn(new MemoryJobStore(), clock, 'a', { jobStores: { default: new MemoryJobStore(), shared: new JsonJobStore() } });
    expect(await a.scheduler.getNodes()).toEqual([]);
    await a.scheduler.start();
    await a.scheduler.addJob(() => new Promise(() => undefined), new Date(START_MS + SECOND), { id: 'here' });
    await clock.advance(SECOND);
    expect((await a.scheduler.getNodes()).map(({ jobStore, node, lastHeartbeat, running }) => [jobStore, node, lastHeartbeat !== null, running.map(({ jobId, leaseUntil }) => [jobId, leaseUntil])])).toEqual([
      ['default', 'a', false, [['here', null]]],
      ['shared', 'a', true, []],
    ]);
    expect(await a.scheduler.getNodes({ jobStore: 'shared' })).toHaveLength(1);
    await expect(a.scheduler.getNodes({ jobStore: 'nowhere' })).rejects.toThrow(/nowhere/);
    await expect(a.scheduler.getNodes({ store: 'x' } as never)).rejects.toThrow(InvalidOptionError);
  });

  it('a node of a thousand long names tells of some, and how many there are; text of another release is a node all the same', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const [a, b] = [nodeOn(store, clock, 'a'), nodeOn(store, clock, 'b')];
    for (let i = 0; i < 1_000; i++) a.scheduler.defineTask(`${'ö'.repeat(50)} ${i}`, () => undefined);
    await Promise.all([a.scheduler.start(), b.scheduler.start()]);
    await clock.advance(0);
    const [member] = await store.members.list(clock.now());
    expect(Buffer.byteLength(member!.about)).toBeLessThan(64_000);
    const [told] = await b.scheduler.getNodes();
    expect(told!.taskCount).toBe(1_000);
    expect(Object.keys(told!.tasks).length).toBeGreaterThan(300);
    expect(Object.keys(told!.tasks).length).toBeLessThan(1_000);
    await store.members.announce({ node: 'c', about: '{"v":2}', now: clock.now(), ttlMs: 1_000 });
    await store.members.announce({ node: 'd', about: '<', now: clock.now(), ttlMs: 1_000 });
    expect(await names(b)).toEqual(['a running', 'b running', 'c running', 'd running']);
  });
});

describe('heartbeats', () => {
  it('refuse what is no duration, and too short', () => {
    for (const heartbeatInterval of [999, Number.NaN, 'soon']) expect(() => new AsyncScheduler({ heartbeatInterval })).toThrow(InvalidOptionError);
  });

  it('a store that cannot keep them harms nothing, and is a line in the log, once', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    let fails = true;
    const inner = store.members;
    Object.defineProperty(store, 'members', {
      value: { ...members(store), announce: async (request: Parameters<typeof inner.announce>[0]) => { if (fails) throw new Error('no'); await inner.announce(request); } },
    });
    const { scheduler, recorder, logger } = nodeOn(store, clock, 'a');
    await scheduler.start();
    scheduler.defineTask('work', () => undefined);
    await scheduler.addJob('work', '* * * * *', { id: 'job' });
    await clock.advance(5 * 60 * SECOND);
    expect(recorder.of('jobExecuted')).toHaveLength(5);
    expect(recorder.of('storeUnavailable')).toEqual([]);
    expect(logger.messages('warn').filter((line) => line.includes('tell of itself'))).toHaveLength(1);
    fails = false;
    await clock.advance(35 * SECOND);
    expect(await store.members.list(clock.now())).toHaveLength(1);
  });

  it('all together cost an idle node at most one question to its store in ten seconds', async () => {
    const clock = new VirtualClock(START);
    const calls = new Map<string, number>();
    const count = <T extends object>(target: T, prefix = ''): T =>
      new Proxy(target, {
        get: (_, name) => {
          const value: unknown = Reflect.get(target, name, target);
          if (name === 'members' || name === 'leases' || name === 'ledger') return count(value as object, `${name}.`);
          if (typeof value !== 'function') return value;
          return (...args: unknown[]) => {
            const key = prefix + String(name);
            calls.set(key, (calls.get(key) ?? 0) + 1);
            return (value as (...args: unknown[]) => unknown).apply(target, args);
          };
        },
      });
    class Store extends JsonJobStore {
      async now(): Promise<EpochMs> { return clock.now(); }
      async maintain(): Promise<boolean> { return false; }
    }
    const { scheduler } = nodeOn(count(new Store()), clock, 'a');
    scheduler.defineTask('work', () => undefined);
    await scheduler.start();
    await scheduler.addJob('work', new Date(START_MS + 100 * HOUR), { id: 'later' });
    await clock.advance(60 * SECOND);
    calls.clear();
    await clock.advance(10 * HOUR);
    expect(calls.get('members.announce')).toBeGreaterThan(1_000);
    expect([...calls.values()].reduce((sum, n) => sum + n)).toBeLessThanOrEqual(3_600);
  });
});

describe('a clock that is off', () => {
  /** A store whose clock differs from this machine's. */
  function skewed(clock: VirtualClock): { store: JsonJobStore; set: (byMs: number) => void } {
    let byMs = 0;
    const store = new (class extends JsonJobStore {
      async now(): Promise<EpochMs> { return clock.now() + byMs; }
    })();
    return { store, set: (value) => { byMs = value; } };
  }

  it('is told of once, by how much, and again when it was right in between', async () => {
    const clock = new VirtualClock(START);
    const { store, set } = skewed(clock);
    set(-5_000);
    const { scheduler, recorder, logger } = nodeOn(store, clock, 'a');
    await scheduler.start();
    await clock.advance(10 * 60 * SECOND);
    expect(recorder.of('clockSkew')).toMatchObject([{ jobStore: 'default', byMs: -5_000 }]);
    expect((await scheduler.getNodes())[0]).toMatchObject({ clockSkew: { byMs: -5_000 } });
    expect(logger.messages('warn')).toEqual(['punctual: clockSkew']);
    set(0);
    await clock.advance(10 * 60 * SECOND);
    set(2_000);
    await clock.advance(10 * 60 * SECOND);
    expect(recorder.of('clockSkew').map(({ byMs }) => byMs)).toEqual([-5_000, 2_000]);
  });

  it('is nothing below a second', async () => {
    const clock = new VirtualClock(START);
    const { store, set } = skewed(clock);
    set(900);
    const { scheduler, recorder } = nodeOn(store, clock, 'a');
    await scheduler.start();
    await clock.advance(5 * 60 * SECOND);
    expect(recorder.of('clockSkew')).toEqual([]);
  });
});

describe('work that no live node can do', () => {
  it('is told of: a task nobody has, a later version, an executor that is not there', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const maker = nodeOn(store, clock, 'maker', { executors: { gpu: new AsyncExecutor() } });
    for (const [name, version] of [['known', 2], ['gone', 1], ['fine', 1]] as const) maker.scheduler.defineTask(name, () => undefined, { version });
    const at = new Date(START_MS + SECOND);
    await maker.scheduler.addJob('known', at, { id: 'later-version' });
    await maker.scheduler.addJob('gone', at, { id: 'gone' });
    await maker.scheduler.addJob('gone', at, { id: 'gone-too', priority: 3 });
    await maker.scheduler.addJob('fine', at, { id: 'elsewhere', executor: 'gpu' });
    await maker.scheduler.addJob('fine', at, { id: 'fine' });
    await maker.scheduler.shutdown();

    const a = nodeOn(store, clock, 'a');
    a.scheduler.defineTask('known', () => undefined);
    a.scheduler.defineTask('fine', () => undefined);
    await a.scheduler.start();
    await clock.advance(10 * 60 * SECOND);
    const { unserved } = a.scheduler.health().jobStores['default']!;
    expect(unserved.map(({ task, taskVersion, executor, wakeAt }) => [task, taskVersion, executor, wakeAt - START_MS]).sort()).toEqual([
      ['fine', 1, 'gpu', SECOND],
      ['gone', 1, 'default', SECOND],
      ['known', 2, 'default', SECOND],
    ]);
    expect(a.recorder.of('jobsUnserved').map(({ demands }) => demands.length)).toEqual([3]);
    expect(a.recorder.of('jobExecuted').map(({ jobId }) => jobId)).toEqual(['fine']);

    // A node that can do some of it takes that off the list.
    const b = nodeOn(store, clock, 'b', { executors: { gpu: new AsyncExecutor() } });
    b.scheduler.defineTask('fine', () => undefined);
    b.scheduler.defineTask('known', () => undefined, { version: 2 });
    await b.scheduler.start();
    await clock.advance(2 * 60 * SECOND);
    expect(a.scheduler.health().jobStores['default']!.unserved.map(({ task }) => task)).toEqual(['gone']);
    expect(a.recorder.of('jobsUnserved')).toHaveLength(1);
    expect(b.recorder.of('jobsUnserved').map(({ demands }) => demands.map(({ task }) => task))).toEqual([['gone']]);
  });

  it('is not what a node does that starts a little later, nor what another one can do', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const [a, b] = [nodeOn(store, clock, 'a'), nodeOn(store, clock, 'b')];
    b.scheduler.defineTask('b only', () => undefined);
    await b.scheduler.addJob('b only', '* * * * *', { id: 'job' });
    await a.scheduler.start();
    await clock.advance(20 * SECOND);
    await b.scheduler.start();
    await clock.advance(20 * 60 * SECOND);
    expect(a.recorder.of('jobsUnserved')).toEqual([]);
    // Once that one has gone, it is.
    await b.scheduler.shutdown();
    await clock.advance(5 * 60 * SECOND);
    expect(a.recorder.of('jobsUnserved')).toMatchObject([{ demands: [{ task: 'b only', taskVersion: 1, executor: 'default' }] }]);
  });
});

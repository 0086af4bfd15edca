import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AsyncExecutor, AsyncScheduler, InvalidOptionError, IntervalTrigger, isPunctualError, WorkerCrashedError, type JobPolicyOptions } from 'punctual';
import { ChildProcessExecutor, WorkerThreadExecutor, type WorkerOptions } from 'punctual/workers';
import { failure, MINUTE, SECOND } from '../scheduler/support/world.js';
import { eventually, ExecutorWorld, executorSuite } from './executor-suite.js';
import { built, removeBuilt } from './support/built.js';

vi.mock('../../src/executors/workers/entry-file.js', async () => {
  const { entry } = await (await import('./support/built.js')).built();
  return { entryFile: () => entry };
});

afterAll(removeBuilt);

executorSuite('AsyncExecutor', { make: () => new AsyncExecutor({ concurrency: 2 }) });
executorSuite('WorkerThreadExecutor', { make: () => new WorkerThreadExecutor({ maxWorkers: 2 }) });
executorSuite('ChildProcessExecutor', { make: () => new ChildProcessExecutor({ maxWorkers: 2 }) });

interface Ids {
  readonly pid: number;
  readonly thread: number;
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe.each([
  ['WorkerThreadExecutor', WorkerThreadExecutor, 'thread'],
  ['ChildProcessExecutor', ChildProcessExecutor, 'child process'],
] as const)('%s', (_name, Workers, kind) => {
  let tasks: URL;
  beforeAll(async () => { ({ tasks } = await built()); });
  const open = (options: WorkerOptions = {}): ExecutorWorld => new ExecutorWorld(new Workers({ maxWorkers: 2, ...options }), tasks);
  const idsOf = async (w: ExecutorWorld): Promise<Ids> => (await (await w.run('ids')).result()) as Ids;

  it('runs tasks somewhere else, and in the same worker as long as one is enough', async () => {
    const w = open();
    const first = await idsOf(w);
    if (kind === 'thread') expect(first).toMatchObject({ pid: process.pid, thread: expect.any(Number) as number });
    else expect(first.pid).not.toBe(process.pid);
    expect(await idsOf(w)).toEqual(first);
    await w.world.scheduler.shutdown();
    if (kind === 'child process') expect(isAlive(first.pid)).toBe(false);
  });

  it('ends the workers of tasks that do not stop when their time is up', async () => {
    const w = open({ killAfter: 3 * SECOND });
    const { clock, recorder } = w.world;
    const handles = [await w.run('spin', [], { timeout: 10 * SECOND }), await w.run('deaf', [], { timeout: 10 * SECOND })];
    await w.started(2);
    await clock.advance(12 * SECOND);
    expect(recorder.of('jobTimeout')).toHaveLength(2);
    expect(w.executor.free).toBe(0);
    await clock.advance(SECOND);
    for (const handle of handles) expect(isPunctualError(await w.failureOf(handle), 'JOB_TIMEOUT')).toBe(true);
    expect(w.executor.free).toBe(2);
    expect(await (await w.run('add', [1, 1])).result()).toBe(2);
  });

  it('ends the worker of a run that is replaced and does not listen, then starts the next', async () => {
    const w = open({ killAfter: SECOND });
    const { clock, scheduler } = w.world;
    w.define('spin');
    await scheduler.addJob('spin', new IntervalTrigger({ minutes: 1 }), { id: 'spinning', overlap: 'replace' });
    await scheduler.start();
    await clock.advance(MINUTE);
    await w.started(1);
    await clock.advance(MINUTE);
    await clock.advance(SECOND);
    await w.started(2);
    const [entry] = await scheduler.getRuns({ jobId: 'spinning' });
    expect(entry).toMatchObject({ verdict: 'cancelled', reason: 'replaced', error: { name: 'WorkerCrashedError', code: 'WORKER_CRASHED' } });
    expect(entry?.error?.message).toContain('within 1000 ms of its signal');
  });

  it('leaves nothing running after a shutdown', async () => {
    const w = open({ killAfter: 5 * MINUTE });
    const { clock, scheduler } = w.world;
    const shared = new SharedArrayBuffer(4);
    const { pid } = await idsOf(w);
    // Only threads share memory.
    const busy = kind === 'thread' ? await w.run('count', [shared]) : await w.run('spin');
    const cell = new Int32Array(shared);
    if (kind === 'thread') await eventually(() => { expect(Atomics.load(cell, 0)).toBeGreaterThan(0); });
    else await w.started(1);
    const stopping = scheduler.shutdown({ wait: false });
    await clock.advance(600);
    await expect(busy.result()).rejects.toThrow('shutdown');
    await stopping;
    expect(await w.verdicts(busy.jobId)).toEqual(['cancelled(shutdown)']);
    if (kind === 'child process') expect(isAlive(pid)).toBe(false);
    const counted = Atomics.load(cell, 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(Atomics.load(cell, 0)).toBe(counted);
  });

  it('fails the run whose worker ends, and no other', async () => {
    const crashes: [string, unknown[], Partial<WorkerCrashedError>][] = [
      ['exit', [3], { reason: 'exit', exitCode: 3, signal: null }],
      ['exit', [0], { reason: 'exit', exitCode: 0, signal: null }],
      ['stray', [], { reason: 'uncaughtException', cause: expect.objectContaining({ message: 'nobody catches this', detail: { a: 1 } }) as Error }],
      ['fillMemory', [], { reason: 'outOfMemory' }],
    ];
    if (kind === 'child process') crashes.push(['killItself', [], { reason: 'signal', exitCode: null, signal: 'SIGKILL' }]);
    const w = open({ memoryLimitMb: 32 });
    const bystander = await w.run('gracious', [], { timeout: 10 * SECOND });
    await w.started(1);
    for (const [task, args, expected] of crashes) {
      const crashed = await w.run(task, args);
      const error = await w.failureOf(crashed);
      expect(error).toBeInstanceOf(WorkerCrashedError);
      expect(error).toMatchObject({ code: 'WORKER_CRASHED', ...expected });
      expect(await w.verdicts(crashed.jobId)).toEqual(['failed']);
      expect(w.executor.free).toBe(1);
    }
    expect(await (await w.run('add', [1, 1])).result()).toBe(2);
    await w.world.clock.advance(10 * SECOND);
    expect(isPunctualError(await w.failureOf(bystander), 'JOB_TIMEOUT')).toBe(true);
  });

  it.runIf(kind === 'child process')('gives a run to another process when the one that waited for it was killed from outside', async () => {
    const w = open();
    const { pid } = await idsOf(w);
    process.kill(pid, 'SIGKILL');
    const next = await idsOf(w);
    expect(next.pid).not.toBe(pid);
    expect(w.world.recorder.of('jobError')).toEqual([]);
  });

  it('gives no run to a second worker that the first had begun', async () => {
    const w = open();
    await idsOf(w);
    expect(await w.failureOf(await w.run('exit', [3]))).toMatchObject({ reason: 'exit', exitCode: 3 });
    expect(w.logged(`a ${kind} ended before it began its run, which another has now`)).toEqual([]);
  });

  it('says why a run ended that had been called off when its executor was taken out', async () => {
    const w = open({ killAfter: 5 * MINUTE });
    const { clock, scheduler } = w.world;
    scheduler.addExecutor('other', new Workers({ killAfter: 5 * MINUTE }));
    const handle = await w.run('deaf', [], { executor: 'other' });
    await w.started(1);
    await scheduler.cancelRun(handle.runId, { reason: 'no longer wanted' });
    await clock.settle();
    await scheduler.removeExecutor('other');
    await w.eventuallyVerdicts(handle.jobId, ['cancelled(no longer wanted)']);
    const [run] = await scheduler.getRuns({ jobId: handle.jobId });
    expect(run?.error?.message).toMatch(/told to stop and still went on when its executor was closed/);
  });

  it('tries a run again whose worker ended', async () => {
    const w = open();
    const handle = await w.run('exit', [1], { retry: { maxAttempts: 2, delay: SECOND } });
    await eventually(() => { expect(w.world.recorder.of('jobRetry')).toHaveLength(1); });
    await w.world.clock.advance(2 * SECOND);
    expect(await w.failureOf(handle)).toMatchObject({ reason: 'exit', exitCode: 1 });
    expect((await w.world.scheduler.getRuns({ jobId: handle.jobId }))[0]).toMatchObject({ verdict: 'failed', attempt: 2 });
  });

  it('says what cannot be copied', async () => {
    const w = open();
    const outOf = async (task: string, args: unknown[], metadata: Record<string, unknown> = {}): Promise<unknown> =>
      (await w.failureOf(await w.run(task, args, { metadata })));
    const notCloneable = (what: string): unknown => expect.objectContaining({ name: 'NotCloneableError', code: 'NOT_CLONEABLE', what });
    expect(await outOf('echo', [1, { fn: () => undefined }])).toEqual(notCloneable('args[1]'));
    expect(await outOf('echo', [1], { fn: () => undefined })).toEqual(notCloneable('metadata'));
    expect(await outOf('unsendable', [])).toEqual(notCloneable('result'));
    expect(w.executor.free).toBe(2);
    expect(await (await w.run('add', [1, 1])).result()).toBe(2);
  });

  it('takes as many runs as there are workers, and leaves the others to whoever has room', async () => {
    const w = open();
    const handles = [await w.run('gracious', [], { timeout: SECOND }), await w.run('gracious', [], { timeout: SECOND }), await w.run('add', [1, 1])];
    await w.started(2);
    expect(w.executor.free).toBe(0);
    expect(w.world.recorder.of('jobStarted')).toHaveLength(2);
    await w.world.clock.advance(SECOND);
    expect(await handles[2]?.result()).toBe(2);
  });

  it('ends workers that have nothing to do, and keeps those it is told to keep', async () => {
    const w = open({ minWorkers: 1, idleTimeout: MINUTE });
    const { clock } = w.world;
    const both = [await w.run('gracious', [], { timeout: SECOND }), await w.run('gracious', [], { timeout: SECOND })];
    await w.started(2);
    await clock.advance(SECOND);
    for (const handle of both) await w.failureOf(handle);
    const last = await idsOf(w);
    await clock.advance(MINUTE);
    expect(await idsOf(w)).toEqual(last);
    await clock.advance(5 * MINUTE);
    expect(await idsOf(w)).toEqual(last);

    const other = open({ idleTimeout: MINUTE });
    const before = await idsOf(other);
    await other.world.clock.advance(59 * SECOND);
    expect(await idsOf(other)).toEqual(before);
    await other.world.clock.advance(61 * SECOND);
    expect(await idsOf(other)).not.toEqual(before);
    if (kind === 'child process') await eventually(() => { expect(isAlive(before.pid)).toBe(false); });
  });

  it('gives each run a worker of its own, if it is told to', async () => {
    const w = open({ runsPerWorker: 1 });
    const seen = [await idsOf(w), await idsOf(w), await idsOf(w)].map(({ pid, thread }) => `${pid} ${thread}`);
    expect(new Set(seen).size).toBe(3);
  });

  it('gives workers their own environment and flags', async () => {
    const w = open({ env: { ...process.env, WHERE: 'inside' }, execArgv: ['--no-warnings'] });
    expect(await (await w.run('environment', ['WHERE'])).result()).toEqual({ value: 'inside', flags: ['--no-warnings'] });
  });

  it('fails the run when a worker cannot be started', async () => {
    const w = open({ execArgv: ['--no-such-flag'] });
    const error = await w.failureOf(await w.run('add', [1, 1]));
    expect(error).toBeInstanceOf(Error);
    expect(w.executor.free).toBe(2);
  });

  it('lets runs end before it is taken out of its scheduler', async () => {
    const w = open();
    const { scheduler } = w.world;
    scheduler.addExecutor('other', new Workers());
    const handle = await w.run('nap', [50], { executor: 'other' });
    await w.started(1);
    await scheduler.removeExecutor('other');
    expect(await handle.result()).toEqual(expect.any(Number));
  });

  it('refuses a task that is a function of this process', async () => {
    const w = open();
    const { scheduler } = w.world;
    scheduler.addExecutor('inline', new AsyncExecutor());
    const local = (): void => undefined;
    const refused = async (work: () => unknown): Promise<void> => {
      const error = await failure(async () => work());
      expect(error).toMatchObject({ name: 'UnsuitableTaskError', code: 'UNSUITABLE_TASK', task: 'local', executor: 'default' });
      expect(error.message).toContain(`defineTask("local", { module: new URL('./my-task.js', import.meta.url), export: 'run' })`);
    };
    await refused(() => scheduler.addJob(local, '@yearly'));
    await refused(() => scheduler.defineTask('local', local, { executor: 'default' }));
    scheduler.defineTask('local', local);
    await refused(() => scheduler.addJob('local', '@yearly'));
    const job = await scheduler.addJob('local', '@yearly', { executor: 'inline' });
    await refused(() => job.modify({ executor: 'default' }));
    expect(await scheduler.getJobs()).toHaveLength(1);
  });

  it.each([
    [{ maxWorkers: 0 }, 'maxWorkers'],
    [{ maxWorkers: 1, minWorkers: 2 }, 'minWorkers'],
    [{ runsPerWorker: 0.5 }, 'runsPerWorker'],
    [{ memoryLimitMb: -1 }, 'memoryLimitMb'],
    [{ killAfter: 'soon' }, 'killAfter'],
    [{ idleTimeout: -1 }, 'idleTimeout'],
    [{ execArgv: '--import tsx' }, 'execArgv'],
    [{ env: 'A=1' }, 'env'],
    [{ threads: 4 }, 'threads'],
  ])('refuses the options %o', async (options, option) => {
    const error = await failure(() => new Workers(options as WorkerOptions));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ option });
  });
});

describe('a task that is given as a module', () => {
  const define = (module: unknown, options?: JobPolicyOptions): unknown => new AsyncScheduler().defineTask('task', module as never, options);

  it('is a file, and said to be one in full', () => {
    expect(define({ module: new URL('./tasks.js', import.meta.url), export: 'run' })).toEqual({ name: 'task' });
    expect(define({ module: '/srv/tasks.js' })).toEqual({ name: 'task' });
    expect(define({ module: 'file:///srv/tasks.js' })).toEqual({ name: 'task' });
  });

  it.each([
    [{ module: './tasks.js' }, 'task.module'],
    [{ module: 'https://example.com/tasks.js' }, 'task.module'],
    [{ module: new URL('data:text/javascript,0') }, 'task.module'],
    [{ module: 7 }, 'task.module'],
    [{ module: '/srv/tasks.js', export: '' }, 'task.export'],
    [{ module: '/srv/tasks.js', name: 'run' }, 'task.name'],
    [{ file: '/srv/tasks.js' }, 'fn'],
  ])('is refused as %o', async (given, option) => {
    const error = await failure(() => define(given));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ option });
  });

  it('may be defined again as it is, and not as another', async () => {
    const scheduler = new AsyncScheduler();
    const module = { module: '/srv/tasks.js', export: 'run' };
    scheduler.defineTask('task', module);
    scheduler.defineTask('task', { ...module });
    expect(await failure(() => scheduler.defineTask('task', { ...module, export: 'other' }))).toMatchObject({ option: 'name' });
    expect(await failure(() => scheduler.defineTask('task', () => undefined))).toMatchObject({ option: 'name' });
  });
});

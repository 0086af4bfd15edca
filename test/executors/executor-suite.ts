import { beforeAll, describe, expect, it, vi } from 'vitest';
import { IntervalTrigger, isPunctualError, type Executor, type JobPolicyOptions, type LedgerEntry, type RunHandle } from 'punctual';
import { makeWorld, SECOND, START_MS, type World } from '../scheduler/support/world.js';
import { built } from './support/built.js';

/** What the suite has to know of an executor. */
export interface ExecutorSubject {
  /** A new one that takes two runs at one time. */
  make(): Executor & { ready?(): Promise<void> };
  /** It finds tasks by their names, wherever they are: there is nothing to load. */
  readonly isNamed?: boolean;
}

const PATIENT = { timeout: 45_000, interval: 5 };

/** Waits, in real time, for what happens outside of this thread. */
export const eventually = (check: () => void | Promise<void>): Promise<void> => vi.waitFor(check, PATIENT);

/** A scheduler with one executor, and the tasks that are the same for all of them. */
export class ExecutorWorld {
  readonly world: World;
  readonly executor: Executor & { ready?(): Promise<void> };
  readonly #tasks: URL;

  constructor(executor: Executor & { ready?(): Promise<void> }, tasks: URL) {
    this.executor = executor;
    this.#tasks = tasks;
    this.world = makeWorld({ executors: { default: executor } });
  }

  define(name: string, options?: JobPolicyOptions): string {
    this.world.scheduler.defineTask(name, { module: this.#tasks, export: name }, options);
    return name;
  }

  /** Virtual time must not pass while an executor connects to something real. */
  async start(): Promise<void> {
    await this.world.scheduler.start();
    await this.executor.ready?.();
  }

  /** Runs a task by hand, in a job of its own. */
  async run(task: string, args: unknown[] = [], options: JobPolicyOptions & { readonly metadata?: Record<string, unknown> } = {}): Promise<RunHandle> {
    this.define(task);
    const job = await this.world.scheduler.addJob(task, '@yearly', { args, ...options });
    if (this.world.scheduler.state === 'stopped') await this.start();
    return job.run();
  }

  async failureOf(handle: RunHandle): Promise<Error & Record<string, unknown>> {
    return handle.result().then(
      (value) => { throw new Error(`was expected to fail, and answered ${String(value)}`); },
      (error: unknown) => error as Error & Record<string, unknown>,
    );
  }

  logged(message: string): Readonly<Record<string, unknown>>[] {
    return this.world.logger.lines.filter((line) => line.message === message).map(({ fields }) => fields ?? {});
  }

  /** Waits until so many tasks have said that they run. */
  started(count: number): Promise<void> {
    return eventually(() => { expect(this.logged('started')).toHaveLength(count); });
  }

  async verdicts(jobId: string): Promise<string[]> {
    const runs = await this.world.scheduler.getRuns({ jobId });
    return runs.map(({ verdict, reason }: Pick<LedgerEntry, 'verdict' | 'reason'>) => (reason === null ? verdict : `${verdict}(${reason})`));
  }

  eventuallyVerdicts(jobId: string, expected: readonly string[]): Promise<void> {
    return eventually(async () => { expect(await this.verdicts(jobId)).toEqual(expected); });
  }
}

/** What holds for every executor: a task behaves the same wherever it runs. */
export function executorSuite(name: string, subject: ExecutorSubject): void {
  describe(`${name}, as every executor`, () => {
    let tasks: URL;
    beforeAll(async () => { ({ tasks } = await built()); });
    const open = (): ExecutorWorld => new ExecutorWorld(subject.make(), tasks);

    it('calls a task with its arguments and hands on its value', async () => {
      const w = open();
      expect(await (await w.run('add', [1, 2])).result()).toBe(3);
      const value = { at: new Date(5), map: new Map([[1, new Set(['a'])]]), big: 12n, bytes: new Uint8Array([1, 2]), none: undefined, deep: [[[null]]] };
      expect(await (await w.run('echo', [value])).result()).toEqual(value);
      expect(await (await w.run('echo', [undefined])).result()).toBeUndefined();
      expect(await (await w.run('default')).result()).toBe('default');
      expect(w.executor.free).toBe(2);
      expect(w.world.recorder.of('jobExecuted').map(({ result }) => result)).toEqual([3, value, undefined, 'default']);
    });

    it('waits for whatever can be waited for, each time', async () => {
      const w = open();
      // The first run loads the task, the others find it loaded.
      for (const value of ['a', 'b']) expect(await (await w.run('thenable', [value])).result()).toBe(value);
    });

    it('tells a task what run it is in, and writes its lines to the logger of the scheduler', async () => {
      const w = open();
      const { scheduler } = w.world;
      w.define('whoami');
      await scheduler.addJob('whoami', new IntervalTrigger({ seconds: 60 }), { id: 'who', name: 'Who am I', tags: ['a', 'b'], metadata: { team: { of: 2 } } });
      await w.start();
      await w.world.clock.advance(60 * SECOND);
      await w.eventuallyVerdicts('who', ['succeeded']);
      const [event] = w.world.recorder.of('jobExecuted');
      expect(event?.result).toEqual({
        jobId: 'who',
        jobName: 'Who am I',
        runId: event?.runId,
        task: 'whoami',
        scheduledFor: new Date(START_MS + 60 * SECOND),
        startedAt: new Date(START_MS + 60 * SECOND),
        attempt: 1,
        isCatchUp: false,
        isManual: false,
        nextRunTime: new Date(START_MS + 120 * SECOND),
        tags: ['a', 'b'],
        metadata: { team: { of: 2 } },
      });
      const [fields] = w.logged('here');
      expect(fields).toMatchObject({ jobId: 'who', runId: event?.runId, attempt: 1, step: 1 });
      expect(fields?.['error']).toBeInstanceOf(RangeError);
      expect(fields?.['error']).toMatchObject({ message: 'logged' });
    });

    it('hands on errors whole: name, message, stack, own fields, causes, and the errors of an AggregateError', async () => {
      const w = open();
      const handle = await w.run('failRichly');
      const error = await w.failureOf(handle);
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({ name: 'HttpError', message: 'no such page', status: 404, headers: new Map([['retry-after', '5']]) });
      expect(error.stack).toContain('failRichly');
      const middle = error.cause as Error;
      expect(middle).toMatchObject({ name: 'Error', message: 'middle' });
      expect(Object.keys(middle)).toEqual([]);
      const all = middle.cause as AggregateError;
      expect(all).toBeInstanceOf(AggregateError);
      expect(all.message).toBe('both');
      expect(all.errors).toEqual([expect.objectContaining({ name: 'Error', message: 'one' }), expect.objectContaining({ name: 'SyntaxError', message: 'two', at: { line: 3 } })]);
      const root = all.cause as Error;
      expect(root).toBeInstanceOf(RangeError);
      expect(root).toMatchObject({ message: 'root', code: 'E_ROOT' });
      expect(root.cause).toBe(middle); // in a circle

      const [entry] = await w.world.scheduler.getRuns({ jobId: handle.jobId });
      expect(entry?.error).toMatchObject({ name: 'HttpError', message: 'no such page', stack: expect.stringContaining('failRichly') as string });
      expect(w.world.recorder.of('jobError')).toMatchObject([{ cause: error, error: { name: 'HttpError', message: 'no such page' } }]);
    });

    it('hands on what is no error, thrown all the same', async () => {
      const w = open();
      for (const thrown of ['a string', undefined, null, 7, { status: 3 }, [1]]) {
        expect(await w.failureOf(await w.run('throwAnything', [thrown]))).toEqual(thrown);
      }
    });

    it('tries a run again after an error, and tells the task which attempt it is', async () => {
      const w = open();
      const handle = await w.run('failFor', [2], { retry: { maxAttempts: 3, delay: SECOND } });
      for (const attempt of [1, 2]) {
        await eventually(() => { expect(w.world.recorder.of('jobRetry')).toHaveLength(attempt); });
        await w.world.clock.advance(2 * SECOND);
      }
      expect(await handle.result()).toBe('attempt 3 did it');
    });

    it('fires the signal when the time of a run is up', async () => {
      const w = open();
      const handle = await w.run('untilAborted', [], { timeout: 10 * SECOND });
      await w.started(1);
      await w.world.clock.advance(10 * SECOND);
      const error = await w.failureOf(handle);
      expect(isPunctualError(error, 'JOB_TIMEOUT')).toBe(true);
      expect(w.logged('told')).toMatchObject([{ name: 'JobTimeoutError', code: 'JOB_TIMEOUT', jobId: handle.jobId }]);
      expect(w.world.recorder.of('jobTimeout')).toHaveLength(1);
      expect(w.executor.free).toBe(2);
    });

    it('stops the run that is replaced, and starts the next when it has ended', async () => {
      const w = open();
      const { scheduler, clock } = w.world;
      w.define('untilAborted');
      await scheduler.addJob('untilAborted', new IntervalTrigger({ seconds: 60 }), { id: 'replaced', overlap: 'replace' });
      await w.start();
      for (const fires of [1, 2, 3]) {
        await clock.advance(60 * SECOND);
        await w.started(fires);
      }
      await w.eventuallyVerdicts('replaced', ['cancelled(replaced)', 'cancelled(replaced)']);
      expect(w.logged('told')).toMatchObject([{ code: 'JOB_ABORTED', reason: 'replaced' }, { code: 'JOB_ABORTED', reason: 'replaced' }]);
    });

    it('runs one after the other what is queued', async () => {
      const w = open();
      const { scheduler, clock } = w.world;
      w.define('nap');
      await scheduler.addJob('nap', new IntervalTrigger({ seconds: 1 }), { id: 'queued', args: [20], overlap: 'queueAll', maxRuns: 3 });
      await w.start();
      await clock.advance(3 * SECOND);
      await eventually(async () => {
        await clock.advance(1);
        expect(w.world.recorder.of('jobExecuted').map(({ result }) => result)).toEqual([1, 2, 3].map((i) => START_MS + i * SECOND));
      });
      const order = w.world.recorder.types().filter((type) => type === 'jobStarted' || type === 'jobExecuted');
      expect(order).toEqual(['jobStarted', 'jobExecuted', 'jobStarted', 'jobExecuted', 'jobStarted', 'jobExecuted']);
    });

    it('lets runs end in a shutdown, and stops those that take too long', async () => {
      const w = open();
      const { scheduler, clock } = w.world;
      const quick = await w.run('nap', [30]);
      const long = await w.run('untilAborted');
      await w.started(2);
      const stopping = scheduler.shutdown({ timeout: 20 * SECOND });
      expect(await quick.result()).toEqual(expect.any(Number));
      await clock.advance(20 * SECOND);
      await eventually(() => { expect(w.logged('told')).toMatchObject([{ code: 'JOB_ABORTED', reason: 'shutdown' }]); });
      const error = await long.result().then(() => undefined, (thrown: unknown) => thrown);
      expect(isPunctualError(error, 'RUN_NOT_SUCCEEDED')).toBe(true);
      await stopping;
      expect(await w.verdicts(long.jobId)).toEqual(['cancelled(shutdown)']);
      // What goes elsewhere needs a connection to be free.
      expect(w.executor.free).toBe(subject.isNamed === true ? 0 : 2);
    });

    it('works again after a shutdown and a start', async () => {
      const w = open();
      expect(await (await w.run('add', [1, 2])).result()).toBe(3);
      await w.world.scheduler.shutdown();
      await w.start();
      expect(await (await w.run('add', [3, 4])).result()).toBe(7);
    });

    it.skipIf(subject.isNamed)('fails the runs of a task that cannot be loaded, and says why', async () => {
      const w = open();
      const { scheduler } = w.world;
      await scheduler.start();
      const fail = async (module: URL, exported: string): Promise<Error & Record<string, unknown>> => {
        scheduler.defineTask(`${module.href} ${exported}`, { module, export: exported });
        return w.failureOf(await (await scheduler.addJob(`${module.href} ${exported}`, '@yearly')).run());
      };
      const noExport = await fail(tasks, 'subtract');
      expect(noExport).toMatchObject({ name: 'TaskLoadError', code: 'TASK_NOT_LOADED', export: 'subtract', module: tasks.href });
      expect(noExport.message).toContain(`Could not load "subtract", the task "${tasks.href.slice(0, 20)}`);
      expect(noExport.message).toContain('it exports HttpError, add, count,');
      expect((await fail(tasks, 'notATask')).message).toContain('that export is no function but number');
      const noFile = await fail(new URL('./nowhere.mjs', tasks), 'add');
      expect(noFile).toMatchObject({ code: 'TASK_NOT_LOADED', cause: { code: 'ERR_MODULE_NOT_FOUND' } });
      expect(noFile.message).toContain('nowhere.mjs');
    });
  });
}

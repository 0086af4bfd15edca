import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { AsyncScheduler, BrokerError, currentRun, InvalidOptionError, JobTimeoutError, remoteTask, WorkerCrashedError, type JobPolicyOptions, type RunHandle } from 'punctual';
import { BullMQExecutor, createBullMQWorker, type BullMQExecutorOptions, type WorkerRunReport } from 'punctual/bullmq';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { redisBinary, RedisServer } from '../../support/redis-server.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { failure, gate, MemoryLogger, Recorder } from '../../scheduler/support/world.js';
import { connectionTo, describeBull, freshQueue, startWorker } from './support.js';

const eventually = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 60_000, interval: 10 });
const LONG = { timeout: 180_000 };

interface Node {
  readonly scheduler: AsyncScheduler;
  readonly executor: BullMQExecutor;
  readonly recorder: Recorder;
  ask(task: string, args?: unknown[], options?: JobPolicyOptions): Promise<RunHandle>;
  run(task: string, args?: unknown[], options?: JobPolicyOptions): Promise<unknown>;
}

async function start(options: BullMQExecutorOptions): Promise<Node> {
  const executor = new BullMQExecutor(options);
  const scheduler = new AsyncScheduler({ executors: { default: executor }, logger: new MemoryLogger() });
  const recorder = new Recorder();
  scheduler.addListener(recorder.listener);
  onTestFinished(() => scheduler.shutdown({ wait: false }));
  await scheduler.start();
  const ask = async (task: string, args: unknown[] = [], policy: JobPolicyOptions = {}): Promise<RunHandle> => {
    scheduler.defineTask(task, remoteTask());
    return (await scheduler.addJob(task, '@yearly', { args, ...policy })).run();
  };
  return { scheduler, executor, recorder, ask, run: async (...of) => (await ask(...of)).result() };
}

function openQueue(server: { readonly port: number }, name: string): Queue {
  const queue = new Queue(name, { connection: connectionTo(server) });
  onTestFinished(() => queue.close());
  return queue;
}

describeBull('BullMQExecutor', (server) => {
  it('adds a job for each run, and takes that for its success', LONG, async () => {
    const queue = freshQueue();
    const node = await start({ connection: connectionTo(server()), queue });
    expect(await node.run('mail', ['ä', new Date(5)])).toBeUndefined();
    const [job] = await openQueue(server(), queue).getJobs();
    const [event] = node.recorder.of('jobExecuted');
    expect(job).toMatchObject({ name: 'mail', id: `run-${event!.runId}=.1`, data: { v: 1, runId: event!.runId, task: 'mail', attempt: 1, replyTo: null } });
  });

  it('executes what nobody waits for, tries it again as its policy has it, and keeps what failed for good among the failed', LONG, async () => {
    const queue = freshQueue();
    const reports: WorkerRunReport[] = [];
    await startWorker(server(), {
      queue,
      onRunEnd: (report) => reports.push(report),
      tasks: {
        fragile: (fails: number) => { if (currentRun().attempt <= fails) throw new Error('no'); },
        hopeless: () => { throw new TypeError('never'); },
      },
    });
    const node = await start({ connection: connectionTo(server()), queue });
    await node.run('fragile', [2], { retry: { maxAttempts: 3, delay: 50 } });
    await eventually(() => { expect(reports.map(({ outcome, attempt }) => `${outcome} ${attempt}`)).toEqual(['retried 1', 'retried 2', 'succeeded 3']); });
    await node.run('hopeless', [], { retry: { maxAttempts: 2, delay: 0 } });
    const jobs = openQueue(server(), queue);
    await eventually(async () => {
      expect((await jobs.getFailed()).map(({ name, failedReason }) => `${name} ${failedReason}`)).toEqual(['hopeless failed: TypeError: never']);
    });
    // What is none of ours.
    await jobs.add('theirs', { some: 'data' });
    await eventually(async () => { expect((await jobs.getFailed()).map(({ name }) => name)).toContain('theirs'); });
  });

  it('answers with value and error of the worker, and stops a run there that is cancelled', LONG, async () => {
    const queue = freshQueue();
    const told = gate<unknown>();
    await startWorker(server(), {
      queue,
      tasks: {
        double: (n: bigint) => new Map([['n', n * 2n]]),
        fail: () => { throw Object.assign(new RangeError('out'), { status: 7 }); },
        wait: async () => {
          const { signal } = currentRun();
          await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => {
            told.open(signal.reason);
            reject(signal.reason as Error);
          }); });
        },
      },
    });
    const node = await start({ connection: connectionTo(server()), queue, awaitResult: true });
    expect(await node.run('double', [21n])).toEqual(new Map([['n', 42n]]));
    expect(await failure(node.run('fail'))).toMatchObject({ name: 'RangeError', message: 'out', status: 7 });
    expect(await failure(node.run('wait', [], { timeout: 5_000 }))).toBeInstanceOf(JobTimeoutError);
    expect(await told.promise).toMatchObject({ code: 'JOB_TIMEOUT', timeoutMs: 5_000 });
    expect(await failure(node.run('unknown'))).toMatchObject({ code: 'UNKNOWN_TASK' });
  });

  it('takes no runs while its connection is cut, and adds a job once whose answer was lost', LONG, async () => {
    const proxy = await TcpProxy.start(server().port);
    onTestFinished(() => { proxy.close(); });
    const queue = freshQueue();
    const jobs = openQueue(server(), queue);
    const node = await start({ connection: connectionTo(proxy), queue, publishTimeout: { minutes: 2 } });
    await node.executor.ready();
    proxy.freeze('down');
    const lost = await node.ask('work');
    await eventually(async () => { expect(await jobs.count()).toBe(1); });
    proxy.refuse();
    proxy.cut();
    await eventually(() => { expect(node.executor.free).toBe(0); });
    const waiting = await node.ask('work', [2]);
    await proxy.heal();
    await lost.result();
    await waiting.result();
    expect(await jobs.count()).toBe(2);
    expect(node.recorder.of('jobError')).toEqual([]);
  });

  it('hands back what a closing worker has not finished', LONG, async () => {
    const queue = freshQueue();
    const started = gate();
    const first = await startWorker(server(), { queue, concurrency: 1, tasks: { work: async () => {
      started.open();
      await new Promise((_resolve, reject) => { currentRun().signal.addEventListener('abort', () => { reject(new Error('told to stop')); }); });
    } } });
    const node = await start({ connection: connectionTo(server()), queue, awaitResult: true });
    const result = node.run('work');
    await started.promise;
    await first.worker.close({ timeout: 0 });
    await startWorker(server(), { queue, maxRedeliveries: 0, tasks: { work: () => 'done by another' } });
    expect(await result).toBe('done by another');
  });

  it('uses a client of the user’s, and leaves it open', LONG, async () => {
    const queue = freshQueue();
    const connection = new Redis(server().port, '127.0.0.1', { maxRetriesPerRequest: null });
    onTestFinished(() => { connection.disconnect(); });
    const { worker } = await startWorker(server(), { queue, connection, tasks: { add: (a: number, b: number) => a + b } });
    const node = await start({ connection, queue, awaitResult: true });
    expect(await node.run('add', [1, 2])).toBe(3);
    await node.scheduler.shutdown();
    await worker.close();
    expect(await connection.ping()).toBe('PONG');
  });

  it('takes a server that does not answer for gone, and fails the run when its time is up', LONG, async () => {
    const proxy = await TcpProxy.start(server().port);
    onTestFinished(() => { proxy.close(); });
    const node = await start({ connection: connectionTo(proxy), queue: freshQueue(), timeout: 1_000, publishTimeout: 4_000 });
    await eventually(() => { expect(node.executor.free).toBe(256); });
    proxy.freeze();
    const error = await failure((await node.ask('work')).result());
    expect(error).toBeInstanceOf(BrokerError);
    expect(error).toMatchObject({ reason: 'unconfirmed' });
    expect(node.executor.free).toBe(0);
    await proxy.heal();
    // A machine that is busy may take longer than that once more.
    await eventually(async () => node.run('work'));
  });

  it('gives up what comes back too often, and what has run already it does not run again', LONG, async () => {
    const queue = freshQueue();
    const jobs = openQueue(server(), queue);
    const node = await start({ connection: connectionTo(server()), queue, awaitResult: true });
    await node.executor.ready();
    const handle = await node.ask('work', [], { onCrash: 'drop' });
    await eventually(async () => { expect(await jobs.count()).toBe(1); });
    // Somebody takes it and is never heard of again.
    const dead = new Worker(queue, null, { connection: connectionTo(server()), lockDuration: 1, stalledInterval: 100, skipLockRenewal: true });
    onTestFinished(() => dead.close());
    expect(await dead.getNextJob('dead')).toMatchObject({ name: 'work' });
    let runs = 0;
    await startWorker(server(), { queue, lockDuration: 1_000, tasks: { work: () => { runs += 1; } } });
    const error = await failure(handle.result());
    expect(error).toBeInstanceOf(WorkerCrashedError);
    expect(error).toMatchObject({ reason: 'lost' });
    expect(runs).toBe(0);
  });

  it('closes a worker in time while there is no connection, and its run goes to another', LONG, async () => {
    const proxy = await TcpProxy.start(server().port);
    onTestFinished(() => { proxy.close(); });
    const queue = freshQueue();
    const started = gate();
    const { worker } = await startWorker(proxy, { queue, lockDuration: 1_000, killAfter: 100, tasks: { work: async () => {
      started.open();
      await new Promise((_resolve, reject) => { currentRun().signal.addEventListener('abort', () => { reject(new Error('told to stop')); }); });
    } } });
    const node = await start({ connection: connectionTo(server()), queue, awaitResult: true });
    const result = node.run('work');
    await started.promise;
    proxy.refuse();
    proxy.cut();
    await eventually(() => { expect(worker.isReady).toBe(false); });
    await worker.close({ timeout: 0 });
    expect(proxy.connections).toBe(0);
    await startWorker(server(), { queue, lockDuration: 1_000, maxRedeliveries: 100, tasks: { work: () => 'done by another' } });
    expect(await result).toBe('done by another');
  });

  it('goes on after a restart of the server, with the answers of runs that went on meanwhile', LONG, async () => {
    const queue = freshQueue();
    const go = gate();
    let runs = 0;
    const { worker } = await startWorker(server(), { queue, lockDuration: { minutes: 2 }, tasks: { work: async () => {
      runs += 1;
      await go.promise;
      return 'done';
    } } });
    const node = await start({ connection: connectionTo(server()), queue, awaitResult: true });
    const handle = await node.ask('work');
    await eventually(() => { expect(runs).toBe(1); });
    await server().halt('SIGKILL');
    await eventually(() => { expect([node.executor.free, worker.isReady]).toEqual([0, false]); });
    expect(node.scheduler.health()).toMatchObject({ ok: false, executors: { default: { ok: false, error: { reason: 'unreachable' } } } });
    go.open();
    const next = await node.ask('work');
    await server().resume();
    expect(await handle.result()).toBe('done');
    expect(await next.result()).toBe('done');
    expect(node.scheduler.health()).toMatchObject({ ok: true, executors: { default: { ok: true } } });
    expect(runs).toBe(2);
  });
});

describe('BullMQExecutor without a server that lets it in', () => {
  it('says why, and takes no runs', LONG, async () => {
    const away = await start({ connection: { host: '127.0.0.1', port: 1 }, queue: 'q' });
    expect(await failure(away.executor.ready())).toMatchObject({ name: 'BrokerError', reason: 'unreachable' });
    expect(away.executor.free).toBe(0);
  });

  it.skipIf(process.env['CI'] === undefined && redisBinary() === undefined)('says that the login is refused, and gets in once it is right', LONG, async () => {
    const locked = await RedisServer.start({ requirepass: 'right' });
    onTestFinished(() => locked.stop());
    const queue = freshQueue();
    for (const login of [{ password: 'wrong' }, { username: 'nobody', password: 'right' }, {}]) {
      const refused = await start({ connection: { ...connectionTo(locked), ...login }, queue });
      expect(await failure(refused.executor.ready())).toMatchObject({ reason: 'bad-login' });
      expect(refused.scheduler.health()).toMatchObject({ ok: false, executors: { default: { ok: false, error: { reason: 'bad-login' } } } });
      expect(refused.executor.free).toBe(0);
    }
    const { worker } = await startWorker(locked, { queue, connection: { ...connectionTo(locked), password: 'right' }, tasks: { work: () => 'in' } });
    const node = await start({ connection: { ...connectionTo(locked), password: 'right' }, queue, awaitResult: true });
    expect(await node.run('work')).toBe('in');
    expect(worker.isReady).toBe(true);
  });
});

describe('BullMQExecutor and createBullMQWorker refuse', () => {
  it('a lock that is too short', async () => {
    expect(await failure(() => createBullMQWorker({ tasks: { a: () => 1 }, lockDuration: 10 }))).toMatchObject({ option: 'lockDuration' });
  });

  it.each([
    [{ connection: 'redis://host' }, 'connection'],
    [{ connection: { duplicate() {} } }, 'connection'],
    [{ connection: { keyPrefix: 'x' } }, 'connection.keyPrefix'],
    [{ queue: 'a:b' }, 'queue'],
    [{ queue: '' }, 'queue'],
    [{ prefix: '' }, 'prefix'],
    [{ timeout: -1 }, 'timeout'],
    [{ stream: 'x' }, 'stream'],
    [{ url: 'x' }, 'url'],
  ])('the options %o', async (options, option) => {
    for (const make of [() => new BullMQExecutor(options as never), () => createBullMQWorker({ ...options, tasks: { a: () => 1 } } as never)]) {
      const error = await failure(make);
      expect(error).toBeInstanceOf(InvalidOptionError);
      expect(error).toMatchObject({ option });
    }
  });
});

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AsyncScheduler, currentRun, remoteTask, type JobPolicyOptions, type RunHandle } from 'punctual';
import { AmqpExecutor, type AmqpExecutorOptions, type WorkerRunReport } from 'punctual/amqp';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { RabbitServer } from '../../support/rabbitmq-server.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { gate, MemoryLogger } from '../../scheduler/support/world.js';
import { describeRabbit, freshQueue, openConnection, startWorker } from './support.js';

const eventually = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 60_000, interval: 20 });
const LONG = { timeout: 180_000 };

async function start(options: AmqpExecutorOptions): Promise<{ executor: AmqpExecutor; run(task: string, args?: unknown[], policy?: JobPolicyOptions): Promise<RunHandle> }> {
  const executor = new AmqpExecutor(options);
  const scheduler = new AsyncScheduler({ executors: { default: executor }, logger: new MemoryLogger() });
  onTestFinished(() => scheduler.shutdown({ wait: false }));
  await scheduler.start();
  return {
    executor,
    async run(task, args = [], policy = {}) {
      scheduler.defineTask(task, remoteTask());
      return (await scheduler.addJob(task, '@yearly', { args, ...policy })).run();
    },
  };
}

interface Program {
  readonly child: ChildProcess;
  readonly lines: string[];
  said(line: string): Promise<void>;
}

function startProgram(server: RabbitServer, queue: string): Program {
  const file = fileURLToPath(new URL('fixtures/worker.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', file, server.url, queue], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  let rest = '';
  child.stdout.on('data', (data: Buffer) => {
    const parts = (rest + data.toString()).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  return { child, lines, said: async (line) => { await eventually(() => { expect(lines).toContain(line); }); } };
}

async function deadLetter(server: RabbitServer, queue: string): Promise<Record<string, unknown>> {
  const channel = await (await openConnection(server)).createChannel();
  return eventually(async () => {
    const message = await channel.get(`${queue}.dead`, { noAck: true });
    if (message === false) throw new Error('not yet');
    return message.properties.headers as Record<string, unknown>;
  });
}

describeRabbit('createAmqpWorker', (server) => {
  it('leaves the run of a process that was killed to another worker, and counts that', LONG, async () => {
    const queue = freshQueue();
    const { run } = await start({ url: server().url, queue, awaitResult: true });
    const handle = await run('forever');
    const victim = startProgram(server(), queue);
    await victim.said('begins');
    victim.child.kill('SIGKILL');
    await once(victim.child, 'exit');
    const reports: WorkerRunReport[] = [];
    await startWorker(server(), { queue, tasks: { forever: () => currentRun().runId }, onRunEnd: (report) => reports.push(report) });
    expect(await handle.result()).toBe(handle.runId);
    expect(reports).toMatchObject([{ runId: handle.runId, attempt: 1, outcome: 'succeeded' }]);
    const another = await run('forever', [], { onCrash: 'drop' });
    expect(await another.result()).toBe(another.runId);
  });

  it('lets runs end when it is closed, answers for them, and keeps the process no longer', LONG, async () => {
    const queue = freshQueue();
    const { run } = await start({ url: server().url, queue, awaitResult: true });
    const program = startProgram(server(), queue);
    await program.said('ready');
    const handle = await run('patient');
    await program.said('begins');
    program.child.kill('SIGTERM');
    await program.said('closing');
    const ended = once(program.child, 'close');
    program.child.kill('SIGUSR2');
    expect(await handle.result()).toBe(false);
    await ended;
    expect(program.lines).toEqual(['ready', 'begins', 'closing', 'ends', 'closed']);
    expect(program.child.exitCode).toBe(0);
  });

  it('keeps to the timeout of what nobody waits for, also where the task does not', LONG, async () => {
    const queue = freshQueue();
    const { logger } = await startWorker(server(), {
      queue,
      killAfter: 50,
      tasks: {
        listens: () => new Promise((_resolve, reject) => { currentRun().signal.addEventListener('abort', () => { reject(new Error('of the signal')); }); }),
        deaf: () => new Promise(() => undefined),
      },
    });
    const { run } = await start({ url: server().url, queue });
    for (const task of ['listens', 'deaf']) {
      // It holds for the handing over as well, which a slow machine needs time for.
      await (await run(task, [], { timeout: 2_000 })).result();
      expect(await deadLetter(server(), queue)).toMatchObject({ 'punctual-task': task, 'punctual-dead-reason': 'failed', 'punctual-dead-error': expect.stringContaining('JobTimeoutError') as string });
    }
    expect(logger.messages('error').filter((line) => line.startsWith('a task does not stop'))).toHaveLength(1);
  });

  it('takes as many runs at one time as it may, also when its connection broke under some', LONG, async () => {
    const queue = freshQueue();
    const proxy = await TcpProxy.start(server().port);
    onTestFinished(() => { proxy.close(); });
    const go = gate();
    let now = 0;
    let most = 0;
    let runs = 0;
    const { worker } = await startWorker(server(), {
      url: `amqp://127.0.0.1:${proxy.port}`,
      queue,
      concurrency: 2,
      tasks: {
        count: async (n: number) => {
          runs += 1;
          now += 1;
          most = Math.max(most, now);
          await go.promise;
          now -= 1;
          return n;
        },
      },
    });
    const { run } = await start({ url: server().url, queue, awaitResult: true });
    const handles = [];
    for (let n = 0; n < 6; n++) handles.push(await run('count', [n]));
    await eventually(() => { expect(worker.running).toBe(2); });
    proxy.refuse();
    proxy.cut();
    await eventually(() => { expect(worker.isReady).toBe(false); });
    await proxy.heal();
    await worker.start();
    go.open();
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([0, 1, 2, 3, 4, 5]);
    expect(most).toBe(2);
    expect(runs).toBe(6);
  });

  it('goes by the count of a quorum queue', LONG, async () => {
    const queue = freshQueue();
    const queueArguments = { 'x-queue-type': 'quorum' };
    const { executor, run } = await start({ url: server().url, queue, queueArguments, awaitResult: true });
    await executor.ready();
    const handle = await run('work', [], { maxCrashes: 1 });
    for (let i = 0; i < 2; i++) {
      const connection = await server().connect();
      const channel = await connection.createChannel();
      await eventually(async () => { expect(await channel.get(queue)).not.toBe(false); });
      await connection.close();
    }
    await startWorker(server(), { queue, queueArguments, tasks: { work: () => 1 } });
    await expect(handle.result()).rejects.toMatchObject({ code: 'WORKER_CRASHED', reason: 'lost' });
    const fine = await run('work');
    expect(await fine.result()).toBe(1);
  });

  it('does what the example shows', LONG, async () => {
    const root = fileURLToPath(new URL('../../..', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', 'examples/rabbitmq-workers.ts'], { cwd: root, env: { ...process.env, AMQP_URL: server().url }, stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    child.stdout.on('data', (data: Buffer) => { output += data.toString(); });
    await once(child, 'close');
    expect(output).toMatch(/count: 3n[^]*done\n$/);
    expect(child.exitCode).toBe(0);
  });

  it('stops what it runs for an executor that is gone', LONG, async () => {
    const queue = freshQueue();
    const aborted = gate<unknown>();
    const { executor, run } = await start({ url: server().url, queue, awaitResult: true, cancelTimeout: 0 });
    const handle = await run('work');
    handle.result().catch(() => undefined);
    const channel = await (await openConnection(server())).createChannel();
    await eventually(async () => { expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 1 }); });
    // As after its death, once the queue for its answers has expired.
    const { replyTo } = await eventually(async () => {
      const message = await channel.get(queue);
      if (message === false) throw new Error('not yet');
      channel.nack(message);
      return message.properties;
    });
    expect(executor.free).toBe(255);
    await channel.deleteQueue(String(replyTo));
    await startWorker(server(), { queue, tasks: { work: async () => {
      const { signal } = currentRun();
      await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve(); }); });
      aborted.open(signal.reason);
    } } });
    expect(await aborted.promise).toMatchObject({ code: 'JOB_ABORTED', reason: 'unawaited' });
  });
});

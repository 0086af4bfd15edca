import { AsyncScheduler, BrokerError, currentRun, remoteTask } from 'punctual';
import { AmqpExecutor, type AmqpExecutorOptions } from 'punctual/amqp';
import { SQLiteJobStore } from 'punctual/sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { failure, gate, MemoryLogger, Recorder } from '../../scheduler/support/world.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import type { RabbitServer } from '../../support/rabbitmq-server.js';
import { describeRabbit, freshQueue, openConnection, startWorker } from './support.js';

const PATIENT = { timeout: 60_000, interval: 20 };
const eventually = (check: () => unknown): Promise<unknown> => vi.waitFor(check, PATIENT);
const LONG = { timeout: 240_000 };

interface Node {
  readonly scheduler: AsyncScheduler;
  readonly executor: AmqpExecutor;
  readonly recorder: Recorder;
  readonly logger: MemoryLogger;
}

async function start(options: AmqpExecutorOptions, jobStore?: SQLiteJobStore): Promise<Node> {
  const logger = new MemoryLogger();
  const executor = new AmqpExecutor(options);
  const scheduler = new AsyncScheduler({ executors: { default: executor }, logger, ...(jobStore === undefined ? {} : { jobStores: { default: jobStore } }) });
  const recorder = new Recorder();
  scheduler.addListener(recorder.listener);
  onTestFinished(() => scheduler.shutdown({ wait: false }));
  scheduler.defineTask('work', remoteTask());
  await scheduler.start();
  return { scheduler, executor, recorder, logger };
}

async function ask(node: Node, ...args: unknown[]): Promise<{ result(): Promise<unknown> }> {
  return (await node.scheduler.addJob('work', '@yearly', { args, id: `j${Math.random()}` })).run();
}

async function proxyTo(server: RabbitServer): Promise<TcpProxy> {
  const proxy = await TcpProxy.start(server.port);
  onTestFinished(() => { proxy.close(); });
  return proxy;
}

/** The ids of what is in a queue. */
async function idsIn(server: RabbitServer, queue: string): Promise<string[]> {
  const channel = await (await openConnection(server)).createChannel();
  const ids: string[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return ids;
    ids.push(String(message.properties.messageId));
  }
}

describeRabbit('AmqpExecutor in trouble', (server) => {
  it('takes no runs while its connection is cut, and takes them again when it is back', LONG, async () => {
    const proxy = await proxyTo(server());
    const queue = freshQueue();
    await startWorker(server(), { queue, tasks: { work: (n: number) => n + 1 } });
    const node = await start({ url: `amqp://127.0.0.1:${proxy.port}`, queue, awaitResult: true });
    expect(await (await ask(node, 1)).result()).toBe(2);
    proxy.refuse();
    proxy.cut();
    await eventually(() => { expect(node.executor.free).toBe(0); });
    expect(node.scheduler.health()).toMatchObject({ ok: false, executors: { default: { ok: false, error: { reason: 'unreachable' } } } });
    const waiting = await ask(node, 2);
    expect(node.recorder.of('jobStarted')).toHaveLength(1);
    await proxy.heal();
    expect(await waiting.result()).toBe(3);
    expect(node.scheduler.health()).toMatchObject({ ok: true, executors: { default: { ok: true } } });
    expect(node.recorder.of('jobError')).toEqual([]);
    expect(node.logger.messages('info')).toContain('RabbitMQ takes runs again');
  });

  it('sends a message whose confirm was lost again under the same id', LONG, async () => {
    const proxy = await proxyTo(server());
    const queue = freshQueue();
    const node = await start({ url: `amqp://127.0.0.1:${proxy.port}`, queue });
    await node.executor.ready();
    proxy.freeze('down');
    const handle = await ask(node);
    const channel = await (await openConnection(server())).createChannel();
    await eventually(async () => { expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 1 }); });
    proxy.cut();
    await proxy.heal();
    await handle.result();
    const ids = await idsIn(server(), queue);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  it('does not run a message twice that was sent twice', LONG, async () => {
    const proxy = await proxyTo(server());
    const queue = freshQueue();
    let runs = 0;
    const node = await start({ url: `amqp://127.0.0.1:${proxy.port}`, queue });
    await node.executor.ready();
    proxy.freeze('down');
    const handle = await ask(node);
    const channel = await (await openConnection(server())).createChannel();
    await eventually(async () => { expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 1 }); });
    proxy.cut();
    await proxy.heal();
    await handle.result();
    await startWorker(server(), { queue, concurrency: 1, tasks: { work: () => { runs += 1; } } });
    await eventually(async () => { expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0 }); });
    expect(runs).toBe(1);
  });

  it('takes a server that does not confirm for gone, and fails the run when its time is up', LONG, async () => {
    const proxy = await proxyTo(server());
    const node = await start({ url: `amqp://127.0.0.1:${proxy.port}`, queue: freshQueue(), timeout: 1_000, publishTimeout: 4_000 });
    await eventually(() => { expect(node.executor.free).toBe(256); });
    proxy.freeze();
    const error = await failure((await ask(node)).result());
    expect(error).toBeInstanceOf(BrokerError);
    expect(error).toMatchObject({ reason: 'unconfirmed' });
    expect(node.executor.free).toBe(0);
    await proxy.heal();
    // A machine that is busy may take longer than that once more.
    await eventually(async () => (await ask(node)).result());
  });

  it('does not fail for a server that stands still or is killed: runs wait, and a worker goes on where it was', LONG, async () => {
    const queue = freshQueue();
    const go = gate();
    let runs = 0;
    const { worker } = await startWorker(server(), { queue, tasks: { work: async () => {
      runs += 1;
      await go.promise;
      return 'done';
    } } });
    const node = await start({ url: server().url, queue, awaitResult: true });
    const handle = await ask(node);
    await eventually(() => { expect(runs).toBe(1); });
    await server().halt('SIGKILL');
    await eventually(() => { expect(node.executor.free).toBe(0); });
    await eventually(() => { expect(worker.isReady).toBe(false); });
    go.open();
    const next = await ask(node);
    await server().resume();
    // The answer to a message of the connection before: it comes again, and is answered with what became of it.
    expect(await handle.result()).toBe('done');
    expect(await next.result()).toBe('done');
    expect(runs).toBe(2);
  });

  it('leaves runs to nodes with a connection', LONG, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'punctual-brokers-'));
    onTestFinished(() => { rmSync(folder, { recursive: true, force: true }); });
    const file = join(folder, 'jobs.db');
    const proxy = await proxyTo(server());
    const queue = freshQueue();
    const url = `amqp://127.0.0.1:${proxy.port}`;
    const away = await start({ url, queue }, new SQLiteJobStore(file));
    await away.executor.ready();
    proxy.refuse();
    proxy.cut();
    await eventually(() => { expect(away.executor.free).toBe(0); });
    const connected = await start({ url: server().url, queue }, new SQLiteJobStore(file));
    await connected.executor.ready();
    await away.scheduler.addJob('work', new Date(Date.now() - 1), { id: 'due' });
    await eventually(() => { expect(connected.recorder.of('jobExecuted')).toMatchObject([{ jobId: 'due' }]); });
    expect(away.recorder.of('jobStarted')).toEqual([]);
  });

  it('takes no runs while the server has an alarm', LONG, async () => {
    const queue = freshQueue();
    const node = await start({ url: server().url, queue, publishTimeout: 5_000 });
    await node.executor.ready();
    await server().control('set_vm_memory_high_watermark', 'absolute', '1');
    onTestFinished(async () => { await server().control('set_vm_memory_high_watermark', 'absolute', '4GB'); });
    // The server says so when something is published.
    const error = await failure((await ask(node)).result());
    expect(error).toMatchObject({ reason: 'blocked' });
    expect(node.executor.free).toBe(0);
    expect(node.logger.messages('error')).toContain('RabbitMQ takes no runs: what is due waits, or other nodes take it');
    const waiting = await ask(node);
    expect(node.recorder.of('jobStarted')).toHaveLength(1);
    await server().control('set_vm_memory_high_watermark', 'absolute', '4GB');
    await waiting.result();
    expect(node.executor.free).toBe(256);
  });

  it('fails what is under way when the exchange is deleted, and works again when it is there', LONG, async () => {
    const connection = await openConnection(server());
    const channel = await connection.createChannel();
    const name = freshQueue();
    await channel.assertExchange(name, 'fanout');
    await channel.assertQueue(name);
    await channel.bindQueue(name, name, '');
    const node = await start({ url: server().url, exchange: name, queue: freshQueue() });
    await (await ask(node)).result();
    await channel.deleteExchange(name);
    expect(await failure((await ask(node)).result())).toMatchObject({ name: 'BrokerError', reason: 'missing' });
    await eventually(() => { expect(node.executor.free).toBe(0); });
    const waiting = await ask(node);
    await channel.assertExchange(name, 'fanout');
    await channel.bindQueue(name, name, '');
    await waiting.result();
  });

  it('stops a run that was told to stop while nobody could be told', LONG, async () => {
    const proxy = await proxyTo(server());
    const queue = freshQueue();
    const started = gate();
    const stopped = gate<unknown>();
    await startWorker(server(), { queue, tasks: { work: async () => {
      started.open();
      const { signal } = currentRun();
      await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve(); }); });
      stopped.open(signal.reason);
    } } });
    const node = await start({ url: `amqp://127.0.0.1:${proxy.port}`, queue, awaitResult: true, cancelTimeout: { minutes: 2 } });
    const job = await node.scheduler.addJob('work', '@yearly', { id: 'stopped' });
    const handle = await job.run();
    await started.promise;
    proxy.refuse();
    proxy.cut();
    await eventually(() => { expect(node.executor.free).toBe(0); });
    await node.scheduler.cancelRun(handle.runId);
    await proxy.heal();
    expect(await stopped.promise).toMatchObject({ code: 'JOB_ABORTED', reason: 'cancelled' });
    await handle.result().catch(() => undefined);
  });

  it('shuts down in time although the server does not answer', LONG, async () => {
    const proxy = await proxyTo(server());
    const queue = freshQueue();
    const { worker } = await startWorker(server(), { url: `amqp://127.0.0.1:${proxy.port}`, queue, tasks: { work: () => new Promise(() => undefined) }, killAfter: 100 });
    const node = await start({ url: `amqp://127.0.0.1:${proxy.port}`, queue, awaitResult: true });
    const handle = await ask(node);
    handle.result().catch(() => undefined);
    await eventually(() => { expect(worker.running).toBe(1); });
    proxy.freeze();
    await node.scheduler.shutdown({ wait: false });
    await worker.close({ timeout: 0 });
    expect(node.scheduler.state).toBe('stopped');
  });
});

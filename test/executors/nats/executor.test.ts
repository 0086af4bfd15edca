import { AsyncScheduler, BrokerError, currentRun, JobTimeoutError, remoteTask, WorkerCrashedError, type JobPolicyOptions, type RunHandle } from 'punctual';
import { NatsExecutor, type NatsExecutorOptions, type WorkerRunReport } from 'punctual/nats-executor';
import type { NatsConnection } from '@nats-io/transport-node';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { natsBinary, NatsServer } from '../../support/nats-server.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { failure, gate, MemoryLogger, Recorder } from '../../scheduler/support/world.js';
import { describeNats, freshStream, startWorker } from './support.js';

const eventually = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 60_000, interval: 10 });
const LONG = { timeout: 180_000 };

interface Node {
  readonly scheduler: AsyncScheduler;
  readonly executor: NatsExecutor;
  readonly recorder: Recorder;
  readonly logger: MemoryLogger;
  ask(task: string, args?: unknown[], options?: JobPolicyOptions): Promise<RunHandle>;
  run(task: string, args?: unknown[], options?: JobPolicyOptions): Promise<unknown>;
}

async function start(options: NatsExecutorOptions): Promise<Node> {
  const logger = new MemoryLogger();
  const executor = new NatsExecutor(options);
  const scheduler = new AsyncScheduler({ executors: { default: executor }, logger });
  const recorder = new Recorder();
  scheduler.addListener(recorder.listener);
  onTestFinished(() => scheduler.shutdown({ wait: false }));
  await scheduler.start();
  const ask = async (task: string, args: unknown[] = [], policy: JobPolicyOptions = {}): Promise<RunHandle> => {
    scheduler.defineTask(task, remoteTask());
    return (await scheduler.addJob(task, '@yearly', { args, ...policy })).run();
  };
  return { scheduler, executor, recorder, logger, ask, run: async (...of) => (await ask(...of)).result() };
}

async function open(server: NatsServer): Promise<NatsConnection> {
  const connection = await server.connect();
  onTestFinished(() => connection.close());
  return connection;
}

/** What a stream has: sequence, subject, headers and text of each message. */
async function messagesOf(connection: NatsConnection, stream: string): Promise<{ subject: string; headers: string; text: string }[]> {
  const ask = async (name: string, body: unknown = ''): Promise<Record<string, never>> => (await connection.request(`$JS.API.${name}`, body === '' ? '' : JSON.stringify(body))).json();
  const { state } = (await ask(`STREAM.INFO.${stream}`)) as unknown as { state: { first_seq: number; last_seq: number } };
  const found = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const { message } = (await ask(`STREAM.MSG.GET.${stream}`, { seq })) as unknown as { message?: { subject: string; hdrs: string; data: string } };
    if (message !== undefined) found.push({ subject: message.subject, headers: Buffer.from(message.hdrs ?? '', 'base64').toString(), text: Buffer.from(message.data ?? '', 'base64').toString() });
  }
  return found;
}

describeNats('NatsExecutor', (server) => {
  it('stores a run in the stream, and takes that for its success', LONG, async () => {
    const stream = freshStream();
    const node = await start({ servers: server().url, stream });
    expect(await node.run('mail.to', ['ä', new Date(5)], { timeout: { minutes: 5 } })).toBeUndefined();
    await node.run('with space', []);
    const [first, second] = await messagesOf(await open(server()), stream);
    const [event] = node.recorder.of('jobExecuted');
    expect(first?.subject).toBe(`${stream}.run.mail.to`);
    expect(second?.subject).toBe(`${stream}.run.with=20space`);
    for (const line of [`Nats-Msg-Id: ${event!.runId}:1`, `punctual-run-id: ${event!.runId}`, `punctual-job-id: ${event!.jobId}`, 'punctual-task: mail.to', 'punctual-attempt: 1', 'punctual-deadline: 2']) {
      expect(first?.headers).toContain(line);
    }
    expect(JSON.parse(first!.text)).toMatchObject({ v: 1, task: 'mail.to', attempt: 1, replyTo: null });
  });

  it('executes what nobody waits for, tries it again as its policy has it, and lays aside what failed for good', LONG, async () => {
    const stream = freshStream();
    const reports: WorkerRunReport[] = [];
    await startWorker(server(), {
      servers: server().url,
      stream,
      onRunEnd: (report) => reports.push(report),
      tasks: {
        fragile: (fails: number) => { if (currentRun().attempt <= fails) throw new Error('no'); },
        hopeless: () => { throw new TypeError('never\never'); },
      },
    });
    const node = await start({ servers: server().url, stream });
    await node.run('fragile', [2], { retry: { maxAttempts: 3, delay: 50 } });
    await eventually(() => { expect(reports.map(({ outcome, attempt }) => `${outcome} ${attempt}`)).toEqual(['retried 1', 'retried 2', 'succeeded 3']); });
    await node.run('hopeless', [], { retry: { maxAttempts: 2, delay: 0 } });
    const connection = await open(server());
    const [dead] = await eventually(async () => {
      const found = await messagesOf(connection, `${stream}-dead`);
      expect(found).toHaveLength(1);
      return found;
    });
    expect(dead?.headers).toContain('punctual-dead-reason: failed');
    expect(dead?.headers).toContain('punctual-dead-error: TypeError: never ever');
    expect(JSON.parse(dead!.text)).toMatchObject({ task: 'hopeless', attempt: 2 });
    await eventually(async () => { expect(await messagesOf(connection, stream)).toEqual([]); });
  });

  it('answers with value and error of the worker, and stops a run there that is cancelled', LONG, async () => {
    const stream = freshStream();
    const told = gate<unknown>();
    await startWorker(server(), {
      stream,
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
    const node = await start({ servers: server().url, stream, awaitResult: true });
    expect(await node.run('double', [21n])).toEqual(new Map([['n', 42n]]));
    expect(await failure(node.run('fail'))).toMatchObject({ name: 'RangeError', message: 'out', status: 7 });
    expect(await failure(node.run('wait', [], { timeout: 3_000 }))).toBeInstanceOf(JobTimeoutError);
    expect(await told.promise).toMatchObject({ code: 'JOB_TIMEOUT', timeoutMs: 3_000 });
    expect(await failure(node.run('unknown'))).toMatchObject({ code: 'UNKNOWN_TASK' });
  });

  it('takes whatever the id of a job is made of', LONG, async () => {
    const stream = freshStream();
    const told = gate<unknown>();
    const begun = gate();
    const hang = (): Promise<never> => new Promise((_resolve, reject) => {
      const { signal } = currentRun();
      begun.open();
      signal.addEventListener('abort', () => {
        told.open(signal.reason);
        reject(signal.reason as Error);
      });
    });
    await startWorker(server(), { stream, tasks: { double: (n: number) => n * 2, hang } });
    const { scheduler } = await start({ servers: server().url, stream, awaitResult: true });
    for (const task of ['double', 'hang']) scheduler.defineTask(task, remoteTask());
    const doubled = await scheduler.addJob('double', '@yearly', { id: 'größe 100%', args: [21] });
    expect(await (await doubled.run()).result()).toBe(42);
    const hanging = await scheduler.addJob('hang', '@yearly', { id: 'hängt %20' });
    const handle = await hanging.run();
    await begun.promise;
    await scheduler.cancelRun(handle.runId);
    await failure(handle.result());
    expect(await told.promise).toMatchObject({ code: 'JOB_ABORTED' });
  });

  it('stores a message whose confirm was lost once, under its id', LONG, async () => {
    const proxy = await TcpProxy.start(server().port);
    onTestFinished(() => { proxy.close(); });
    const stream = freshStream();
    const node = await start({ servers: `nats://127.0.0.1:${proxy.port}`, stream });
    await node.executor.ready();
    proxy.freeze('down');
    const handle = await node.ask('work');
    const connection = await open(server());
    await eventually(async () => { expect(await messagesOf(connection, stream)).toHaveLength(1); });
    proxy.cut();
    await proxy.heal();
    await handle.result();
    expect(await messagesOf(connection, stream)).toHaveLength(1);
  });

  it('takes no runs while its connection is cut, and takes them again when it is back', LONG, async () => {
    const proxy = await TcpProxy.start(server().port);
    onTestFinished(() => { proxy.close(); });
    const stream = freshStream();
    const go = gate();
    let runs = 0;
    await startWorker(server(), { servers: `nats://127.0.0.1:${proxy.port}`, stream, tasks: { work: async (n: number) => {
      runs += 1;
      await go.promise;
      return n + 1;
    } } });
    const node = await start({ servers: `nats://127.0.0.1:${proxy.port}`, stream, awaitResult: true });
    const first = await node.ask('work', [1]);
    await eventually(() => { expect(runs).toBe(1); });
    proxy.refuse();
    proxy.cut();
    await eventually(() => { expect(node.executor.free).toBe(0); });
    const waiting = await node.ask('work', [2]);
    go.open();
    await proxy.heal();
    expect(await first.result()).toBe(2);
    expect(await waiting.result()).toBe(3);
    expect(runs).toBe(2);
    expect(node.recorder.of('jobError')).toEqual([]);
  });

  it('answers what ended while the worker was away for longer than it tries to say so', LONG, async () => {
    const proxy = await TcpProxy.start(server().port);
    onTestFinished(() => { proxy.close(); });
    const stream = freshStream();
    const go = gate();
    let runs = 0;
    const { worker, logger } = await startWorker(server(), { servers: `nats://127.0.0.1:${proxy.port}`, stream, concurrency: 1, ackWait: 3_000, tasks: { work: async (n: number) => {
      runs += 1;
      await go.promise;
      return n + 1;
    } } });
    const node = await start({ servers: server().url, stream, awaitResult: true });
    const first = await node.ask('work', [1]);
    await eventually(() => { expect(runs).toBe(1); });
    proxy.refuse();
    proxy.cut();
    await eventually(() => { expect(worker.isReady).toBe(false); });
    go.open();
    await eventually(() => { expect(logger.messages('warn').join()).toContain('it is told as soon as there is a connection again'); });
    // It tries once more, in a second. Were that to succeed, nothing would come again, and all would be well, too.
    await new Promise((resolve) => { setTimeout(resolve, 1_500); });
    await proxy.heal();
    expect(await first.result()).toBe(2);
    expect(await node.run('work', [2])).toBe(3);
    expect(runs).toBe(2);
  });

  it('tells as soon as it is back what ended meanwhile, so that no other worker runs it once more', LONG, async () => {
    const proxy = await TcpProxy.start(server().port);
    onTestFinished(() => { proxy.close(); });
    const stream = freshStream();
    const go = gate();
    let runs = 0;
    const work = async (n: number): Promise<number> => {
      runs += 1;
      await go.promise;
      return n + 1;
    };
    // Until it came again by itself, this test would be over.
    const ackWait = { minutes: 10 };
    const { worker, logger } = await startWorker(server(), { servers: `nats://127.0.0.1:${proxy.port}`, stream, ackWait, tasks: { work } });
    const node = await start({ servers: server().url, stream, awaitResult: true });
    const handles = await Promise.all([1, 2, 3].map((n) => node.ask('work', [n])));
    await eventually(() => { expect(runs).toBe(3); });
    proxy.refuse();
    proxy.cut();
    await eventually(() => { expect(worker.isReady).toBe(false); });
    await startWorker(server(), { stream, ackWait, tasks: { work } });
    go.open();
    await eventually(() => { expect(logger.messages('warn').filter((line) => line.includes('it is told as soon as there is a connection again'))).toHaveLength(3); });
    // Longer than it waits at least before it tries again.
    await new Promise((resolve) => { setTimeout(resolve, 2_500); });
    await proxy.heal();
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([2, 3, 4]);
    expect(runs).toBe(3);
    const connection = await open(server());
    await eventually(async () => { expect(await messagesOf(connection, stream)).toEqual([]); });
  });

  it('closes although there is no connection to tell what ended', LONG, async () => {
    const proxy = await TcpProxy.start(server().port);
    onTestFinished(() => { proxy.close(); });
    const stream = freshStream();
    const begun = gate();
    const go = gate();
    const { worker, logger } = await startWorker(server(), { servers: `nats://127.0.0.1:${proxy.port}`, stream, ackWait: 3_000, tasks: { work: async () => {
      begun.open();
      await go.promise;
    } } });
    const node = await start({ servers: server().url, stream, awaitResult: true });
    const handle = await node.ask('work');
    await begun.promise;
    proxy.refuse();
    proxy.cut();
    await eventually(() => { expect(worker.isReady).toBe(false); });
    go.open();
    await eventually(() => { expect(logger.messages('warn').join()).toContain('it is told as soon as there is a connection again'); });
    await worker.close();
    await startWorker(server(), { stream, tasks: { work: () => 'done by another' } });
    expect(await handle.result()).toBe('done by another');
  });

  it('goes on when it has executed as many as it runs at one time', LONG, async () => {
    const stream = freshStream();
    await startWorker(server(), { stream, concurrency: 3, tasks: { work: (n: number) => n } });
    const node = await start({ servers: server().url, stream, awaitResult: true });
    const numbers = Array.from({ length: 30 }, (_, n) => n);
    // Were it told after three only that a request is over when that is made anew anyway, this would take ten minutes.
    expect(await Promise.all(numbers.map((n) => node.run('work', [n])))).toEqual(numbers);
  });

  it('asks for several runs at once, as a server has few places for requests', LONG, async () => {
    const stream = freshStream();
    const connection = await open(server());
    let requests = 0;
    connection.subscribe(`$JS.API.CONSUMER.MSG.NEXT.${stream}.workers`, { callback: () => { requests += 1; } });
    await connection.flush();
    await startWorker(server(), { stream, concurrency: 40, tasks: { work: (n: number) => n } });
    const node = await start({ servers: server().url, stream, awaitResult: true });
    for (let n = 0; n < 60; n++) expect(await node.run('work', [n])).toBe(n);
    expect(requests).toBeLessThan(30);
  });

  it('takes a server that does not answer for gone, and fails the run when its time is up', LONG, async () => {
    const proxy = await TcpProxy.start(server().port);
    onTestFinished(() => { proxy.close(); });
    const node = await start({ servers: `nats://127.0.0.1:${proxy.port}`, stream: freshStream(), timeout: 1_000, publishTimeout: 4_000 });
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

  it('fails the run that the stream has no room for, or that is too large', LONG, async () => {
    const stream = freshStream();
    const connection = await open(server());
    await connection.request(`$JS.API.STREAM.CREATE.${stream}`, JSON.stringify({ name: stream, subjects: [`${stream}.run.>`], retention: 'workqueue', storage: 'file', discard: 'new', max_msgs: 1 }));
    const node = await start({ servers: server().url, stream });
    await node.run('one');
    expect(await failure(node.run('two'))).toMatchObject({ name: 'BrokerError', reason: 'rejected' });
    expect(await failure(node.run('large', ['x'.repeat(1_100_000)]))).toMatchObject({ reason: 'too-large' });
  });

  it('says when a stream is not there, belongs to others, or was deleted, and makes it anew', LONG, async () => {
    const connection = await open(server());
    const missing = await start({ servers: server().url, stream: freshStream(), declare: false });
    expect(await failure(missing.executor.ready())).toMatchObject({ name: 'BrokerError', reason: 'missing' });
    const foreign = freshStream();
    await connection.request(`$JS.API.STREAM.CREATE.${foreign}`, JSON.stringify({ name: foreign, subjects: [`${foreign}.mine`] }));
    expect(await failure((await start({ servers: server().url, stream: foreign })).executor.ready())).toMatchObject({ reason: 'mismatch' });
    const stream = freshStream();
    await startWorker(server(), { stream, tasks: { work: () => 'done' } });
    const node = await start({ servers: server().url, stream, awaitResult: true });
    expect(await node.run('work')).toBe('done');
    await connection.request(`$JS.API.STREAM.DELETE.${stream}`, '');
    // The worker notices first: nobody is asked as long as nothing is sent.
    expect(await eventually(async () => node.run('work'))).toBe('done');
  });

  it('hands back what a closing worker has not finished, and gives up what comes back too often', LONG, async () => {
    const stream = freshStream();
    const started = gate();
    const first = await startWorker(server(), { stream, concurrency: 1, tasks: { work: async () => {
      started.open();
      await new Promise((_resolve, reject) => { currentRun().signal.addEventListener('abort', () => { reject(new Error('told to stop')); }); });
    } } });
    const node = await start({ servers: server().url, stream, awaitResult: true });
    const result = node.run('work');
    await started.promise;
    await first.worker.close({ timeout: 0 });
    const next = await startWorker(server(), { stream, ackWait: 1_000, maxRedeliveries: 0, tasks: { work: () => 'done by another' } });
    expect(await result).toBe('done by another');
    await next.worker.close();
    // Somebody takes a message and is never heard of again.
    const handle = await node.ask('work', [], { onCrash: 'drop' });
    const connection = await open(server());
    const inbox = 'test.inbox';
    const taken = gate();
    connection.subscribe(inbox, { callback: () => { taken.open(); } });
    connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.workers`, JSON.stringify({ batch: 1, expires: 20_000_000_000 }), { reply: inbox });
    await taken.promise;
    // As if the time for an answer were over.
    await connection.request(`$JS.API.CONSUMER.DURABLE.CREATE.${stream}.workers`, JSON.stringify({ stream_name: stream, config: { durable_name: 'workers', ack_policy: 'explicit', deliver_policy: 'all', ack_wait: 500_000_000, max_deliver: -1, max_ack_pending: -1 } }));
    await startWorker(server(), { stream, tasks: { work: () => 'ran' } });
    const error = await failure(handle.result());
    expect(error).toBeInstanceOf(WorkerCrashedError);
    expect(error).toMatchObject({ reason: 'lost' });
  });

  it('uses a connection of the user’s, and leaves it open', LONG, async () => {
    const stream = freshStream();
    const connection = await open(server());
    const { worker } = await startWorker(server(), { stream, connection, tasks: { add: (a: number, b: number) => a + b } });
    const node = await start({ connection, stream, awaitResult: true });
    expect(await node.run('add', [1, 2])).toBe(3);
    await node.scheduler.shutdown();
    await worker.close();
    expect(connection.isClosed()).toBe(false);
    expect(await messagesOf(connection, `${stream}-replies`)).toEqual([]);
  });

  it('goes on after a restart of the server, with the answers of runs that went on meanwhile', LONG, async () => {
    const stream = freshStream();
    const go = gate();
    let runs = 0;
    const { worker } = await startWorker(server(), { stream, tasks: { work: async () => {
      runs += 1;
      await go.promise;
      return 'done';
    } } });
    const node = await start({ servers: server().url, stream, awaitResult: true });
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

describe('NatsExecutor without a server that lets it in', () => {
  it('says why, and takes no runs', LONG, async () => {
    const away = await start({ servers: 'nats://127.0.0.1:1', stream: 's' });
    expect(await failure(away.executor.ready())).toMatchObject({ name: 'BrokerError', reason: 'unreachable' });
    expect(away.executor.free).toBe(0);
  });

  it.skipIf(process.env['CI'] === undefined && natsBinary() === undefined)('says that the login is refused, and that there is no JetStream', LONG, async () => {
    const locked = await NatsServer.start({ config: 'authorization { user: u, password: p }', jetstream: null, login: { user: 'u', pass: 'p' } });
    onTestFinished(() => locked.stop());
    const refused = await start({ servers: locked.url, stream: 's', user: 'u', password: 'wrong' });
    expect(await failure(refused.executor.ready())).toMatchObject({ reason: 'bad-login' });
    expect(refused.scheduler.health()).toMatchObject({ ok: false, executors: { default: { ok: false, error: { reason: 'bad-login' } } } });
    const without = await start({ servers: locked.url, stream: 's', user: 'u', password: 'p' });
    expect(await failure(without.executor.ready())).toMatchObject({ reason: 'missing' });
  });
});

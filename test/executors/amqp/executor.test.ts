import { AsyncExecutor, AsyncScheduler, BrokerError, currentRun, JobTimeoutError, remoteTask, WorkerCrashedError, type JobPolicyOptions } from 'punctual';
import { AmqpExecutor, type AmqpExecutorOptions, type WorkerRunReport } from 'punctual/amqp';
import { expect, it, onTestFinished, vi } from 'vitest';
import { failure, gate, MemoryLogger, Recorder } from '../../scheduler/support/world.js';
import { describeRabbit, freshQueue, openConnection, startWorker } from './support.js';
import type { RabbitServer } from '../../support/rabbitmq-server.js';

const PATIENT = { timeout: 60_000, interval: 10 };
const LONG = { timeout: 120_000 };
const eventually = (check: () => unknown): Promise<unknown> => vi.waitFor(check, PATIENT);

interface Node {
  readonly scheduler: AsyncScheduler;
  readonly executor: AmqpExecutor;
  readonly recorder: Recorder;
  readonly logger: MemoryLogger;
  run(task: string, args?: unknown[], options?: JobPolicyOptions): Promise<unknown>;
}

/** A scheduler whose runs go to a queue. */
async function start(server: RabbitServer, options: AmqpExecutorOptions): Promise<Node> {
  const logger = new MemoryLogger();
  const executor = new AmqpExecutor({ ...(options.connection === undefined ? { url: server.url } : {}), ...options });
  const scheduler = new AsyncScheduler({ executors: { default: executor }, logger });
  const recorder = new Recorder();
  scheduler.addListener(recorder.listener);
  onTestFinished(() => scheduler.shutdown({ wait: false }));
  await scheduler.start();
  return {
    scheduler,
    executor,
    recorder,
    logger,
    async run(task, args = [], policy = {}) {
      scheduler.defineTask(task, remoteTask());
      const job = await scheduler.addJob(task, '@yearly', { args, ...policy });
      return (await job.run()).result();
    },
  };
}

describeRabbit('AmqpExecutor', (server) => {
  it('hands a run over with what it is in headers and body, and takes the confirm for its success', LONG, async () => {
    const queue = freshQueue();
    const node = await start(server(), { queue });
    const value = { at: new Date(5), map: new Map([[1, 2n]]) };
    expect(await node.run('mail', ['ä', value], { timeout: { minutes: 5 } })).toBeUndefined();
    const channel = await (await openConnection(server())).createChannel();
    const message = await channel.get(queue);
    if (message === false) throw new Error('there is no message');
    const { run, jobId } = node.recorder.of('jobExecuted').map(({ runId, jobId: id }) => ({ run: runId, jobId: id }))[0]!;
    const { properties, content } = message;
    expect(properties).toMatchObject({ deliveryMode: 2, contentType: 'application/json', messageId: `${run}:1` });
    expect(properties.headers).toEqual({
      'punctual-run-id': run,
      'punctual-job-id': jobId,
      'punctual-task': 'mail',
      'punctual-scheduled-for': expect.stringMatching(/^\d{4}-.*Z$/) as string,
      'punctual-attempt': '1',
      'punctual-deadline': expect.stringMatching(/^\d{4}-.*Z$/) as string,
    });
    expect(JSON.parse(content.toString())).toMatchObject({ v: 1, runId: run, task: 'mail', attempt: 1, replyTo: null, policy: { timeoutMs: 300_000 } });
  });

  it('executes what nobody waits for, tries it again as its policy has it, and lays aside what failed for good', LONG, async () => {
    const queue = freshQueue();
    const attempts: number[] = [];
    const reports: WorkerRunReport[] = [];
    const { logger } = await startWorker(server(), {
      queue,
      onRunEnd: (report) => reports.push(report),
      tasks: {
        fragile: (fails: number) => {
          attempts.push(attempts.length + 1);
          if (attempts.length <= fails) throw new Error(`no ${attempts.length}`);
        },
        hopeless: () => { throw new TypeError('never'); },
      },
    });
    const node = await start(server(), { queue });
    await node.run('fragile', [2], { retry: { maxAttempts: 3, delay: 50, backoff: 'exponential' } });
    await eventually(() => { expect(reports.map(({ outcome, attempt }) => `${outcome} ${attempt}`)).toEqual(['retried 1', 'retried 2', 'succeeded 3']); });
    await node.run('hopeless', [], { retry: { maxAttempts: 2, delay: 0 } });
    const channel = await (await openConnection(server())).createChannel();
    const dead = await eventually(async () => {
      const message = await channel.get(`${queue}.dead`);
      if (message === false) throw new Error('not yet');
      return message;
    });
    expect(dead).toMatchObject({ properties: { headers: { 'punctual-task': 'hopeless', 'punctual-attempt': '2', 'punctual-dead-reason': 'failed', 'punctual-dead-error': 'TypeError: never' } } });
    expect(logger.messages('warn')).toContain('a run failed, and is tried again');
    expect(node.recorder.of('jobError')).toEqual([]);
  });

  it('answers with value and error of the worker, and stops a run there that is cancelled', LONG, async () => {
    const queue = freshQueue();
    const told = gate<unknown>();
    const { worker } = await startWorker(server(), {
      queue,
      tasks: {
        double: (n: bigint) => new Map([['n', n * 2n]]),
        fail: () => { throw Object.assign(new RangeError('out'), { status: 7 }); },
        wait: async () => {
          const { currentRun } = await import('punctual');
          const { signal } = currentRun();
          await new Promise((_resolve, reject) => signal.addEventListener('abort', () => { told.open(signal.reason); reject(signal.reason as Error); }));
        },
      },
    });
    const node = await start(server(), { queue, awaitResult: true });
    expect(await node.run('double', [21n])).toEqual(new Map([['n', 42n]]));
    const error = await failure(node.run('fail'));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ message: 'out', status: 7 });
    const waiting = node.run('wait', [], { timeout: 3_000 });
    expect(await failure(waiting)).toBeInstanceOf(JobTimeoutError);
    expect(await told.promise).toMatchObject({ code: 'JOB_TIMEOUT', timeoutMs: 3_000 });
    expect(worker.running).toBe(0);
  });

  it('takes whatever the id of a job is made of', LONG, async () => {
    const queue = freshQueue();
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
    await startWorker(server(), { queue, tasks: { double: (n: number) => n * 2, hang } });
    const { scheduler } = await start(server(), { queue, awaitResult: true });
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

  it('does not run what was cancelled before a worker came', LONG, async () => {
    const queue = freshQueue();
    const node = await start(server(), { queue, awaitResult: true, cancelTimeout: 50 });
    node.scheduler.defineTask('late', remoteTask());
    const job = await node.scheduler.addJob('late', '@yearly', {});
    const handle = await job.run();
    await eventually(() => { expect(node.recorder.of('jobStarted')).toHaveLength(1); });
    await node.scheduler.cancelRun(handle.runId);
    await failure(handle.result());
    expect((await node.scheduler.getRuns({ jobId: job.id })).map(({ verdict }) => verdict)).toEqual(['cancelled']);
    const seen: boolean[] = [];
    const { worker } = await startWorker(server(), {
      queue,
      tasks: {
        late: async () => {
          const { currentRun } = await import('punctual');
          const { signal } = currentRun();
          if (!signal.aborted) await new Promise((resolve) => { signal.addEventListener('abort', resolve); });
          seen.push(signal.aborted);
        },
      },
    });
    await eventually(() => { expect(seen).toEqual([true]); });
    await eventually(() => { expect(worker.running).toBe(0); });
  });

  it('fails the run that no queue takes', LONG, async () => {
    const connection = await openConnection(server());
    const channel = await connection.createChannel();
    await channel.assertExchange('lonely', 'topic');
    const node = await start(server(), { exchange: 'lonely', queue: freshQueue() });
    const error = await failure(node.run('nowhere'));
    expect(error).toBeInstanceOf(BrokerError);
    expect(error).toMatchObject({ code: 'BROKER_FAILED', reason: 'unroutable' });
    expect(error.message).toContain('routing key "nowhere"');
    const queue = freshQueue();
    await channel.assertQueue(queue);
    await channel.bindQueue(queue, 'lonely', 'some*');
    await channel.bindQueue(queue, 'lonely', 'where');
    await node.run('where');
    expect(await channel.get(queue)).toMatchObject({ fields: { routingKey: 'where' } });
  });

  it('fails the run that the broker rejects, and tries it again as its policy has it', LONG, async () => {
    const queue = freshQueue();
    const channel = await (await openConnection(server())).createChannel();
    const node = await start(server(), { queue, queueArguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    await node.run('one');
    const rejected = node.run('two', [], { retry: { maxAttempts: 50, delay: 100 } });
    await eventually(() => { expect(node.recorder.of('jobRetry').length).toBeGreaterThan(0); });
    expect(node.recorder.of('jobRetry')[0]).toMatchObject({ error: { name: 'BrokerError', message: expect.stringContaining('full') as string } });
    await channel.purgeQueue(queue);
    await rejected;
    expect(await failure(node.run('three'))).toMatchObject({ reason: 'rejected' });
  });

  it('takes runs whose timeout and pause before the next attempt are longer than what RabbitMQ keeps anything for', LONG, async () => {
    const queue = freshQueue();
    await startWorker(server(), { queue, tasks: { long: () => 'done', unsteady: () => { throw new Error('not yet'); } } });
    const waiting = await start(server(), { queue, awaitResult: true });
    expect(await waiting.run('long', [], { timeout: { days: 50_000 } })).toBe('done');
    await (await start(server(), { queue })).run('unsteady', [], { retry: { maxAttempts: 2, delay: { days: 50_000 }, maxDelay: { days: 50_000 }, jitter: 0 } });
    const longest = 10 * 365 * 86_400_000 - 60_000;
    const channel = await (await openConnection(server())).createConfirmChannel();
    const waits = `${queue}.delay.${longest}`;
    const target = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue };
    await eventually(async () => {
      const { messageCount } = await channel.assertQueue(waits, { durable: true, arguments: { ...target, 'x-message-ttl': longest, 'x-expires': longest + 60_000 } });
      expect(messageCount).toBe(1);
    });
    await channel.deleteQueue(waits);
  });

  it('says what is wrong with login, exchange, queue and virtual host, takes no runs, and does not fail for it', LONG, async () => {
    const queue = freshQueue();
    const channel = await (await openConnection(server())).createChannel();
    await channel.assertQueue(queue, { durable: false });
    const wrong: [AmqpExecutorOptions, string][] = [
      [{ url: server().url.replace('//', '//guest:nonsense@') }, 'bad-login'],
      [{ url: `${server().url}/nowhere` }, 'no-access'],
      [{ exchange: 'missing' }, 'missing'],
      [{ queue: 'not-there', declare: false }, 'missing'],
      [{ queue }, 'mismatch'],
      [{ url: 'amqp://127.0.0.1:1' }, 'unreachable'],
    ];
    for (const [options, reason] of wrong) {
      const { executor, logger, scheduler } = await start(server(), options);
      const error = await failure(executor.ready());
      expect(error, error.message).toMatchObject({ name: 'BrokerError', reason });
      expect(executor.free).toBe(0);
      expect(scheduler.health()).toMatchObject({ ok: false, state: 'running', executors: { default: { ok: false, error: { name: 'BrokerError', reason } } } });
      expect(logger.messages('error')).toEqual(['RabbitMQ takes no runs: what is due waits, or other nodes take it']);
      await scheduler.shutdown();
    }
  });

  it('lays aside what it cannot read, and what it has no task for', LONG, async () => {
    const queue = freshQueue();
    const { logger } = await startWorker(server(), { queue, tasks: { known: () => 1 } });
    const channel = await (await openConnection(server())).createChannel();
    const dead = (): Promise<Record<string, unknown>> => eventually(async () => {
      const message = await channel.get(`${queue}.dead`, { noAck: true });
      if (message === false) throw new Error('not yet');
      return { content: message.content.toString(), ...message.properties.headers };
    }) as Promise<Record<string, unknown>>;
    for (const text of ['no JSON', '7', '{"v":2}', '{"v":1,"id":"a"}']) {
      channel.sendToQueue(queue, Buffer.from(text), { headers: { mine: 1 } });
      expect(await dead()).toMatchObject({ content: text, mine: 1, 'punctual-dead-reason': 'unreadable' });
    }
    expect(logger.messages('error')).toHaveLength(4);
    await (await start(server(), { queue })).run('unknown');
    expect(await dead()).toMatchObject({ 'punctual-task': 'unknown', 'punctual-dead-reason': 'unknown-task' });
    const waiting = await start(server(), { queue, awaitResult: true });
    expect(await failure(waiting.run('unknown'))).toMatchObject({ code: 'UNKNOWN_TASK', message: 'Unknown task "unknown" in this worker. Defined are: known. Give it to this worker: tasks: { "unknown": fn }.' });
  });

  it('says what of a run cannot travel', LONG, async () => {
    const queue = freshQueue();
    await startWorker(server(), { queue, tasks: { echo: (x: unknown) => x, unsendable: () => ({ fn: () => undefined }) } });
    const node = await start(server(), { queue, awaitResult: true });
    expect(await failure(node.run('echo', [1, { fn: () => undefined }]))).toMatchObject({ code: 'NOT_CLONEABLE', what: 'args[1]' });
    expect(await failure(node.run('unsendable'))).toMatchObject({ code: 'NOT_CLONEABLE', what: 'result' });
    expect(node.executor.free).toBe(256);
  });

  it('refuses functions without a name, and gives remote tasks to no other executor', LONG, async () => {
    const node = await start(server(), { queue: freshQueue() });
    const { scheduler } = node;
    scheduler.addExecutor('inline', new AsyncExecutor());
    const unsuitable = { code: 'UNSUITABLE_TASK' };
    expect(await failure(scheduler.addJob(() => 1, '@yearly'))).toMatchObject({ ...unsuitable, message: expect.stringContaining('{ remote: true }') as string });
    expect(await failure(() => scheduler.defineTask('there', remoteTask(), { executor: 'inline' }))).toMatchObject(unsuitable);
    const there = scheduler.defineTask('there', remoteTask<(a: number) => string>());
    expect(await failure(scheduler.addJob(there, '@yearly', { args: [1], executor: 'inline' }))).toMatchObject({ ...unsuitable, message: expect.stringContaining('it is remote') as string });
    const job = await scheduler.addJob(there, '@yearly', { args: [1] });
    expect(await failure(job.modify({ executor: 'inline' }))).toMatchObject(unsuitable);
    // A task that is known here as well may run on either side.
    scheduler.defineTask('both', () => 'here');
    const both = await scheduler.addJob('both', '@yearly', { executor: 'inline' });
    expect(await (await both.run()).result()).toBe('here');
    await both.modify({ executor: 'default' });
    expect(await (await both.run()).result()).toBeUndefined();
  });

  it('uses a connection of the user’s, and leaves it open', LONG, async () => {
    const queue = freshQueue();
    const connection = await openConnection(server());
    const { worker } = await startWorker(server(), { queue, connection, tasks: { add: (a: number, b: number) => a + b } });
    const node = await start(server(), { queue, connection, awaitResult: true });
    expect(await node.run('add', [1, 2])).toBe(3);
    const before = connection.listenerCount('close');
    await node.scheduler.shutdown();
    await worker.close();
    expect(connection.listenerCount('close')).toBe(before - 2);
    const channel = await connection.createChannel();
    expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0, consumerCount: 0 });
  });

  it('hands back what a closing worker has not finished, to be run anew and not as if somebody had died', LONG, async () => {
    const queue = freshQueue();
    const started = gate();
    const first = await startWorker(server(), { queue, concurrency: 1, tasks: { work: async () => {
      const { currentRun } = await import('punctual');
      started.open();
      await new Promise((_resolve, reject) => { currentRun().signal.addEventListener('abort', () => { reject(new Error('told to stop')); }); });
    } } });
    const node = await start(server(), { queue, awaitResult: true });
    const result = node.run('work');
    await started.promise;
    await first.worker.close({ timeout: 0 });
    await startWorker(server(), { queue, maxRedeliveries: 0, tasks: { work: () => 'done by another' } });
    expect(await result).toBe('done by another');
  });

  it('gives up a run that comes back more often than it may, at once where it may not run again', LONG, async () => {
    const queue = freshQueue();
    const channel = await (await openConnection(server())).createChannel();
    await channel.assertQueue(queue);
    const node = await start(server(), { queue, awaitResult: true });
    let runs = 0;
    for (const [policy, reruns] of [[{ onCrash: 'drop' }, 0], [{ maxCrashes: 2 }, 2]] as const) {
      const result = failure(node.run(`killer${reruns}`, [], policy));
      // Whoever takes a message and goes away without a word.
      for (let i = 0; i <= reruns; i++) {
        const raw = await server().connect();
        const victim = await raw.createChannel();
        await eventually(async () => { expect(await victim.get(queue)).not.toBe(false); });
        await raw.close();
        if (i === reruns) break;
        // Counts what came back, and puts it back: it has no task for others.
        const counter = await startWorker(server(), { queue, concurrency: 1, maxRedeliveries: 100, tasks: { [`killer${reruns}`]: () => { runs += 1; return new Promise(() => undefined); } }, killAfter: 0 });
        await eventually(() => { expect(counter.worker.running).toBe(1); });
        await counter.worker.close({ timeout: 0 });
      }
      const last = await startWorker(server(), { queue, tasks: { [`killer${reruns}`]: () => 'ran' } });
      const error = await result;
      expect(error).toBeInstanceOf(WorkerCrashedError);
      expect(error).toMatchObject({ code: 'WORKER_CRASHED', reason: 'lost' });
      await last.worker.close();
    }
    expect(runs).toBe(2);
  });
});

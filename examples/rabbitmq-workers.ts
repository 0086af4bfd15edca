/**
 * How do I have other processes do the work, and the scheduler only say when?
 *
 * An AmqpExecutor hands each run to a queue of RabbitMQ; workers take them from there. With `awaitResult` the run has the
 * worker's value or error, and a run that is called off is called off there. Both sides are in this one program here; in
 * yours they are two, on as many machines as you like.
 *
 *     AMQP_URL=amqp://127.0.0.1 npx tsx examples/rabbitmq-workers.ts
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { AsyncScheduler, currentRun, isPunctualError, remoteTask } from 'punctual';
import { AmqpExecutor, createAmqpWorker } from 'punctual/amqp';

const url = process.env['AMQP_URL'];
if (url === undefined) {
  console.log('This needs a RabbitMQ: say where it is with AMQP_URL=amqp://127.0.0.1');
  process.exit(77);
}
const queue = `example-${randomUUID()}`;
const queueArguments = { 'x-expires': 60_000 }; // only here: it goes away by itself

// 1. A worker: functions by their names. Close it, and it lets its runs end.
const worker = createAmqpWorker({
  url,
  queue,
  queueArguments,
  deadLetterQueue: null,
  concurrency: 4,
  tasks: {
    thumbs: (folder: string, since: Date) => ({ folder, since, count: 3n }),
    upload: () => { throw Object.assign(new RangeError('disk full'), { device: 'sdb1' }); },
    // Told to stop, wherever it runs, with the reason.
    encode: async () => {
      const { signal } = currentRun();
      await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error); }); });
    },
  },
});
await worker.start();

// 2. The scheduler knows names and types.
const scheduler = new AsyncScheduler({ executors: { media: new AmqpExecutor({ url, queue, queueArguments, awaitResult: true }) } });
const thumbs = scheduler.defineTask('thumbs', remoteTask<(folder: string, since: Date) => unknown>(), { executor: 'media' });
const upload = scheduler.defineTask('upload', remoteTask<() => void>(), { executor: 'media' });
const encode = scheduler.defineTask('encode', remoteTask<() => void>(), { executor: 'media', timeout: { milliseconds: 300 } });
scheduler.on('jobError', ({ jobId, error }) => { console.log(`${jobId}: ${error.name}: ${error.message}`); });
await scheduler.start();

// 3. Dates, maps and big integers arrive as what they were, and come back so.
const since = new Date('2026-01-01T00:00:00Z');
const job = await scheduler.addJob(thumbs, '0 3 * * *', { id: 'thumbs', args: ['/photos', since] });
const made = await (await job.run()).result();
console.log(made);
assert.deepEqual(made, { folder: '/photos', since, count: 3n });

// 4. An error arrives with its class, its fields and its stack.
const failed = await scheduler.addJob(upload, '0 4 * * *', { id: 'upload' });
await assert.rejects(async () => (await failed.run()).result(), { name: 'RangeError', message: 'disk full', device: 'sdb1' });

// 5. A timeout ends the run in the worker as well.
const endless = await scheduler.addJob(encode, '0 5 * * *', { id: 'encode' });
await assert.rejects(async () => (await endless.run()).result(), (error) => isPunctualError(error, 'JOB_TIMEOUT'));

// 6. A function of this process has nothing to look for there, nor a remote task here.
await assert.rejects(async () => scheduler.addJob(thumbs, '@daily', { args: ['/photos', since], executor: 'default' }), (error) => isPunctualError(error, 'UNSUITABLE_TASK'));

await scheduler.shutdown();
await worker.close();
console.log('done');

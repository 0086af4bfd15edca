import { CONCURRENCY, handedOver, handedOverBy, HEADERS, MESSAGE } from '../lib/handed-over.mjs';
import { loadAmqp, loadAmqpDriver, loadBullMq, loadBullMqExecutor, loadJetStream, loadNatsDriver, loadNatsExecutor } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { withNats } from '../lib/nats-servers.mjs';
import { withRabbit } from '../lib/rabbit-servers.mjs';
import { withRedis } from '../lib/redis-servers.mjs';
import { sized } from '../lib/size.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const RUNS = sized(50_000);
/** As text, made once. */
const BODY = Buffer.from(JSON.stringify(MESSAGE));

async function amqp() {
  const { AmqpExecutor } = await loadAmqp();
  return (await withRabbit((url) => handedOverBy(RUNS, new AmqpExecutor({ url, queue: 'runs' })))) ?? {};
}

async function amqpBare() {
  const sample = await withRabbit(async (url) => {
    const { default: amqplib } = await loadAmqpDriver();
    const connection = await amqplib.connect(url, { noDelay: true });
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('runs', { durable: true });
    const publish = (/** @type {import('../lib/run.mjs').Run} */ { runId }) =>
      new Promise((resolve, reject) => {
        const options = { persistent: true, mandatory: true, messageId: runId, contentType: 'application/json', headers: HEADERS };
        channel.publish('', 'runs', BODY, options, (error) => (error == null ? resolve(undefined) : reject(new Error('not confirmed', { cause: error }))));
      });
    const measured = await handedOver(RUNS, publish);
    await connection.close();
    return measured;
  });
  return sample ?? {};
}

async function nats() {
  const { NatsExecutor } = await loadNatsExecutor();
  return (await withNats((url) => handedOverBy(RUNS, new NatsExecutor({ servers: url, stream: 'runs' })))) ?? {};
}

async function natsBare() {
  const sample = await withNats(async (url) => {
    const { connect, headers } = await loadNatsDriver();
    const { jetstream, jetstreamManager } = await loadJetStream();
    const connection = await connect({ servers: url });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'runs', subjects: ['runs.run.>'], retention: 'workqueue', storage: 'file' });
    const client = jetstream(connection);
    const publish = (/** @type {import('../lib/run.mjs').Run} */ { runId }) => {
      const made = headers();
      for (const [name, value] of Object.entries(HEADERS)) made.set(name, value);
      return client.publish('runs.run.mail', BODY, { msgID: runId, headers: made });
    };
    const measured = await handedOver(RUNS, publish);
    await connection.close();
    return measured;
  });
  return sample ?? {};
}

/** @param {string} url */
const connectionTo = (url) => ({ host: '127.0.0.1', port: Number(new URL(url).port) });

async function bullmq() {
  const { BullMQExecutor } = await loadBullMqExecutor();
  return (await withRedis((url) => handedOverBy(RUNS, new BullMQExecutor({ connection: connectionTo(url), queue: 'runs' })))) ?? {};
}

async function bullmqBare() {
  const sample = await withRedis(async (url) => {
    const { Queue } = await loadBullMq();
    const queue = new Queue('runs', { connection: connectionTo(url) });
    await queue.waitUntilReady();
    const options = { attempts: 1, removeOnComplete: { age: 3_600, count: 10_000 } };
    const measured = await handedOver(RUNS, ({ runId }) => queue.add('mail', MESSAGE, { ...options, jobId: `run-${runId}` }));
    await queue.close();
    return measured;
  });
  return sample ?? {};
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'broker-publish',
  title: `Brokers: ${show(RUNS)} runs handed over`,
  method: [
    `A server of its own for each sample, on this machine. Each message is confirmed, ${CONCURRENCY} are on their way at a time, and a quarter as many go before that are not measured. punctual: the executor alone, \`awaitResult: false\`. By hand: the client, with the same headers, and what a run says as a body that is made once.`,
    'RabbitMQ: a durable classic queue, persistent messages, publisher confirms, mandatory routing.',
    'NATS: a stream in files that is a work queue, message ids. The client is `@nats-io/jetstream`.',
    'BullMQ: `queue.add` of a job with an id, one call for each, whose data is what a run says, on a Redis with `appendfsync always`.',
  ],
  rounds: 3,
  contenders: {
    AmqpExecutor: { measure: amqp },
    amqplib: { measure: amqpBare },
    NatsExecutor: { measure: nats },
    'nats-io/jetstream': { measure: natsBare },
    BullMQExecutor: { measure: bullmq },
    bullmq: { measure: bullmqBare },
  },
  report(samples) {
    /** @param {string} contender */
    const rates = (contender) => column(samples, contender, 'perSecond');
    const brokers = /** @type {const} */ ([
      ['RabbitMQ', 'AmqpExecutor', 'amqplib'],
      ['NATS', 'NatsExecutor', 'nats-io/jetstream'],
      ['BullMQ', 'BullMQExecutor', 'bullmq'],
    ]).map(([broker, executor, client]) => ({ broker, executor, client, overhead: ratio(rates(client), rates(executor)) }));
    return {
      head: ['', 'runs/s', 'client alone', 'overhead'],
      rows: brokers.map(({ broker, executor, client, overhead }) => [broker, show(median(rates(executor))), show(median(rates(client))), `${show(overhead)}×`]),
      checks: brokers.map(({ broker, overhead }) => ({ target: `${broker}: overhead ≤ 1.3× of the client`, figure: `${show(overhead)}×`, met: Number.isNaN(overhead) ? null : overhead <= 1.3 })),
    };
  },
};

import { BODY, CONCURRENCY, handedOver, handedOverBy, HEADERS } from '../lib/handed-over.mjs';
import { loadAmqp, loadAmqpDriver } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { withRabbit } from '../lib/rabbit-servers.mjs';
import { sized } from '../lib/size.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const RUNS = sized(50_000);

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
    const publish = (/** @type {number} */ i) =>
      new Promise((resolve, reject) => {
        const options = { persistent: true, mandatory: true, messageId: `mail-to-customers@${i}`, contentType: 'application/json', headers: HEADERS };
        channel.publish('', 'runs', BODY, options, (error) => (error == null ? resolve(undefined) : reject(error)));
      });
    const measured = await handedOver(RUNS, publish);
    await connection.close();
    return measured;
  });
  return sample ?? {};
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'broker-publish',
  title: `Brokers: ${show(RUNS)} runs handed over`,
  method: [
    `A server of its own for each sample, on this machine. Each message is confirmed, ${CONCURRENCY} are on their way at a time, and a quarter as many go before that are not measured. punctual: the executor alone, \`awaitResult: false\`. By hand: the client, with the same number of headers and about the same length of a body that is made once.`,
    'RabbitMQ: a durable classic queue, persistent messages, publisher confirms, mandatory routing.',
  ],
  rounds: 3,
  contenders: {
    AmqpExecutor: { measure: amqp },
    amqplib: { measure: amqpBare },
  },
  report(samples) {
    /** @param {string} contender */
    const rates = (contender) => column(samples, contender, 'perSecond');
    const overhead = ratio(rates('amqplib'), rates('AmqpExecutor'));
    return {
      head: ['', 'runs/s', 'client alone', 'overhead'],
      rows: [['RabbitMQ', show(median(rates('AmqpExecutor'))), show(median(rates('amqplib'))), `${show(overhead)}×`]],
      checks: [{ target: 'RabbitMQ: overhead ≤ 1.3× of the client', figure: `${show(overhead)}×`, met: Number.isNaN(overhead) ? null : overhead <= 1.3 }],
    };
  },
};

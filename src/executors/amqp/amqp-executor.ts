import { BrokerExecutor } from '../remote/broker-executor.js';
import { AmqpTransport } from './amqp-transport.js';
import { readExecutorSettings, type AmqpExecutorOptions } from './options.js';

/**
 * Hands runs to RabbitMQ, through the package `amqplib`; workers of {@link createAmqpWorker}, or your own, execute them. Each
 * run is a durable message to a queue, and counts as handed over once the server has confirmed it.
 *
 * A run has succeeded when its message is confirmed; with `awaitResult`, when a worker answered. While there is no connection,
 * or RabbitMQ takes no messages, it takes no runs: what is due waits in the job store, where nodes with a connection take it.
 *
 * @example
 * ```ts
 * const scheduler = new AsyncScheduler({ executors: { rabbit: new AmqpExecutor({ url: 'amqp://127.0.0.1', queue: 'media' }) } });
 * scheduler.defineTask('thumbs', remoteTask<(folder: string) => number>(), { executor: 'rabbit', retry: 3 });
 * await scheduler.addJob('thumbs', '0 3 * * *', { args: ['/photos'] });
 * ```
 */
export class AmqpExecutor extends BrokerExecutor {
  /** @param target - a URL, or options. @throws InvalidOptionError */
  constructor(target: string | AmqpExecutorOptions = {}) {
    const settings = readExecutorSettings(target);
    super(new AmqpTransport(settings), settings.limits);
  }
}

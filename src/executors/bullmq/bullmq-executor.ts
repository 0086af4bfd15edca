import { BrokerExecutor } from '../remote/broker-executor.js';
import { BullMQTransport } from './bullmq-transport.js';
import { readExecutorSettings, type BullMQExecutorOptions } from './options.js';

/**
 * Hands runs to a queue of BullMQ, through the package `bullmq`; workers of {@link createBullMQWorker} execute them. Each run
 * is a job, whose id is made of the run's id and the attempt, and counts as handed over once it is added.
 *
 * @example
 * ```ts
 * const scheduler = new AsyncScheduler({ executors: { bull: new BullMQExecutor({ connection: { host: '127.0.0.1' }, queue: 'media' }) } });
 * scheduler.defineTask('thumbs', remoteTask<(folder: string) => number>(), { executor: 'bull', retry: 3 });
 * await scheduler.addJob('thumbs', '0 3 * * *', { args: ['/photos'] });
 * ```
 */
export class BullMQExecutor extends BrokerExecutor {
  /** @throws InvalidOptionError */
  constructor(options: BullMQExecutorOptions = {}) {
    const settings = readExecutorSettings(options);
    super(new BullMQTransport(settings), settings.limits);
  }
}

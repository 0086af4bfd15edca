import { BrokerWorker } from '../remote/broker-worker.js';
import { BullMQSource } from './bullmq-source.js';
import { readWorkerSettings, type BullMQWorkerOptions } from './options.js';

/**
 * A worker that executes what a {@link BullMQExecutor} hands to a queue of BullMQ: in another process, on other machines, as
 * many as you like. `start()` connects. What failed for good is among the failed jobs of the queue.
 *
 * @throws InvalidOptionError
 * @example
 * ```ts
 * await using worker = createBullMQWorker({
 *   connection: { host: '127.0.0.1' },
 *   queue: 'media',
 *   concurrency: 4,
 *   tasks: { thumbs: async (folder: string) => makeThumbs(folder, currentRun().signal) },
 * });
 * await worker.start();
 * ```
 */
export function createBullMQWorker(options: BullMQWorkerOptions): BrokerWorker {
  const settings = readWorkerSettings(options);
  return new BrokerWorker(new BullMQSource(settings), settings.limits);
}

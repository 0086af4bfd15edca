import { BrokerWorker } from '../remote/broker-worker.js';
import { AmqpSource } from './amqp-source.js';
import { readWorkerSettings, type AmqpWorkerOptions } from './options.js';

/**
 * A worker that executes what an {@link AmqpExecutor} hands to a queue: in another process, on other machines, as many as you
 * like. `start()` connects; it connects again whenever the connection breaks.
 *
 * A message is acknowledged once its run has ended and its answer is confirmed. If the worker dies before that, the run comes
 * again: tasks are to be safe against that, `currentRun().runId` is the same each time.
 *
 * @throws InvalidOptionError
 * @example
 * ```ts
 * await using worker = createAmqpWorker({
 *   url: 'amqp://127.0.0.1',
 *   queue: 'media',
 *   concurrency: 4,
 *   tasks: { thumbs: async (folder: string) => makeThumbs(folder, currentRun().signal) },
 * });
 * await worker.start();
 * ```
 */
export function createAmqpWorker(options: AmqpWorkerOptions): BrokerWorker {
  const settings = readWorkerSettings(options);
  return new BrokerWorker(new AmqpSource(settings), settings.limits);
}

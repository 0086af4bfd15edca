import { BrokerWorker } from '../remote/broker-worker.js';
import { NatsSource } from './nats-source.js';
import { readWorkerSettings, type NatsWorkerOptions } from './options.js';

/**
 * A worker that executes what a {@link NatsExecutor} hands to a stream: in another process, on other machines, as many as you
 * like. `start()` connects; it connects again whenever the connection breaks.
 *
 * A message is acknowledged once its run has ended and its answer is stored. If the worker dies before that, the run goes to
 * another after `ackWait`: tasks are to be safe against that, `currentRun().runId` is the same each time.
 *
 * @throws InvalidOptionError
 * @example
 * ```ts
 * await using worker = createNatsWorker({
 *   servers: 'nats://127.0.0.1',
 *   stream: 'media',
 *   concurrency: 4,
 *   tasks: { thumbs: async (folder: string) => makeThumbs(folder, currentRun().signal) },
 * });
 * await worker.start();
 * ```
 */
export function createNatsWorker(options: NatsWorkerOptions): BrokerWorker {
  const settings = readWorkerSettings(options);
  return new BrokerWorker(new NatsSource(settings), settings.limits);
}

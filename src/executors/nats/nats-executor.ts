import { BrokerExecutor } from '../remote/broker-executor.js';
import { NatsTransport } from './nats-transport.js';
import { readExecutorSettings, type NatsExecutorOptions } from './options.js';

/**
 * Hands runs to NATS JetStream, through the package `@nats-io/transport-node`; workers of {@link createNatsWorker}, or your
 * own, execute them. Each run is a message of a stream, which takes one of an id only once, and counts as handed over once it
 * is stored.
 *
 * A run has succeeded when its message is stored; with `awaitResult`, when a worker answered. While there is no connection it
 * takes no runs: what is due waits in the job store, where nodes with a connection take it.
 *
 * @example
 * ```ts
 * const scheduler = new AsyncScheduler({ executors: { nats: new NatsExecutor({ servers: 'nats://127.0.0.1', stream: 'media' }) } });
 * scheduler.defineTask('thumbs', remoteTask<(folder: string) => number>(), { executor: 'nats', retry: 3 });
 * await scheduler.addJob('thumbs', '0 3 * * *', { args: ['/photos'] });
 * ```
 */
export class NatsExecutor extends BrokerExecutor {
  /** @param target - an address, or options. @throws InvalidOptionError */
  constructor(target: string | NatsExecutorOptions = {}) {
    const settings = readExecutorSettings(target);
    super(new NatsTransport(settings), settings.limits);
  }
}

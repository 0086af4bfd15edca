import type { ChannelModel } from 'amqplib';
import { createAmqpWorker, type AmqpWorkerOptions, type BrokerWorker } from 'punctual/amqp';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { rabbitBinaries, RabbitServer } from '../../support/rabbitmq-server.js';
import { MemoryLogger } from '../../scheduler/support/world.js';

let queues = 0;

/** Tests that need a server. They are left out where there is none to start, but not in continuous integration. */
export function describeRabbit(name: string, tests: (server: () => RabbitServer) => void): void {
  const isThere = rabbitBinaries() !== undefined || Boolean(process.env['CI']);
  if (!isThere) {
    describe.skip(`${name} (left out: no rabbitmq-server here; apt-get install rabbitmq-server)`, () => { tests(noServer); });
    return;
  }
  describe(name, () => {
    let server: RabbitServer | undefined;
    beforeAll(async () => { server = await RabbitServer.start(); }, 180_000);
    afterAll(async () => server?.stop(), 60_000);
    tests(() => server ?? noServer());
  });
}

function noServer(): never {
  throw new Error('no server was started');
}

/** A queue that nobody has used yet. */
export function freshQueue(): string {
  queues += 1;
  return `q${queues}`;
}

export interface TestWorker {
  readonly worker: BrokerWorker;
  readonly logger: MemoryLogger;
}

/** A worker that is ready. It is closed after the test. */
export async function startWorker(server: RabbitServer, options: AmqpWorkerOptions): Promise<TestWorker> {
  const logger = new MemoryLogger();
  const place = options.connection === undefined ? { url: server.url } : {};
  const worker = createAmqpWorker({ ...place, logger, ...options });
  onTestFinished(() => worker.close({ timeout: 0 }));
  await worker.start();
  return { worker, logger };
}

export async function openConnection(server: RabbitServer): Promise<ChannelModel> {
  const connection = await server.connect();
  onTestFinished(() => connection.close().catch(() => undefined));
  return connection;
}

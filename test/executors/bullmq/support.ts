import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import type { BrokerWorker } from 'punctual/amqp';
import { createBullMQWorker, type BullMQWorkerOptions } from 'punctual/bullmq';
import { redisBinary, RedisServer } from '../../support/redis-server.js';
import { MemoryLogger } from '../../scheduler/support/world.js';

let queues = 0;

/** Tests that need a server. They are left out where there is none to start, but not in continuous integration. */
export function describeBull(name: string, tests: (server: () => RedisServer) => void): void {
  const isThere = redisBinary() !== undefined || Boolean(process.env['CI']);
  if (!isThere) {
    describe.skip(`${name} (left out: no redis-server here; apt-get install redis-server)`, () => { tests(noServer); });
    return;
  }
  describe(name, () => {
    let server: RedisServer | undefined;
    beforeAll(async () => { server = await RedisServer.start(); });
    afterAll(async () => server?.stop());
    tests(() => server ?? noServer());
  });
}

function noServer(): never {
  throw new Error('no server was started');
}

export const connectionTo = ({ port }: { readonly port: number }): { host: string; port: number } => ({ host: '127.0.0.1', port });

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
export async function startWorker(server: { readonly port: number }, options: BullMQWorkerOptions): Promise<TestWorker> {
  const logger = new MemoryLogger();
  const worker = createBullMQWorker({ connection: connectionTo(server), logger, ...options });
  onTestFinished(() => worker.close({ timeout: 0 }));
  await worker.start();
  return { worker, logger };
}

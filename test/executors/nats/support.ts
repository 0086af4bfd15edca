import { createNatsWorker, type NatsWorkerOptions } from 'punctual/nats-executor';
import type { BrokerWorker } from 'punctual/amqp';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { natsBinary, NatsServer } from '../../support/nats-server.js';
import { MemoryLogger } from '../../scheduler/support/world.js';

let streams = 0;

/** Tests that need a server. They are left out where there is none to start, but not in continuous integration. */
export function describeNats(name: string, tests: (server: () => NatsServer) => void): void {
  const isThere = natsBinary() !== undefined || Boolean(process.env['CI']);
  if (!isThere) {
    describe.skip(`${name} (left out: no nats-server here; apt-get install nats-server)`, () => { tests(noServer); });
    return;
  }
  describe(name, () => {
    let server: NatsServer | undefined;
    beforeAll(async () => { server = await NatsServer.start(); });
    afterAll(async () => server?.stop());
    tests(() => server ?? noServer());
  });
}

function noServer(): never {
  throw new Error('no server was started');
}

/** A stream that nobody has used yet. */
export function freshStream(): string {
  streams += 1;
  return `s${streams}`;
}

export interface TestWorker {
  readonly worker: BrokerWorker;
  readonly logger: MemoryLogger;
}

/** A worker that is ready. It is closed after the test. */
export async function startWorker(server: NatsServer, options: NatsWorkerOptions): Promise<TestWorker> {
  const logger = new MemoryLogger();
  const place = options.connection === undefined ? { servers: server.url } : {};
  const worker = createNatsWorker({ ...place, logger, ...options });
  onTestFinished(() => worker.close({ timeout: 0 }));
  await worker.start();
  return { worker, logger };
}

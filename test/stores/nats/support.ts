import { SystemClock, type JobStore } from 'punctual';
import { NatsJobStore, type NatsJobStoreOptions } from 'punctual/nats';
import { storeContext, type JobStoreSubject } from 'punctual/testing';
import type { ConnectionOptions, NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { natsBinary, NatsServer, type NatsServerOptions } from '../../support/nats-server.js';

let buckets = 0;

/** Tests that need a server. They are left out where there is none to start, but not in continuous integration. */
export function describeNats(name: string, tests: (server: () => NatsServer) => void, options: NatsServerOptions = {}): void {
  const isThere = natsBinary() !== undefined || Boolean(process.env['CI']);
  if (!isThere) {
    describe.skip(`${name} (left out: no nats-server here; apt-get install nats-server)`, () => { tests(noServer); });
    return;
  }
  describe(name, () => {
    let server: NatsServer | undefined;
    beforeAll(async () => { server = await NatsServer.start(options); });
    afterAll(async () => server?.stop());
    tests(() => server ?? noServer());
  });
}

function noServer(): never {
  throw new Error('no server was started');
}

/** A bucket that nobody has used yet. */
export function freshBucket(): string {
  buckets += 1;
  return `b${buckets}`;
}

export async function openStore(options: NatsJobStoreOptions, context = storeContext(new SystemClock())): Promise<NatsJobStore> {
  const store = new NatsJobStore(options);
  await store.open(context);
  onTestFinished(() => store.close());
  return store;
}

/** A bucket that two stores have open. */
export async function twoStores(server: NatsServer, options: NatsJobStoreOptions = {}): Promise<[NatsJobStore, NatsJobStore, string]> {
  const bucket = freshBucket();
  const all = { servers: server.url, ...options, bucket };
  return [await openStore(all), await openStore(all), bucket];
}

export async function openConnection(server: NatsServer, options: ConnectionOptions = {}): Promise<NatsConnection> {
  const connection = await server.connect(options);
  onTestFinished(() => connection.close());
  return connection;
}

/** For the contract: a store, other connections to its bucket, and its next start. */
export async function natsSubject(server: NatsServer, kind: 'own' | 'connection'): Promise<JobStoreSubject> {
  const bucket = freshBucket();
  const open = async (): Promise<JobStore> => openStore(kind === 'own' ? { bucket, servers: server.url } : { bucket, connection: await openConnection(server) });
  const store = await open();
  return {
    store,
    connect: open,
    reopen: async () => {
      await store.close();
      return open();
    },
  };
}

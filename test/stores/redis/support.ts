import { Redis, type RedisOptions } from 'ioredis';
import { SystemClock, type JobStore } from 'punctual';
import { RedisJobStore, type RedisJobStoreOptions } from 'punctual/redis';
import { storeContext, type JobStoreSubject } from 'punctual/testing';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { redisBinary, RedisServer } from '../../support/redis-server.js';

let prefixes = 0;

/** Tests that need a server. They are left out where there is none to start, but not in continuous integration. */
export function describeRedis(name: string, tests: (server: () => RedisServer) => void): void {
  const isThere = redisBinary() !== undefined || Boolean(process.env['CI']);
  if (!isThere) {
    describe.skip(`${name} (left out: no redis-server here; apt-get install redis-server)`, () => { tests(noServer); });
    return;
  }
  describe(name, () => {
    let server: RedisServer | undefined;
    // Nothing in these tests rests on what is on the disk, but for those that start a server of their own.
    beforeAll(async () => { server = await RedisServer.start({ appendfsync: 'everysec' }); });
    afterAll(async () => server?.stop());
    tests(() => server ?? noServer());
  });
}

function noServer(): never {
  throw new Error('no server was started');
}

/** A prefix that nobody has used yet. */
export function freshPrefix(): string {
  prefixes += 1;
  return `p${prefixes}`;
}

export async function openStore(options: RedisJobStoreOptions, context = storeContext(new SystemClock())): Promise<RedisJobStore> {
  const store = new RedisJobStore(options);
  await store.open(context);
  onTestFinished(() => store.close());
  return store;
}

/** A prefix that two stores have open. */
export async function twoStores(server: RedisServer, options: RedisJobStoreOptions = {}): Promise<[RedisJobStore, RedisJobStore, string]> {
  const prefix = freshPrefix();
  const all = { ...options, prefix, url: server.url() };
  return [await openStore(all), await openStore(all), prefix];
}

export function openIoredis(server: RedisServer, options: Pick<RedisOptions, 'lazyConnect' | 'keyPrefix' | 'stringNumbers'> = {}): Redis {
  const client = new Redis({ host: '127.0.0.1', port: server.port, ...options });
  client.on('error', () => undefined);
  onTestFinished(() => { client.disconnect(); });
  return client;
}

export async function openNodeRedis(server: RedisServer, options: object = {}) {
  const client = createClient({ url: server.url(), ...options });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => { client.destroy(); });
  return client;
}

export type Kind = 'own' | 'ioredis' | 'redis';

/** For the contract: a store, other connections to its prefix, and its next start. */
export async function redisSubject(server: RedisServer, kind: Kind): Promise<JobStoreSubject> {
  const prefix = freshPrefix();
  const open = async (): Promise<JobStore> => {
    if (kind === 'own') return openStore({ prefix, url: server.url() });
    return openStore({ prefix, client: kind === 'ioredis' ? openIoredis(server, { lazyConnect: true }) : createClient({ url: server.url() }) });
  };
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

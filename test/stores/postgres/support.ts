import { SystemClock, type JobStore } from 'punctual';
import { PostgresJobStore, type PostgresJobStoreOptions } from 'punctual/postgres';
import { storeContext, type JobStoreSubject } from 'punctual/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { T0 } from '../../../src/testing/contracts/job-store/records.js';
import { postgresBinaries, PostgresServer } from '../../support/postgres-server.js';

let schemas = 0;

/** Tests that need a server. They are left out where there is none to start, but not in continuous integration. */
export function describePostgres(name: string, tests: (server: () => PostgresServer) => void): void {
  const isThere = postgresBinaries() !== undefined || Boolean(process.env['CI']);
  if (!isThere) {
    describe.skip(`${name} (left out: no PostgreSQL binaries here; apt-get install postgresql)`, () => { tests(noServer); });
    return;
  }
  describe(name, () => {
    let server: PostgresServer | undefined;
    beforeAll(async () => { server = await PostgresServer.start(); });
    afterAll(async () => server?.stop());
    tests(() => server ?? noServer());
  });
}

function noServer(): never {
  throw new Error('no server was started');
}

/** A schema that nobody has used yet. */
export function freshSchema(): string {
  schemas += 1;
  return `s${schemas}`;
}

export async function openStore(options: PostgresJobStoreOptions, context = storeContext(new SystemClock())): Promise<PostgresJobStore> {
  const store = new PostgresJobStore(options);
  await store.open(context);
  onTestFinished(() => store.close());
  return store;
}

/** A schema that two stores have open. */
export async function twoStores(server: PostgresServer, options: PostgresJobStoreOptions = {}): Promise<[PostgresJobStore, PostgresJobStore, string]> {
  const schema = freshSchema();
  const all = { ...options, schema, connectionString: server.url() };
  return [await openStore(all), await openStore(all), schema];
}

export function openPool(server: PostgresServer, config: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: server.url(), max: 4, ...config });
  onTestFinished(async () => pool.ended ? undefined : pool.end());
  return pool;
}

/** Says that the node of a store is there, for good. Where no other has said so, it claims without hiding. */
export async function announce(store: JobStore, node: string): Promise<void> {
  await store.members!.announce({ node, about: '{}', now: T0, ttlMs: 1e12 });
}

/** For the contract: a store, other connections to its schema, and its next start. */
export async function postgresSubject(server: PostgresServer, kind: 'own' | 'pool' | 'alone'): Promise<JobStoreSubject> {
  const schema = freshSchema();
  const open = async (): Promise<JobStore> => {
    const store = await openStore(kind === 'pool' ? { schema, pool: openPool(server) } : { schema, connectionString: server.url() });
    if (kind === 'alone') await announce(store, 'only');
    return store;
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

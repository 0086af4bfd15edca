import { createServer, type AddressInfo, type Socket } from 'node:net';
import { InvalidOptionError, isPunctualError } from 'punctual';
import { PostgresJobStore, PostgresStoreError, type PostgresJobStoreOptions } from 'punctual/postgres';
import { storeContext } from 'punctual/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { errorFromLoading, translate } from '../../../src/stores/postgres/errors.js';
import { jobRecord } from '../../../src/testing/contracts/job-store/records.js';
import { PostgresServer } from '../../support/postgres-server.js';
import { describePostgres, freshSchema, openPool, openStore } from './support.js';

async function errorOf(options: PostgresJobStoreOptions): Promise<PostgresStoreError> {
  const error: unknown = await new PostgresJobStore(options).open(storeContext()).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PostgresStoreError)) throw new Error('it should have failed', { cause: error });
  expect(error.code).toBe('STORE_UNUSABLE');
  expect(isPunctualError(error)).toBe(true);
  return error;
}

describe('options', () => {
  const pool = { query() {}, connect() {}, on() {}, removeListener() {} };
  it.each<[string, unknown]>([
    ['connectionString', ''],
    ['connectionString', { connectionString: 7 }],
    ['options', 7],
    ['options', null],
    ['hots', { hots: 'localhost' }],
    ['host', { host: 'localhost', pool }],
    ['max', { max: 3, pool }],
    ['pool', { pool: {} }],
    ['max', { max: 0 }],
    ['timeout', { timeout: 0 }],
    ['timeout', { timeout: { days: 1 } }],
    ['listen', { listen: 'yes' }],
    ['ledger.perJob', { ledger: { perJob: 1.5 } }],
    ['ledger.maxAge', { ledger: { maxAge: 'soon' } }],
    ['ledger.keep', { ledger: { keep: 1 } }],
    ['schema', { schema: 'a"; DROP SCHEMA x' }],
    ['schema', { schema: 'pg_mine' }],
  ])('refuses %s in %j', (option, target) => {
    expect(() => new PostgresJobStore(target as string)).toThrow(InvalidOptionError);
    expect(() => new PostgresJobStore(target as string)).toThrow(`\`${option}\``);
  });

  it('opens nothing before it is asked to, and says so', async () => {
    const store = new PostgresJobStore({ host: 'nowhere.invalid' });
    await expect(store.get('job')).rejects.toMatchObject({ reason: 'closed' });
    expect(() => store.ledger).toThrow('not open');
    await store.close();
  });
});

describe('servers that are not there', () => {
  it('a port on which nobody listens, and a host without an address', async () => {
    expect(await errorOf({ host: '127.0.0.1', port: 1 })).toMatchObject({ reason: 'unreachable', message: expect.stringContaining('Check that the server runs') });
    expect((await errorOf({ host: 'nowhere.invalid' })).reason).toBe('unreachable');
  });

  it('one whose address was to be given, and is undefined', async () => {
    vi.stubEnv('PGHOST', '127.0.0.1');
    vi.stubEnv('PGPORT', '1');
    onTestFinished(() => { vi.unstubAllEnvs(); });
    expect(await errorOf({ connectionString: undefined })).toMatchObject({ reason: 'unreachable', message: expect.stringContaining('`connectionString` was given as undefined') });
    expect((await errorOf({})).message).not.toContain('undefined');
    expect((await errorOf({ connectionString: undefined, host: '127.0.0.1' })).message).not.toContain('undefined');
  });

  it('one that takes the connection and says nothing', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => { sockets.add(socket); });
    await new Promise<void>((resolve) => { silent.listen(0, '127.0.0.1', resolve); });
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as AddressInfo;
    expect(['timeout', 'unreachable']).toContain((await errorOf({ host: '127.0.0.1', port, timeout: 200 })).reason);
  });

  it('a driver that is not installed', () => {
    const error = errorFromLoading(Object.assign(new Error(`Cannot find package 'pg'`), { code: 'ERR_MODULE_NOT_FOUND' }));
    expect(error).toMatchObject({ code: 'STORE_UNUSABLE', reason: 'no-driver', message: expect.stringContaining('npm install pg') });
    expect(errorFromLoading(new Error('broken'))).toMatchObject({ reason: 'no-driver', message: expect.stringContaining('broken') });
  });

  it('what else a server may say', () => {
    const reasons = { '53100': 'disk-full', '53300': 'too-many-connections', '25006': 'read-only', '57P03': 'unreachable', '57014': 'timeout', '28000': 'bad-login' };
    for (const [code, reason] of Object.entries(reasons)) expect(translate(Object.assign(new Error('so'), { code }), 's')).toMatchObject({ reason });
    expect(translate(Object.assign(new Error('so'), { code: '54000' }), 's')).toMatchObject({ code: 'JOB_UNSTORABLE' });
    expect(translate(Object.assign(new Error('so'), { code: '22012' }), 's')).not.toBeInstanceOf(PostgresStoreError);
  });
});

describePostgres('databases that cannot be used', (server) => {
  it('one that does not exist', async () => {
    expect(await errorOf({ connectionString: server().url('missing') })).toMatchObject({ reason: 'no-database', message: expect.stringContaining('createdb') });
  });

  it('a wrong password, and none', async () => {
    await server().query('SELECT 1');
    const strict = await PostgresServer.start();
    onTestFinished(() => strict.stop());
    await strict.requirePasswords();
    const place = { host: '127.0.0.1', port: strict.port, database: 'postgres', user: 'locked_out' };
    expect(await errorOf({ ...place, password: 'wrong' })).toMatchObject({ reason: 'bad-login', message: expect.stringContaining('Check user and password') });
    expect((await errorOf({ ...place, password: '' })).reason).toBe('bad-login');
    expect((await errorOf({ ...place, password: PostgresServer.password })).reason).toBe('no-access');
  });

  it('a role that may not make the schema, and one that may not use it', async () => {
    const schema = freshSchema();
    const connectionString = server().url('postgres', 'locked_out');
    expect(await errorOf({ connectionString, schema })).toMatchObject({ reason: 'no-access', message: expect.stringContaining('GRANT CREATE') });
    await (await openStore({ connectionString: server().url(), schema })).close();
    expect((await errorOf({ connectionString, schema })).reason).toBe('no-access');
  });

  it('a schema that was made for a role which may make none', async () => {
    const schema = freshSchema();
    await server().query(`CREATE SCHEMA ${schema} AUTHORIZATION locked_out`);
    const store = await openStore({ connectionString: server().url('postgres', 'locked_out'), schema });
    expect(await store.insert([jobRecord('job')])).toHaveLength(1);
  });

  it('one that takes no writes', async () => {
    await server().query('CREATE ROLE reader LOGIN SUPERUSER');
    await server().query('ALTER ROLE reader SET default_transaction_read_only = on');
    expect((await errorOf({ connectionString: server().url('postgres', 'reader') })).reason).toBe('read-only');
  });

  it('tables of a later release, which are left as they are', async () => {
    const schema = freshSchema();
    await (await openStore({ connectionString: server().url(), schema })).close();
    await server().query(`UPDATE ${schema}.meta SET value = '99' WHERE key = 'schema'`);
    expect(await errorOf({ connectionString: server().url(), schema })).toMatchObject({ reason: 'newer-version', message: expect.stringContaining('version 99') });
    expect(await server().query(`SELECT value FROM ${schema}.meta WHERE key = 'schema'`)).toEqual([{ value: '99' }]);
  });

  it('tables of somebody else', async () => {
    const schema = freshSchema();
    await server().query(`CREATE SCHEMA ${schema}`);
    await server().query(`CREATE TABLE ${schema}.meta (id int)`);
    expect((await errorOf({ connectionString: server().url(), schema })).reason).toBe('foreign-tables');
  });

  it('tables that go while the store is open', async () => {
    const schema = freshSchema();
    const store = await openStore({ connectionString: server().url(), schema });
    await server().query(`DROP TABLE ${schema}.jobs`);
    await expect(store.get('job')).rejects.toMatchObject({ reason: 'foreign-tables' });
  });

  it('a table that somebody keeps locked: the answer does not come, and the store says so', async () => {
    const schema = freshSchema();
    const pool = openPool(server());
    const store = await openStore({ connectionString: server().url(), schema, timeout: 300 });
    const client = await pool.connect();
    await client.query(`BEGIN; LOCK TABLE ${schema}.jobs`);
    await expect(store.insert([jobRecord('job')])).rejects.toMatchObject({ reason: 'timeout' });
    await client.query('ROLLBACK');
    client.release();
    await expect.poll(() => store.get('other')).toBeUndefined();
  });

  it('a store has one scheduler, and opens again', async () => {
    const store = await openStore({ connectionString: server().url(), schema: freshSchema() });
    await expect(store.open(storeContext())).rejects.toMatchObject({ code: 'STORE_IN_USE' });
    await store.close();
    await store.close();
    await store.open(storeContext());
    expect(await store.get('job')).toBeUndefined();
  });
});

describePostgres('the first start', (server) => {
  it('of many at once makes the tables once', async () => {
    const schema = freshSchema();
    const stores = await Promise.all(Array.from({ length: 8 }, () => openStore({ connectionString: server().url(), schema, max: 1 })));
    expect((await stores[0]!.insert([jobRecord('job')]))[0]).toBeDefined();
    for (const store of stores) expect(await store.get('job')).toBeDefined();
  });

  it('keeps several sets of jobs in one database, in different schemas', async () => {
    const [a, b] = [await openStore({ connectionString: server().url(), schema: freshSchema() }), await openStore({ connectionString: server().url(), schema: freshSchema() })];
    await a.insert([jobRecord('job', 1)]);
    expect(await b.get('job')).toBeUndefined();
  });
});

describePostgres('a pool of the user', (server) => {
  it('is used as it is, and stays open; no listener is left on it', async () => {
    const pool = openPool(server(), { types: { getTypeParser: () => () => 'theirs' } });
    const store = await openStore({ pool, schema: freshSchema() });
    const [stored] = await store.insert([jobRecord('job')]);
    expect(await store.get('job')).toMatchObject({ revision: stored!.revision });
    await (await store.watch(() => undefined))();
    await store.close();
    expect(pool.ended).toBe(false);
    expect(pool.listenerCount('error')).toBe(0);
    expect((await pool.query('SELECT 1')).rowCount).toBe(1);
  });

  it('of one connection is enough', async () => {
    const store = await openStore({ pool: openPool(server(), { max: 1 }), schema: freshSchema() });
    const stop = await store.watch(() => undefined);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => store.insert([jobRecord(`job${i}`)])));
    expect(answers.flat().filter((answer) => answer !== undefined)).toHaveLength(20);
    await stop();
  });

  it('that is closed under the store', async () => {
    const pool = openPool(server());
    const store = await openStore({ pool, schema: freshSchema() });
    await pool.end();
    await expect(store.get('job')).rejects.toMatchObject({ reason: 'closed' });
    await store.close();
  });
});

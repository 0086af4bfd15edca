import { createServer, type AddressInfo, type Socket } from 'node:net';
import { InvalidOptionError, isPunctualError, SystemClock, type Revision } from 'punctual';
import { RedisJobStore, RedisStoreError, type RedisJobStoreOptions } from 'punctual/redis';
import { storeContext } from 'punctual/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { loadIoredis, loadNodeRedis } from '../../../src/stores/redis/driver.js';
import { errorFromLoading, translate } from '../../../src/stores/redis/errors.js';
import { Link } from '../../../src/stores/redis/link.js';
import { claim, jobRecord, ledgerEntry, T0 } from '../../../src/testing/contracts/job-store/records.js';
import { MemoryLogger } from '../../scheduler/support/world.js';
import { RedisServer } from '../../support/redis-server.js';
import { describeRedis, freshPrefix, openIoredis, openNodeRedis, openStore } from './support.js';

async function errorOf(options: RedisJobStoreOptions): Promise<RedisStoreError> {
  const error: unknown = await new RedisJobStore(options).open(storeContext(new SystemClock())).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof RedisStoreError)) throw new Error('it should have failed', { cause: error });
  expect(error.code).toBe('STORE_UNUSABLE');
  expect(isPunctualError(error)).toBe(true);
  return error;
}

/** A server with settings of its own, for one test. */
async function serverWith(settings: Record<string, string>): Promise<RedisServer> {
  const server = await RedisServer.start({ appendonly: 'no', ...settings });
  onTestFinished(() => server.stop());
  return server;
}

describe('options', () => {
  const client = { duplicate() {}, connect() {}, on() {}, call() {}, disconnect() {}, subscribe() {} };
  it.each<[string, unknown]>([
    ['url', ''],
    ['url', { url: 'http://localhost' }],
    ['url', { url: 7 }],
    ['options', 7],
    ['options', null],
    ['hots', { hots: 'localhost' }],
    ['host', { host: 'localhost', client }],
    ['host', { host: 'localhost', url: 'redis://localhost' }],
    ['client', { client: {} }],
    ['client', { client: 'redis://localhost' }],
    ['port', { port: 70_000 }],
    ['db', { db: -1 }],
    ['url', { url: 'redis://localhost:6379/abc' }],
    ['url', { url: 'redis://localhost:6379/0/1' }],
    ['password', { password: 7 }],
    ['tls', { tls: 'yes' }],
    ['connectionName', { connectionName: 'my app' }],
    ['timeout', { timeout: 0 }],
    ['timeout', { timeout: { days: 1 } }],
    ['listen', { listen: 'yes' }],
    ['ledger.perJob', { ledger: { perJob: 1.5 } }],
    ['ledger.maxAge', { ledger: { maxAge: 'soon' } }],
    ['ledger.keep', { ledger: { keep: 1 } }],
    ['prefix', { prefix: '{mine}' }],
    ['prefix', { prefix: '' }],
  ])('refuses %s in %j', (option, target) => {
    expect(() => new RedisJobStore(target as string)).toThrow(InvalidOptionError);
    expect(() => new RedisJobStore(target as string)).toThrow(`\`${option}\``);
  });

  it('shows no password of a URL it refuses', () => {
    expect(() => new RedisJobStore('http://user:secret@host')).toThrow(expect.not.stringContaining('secret') as Error);
  });

  it('connects nowhere before it is asked to, and says so', async () => {
    const store = new RedisJobStore({ host: 'nowhere.invalid' });
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

  it('drivers that are not installed, or broken', () => {
    const missing = Object.assign(new Error(`Cannot find package`), { code: 'ERR_MODULE_NOT_FOUND' });
    expect(errorFromLoading([missing, missing])).toMatchObject({ code: 'STORE_UNUSABLE', reason: 'no-driver', message: expect.stringContaining('npm install ioredis') });
    expect(errorFromLoading([missing, new Error('broken')])).toMatchObject({ reason: 'no-driver', message: expect.stringContaining('broken') });
  });

  it('what else a server may say, in a script as well', () => {
    const reasons = {
      OOM: 'out-of-memory',
      READONLY: 'read-only',
      NOPERM: 'no-access',
      NOAUTH: 'bad-login',
      WRONGPASS: 'bad-login',
      LOADING: 'unreachable',
      MISCONF: 'refuses-writes',
      NOREPLICAS: 'refuses-writes',
      WRONGTYPE: 'foreign-keys',
    };
    for (const [word, reason] of Object.entries(reasons)) {
      expect(translate(new Error(`${word} so it is`))).toMatchObject({ reason });
      expect(translate(new Error(`ERR Error running script (call to f_1): @user_script:4: -${word} so it is`))).toMatchObject({ reason });
    }
    expect(translate(new Error('ERR value is not an integer'))).not.toBeInstanceOf(RedisStoreError);
  });
});

describeRedis('servers that cannot be used', (server) => {
  it('a wrong password, and none', async () => {
    const strict = await serverWith({ requirepass: 'secret' });
    for (const load of [loadIoredis, loadNodeRedis]) {
      const place = { host: '127.0.0.1', port: strict.port, connectionName: 'punctual' };
      const open = async (password?: string): Promise<unknown> => {
        const connect = (await load())({ ...place, ...(password === undefined ? {} : { password }) });
        const link = new Link(connect, '{p}:', { clock: new SystemClock(), timeoutMs: 10_000 });
        onTestFinished(() => { link.close(); });
        return link.send('PING');
      };
      await expect(open('wrong')).rejects.toMatchObject({ reason: 'bad-login' });
      await expect(open()).rejects.toMatchObject({ reason: 'bad-login' });
      expect(await open('secret')).toBe('PONG');
    }
    expect(await errorOf({ url: strict.url(':wrong@') })).toMatchObject({ reason: 'bad-login', message: expect.stringContaining('Check `username` and `password`') });
  });

  it('a user who may not use the keys, or not all commands; what he may do is enough where the message says so', async () => {
    const prefix = freshPrefix();
    await server().command('ACL', 'SETUSER', 'reader', 'on', '>secret', '~other*', '&*', '+@all');
    expect(await errorOf({ url: server().url('reader:secret@'), prefix })).toMatchObject({ reason: 'no-access', message: expect.stringContaining('ACL SETUSER') });
    await server().command('ACL', 'SETUSER', 'partial', 'on', '>secret', `~{${prefix}}*`, '&*', '+@all', '-xadd');
    expect((await errorOf({ url: server().url('partial:secret@'), prefix })).reason).toBe('no-access');
    expect(await server().command('KEYS', `{${prefix}}*`)).toEqual([]);
    await server().command('ACL', 'SETUSER', 'enough', 'on', '>secret', `~{${prefix}}*`, `&{${prefix}}*`, '+@all', '-@dangerous', '+info');
    const store = await openStore({ url: server().url('enough:secret@'), prefix });
    (await store.watch(() => undefined))();
    expect(await store.insert([jobRecord('job')])).toHaveLength(1);
    expect(await store.claimDue(claim(T0))).toHaveLength(1);
  });

  it('a replica', async () => {
    const replica = await serverWith({ replicaof: `127.0.0.1 ${server().port}` });
    expect(await errorOf({ url: replica.url() })).toMatchObject({ reason: expect.stringMatching(/read-only|unreachable/) });
    await expect.poll(async () => (await errorOf({ url: replica.url() })).reason, { timeout: 15_000 }).toBe('read-only');
  });

  it('a database that is not there is not taken for the first', async () => {
    const url = new URL(server().url());
    url.pathname = '/99';
    expect(await errorOf({ url: url.href })).toMatchObject({ reason: 'no-database', message: expect.stringContaining('number') });
    expect(await errorOf({ port: Number(url.port), db: 99 })).toMatchObject({ reason: 'no-database' });
  });

  it('what a later release wrote, which is left as it is, and keys of somebody else', async () => {
    const prefix = freshPrefix();
    await (await openStore({ url: server().url(), prefix })).close();
    await server().command('HSET', `{${prefix}}:meta`, 'schema', '99');
    expect(await errorOf({ url: server().url(), prefix })).toMatchObject({ reason: 'newer-version', message: expect.stringContaining('version 99') });
    const other = freshPrefix();
    await server().command('SET', `{${other}}:ids`, 'theirs');
    expect((await errorOf({ url: server().url(), prefix: other })).reason).toBe('foreign-keys');
    expect(await server().command('GET', `{${other}}:ids`)).toBe('theirs');
    const third = freshPrefix();
    await server().command('HSET', `{${third}}:meta`, 'name', 'theirs');
    expect((await errorOf({ url: server().url(), prefix: third })).reason).toBe('foreign-keys');
  });

  it('data whose version somebody has deleted, with how to put it back; a store that is open goes on', async () => {
    const prefix = freshPrefix();
    const store = await openStore({ url: server().url(), prefix });
    const write = async (revision: Revision, at: number): Promise<Revision> => {
      const [next] = await store.commit([{ id: 'job', expected: revision, next: jobRecord('job', at + 1), ledger: [ledgerEntry('job', at), ledgerEntry('job', at + 1)] }]);
      return next!;
    };
    const [stored] = await store.insert([jobRecord('job')]);
    const revision = await write(stored!.revision, T0);
    await server().command('DEL', `{${prefix}}:meta`);
    await write(await write(revision, T0 + 10), T0 + 20);
    const { entries } = await store.ledger.list({ jobId: 'job', limit: 10 });
    expect(entries.map(({ scheduledFor }) => scheduledFor - T0)).toEqual([0, 1, 10, 11, 20, 21]);
    expect((await store.claimDue(claim(T0 + 60_000))).map(({ record }) => record.id)).toEqual(['job']);
    const error = await errorOf({ url: server().url(), prefix });
    expect(error).toMatchObject({ reason: 'foreign-keys', message: expect.stringContaining(`HSET {${prefix}}:meta schema 3`) });
    await server().command('HSET', `{${prefix}}:meta`, 'schema', '3');
    expect(await (await openStore({ url: server().url(), prefix })).get('job')).toBeDefined();
  });

  it('a server that throws keys away is used, with a warning; one whose settings nobody may ask for, without', async () => {
    const evicting = await serverWith({ 'maxmemory-policy': 'allkeys-lru' });
    const warnings = async (url: string): Promise<string[]> => {
      const logger = new MemoryLogger();
      await openStore({ url, prefix: freshPrefix() }, { ...storeContext(new SystemClock()), logger });
      return logger.messages('warn');
    };
    expect(await warnings(evicting.url())).toEqual([expect.stringContaining('maxmemory-policy is allkeys-lru')]);
    await evicting.command('ACL', 'SETUSER', 'blind', 'on', '>secret', '~*', '&*', '+@all', '-info');
    expect(await warnings(evicting.url('blind:secret@'))).toEqual([expect.stringContaining('maxmemory-policy is allkeys-lru')]);
    await evicting.command('ACL', 'SETUSER', 'blind', '-config');
    expect(await warnings(evicting.url('blind:secret@'))).toEqual([]);
    expect(await warnings(server().url())).toEqual([]);
  });

  it('a store has one scheduler, and opens again; several prefixes have nothing to do with one another', async () => {
    const [store, other] = [await openStore({ url: server().url(), prefix: freshPrefix() }), await openStore({ url: server().url(), prefix: freshPrefix() })];
    await expect(store.open(storeContext())).rejects.toMatchObject({ code: 'STORE_IN_USE' });
    await store.insert([jobRecord('job')]);
    await store.close();
    await store.close();
    await store.open(storeContext());
    expect(await store.get('job')).toBeDefined();
    expect(await other.get('job')).toBeUndefined();
  });
});

describeRedis('a client of the user', (server) => {
  it('of ioredis is neither changed nor closed, and its settings do no harm', async () => {
    const client = openIoredis(server(), { keyPrefix: 'theirs:', stringNumbers: true });
    await client.ping();
    const [options, listeners] = [{ ...client.options }, client.eventNames().length];
    const prefix = freshPrefix();
    const store = await openStore({ client, prefix });
    const told = vi.fn();
    await store.watch(told);
    const other = await openStore({ client: await openNodeRedis(server()), prefix });
    await other.insert([jobRecord('job')]);
    await expect.poll(() => told.mock.calls.length).toBeGreaterThan(0);
    expect(await store.claimDue(claim(T0))).toHaveLength(1);
    await store.close();
    expect(client.options).toEqual(options);
    expect(client.eventNames()).toHaveLength(listeners);
    expect(client.status).toBe('ready');
    expect(await client.ping()).toBe('PONG');
  });

  it('of redis is neither changed nor closed', async () => {
    const client = await openNodeRedis(server(), { disableOfflineQueue: false });
    const store = await openStore({ client, prefix: freshPrefix() });
    const stop = await store.watch(() => undefined);
    await store.insert([jobRecord('job')]);
    stop();
    await store.close();
    expect(client.isReady).toBe(true);
    expect(await client.ping()).toBe('PONG');
  });

  it('that was closed under the store makes no difference: its connections are its own', async () => {
    const client = openIoredis(server());
    const store = await openStore({ client, prefix: freshPrefix() });
    client.disconnect();
    expect((await store.insert([jobRecord('job')]))[0]).toBeDefined();
  });

  it('no connection is left once the store is closed', async () => {
    const names = async (): Promise<number> => String(await server().command('CLIENT', 'LIST')).split('name=leftover ').length - 1;
    for (const listen of [true, false]) {
      const store = await openStore({ url: server().url(), prefix: freshPrefix(), connectionName: 'leftover', listen });
      await store.watch(() => undefined);
      expect(await names()).toBe(listen ? 2 : 1);
      await store.close();
      await expect.poll(names).toBe(0);
    }
  });
});

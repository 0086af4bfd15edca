import { createServer, type AddressInfo, type Socket } from 'node:net';
import { InvalidOptionError, isPunctualError, SystemClock } from 'punctual';
import { NatsJobStore, NatsStoreError, type NatsJobStoreOptions } from 'punctual/nats';
import { storeContext } from 'punctual/testing';
import type { NatsConnection } from '@nats-io/transport-node';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ApiError, errorFromLoading, translate } from '../../../src/stores/nats/errors.js';
import { decodeKey, encodeKey } from '../../../src/stores/nats/keys.js';
import { jobRecord } from '../../../src/testing/contracts/job-store/records.js';
import { describeNats, freshBucket, openConnection, openStore } from './support.js';

async function errorOf(options: NatsJobStoreOptions): Promise<NatsStoreError> {
  const error: unknown = await new NatsJobStore({ timeout: 3_000, ...options }).open(storeContext(new SystemClock())).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof NatsStoreError)) throw new Error('it should have failed', { cause: error });
  expect(error.code).toBe('STORE_UNUSABLE');
  expect(isPunctualError(error)).toBe(true);
  return error;
}

describe('options', () => {
  const connection = { publish() {}, subscribe() {}, status() {}, isClosed() {} };
  it.each<[string, unknown]>([
    ['servers', ''],
    ['servers', { servers: [] }],
    ['user', { password: 'secret' }],
    ['servers', { servers: 7 }],
    ['options', 7],
    ['options', null],
    ['sevrers', { sevrers: 'localhost' }],
    ['servers', { servers: 'localhost', connection }],
    ['token', { token: 'x', connection }],
    ['token', { token: 7 }],
    ['connection', { connection: {} }],
    ['replicas', { replicas: 0 }],
    ['maxBytes', { maxBytes: 0.5 }],
    ['timeout', { timeout: 0 }],
    ['timeout', { timeout: { days: 1 } }],
    ['ledger.perJob', { ledger: { perJob: 1.5 } }],
    ['ledger.maxAge', { ledger: { maxAge: 'soon' } }],
    ['ledger.keep', { ledger: { keep: 1 } }],
    ['bucket', { bucket: 'a.b' }],
  ])('refuses %s in %j', (option, target) => {
    expect(() => new NatsJobStore(target as string)).toThrow(InvalidOptionError);
    expect(() => new NatsJobStore(target as string)).toThrow(`\`${option}\``);
  });

  it('opens nothing before it is asked to, and says so', async () => {
    const store = new NatsJobStore('nats://nowhere.invalid');
    await expect(store.get('job')).rejects.toMatchObject({ reason: 'closed' });
    expect(() => store.ledger).toThrow('not open');
    await store.close();
  });
});

describe('keys', () => {
  it.each(['job', 'daily-report_1', 'a.b', '*', '>', '', ' ', '=41', 'ä/日本/𝒳', 'x'.repeat(1_000), '\n'])('%j comes back', (id) => {
    expect(encodeKey(id)).toMatch(/^[\w=-]+$/);
    expect(decodeKey(encodeKey(id))).toBe(id);
  });

  it.each(['x'.repeat(1_001), '\ud800', 'ä'.repeat(501)])('refuses what would not come back', (id) => {
    expect(() => encodeKey(id)).toThrow(expect.objectContaining({ code: 'JOB_UNSTORABLE' }));
  });
});

describe('servers that are not there', () => {
  it('a port on which nobody listens, and a host without an address', { timeout: 30_000 }, async () => {
    expect(await errorOf({ servers: '127.0.0.1:1' })).toMatchObject({ reason: 'unreachable', message: expect.stringContaining('Check that the server runs') });
    expect((await errorOf({ servers: 'nowhere.invalid' })).reason).toBe('unreachable');
  });

  it('one that takes the connection and says nothing', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => { sockets.add(socket.on('error', () => undefined)); });
    await new Promise<void>((resolve) => { silent.listen(0, '127.0.0.1', resolve); });
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as AddressInfo;
    expect(['timeout', 'unreachable']).toContain((await errorOf({ servers: `127.0.0.1:${port}`, timeout: 200 })).reason);
  });

  it('a driver that is not installed', () => {
    const error = errorFromLoading(Object.assign(new Error(`Cannot find package`), { code: 'ERR_MODULE_NOT_FOUND' }));
    expect(error).toMatchObject({ code: 'STORE_UNUSABLE', reason: 'no-driver', message: expect.stringContaining('npm install @nats-io/transport-node') });
    expect(errorFromLoading(new Error('broken'))).toMatchObject({ reason: 'no-driver', message: expect.stringContaining('broken') });
  });

  it.each<[number, number, string]>([
    [503, 10039, 'no-jetstream'],
    [503, 10077, 'storage-full'],
    [500, 10023, 'storage-full'],
    [400, 10074, 'too-few-servers'],
    [404, 10059, 'foreign-stream'],
    [400, 10065, 'foreign-stream'],
    [503, 10008, 'unreachable'],
  ])('what else a server may say: %i, %i', (status, problem, reason) => {
    expect(translate(new ApiError(status, problem, 'so'))).toMatchObject({ reason });
  });
});

describeNats('a server without JetStream', (server) => {
  it('is told from one that is not there', async () => {
    expect(await errorOf({ servers: server().url })).toMatchObject({ reason: 'no-jetstream', message: expect.stringContaining('-js') });
  });
}, { jetstream: null });

const accounts = `authorization { users: [
  { user: admin, password: secret }
  { user: reader, password: secret, permissions: { publish: ["$JS.API.STREAM.INFO.>"], subscribe: ["_INBOX.>"] } }
] }`;

describeNats('logins', (server) => {
  it('a wrong password, none, and the right one', { timeout: 30_000 }, async () => {
    const { url: servers } = server();
    expect(await errorOf({ servers, user: 'admin', password: 'wrong' })).toMatchObject({ reason: 'bad-login', message: expect.stringContaining('Check user and password') });
    expect((await errorOf({ servers })).reason).toBe('bad-login');
    await openStore({ servers, user: 'admin', password: 'secret', bucket: freshBucket() });
  });

  it('a user who may not do what is needed', { timeout: 30_000 }, async () => {
    expect(await errorOf({ servers: server().url, user: 'reader', password: 'secret' })).toMatchObject({ reason: 'no-access' });
  });
}, { config: accounts, login: { user: 'admin', pass: 'secret' } });

describeNats('servers that cannot be used', (server) => {
  it('one of a cluster that is too small', async () => {
    expect((await errorOf({ servers: server().url, bucket: freshBucket(), replicas: 3 })).reason).toBe('too-few-servers');
  });

  it('streams of a later release, which are left as they are, and streams of somebody else', async () => {
    const connection = await openConnection(server());
    const [later, theirs] = [freshBucket(), freshBucket()];
    const make = async (bucket: string, description: string): Promise<void> => {
      const config = { name: `KV_${bucket}`, subjects: [`$KV.${bucket}.>`], storage: 'file', num_replicas: 1, description };
      await connection.request(`$JS.API.STREAM.CREATE.KV_${bucket}`, JSON.stringify(config));
    };
    await make(later, 'punctual jobs, form 99');
    await make(theirs, 'settings');
    expect(await errorOf({ servers: server().url, bucket: later })).toMatchObject({ reason: 'newer-version', message: expect.stringContaining('form 99') });
    expect((await errorOf({ servers: server().url, bucket: theirs })).reason).toBe('foreign-stream');
  });

  it('a store has one scheduler, and opens again', async () => {
    const store = await openStore({ servers: server().url, bucket: freshBucket() });
    await expect(store.open(storeContext())).rejects.toMatchObject({ code: 'STORE_IN_USE' });
    await store.close();
    await store.close();
    await store.open(storeContext());
    expect(await store.get('job')).toBeUndefined();
  });

  it('the first start of many at once makes the streams once', async () => {
    const bucket = freshBucket();
    const stores = await Promise.all(Array.from({ length: 8 }, () => openStore({ servers: server().url, bucket })));
    expect((await stores[0]!.insert([jobRecord('job')]))[0]).toBeDefined();
    for (const store of stores) expect(await store.get('job')).toBeDefined();
  });

  it('a connection of the user stays open, and one that is closed under the store is told', async () => {
    const connection = await openConnection(server());
    const store = await openStore({ connection, bucket: freshBucket() });
    await store.close();
    expect(connection.isClosed()).toBe(false);
    await store.open(storeContext());
    await connection.close();
    await expect(store.get('job')).rejects.toMatchObject({ reason: 'closed' });
    await store.close();
  });
});

/** A connection whose first so many messages to a subject find nobody: they go where nobody listens, which the server says. */
function deafAtFirst(connection: NatsConnection, subject: string, times: number): { readonly connection: NatsConnection; readonly sent: () => number } {
  let sent = 0;
  const publish: NatsConnection['publish'] = (to, ...rest) => {
    if (to === subject) sent += 1;
    connection.publish(to === subject && sent <= times ? 'nobody.listens' : to, ...rest);
  };
  return { connection: Object.assign(Object.create(connection) as NatsConnection, { publish }), sent: () => sent };
}

describeNats('streams that another node made a moment ago', (server) => {
  const open = async (times: number): Promise<{ readonly opened: Promise<NatsJobStore>; readonly sent: () => number }> => {
    const bucket = freshBucket();
    await (await openStore({ servers: server().url, bucket })).close();
    const { connection, sent } = deafAtFirst(await openConnection(server()), `$KV.${bucket}_leases.clock`, times);
    return { opened: openStore({ connection, bucket }), sent };
  };

  it('are written to again as long as they do not listen yet', async () => {
    const { opened, sent } = await open(3);
    const store = await opened;
    expect(sent()).toBe(4);
    expect((await store.insert([jobRecord('job')]))[0]).toBeDefined();
  });

  it('but not without an end', { timeout: 30_000 }, async () => {
    const { opened, sent } = await open(Number.POSITIVE_INFINITY);
    await expect(opened).rejects.toMatchObject({ reason: 'unreachable', message: expect.stringContaining('no responders') });
    expect(sent()).toBeGreaterThan(4);
  });
});

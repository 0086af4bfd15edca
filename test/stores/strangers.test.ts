import { createServer as createWebServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { InvalidOptionError, isPunctualError, SystemClock, type JobStore } from 'punctual';
import { NatsJobStore } from 'punctual/nats';
import { PostgresJobStore } from 'punctual/postgres';
import { RedisJobStore } from 'punctual/redis';
import { storeContext } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';

/** Somebody who listens there and is no store. */
async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => { sockets.add(socket.on('error', () => undefined)); });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const STRANGERS: Readonly<Record<string, () => Server>> = {
  'one that says nothing, as a server that wants TLS does': () => createServer(),
  'a web server': () => createWebServer((_, response) => response.end('no')),
  'one that speaks first': () => createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')),
};

const STORES: Readonly<Record<string, (port: number, secure: boolean) => JobStore>> = {
  PostgresJobStore: (port, secure) => new PostgresJobStore({ host: '127.0.0.1', port, timeout: 300, ...(secure ? { ssl: true } : {}) }),
  RedisJobStore: (port, secure) => new RedisJobStore({ host: '127.0.0.1', port, timeout: 300, ...(secure ? { tls: true } : {}) }),
  NatsJobStore: (port, secure) => new NatsJobStore({ servers: `127.0.0.1:${port}`, timeout: 300, ...(secure ? { tls: {} } : {}) }),
};

describe.each(Object.keys(STORES))('%s, where somebody else answers', (store) => {
  it.each(Object.keys(STRANGERS).flatMap((stranger) => [[stranger, 'without', false], [stranger, 'with', true]] as const))('%s, %s TLS', async (stranger, _, secure) => {
    const port = await listening(STRANGERS[stranger]!());
    const error = await Promise.resolve(STORES[store]!(port, secure).open(storeContext(new SystemClock()))).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(isPunctualError(error, 'STORE_UNUSABLE')).toBe(true);
    expect(error).toMatchObject({ reason: 'unreachable' });
    const { message } = error as Error;
    // Load is not what is the matter, and the place is what to look at.
    expect(message).not.toMatch(/load\b|SLOWLOG|pg_stat_activity|slow disks/);
    expect(message).toMatch(/host|`servers`|tls|ssl/i);
  });
});

describe('the connection string of a PostgresJobStore', () => {
  it.each(['nonsense', 'mysql://root:secret@localhost/x', 'host=localhost dbname=x', 'postgres://user:secret@host:99999/x', 'localhost:5432', 'http://localhost', 'postgres//localhost'])('is refused when it is none: %s', (connectionString) => {
    const refused = (): unknown => new PostgresJobStore(connectionString);
    expect(refused).toThrow(InvalidOptionError);
    expect(refused).toThrow(/`connectionString`.*postgres:\/\/user:password@host:5432\/database/);
    expect(refused).not.toThrow(/secret/);
  });

  it.each([
    'postgres://localhost',
    'postgresql://user:p%40ss@db.example.com:6543/jobs?sslmode=require',
    'postgres://user:pass word@localhost/jobs',
    'postgres:///jobs?host=/var/run/postgresql',
    'postgres://user@%2Fvar%2Frun%2Fpostgresql/jobs',
    'postgres://[::1]:5432/jobs',
    'postgres://10.0.0.1,10.0.0.2/jobs',
    'socket:/var/run/postgresql?db=jobs',
    '/var/run/postgresql jobs',
  ])('is taken as pg takes it: %s', (connectionString) => {
    expect(() => new PostgresJobStore(connectionString)).not.toThrow();
  });

  it.each([{ port: 70_000 }, { port: '5432' }, { host: 7 }, { database: 7 }, { user: {} }, { applicationName: 7 }])('and so are its parts: %j', (options) => {
    expect(() => new PostgresJobStore(options as never)).toThrow(InvalidOptionError);
  });
});

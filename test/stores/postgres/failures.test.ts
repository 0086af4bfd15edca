import { AsyncScheduler, currentRun, IntervalTrigger } from 'punctual';
import { PostgresJobStore } from 'punctual/postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryLogger } from '../../scheduler/support/world.js';
import { PostgresServer } from '../../support/postgres-server.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { describePostgres } from './support.js';

/** Generous: the machine may be slow. What is waited for comes within a second or two on one that is not. */
const SOON = { timeout: 25_000, interval: 20 };
const LONG = 100_000;

interface Failure {
  readonly name: string;
  /** What the event has to say. */
  readonly says: RegExp;
  /** Breaks something, and answers how to mend it. */
  readonly strike: (server: PostgresServer, proxy: TcpProxy) => Promise<() => unknown>;
}

const everybody = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND pid <> pg_backend_pid()`;

/** Settings for all connections, those that are there included. */
async function configure(server: PostgresServer, setting: string): Promise<void> {
  await server.query(`ALTER SYSTEM ${setting}`);
  await server.query('SELECT pg_reload_conf()');
}

const failures: readonly Failure[] = [
  {
    name: 'the server is killed, and starts again',
    says: /cannot be reached/,
    strike: async (server) => {
      await server.kill();
      return () => server.resume();
    },
  },
  {
    name: 'the server hangs',
    says: /did not answer in time|no answer within/,
    strike: async (server) => server.freeze(),
  },
  {
    name: 'the network swallows everything',
    says: /did not answer in time|no answer within/,
    strike: async (_, proxy) => {
      proxy.freeze();
      return () => proxy.heal();
    },
  },
  {
    name: 'the network is cut, and lets nobody in',
    says: /cannot be reached/,
    strike: async (_, proxy) => {
      proxy.refuse();
      proxy.cut();
      return () => proxy.heal();
    },
  },
  {
    name: 'the database takes no writes',
    says: /read-only/,
    strike: async (server) => {
      await configure(server, 'SET default_transaction_read_only = on');
      return () => configure(server, 'RESET default_transaction_read_only');
    },
  },
  {
    name: 'the role loses its rights',
    says: /may not|permission/i,
    strike: async (server) => {
      await server.query('REVOKE ALL ON ALL TABLES IN SCHEMA app FROM app');
      return () => server.query('GRANT ALL ON ALL TABLES IN SCHEMA app TO app');
    },
  },
  {
    name: 'the password is another one',
    says: /cannot be reached|refuses the login/,
    strike: async (server) => {
      await server.query(`ALTER ROLE app PASSWORD 'another'`);
      await server.query(everybody);
      return () => server.query(`ALTER ROLE app PASSWORD '${PostgresServer.password}'`);
    },
  },
  {
    name: 'there are too many connections',
    says: /cannot be reached|no connection left/,
    strike: async (server) => {
      await server.query('ALTER ROLE app CONNECTION LIMIT 0');
      await server.query(everybody);
      return () => server.query('ALTER ROLE app CONNECTION LIMIT -1');
    },
  },
];

describePostgres('a scheduler on a server that fails', (server) => {
  const events: string[] = [];
  const starts: string[] = [];
  let ticks = 0;
  let open: (() => void) | undefined;
  let proxy: TcpProxy;
  let scheduler: AsyncScheduler;

  beforeAll(async () => {
    await server().requirePasswords();
    await server().query(`CREATE ROLE app LOGIN PASSWORD '${PostgresServer.password}'`);
    await server().query('CREATE SCHEMA app AUTHORIZATION app');
    proxy = await TcpProxy.start(server().port);
    const store = new PostgresJobStore({ host: '127.0.0.1', port: proxy.port, database: 'postgres', user: 'app', password: PostgresServer.password, schema: 'app', timeout: 1_000 });
    const note = (): void => { starts.push(`${currentRun().runId} ${currentRun().attempt}`); };
    scheduler = new AsyncScheduler({
      jobStores: { default: store },
      logger: new MemoryLogger(),
      leaseDuration: { seconds: 60 },
      tasks: {
        tick: () => {
          note();
          ticks += 1;
        },
        long: async () => {
          note();
          await new Promise<void>((resolve) => { open = resolve; });
          return 'done';
        },
      },
    });
    scheduler.on('storeUnavailable', ({ error }) => { events.push(`down: ${error.message}`); });
    scheduler.on('storeRecovered', () => { events.push('up'); });
    scheduler.on('leaseLost', () => { events.push('lease lost'); });
    await scheduler.addJob('tick', new IntervalTrigger({ milliseconds: 250 }), { id: 'tick' });
    await scheduler.addJob('long', '0 0 1 1 *', { id: 'long' });
    await scheduler.start();
  });

  afterAll(async () => {
    await scheduler.shutdown({ wait: false });
    proxy.close();
  });

  describe.each(failures)('$name', ({ says, strike }) => {
    it('waits, says so, and goes on; what ended in the meantime is recorded later', { timeout: LONG }, async () => {
      const handle = await scheduler.runJob('long');
      await expect.poll(() => open, SOON).toBeDefined();
      events.length = 0;
      const mend = await strike(server(), proxy);
      try {
        await expect.poll(() => events, SOON).toEqual([expect.stringMatching(says)]);
        open?.();
        open = undefined;
      } finally {
        await mend();
      }
      await expect.poll(() => events, SOON).toEqual([expect.stringMatching(says), 'up']);
      expect(await handle.result()).toBe('done');
      const before = ticks;
      await expect.poll(() => ticks, SOON).toBeGreaterThan(before);
    });
  });

  it('connections that are cut off, the one that listens as well: goes on, and listens again', { timeout: LONG }, async () => {
    const before = ticks;
    await server().query(everybody);
    await expect.poll(() => ticks, SOON).toBeGreaterThan(before);
    const listening = `SELECT 1 FROM pg_stat_activity WHERE usename = 'app' AND query = 'LISTEN "punctual_app"'`;
    await expect.poll(async () => (await server().query(listening)).length, SOON).toBe(1);
  });

  it('started nothing twice through all of it, and every fire time has its verdict', { timeout: LONG }, async () => {
    expect(new Set(starts).size).toBe(starts.length);
    expect((await scheduler.verifyLedger()).problems).toEqual([]);
  });
});

import { AsyncScheduler, MemoryJobStore, type TaskFunction } from 'punctual';
import { PostgresJobStore, type PostgresJobStoreOptions } from 'punctual/postgres';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { MemoryLogger } from '../../scheduler/support/world.js';
import { PostgresServer } from '../../support/postgres-server.js';
import { describePostgres, freshSchema, openPool } from './support.js';

interface World {
  readonly scheduler: AsyncScheduler;
  readonly runs: string[];
  readonly events: string[];
  readonly schema: string;
}

function world(server: PostgresServer, options: PostgresJobStoreOptions = {}, schema = freshSchema()): World {
  const runs: string[] = [];
  const events: string[] = [];
  const tasks: Record<string, TaskFunction> = { work: (name: string) => { runs.push(name); } };
  const jobStores = { default: new PostgresJobStore({ connectionString: server.url(), schema, ...options }), memory: new MemoryJobStore() };
  const scheduler = new AsyncScheduler({ jobStores, tasks, logger: new MemoryLogger() });
  for (const type of ['jobAdded', 'jobModified', 'jobSkipped'] as const) scheduler.on(type, ({ jobId }) => { events.push(`${type} ${jobId}`); });
  onTestFinished(() => scheduler.shutdown({ wait: false }));
  return { scheduler, runs, events, schema };
}

/** A client inside a transaction, with an order in it. */
async function order(server: PostgresServer, schema: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url() });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end());
  await client.query(`CREATE TABLE IF NOT EXISTS public.orders_${schema} (id text)`);
  await client.query('BEGIN');
  await client.query(`INSERT INTO public.orders_${schema} VALUES ('order')`);
  return client;
}

const FUTURE = new Date(Date.now() + 3_600_000);

describePostgres('a job that is added in a transaction of the user', (server) => {
  it.each([true, false])('is there, and runs, once that is committed, and not before; notices: %s', async (listen) => {
    const { scheduler, runs, events, schema } = world(server(), { listen });
    const other = world(server(), { listen }, schema);
    await scheduler.start();
    const client = await order(server(), schema);
    const job = await scheduler.addJob('work', new Date(), { id: 'now', args: ['now'], client });
    expect(job.id).toBe('now');
    await scheduler.addJobs([{ task: 'work', trigger: FUTURE, id: 'a', args: ['a'] }, { task: 'work', trigger: new Date(), id: 'b', args: ['b'] }], { client });
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    expect(await other.scheduler.getJobs()).toEqual([]);
    expect(runs).toEqual([]);
    await client.query('COMMIT');
    await expect.poll(() => [...runs].sort(), { timeout: 10_000 }).toEqual(['b', 'now']);
    await expect.poll(async () => (await other.scheduler.getJobs()).map(({ id }) => id), { timeout: 10_000 }).toEqual(['a']);
    expect(events).toEqual([]);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, counts: { succeeded: 2 } });
  });

  it('wakes another node, too', async () => {
    const { scheduler, schema } = world(server());
    const other = world(server(), {}, schema);
    await other.scheduler.start();
    const client = await order(server(), schema);
    await scheduler.addJob('work', new Date(), { id: 'now', args: ['now'], client });
    await client.query('COMMIT');
    await expect.poll(() => other.runs, { timeout: 10_000 }).toEqual(['now']);
  });

  it('is not there when that is rolled back, or the part of it from a savepoint on', async () => {
    const { scheduler, runs, schema } = world(server());
    await scheduler.start();
    const client = await order(server(), schema);
    await scheduler.addJob('work', new Date(), { id: 'gone', args: ['gone'], client });
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    await scheduler.addJob('work', new Date(), { id: 'kept', args: ['kept'], client });
    await client.query('SAVEPOINT here');
    await scheduler.addJob('work', new Date(), { id: 'undone', args: ['undone'], client });
    await client.query('ROLLBACK TO SAVEPOINT here');
    await scheduler.addJob('work', new Date(), { id: 'after', args: ['after'], client });
    await client.query('COMMIT');
    await expect.poll(() => [...runs].sort(), { timeout: 10_000 }).toEqual(['after', 'kept']);
    await expect.poll(async () => scheduler.getJobs(), { timeout: 10_000 }).toEqual([]);
    // The id is free, and what was remembered of it does no harm.
    await scheduler.addJob('work', FUTURE, { id: 'gone', args: ['again'] });
    expect((await scheduler.getJob('gone'))?.args).toEqual(['again']);
  });

  it('takes the place of another, or is refused, as outside', async () => {
    const { scheduler, schema, events } = world(server());
    await scheduler.addJob('work', FUTURE, { id: 'job', args: ['old'] });
    const client = await order(server(), schema);
    await expect(scheduler.addJob('work', FUTURE, { id: 'job', args: ['new'], client })).rejects.toMatchObject({ code: 'CONFLICTING_JOB_ID' });
    const replace = async (): Promise<unknown> => scheduler.addJob('work', FUTURE, { id: 'job', args: ['new'], replaceExisting: true, client });
    await replace();
    expect((await scheduler.getJob('job'))?.args).toEqual(['old']);
    await client.query('ROLLBACK');
    expect((await scheduler.getJob('job'))?.args).toEqual(['old']);
    await client.query('BEGIN');
    await replace();
    // Twice in one transaction: it sees what it wrote.
    await replace();
    await client.query('COMMIT');
    expect((await scheduler.getJob('job'))?.args).toEqual(['new']);
    expect(events).toEqual(['jobAdded job']);
    expect(await client.query(`SELECT * FROM public.orders_${schema}`)).toMatchObject({ rowCount: 0 });
  });

  it('may be added over a client of a pool, which is given back as it was', async () => {
    const { scheduler, schema } = world(server());
    await scheduler.getJobs();
    const pool = openPool(server(), { max: 1, types: { getTypeParser: () => () => 'theirs' } });
    const client = await pool.connect();
    for (const end of ['ROLLBACK', 'COMMIT']) {
      await client.query('BEGIN');
      await scheduler.addJob('work', FUTURE, { id: 'job', args: ['x'], client });
      await client.query(end);
    }
    expect(client.listenerCount('error')).toBe(0);
    client.release();
    const settings = await pool.query({ text: `SELECT current_setting('statement_timeout')`, rowMode: 'array', types: { getTypeParser: () => String } });
    expect(settings.rows).toEqual([['0']]);
    expect(await server().query(`SELECT id FROM ${schema}.jobs`)).toEqual([{ id: 'job' }]);
  });
});

describePostgres('what is no client in a transaction', (server) => {
  const refused = (scheduler: AsyncScheduler, client: object, jobStore?: string): Promise<unknown> =>
    scheduler.addJob('work', FUTURE, { id: 'job', args: ['x'], client, jobStore }).catch((error: unknown) => error);

  it('is refused before anything is changed, and named without what is in it', async () => {
    const { scheduler, schema } = world(server());
    const idle = new pg.Client({ connectionString: server().url() });
    await idle.connect();
    const ended = new pg.Client({ connectionString: server().url() });
    await ended.connect();
    await ended.end();
    const wrong: [object, string][] = [
      [openPool(server()), 'pool.connect()'],
      [idle, 'send BEGIN'],
      [ended, 'closed'],
      [{}, 'a connected client'],
    ];
    for (const [client, text] of wrong) {
      const error = await refused(scheduler, client);
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'client', message: expect.stringContaining(text) });
      expect(String(error)).not.toContain(PostgresServer.password);
    }
    for (const client of [7, 'client', null]) expect(await refused(scheduler, client as unknown as object)).toMatchObject({ code: 'INVALID_OPTION', option: 'client' });
    expect(await server().query(`SELECT id FROM ${schema}.jobs`)).toEqual([]);
    await idle.end();
  });

  it('is refused by a store that takes part in no transactions', async () => {
    const { scheduler, schema } = world(server());
    const client = await order(server(), schema);
    const error = await refused(scheduler, client, 'memory');
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'client', message: expect.stringContaining('"memory"') });
    await expect(scheduler.addJobs([{ task: 'work', trigger: FUTURE, args: ['x'], jobStore: 'memory' }], { client })).rejects.toMatchObject({ option: 'client' });
    await expect(scheduler.addJobs([{ task: 'work', trigger: FUTURE, args: ['x'], id: 'x', client } as never])).rejects.toMatchObject({ option: 'client' });
    await expect(scheduler.addJobs([], { clint: 1 } as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(await scheduler.getJobs()).toEqual([]);
  });

  it('is refused when it leads to another database, also one that has jobs in a schema of this name', async () => {
    const { scheduler, schema } = world(server());
    await scheduler.getJobs();
    await server().query(`CREATE DATABASE elsewhere_${schema}`);
    const connectionString = server().url(`elsewhere_${schema}`);
    const client = new pg.Client({ connectionString });
    await client.connect();
    onTestFinished(() => client.end());
    await client.query('BEGIN');
    const wrong = { option: 'client', message: expect.stringContaining(`"elsewhere_${schema}"`) };
    expect(await refused(scheduler, client)).toMatchObject(wrong);
    await client.query('COMMIT');
    const there = world(server(), { connectionString }, schema);
    await there.scheduler.getJobs();
    await client.query('BEGIN');
    expect(await refused(scheduler, client)).toMatchObject(wrong);
    // The user's transaction can go on.
    expect((await client.query('SELECT 1')).rowCount).toBe(1);
    await client.query('COMMIT');
  });

  it('whose transaction has failed already says so', async () => {
    const { scheduler, schema } = world(server());
    const client = await order(server(), schema);
    await client.query('SELECT 1/0').catch(() => undefined);
    expect(await refused(scheduler, client)).toMatchObject({ code: 'STORE_FAILED', cause: { code: '25P02' } });
    await client.query('ROLLBACK');
  });
});

import type { StoredJob } from 'punctual';
import { PostgresJobStore } from 'punctual/postgres';
import { storeContext } from 'punctual/testing';
import { expect, it } from 'vitest';
import { Database } from '../../../src/stores/postgres/database.js';
import { migrate, SCHEMA } from '../../../src/stores/postgres/schema.js';
import { claim, jobRecord, T0 } from '../../../src/testing/contracts/job-store/records.js';
import type { PostgresServer } from '../../support/postgres-server.js';
import { describePostgres, freshSchema, openPool, openStore } from './support.js';

/** A schema as it was at an earlier version, with a job in it. */
async function earlier(server: PostgresServer, version: number): Promise<string> {
  const [schema, model] = [freshSchema(), freshSchema()];
  await migrate(new Database(openPool(server), schema, 5_000), SCHEMA.slice(0, version));
  const store = await openStore({ connectionString: server.url(), schema: model });
  await store.insert([jobRecord('old', T0)]);
  for (const table of ['jobs', 'definitions']) {
    const columns = (await server.query(`SELECT column_name AS name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2`, [schema, table]))
      .map(({ name }) => String(name)).join(', ');
    await server.query(`INSERT INTO ${schema}.${table} (${columns}) SELECT ${columns} FROM ${model}.${table}`);
  }
  return schema;
}

const versionOf = (server: PostgresServer, schema: string): Promise<unknown> => server.query(`SELECT value FROM ${schema}.meta WHERE key = 'schema'`);
const latest = [{ value: String(SCHEMA.length) }];

describePostgres('tables of an earlier version', (server) => {
  it.each(SCHEMA.slice(1).map((_, i) => i + 1))('%i are brought to this one, with what is in them', async (version) => {
    const schema = await earlier(server(), version);
    expect(await versionOf(server(), schema)).toEqual([{ value: String(version) }]);
    const store = await openStore({ connectionString: server().url(), schema });
    expect(await versionOf(server(), schema)).toEqual(latest);
    expect((await store.get('old'))?.record).toEqual(jobRecord('old', T0));
    await store.members.announce({ node: 'n', about: '', now: T0, ttlMs: 1 });
    expect(await store.alarms()).toEqual({ nextAt: null, overdue: 0 });
    const [{ record, revision }] = (await store.claimDue(claim(T0))) as [StoredJob];
    const expecting = { ...record, definition: { ...record.definition, policy: { ...record.definition.policy, expect: { successWithinMs: 7, maxLatenessMs: null } } } };
    await store.commit([{ id: 'old', expected: revision, next: { ...expecting, state: { ...record.state, watch: { since: T0, overdue: null } } }, ledger: [] }]);
    expect(await store.alarms()).toEqual({ nextAt: T0 + 7, overdue: 0 });
  });

  it('are brought there once by several that start together', async () => {
    const schema = await earlier(server(), 1);
    await Promise.all(Array.from({ length: 6 }, () => openStore({ connectionString: server().url(), schema, max: 1 })));
    expect(await versionOf(server(), schema)).toEqual(latest);
  });

  it('wait for another process that is at it, longer than for an answer', async () => {
    const schema = await earlier(server(), 1);
    const pool = openPool(server());
    const client = await pool.connect();
    await client.query(`BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('punctual ${schema}', 0))`);
    const opening = openStore({ connectionString: server().url(), schema, timeout: 200 });
    await new Promise((resolve) => { setTimeout(resolve, 800); });
    expect(await versionOf(server(), schema)).toEqual([{ value: '1' }]);
    await client.query('COMMIT');
    client.release();
    await opening;
    expect(await versionOf(server(), schema)).toEqual(latest);
  });

  it('stay as they are when a step fails, those before it done', async () => {
    const schema = freshSchema();
    const database = new Database(openPool(server()), schema, 5_000);
    const steps = [['CREATE TABLE {a} (x int)'], ['CREATE TABLE {b} (x int)', 'SELECT 1/0'], ['CREATE TABLE {c} (x int)']];
    await expect(migrate(database, steps)).rejects.toMatchObject({ code: '22012' });
    expect(await versionOf(server(), schema)).toEqual([{ value: '1' }]);
    expect(await server().query(`SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1`, [schema])).toEqual([{ tablename: 'a' }, { tablename: 'meta' }]);
    await migrate(database, [steps[0]!, ['CREATE TABLE {b} (x int)'], steps[2]!]);
    expect(await versionOf(server(), schema)).toEqual([{ value: '3' }]);
  });

  it('are left to their owner by a role that may only use them', async () => {
    const schema = await earlier(server(), 1);
    await server().query(`GRANT USAGE, CREATE ON SCHEMA ${schema} TO locked_out; GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO locked_out; GRANT ALL ON ALL SEQUENCES IN SCHEMA ${schema} TO locked_out; REVOKE CREATE ON SCHEMA ${schema} FROM locked_out`);
    const connectionString = server().url('postgres', 'locked_out');
    await expect(new PostgresJobStore({ connectionString, schema }).open(storeContext())).rejects.toMatchObject({ reason: 'no-access' });
    expect(await versionOf(server(), schema)).toEqual([{ value: '1' }]);
    await (await openStore({ connectionString: server().url(), schema })).close();
    await server().query(`GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO locked_out`);
    const store = await openStore({ connectionString, schema });
    expect(await store.insert([jobRecord('theirs')])).toHaveLength(1);
  });
});

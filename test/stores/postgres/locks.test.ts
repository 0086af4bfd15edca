import { AsyncScheduler } from 'punctual';
import { PostgresJobStore } from 'punctual/postgres';
import type pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { claim, dueAt, jobRecord, ledgerEntry, scope, T0 } from '../../../src/testing/contracts/job-store/records.js';
import { inline } from '../../../src/stores/postgres/literal.js';
import { MemoryLogger } from '../../scheduler/support/world.js';
import { describePostgres, freshSchema, openPool, openStore, twoStores } from './support.js';

/** A transaction of somebody else's that goes on. */
async function transaction(pool: pg.Pool, ...statements: string[]): Promise<(end?: 'COMMIT' | 'ROLLBACK') => Promise<void>> {
  const client = await pool.connect();
  for (const statement of ['BEGIN', ...statements]) await client.query(statement);
  let isOver = false;
  const end = async (how: 'COMMIT' | 'ROLLBACK' = 'ROLLBACK'): Promise<void> => {
    if (isOver) return;
    isOver = true;
    await client.query(how);
    client.release();
  };
  onTestFinished(() => end());
  return end;
}

describe('a value written into a statement', () => {
  it.each<[unknown, string]>([
    [null, 'NULL'],
    [undefined, 'NULL'],
    [-1.5, `'-1.5'`],
    [true, `'true'`],
    [`it's`, `'it''s'`],
    ['back\\slash', ' $q$back\\slash$q$'],
    [`\\'; DROP TABLE jobs; --`, ` $q$\\'; DROP TABLE jobs; --$q$`],
    ['\\ ends the quote: $q', ` E'\\\\ ends the quote: $q'`],
    [`\\'$q$; DROP TABLE jobs; --`, ` E'\\\\''$q$; DROP TABLE jobs; --'`],
    ['\\nul\0', ` E'\\\\nul\ufffd'`],
    ['nul\0', `'nul\ufffd'`],
    [[], `'{}'`],
    [[1, -2.5, 1e21], `'{1,-2.5,1e+21}'`],
    [[1, null, true, 'x'], `'{1,NULL,true,"x"}'`],
    [['NULL', '', '{,}'], `'{"NULL","","{,}"}'`],
    [['a"b', 'c\\d', null, `e'f`], [' $q$', '{"a\\"b","c\\\\d",NULL,"e\'f"}', '$q$'].join('')],
  ])('%j', (value, expected) => {
    expect(inline('$1', [value])).toBe(expected);
  });

  it('is not looked at again for places of others', () => {
    expect(inline('$1 $2 $10', ['$2', '$1', 3, 4, 5, 6, 7, 8, 'x', 'ten'])).toBe(`'$2' '$1' 'ten'`);
  });
});

describePostgres('what somebody else has locked', (server) => {
  it('is passed over by a claim, which nextWakeAt then says is due', async () => {
    const [a, , schema] = await twoStores(server());
    await a.insert([jobRecord('job', T0)]);
    const end = await transaction(openPool(server()), `SELECT 1 FROM ${schema}.jobs FOR UPDATE`);
    expect(await a.claimDue(claim(T0 + 5))).toEqual([]);
    expect(await a.nextWakeAt(scope())).toBe(T0);
    await end();
    expect(await a.claimDue(claim(T0 + 5))).toHaveLength(1);
  });

  it('runs soon after it was let go, without being asked for all the time, and holds up nothing else', async () => {
    const schema = freshSchema();
    const store = new PostgresJobStore({ connectionString: server().url(), schema });
    let claims = 0;
    const { claimDue } = store;
    store.claimDue = (request) => {
      claims += 1;
      return claimDue.call(store, request);
    };
    const runs: string[] = [];
    const work = (name: string): void => { runs.push(name); };
    const scheduler = new AsyncScheduler({ jobStores: { default: store }, tasks: { work }, logger: new MemoryLogger() });
    onTestFinished(() => scheduler.shutdown({ wait: false }));
    await scheduler.addJob('work', new Date(Date.now() - 1_000), { id: 'locked', args: ['locked'] });
    const end = await transaction(openPool(server()), `SELECT 1 FROM ${schema}.jobs FOR UPDATE`);
    await scheduler.start();
    await scheduler.addJob('work', new Date(), { id: 'free', args: ['free'] });
    await expect.poll(() => runs, { timeout: 50_000 }).toEqual(['free']);
    claims = 0;
    await new Promise((resolve) => { setTimeout(resolve, 1_000); });
    expect(claims).toBeLessThan(30);
    await expect.poll(() => claims, { timeout: 50_000 }).toBeGreaterThan(1);
    await end();
    await expect.poll(() => runs, { timeout: 50_000 }).toEqual(['free', 'locked']);
  });

  it('with several claimers at once, all that is due is claimed by asking again while it is said to be due', async () => {
    const schema = freshSchema();
    const stores = await Promise.all(Array.from({ length: 4 }, () => openStore({ connectionString: server().url(), schema, max: 2 })));
    await stores[0]!.insert(Array.from({ length: 400 }, (_, i) => jobRecord(`job${i}`, T0)));
    const claimed: string[] = [];
    let empty = 0;
    await Promise.all(stores.map(async (store) => {
      for (;;) {
        const due = await store.claimDue(claim(T0, { limit: 100, reserveMs: 60_000 }));
        claimed.push(...due.map(({ record }) => record.id));
        if (due.length > 0) continue;
        const next = await store.nextWakeAt(scope());
        if (next === null || next > T0) return;
        empty += 1;
        expect(empty).toBeLessThan(1_000);
      }
    }));
    expect(new Set(claimed).size).toBe(400);
    expect(claimed).toHaveLength(400);
  });

  it.each([
    ['whose definitions are written as well', false],
    ['of which only the states are', true],
  ])('does not keep the other changes of a commit from being written, and is answered as lost: of jobs %s', async (_, areKnown) => {
    const [a, , schema] = await twoStores(server());
    const inserted = await a.insert(['x', 'y', 'z'].map((id) => jobRecord(id, T0)));
    const stored = areKnown ? await Promise.all(inserted.map(async (one) => a.get(one!.record.id))) : inserted;
    const end = await transaction(openPool(server()), `SELECT 1 FROM ${schema}.jobs WHERE id = 'y' FOR UPDATE`);
    const changes = stored.map((one) => ({ id: one!.record.id, expected: one!.revision, next: dueAt(one!.record, null), ledger: [ledgerEntry(one!.record.id, T0)] }));
    const [x, y, z] = await a.commit(changes);
    expect(x).toBeDefined();
    expect(y).toBeUndefined();
    expect(z).toBeDefined();
    expect(await a.commit([changes[1]!])).toEqual([undefined]);
    await end();
    expect((await a.commit([changes[1]!]))[0]).toBeDefined();
    expect((await a.ledger.list({ limit: 9 })).entries.map((entry) => entry.jobId).sort()).toEqual(['x', 'y', 'z']);
  });

  it('for a moment only is waited for', async () => {
    const [a, , schema] = await twoStores(server());
    const [stored] = await a.insert([jobRecord('job', T0)]);
    const end = await transaction(openPool(server()), `SELECT 1 FROM ${schema}.jobs FOR UPDATE`);
    const committing = a.commit([{ id: 'job', expected: stored!.revision, next: null, ledger: [] }]);
    await end();
    expect((await committing)[0]).toBeDefined();
  });
});

describePostgres('a statement nobody waits for any more', (server) => {
  it('does not go on at the server', async () => {
    const schema = freshSchema();
    const store = await openStore({ connectionString: server().url(), schema, timeout: 300 });
    await transaction(openPool(server()), `LOCK TABLE ${schema}.jobs`);
    await expect(store.insert([jobRecord('job')])).rejects.toMatchObject({ reason: 'timeout' });
    const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${schema}%'`;
    await expect.poll(() => server().query(waiting), { timeout: 5_000 }).toEqual([{ n: 0 }]);
  });

  it('leaves no setting behind on a connection', async () => {
    const pool = openPool(server(), { max: 1 });
    const store = await openStore({ pool, schema: freshSchema(), timeout: 1_234 });
    await store.claimDue(claim(T0));
    expect((await pool.query(`SELECT current_setting('statement_timeout') AS t, current_setting('synchronous_commit') AS s`)).rows).toEqual([{ t: '0', s: 'on' }]);
  });
});

describePostgres('pages of the history while it is written', (server) => {
  it('have of no job a line without those before it, and all that was written before the first page', async () => {
    const [a, , schema] = await twoStores(server());
    const [busy] = await a.insert([jobRecord('busy', T0)]);
    const columns = 'job_id, verdict, scheduled_for, scheduled_to, count, exact, manual, generation, attempt, at, node';
    const line = (at: number): string => `INSERT INTO ${schema}.ledger (${columns}) VALUES ('slow', 'succeeded', ${at}, ${at}, 1, true, false, 0, 1, ${at}, 'n')`;
    const lines = [1, 2, 3, 4].map((i) => ledgerEntry('busy', T0 + i));
    // It has its number now, and is there later.
    const end = await transaction(openPool(server()), line(1));
    await a.commit([{ id: 'busy', expected: busy!.revision, next: jobRecord('busy', T0), ledger: lines }]);
    const first = await a.ledger.list({ limit: 2 });
    expect(first.entries.map((entry) => entry.scheduledFor - T0)).toEqual([1, 2]);
    await end('COMMIT');
    await server().query(line(2));
    const second = await a.ledger.list({ limit: 9, after: first.nextCursor! });
    expect(second.entries.map((entry) => [entry.jobId, entry.scheduledFor - T0])).toEqual([['busy', 3], ['busy', 4]]);
    expect(second.nextCursor).toBeNull();
    expect((await a.ledger.list({ jobId: 'slow', limit: 9 })).entries.map((entry) => entry.scheduledFor)).toEqual([1, 2]);
  });

  it('refuse a cursor that is none', async () => {
    const [a] = await twoStores(server());
    for (const after of ['7', 'x', '1-', '1-2-3', `1-2'`]) await expect(a.ledger.list({ limit: 1, after })).rejects.toMatchObject({ code: 'INVALID_OPTION', option: 'cursor' });
  });
});

import type { JobStore, StoredJob } from 'punctual';
import { storeContext, VirtualClock } from 'punctual/testing';
import type { PostgresJobStore } from 'punctual/postgres';
import { expect, it, vi } from 'vitest';
import { claim, dueAt, jobRecord, ledgerEntry, scope, T0 } from '../../../src/testing/contracts/job-store/records.js';
import { announce, describePostgres, freshSchema, openPool, openStore, twoStores } from './support.js';

const MINUTE = 60_000;

function idsIn(jobs: readonly StoredJob[]): string[] {
  return jobs.map(({ record }) => record.id);
}

async function claimed(store: JobStore, now = T0, limit = 2): Promise<string[]> {
  return idsIn(await store.claimDue(claim(now, { limit, reserveMs: MINUTE })));
}

/** Jobs that are due one ms after the other, so that it is known which of them a claim answers. */
function inTurn(...ids: readonly string[]): ReturnType<typeof jobRecord>[] {
  return ids.map((id, i) => jobRecord(id, T0 - 100 + i));
}

function withoutWork({ record, revision }: StoredJob): { id: string; expected: StoredJob['revision']; next: StoredJob['record']; ledger: [] } {
  return { id: record.id, expected: revision, next: dueAt(record, null), ledger: [] };
}

describePostgres('a claim of the only node', (server) => {
  const hidden = async (schema: string): Promise<string[]> =>
    (await server().query(`SELECT id FROM ${schema}.jobs WHERE claimed_until IS NOT NULL ORDER BY id`)).map(({ id }) => String(id));

  it('writes nothing, and does not answer again what is in hand', async () => {
    const [a, , schema] = await twoStores(server());
    await announce(a, 'a');
    await a.insert(inTurn('1', '2', '3', '4', '5'));
    const before = await server().query(`SELECT id, ctid, xmax FROM ${schema}.jobs ORDER BY id`);
    const first = await a.claimDue(claim(T0, { limit: 2, reserveMs: MINUTE }));
    expect(idsIn(first)).toEqual(['1', '2']);
    expect(await claimed(a)).toEqual(['3', '4']);
    expect(await a.nextWakeAt(scope())).toBe(T0 - 96);
    expect(await server().query(`SELECT id, ctid, xmax FROM ${schema}.jobs ORDER BY id`)).toEqual(before);
    await a.commit(first.map(withoutWork));
    expect(await claimed(a)).toEqual(['5']);
    expect(await claimed(a)).toEqual([]);
    expect(await a.nextWakeAt(scope())).toBe(T0 + MINUTE);
    expect(await claimed(a, T0 + MINUTE, 9)).toEqual(['3', '4', '5']);
  });

  it('answers again at once what could not be written, and what a clock that was wrong had claimed', async () => {
    const schema = freshSchema();
    const pool = openPool(server());
    const a = await openStore({ schema, pool });
    await announce(a, 'a');
    await a.insert(inTurn('1', '2'));
    const due = await a.claimDue(claim(T0, { reserveMs: MINUTE }));
    const broken = vi.spyOn(pool, 'query').mockImplementationOnce(() => Promise.reject(new Error('broken')) as never);
    await expect(a.commit(due.map(withoutWork))).rejects.toThrow();
    broken.mockRestore();
    expect(await claimed(a)).toEqual(['1', '2']);
    expect(await claimed(a)).toEqual([]);
    expect(await claimed(a, T0 - 5 * MINUTE)).toEqual([]);
    await announce(a, 'a');
    await a.insert([jobRecord('old', T0 - 10 * MINUTE)]);
    expect(await claimed(a, T0 - 5 * MINUTE)).toEqual(['old']);
    expect(await claimed(a, T0 - 9 * MINUTE)).toEqual(['old']);
  });

  it('is hidden as soon as another has said that it is there, until that one leaves or its time is up', async () => {
    const [a, b, schema] = await twoStores(server());
    await announce(a, 'a');
    await a.insert(inTurn('1', '2', '3', '4', '5', '6', '7', '8', '9'));
    expect(await claimed(a)).toEqual(['1', '2']);
    await b.members.announce({ node: 'b', about: '{}', now: T0, ttlMs: 1_000 });
    expect(await claimed(a)).toEqual(['3', '4']);
    expect(await hidden(schema)).toEqual(['3', '4']);
    // What `a` had in hand before is not kept from others.
    expect(await claimed(b, T0, 3)).toEqual(['1', '2', '5']);
    expect(await claimed(a, T0, 1)).toEqual(['6']);
    await b.members.withdraw('b');
    // This one finds out.
    expect(await claimed(a, T0, 1)).toEqual(['7']);
    expect(await claimed(a, T0, 1)).toEqual(['8']);
    expect(await hidden(schema)).toEqual(['1', '2', '3', '4', '5', '6', '7']);
    await b.members.announce({ node: 'b', about: '{}', now: T0, ttlMs: 1_000 });
    expect(await claimed(a, T0 + 1_000, 1)).toEqual(['9']);
    expect(await hidden(schema)).not.toContain('9');
  });

  it('is hidden before it has said that it is there, and after it has left', async () => {
    const [a, , schema] = await twoStores(server());
    await a.insert(inTurn('1', '2', '3'));
    expect(await claimed(a, T0, 1)).toEqual(['1']);
    await announce(a, 'a');
    expect(await claimed(a, T0, 1)).toEqual(['2']);
    await a.members.withdraw('someone else');
    await a.members.withdraw('a');
    expect(await claimed(a, T0, 1)).toEqual(['3']);
    expect(await hidden(schema)).toEqual(['1', '3']);
  });

  it('is hidden for a while once somebody that nobody knows of was first', async () => {
    const clock = new VirtualClock(T0);
    const schema = freshSchema();
    const options = { schema, connectionString: server().url() };
    const a = await openStore(options, storeContext(clock));
    const b = await openStore(options);
    await announce(a, 'a');
    await a.insert(inTurn('1', '2', '3', '4'));
    const due = await a.claimDue(claim(T0, { limit: 1, reserveMs: MINUTE }));
    const [stored] = await b.claimDue(claim(T0, { limit: 1, reserveMs: MINUTE }));
    expect(stored?.record.id).toBe('1');
    await b.commit([withoutWork(stored!)]);
    expect(await a.commit(due.map(withoutWork))).toEqual([undefined]);
    expect(await claimed(a, T0, 1)).toEqual(['2']);
    await clock.advance(29_999);
    expect(await claimed(a, T0, 1)).toEqual(['3']);
    await clock.advance(1);
    expect(await claimed(a, T0, 1)).toEqual(['4']);
    expect(await hidden(schema)).toEqual(['2', '3']);
  });

  it('that is not answered yet shares nothing with another of the same process', async () => {
    const schema = freshSchema();
    const pool = openPool(server());
    const a = await openStore({ schema, pool });
    await announce(a, 'a');
    await a.insert(inTurn('1', '2', '3'));
    const [first, second] = await Promise.all([claimed(a, T0, 1), claimed(a, T0, 1)]);
    expect([first.length, second.length]).toEqual([1, 1]);
    // The second hides what it answers: it cannot know what the first will.
    expect(await hidden(schema)).toEqual(second);
  });
});

describePostgres('definitions that a claim brings along', (server) => {
  it.each([
    ['one for all that were added together', () => ({ args: ['same'] }), 2],
    ['one each where somebody could change them', () => ({ args: [{ same: true }] }), 40],
    ['one each where they differ', (i: number) => ({ args: [i] }), 40],
  ])('are %s', async (_, definition, most) => {
    const schema = freshSchema();
    const options = { schema, connectionString: server().url() };
    const writer = await openStore(options);
    const ids = Array.from({ length: 40 }, (__, i) => `job${String(i).padStart(2, '0')}`);
    await writer.insert(ids.slice(0, 20).map((id, i) => jobRecord(id, T0, { definition: definition(i) })));
    await writer.insert(ids.slice(20).map((id, i) => jobRecord(id, T0, { definition: definition(i) })));
    const pool = openPool(server());
    let bodies = 0;
    const { query } = pool;
    vi.spyOn(pool, 'query').mockImplementation((async (...args: never[]) => {
      const results = (await (query as (...all: never[]) => Promise<unknown>).apply(pool, args)) as { rows: unknown[][] }[];
      bodies += results.at(-1)!.rows.filter((row) => row.some((value) => typeof value === 'string' && value.includes('"args"'))).length;
      return results;
    }) as never);
    const reader: PostgresJobStore = await openStore({ schema, pool });
    await announce(reader, 'reader');
    const due = await reader.claimDue(claim(T0, { limit: 100 }));
    expect(idsIn(due).sort()).toEqual(ids);
    for (const { record } of due) expect(record.definition.args).toEqual(definition(ids.indexOf(record.id) % 20).args);
    expect(bodies).toBeGreaterThan(0);
    expect(bodies).toBeLessThanOrEqual(most);
    bodies = 0;
    // Known by now, so few come along or none.
    expect(await reader.claimDue(claim(T0 + 5_000, { limit: 100 }))).toHaveLength(40);
    expect(bodies).toBeLessThanOrEqual(40);
    bodies = 0;
    expect(await reader.claimDue(claim(T0 + 10_000, { limit: 100 }))).toHaveLength(40);
    expect(bodies).toBeLessThanOrEqual(2);
  });
});

describePostgres('a commit of new states alone', (server) => {
  it('writes those that are still as they were read, with their lines, whatever they are called', async () => {
    const [a, b] = await twoStores(server());
    const ids = ['plain', 'separated\x1fhere', `it's "$1" \\ {a,b} $q$`, 'ünï', 'lost', 'null', ''];
    await a.insert(ids.map((id) => jobRecord(id, T0)));
    const stored = (await Promise.all(ids.map(async (id) => a.get(id)))).map((one) => one!);
    const [lost] = await b.commit([{ id: 'lost', expected: stored[4]!.revision, next: dueAt(stored[4]!.record, T0 + 7), ledger: [] }]);
    const lines = (id: string, i: number) => [ledgerEntry(id, T0 + i), ...(i === 3 ? [ledgerEntry(id, T0 + 9, { verdict: 'failed' }), ledgerEntry(id, T0 + 10, { runId: `${id}#7` })] : [])];
    const changes = stored.map(({ record, revision }, i) => ({ id: record.id, expected: revision, next: dueAt(record, i % 2 === 0 ? null : T0 + i), ledger: lines(record.id, i) }));
    const answers = await a.commit(changes);
    expect(answers.map((revision) => revision !== undefined)).toEqual(ids.map((id) => id !== 'lost'));
    for (const [i, id] of ids.entries()) {
      const read = (await b.get(id))!;
      expect([read.record.state.nextFireTime, read.revision]).toEqual(id === 'lost' ? [T0 + 7, lost] : [i % 2 === 0 ? null : T0 + i, answers[i]]);
      const { entries } = await b.ledger.list({ jobId: id, limit: 9 });
      expect(entries.map((entry) => [entry.runId, entry.scheduledFor, entry.verdict])).toEqual(
        id === 'lost' ? [] : lines(id, i).map((entry) => [entry.runId, entry.scheduledFor, entry.verdict]),
      );
    }
    // The same again is written by nobody, and a single one is.
    expect((await a.commit(changes)).every((revision) => revision === undefined)).toBe(true);
    const one = (await a.get('plain'))!;
    expect(await a.commit([{ id: 'plain', expected: one.revision, next: dueAt(one.record, T0), ledger: [ledgerEntry('plain', T0 + 0.5)] }])).not.toEqual([undefined]);
    expect((await b.ledger.list({ jobId: 'plain', limit: 9, newestFirst: true })).entries[0]).toEqual(ledgerEntry('plain', T0 + 0.5));
  });
});

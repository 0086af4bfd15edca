import { SystemClock, type JobChange, type JobRecord, type JobStore, type Revision } from 'punctual';
import { storeContext, VirtualClock } from 'punctual/testing';
import pg from 'pg';
import { expect, it, onTestFinished, vi } from 'vitest';
import { claim, dueAt, jobRecord, ledgerEntry, scope, T0, withState } from '../../../src/testing/contracts/job-store/records.js';
import { MemoryLogger } from '../../scheduler/support/world.js';
import { describePostgres, freshSchema, openPool, openStore, twoStores } from './support.js';

const DAY = 86_400_000;

function idsIn(jobs: readonly { readonly record: JobRecord }[]): string[] {
  return jobs.map(({ record }) => record.id);
}

/** Writes lines for a job, some at a time, and answers its revision. */
async function writeLines(store: JobStore, id: string, from: number, count: number, revision: Revision): Promise<Revision> {
  const ledger = Array.from({ length: count }, (_, i) => ledgerEntry(id, T0 + from + i));
  const [written] = await store.commit([{ id, expected: revision, next: jobRecord(id, T0), ledger }]);
  return written!;
}

async function maintainAll(store: JobStore, now: number): Promise<number> {
  let pieces = 0;
  while (await store.maintain!(now)) pieces += 1;
  return pieces;
}

async function fireTimes(store: JobStore, jobId?: string): Promise<number[]> {
  const { entries } = await store.ledger.list({ jobId, limit: 10_000 });
  return entries.map(({ scheduledFor }) => scheduledFor - T0);
}

describePostgres('several stores on one schema', (server) => {
  it('claim at one time without a job going to two, and commit each once', async () => {
    const [a, b] = await twoStores(server());
    const all = Array.from({ length: 500 }, (_, i) => jobRecord(`job${i}`, T0 + i, { policy: { priority: i % 3 } }));
    await a.insert(all);
    const claims: string[] = [];
    const won: string[] = [];
    const work = async (store: JobStore): Promise<void> => {
      for (;;) {
        const due = await store.claimDue(claim(T0 + 1_000, { limit: 20, reserveMs: 60_000 }));
        if (due.length === 0) {
          const next = await store.nextWakeAt(scope());
          if (next === null || next > T0 + 1_000) return;
          continue;
        }
        claims.push(...idsIn(due));
        const changes = due.map(({ record, revision }) => ({ id: record.id, expected: revision, next: dueAt(record, null), ledger: [ledgerEntry(record.id, T0)] }));
        (await store.commit(changes)).forEach((revision, i) => { if (revision !== undefined) won.push(due[i]!.record.id); });
      }
    };
    await Promise.all([work(a), work(b), work(a), work(b)]);
    const ids = all.map(({ id }) => id).sort();
    expect(claims.sort()).toEqual(ids);
    expect(won.sort()).toEqual(ids);
    expect(await fireTimes(a)).toHaveLength(500);
  });

  it('write overlapping batches in any order, and none waits for another in a circle', async () => {
    const [a, b] = await twoStores(server());
    const ids = Array.from({ length: 60 }, (_, i) => `job${i}`);
    for (let round = 0; round < 10; round++) {
      const stored = await a.insert(ids.map((id) => jobRecord(id)));
      const changes = stored.map((one, i) => ({ id: ids[i]!, expected: one!.revision, next: null, ledger: [] }));
      const answers = await Promise.all([a.commit(changes), b.commit([...changes].reverse())]);
      const winners = ids.map((_, i) => [answers[0][i], answers[1][ids.length - 1 - i]].filter((revision) => revision !== undefined).length);
      expect(winners).toEqual(ids.map(() => 1));
    }
  });

  it('a definition that another has replaced is fetched by a claim that comes without any', async () => {
    const [a, b] = await twoStores(server());
    const stored = await a.insert(['x', 'y', 'z'].map((id) => jobRecord(id, T0, { definition: { args: ['old'] } })));
    // Known there from now on.
    for (const one of stored) await b.get(one!.record.id);
    expect(await b.claimDue(claim(T0, { reserveMs: 60_000 }))).toHaveLength(3);
    await a.commit(stored.map((one) => ({ id: one!.record.id, expected: one!.revision, next: one!.record, ledger: [] })));
    const [, y] = await Promise.all(['x', 'y', 'z'].map(async (id) => a.get(id)));
    const next = jobRecord('y', T0, { definition: { args: ['new'] } });
    await a.commit([{ id: 'y', expected: y!.revision, next, ledger: [] }]);
    const due = await b.claimDue(claim(T0));
    expect(due.map(({ record }) => [record.id, ...record.definition.args]).sort()).toEqual([['x', 'old'], ['y', 'new'], ['z', 'old']]);
    const again = await a.commit(due.map(({ record, revision }) => ({ id: record.id, expected: revision, next: dueAt(record, null), ledger: [] })));
    expect(again.every((revision) => revision !== undefined)).toBe(true);
  });

  it('one batch of new states, new definitions and deletes writes each with its lines, in their order', async () => {
    const [a, b] = await twoStores(server());
    const ids = ['state', 'whole', 'gone', 'lost', 'state2', 'gone2'];
    const stored = await a.insert(ids.map((id) => jobRecord(id, T0)));
    // Known there, so that they are not written again.
    const [state, whole, gone, lost, state2, gone2] = await Promise.all(ids.map(async (id) => (await a.get(id))!));
    expect(stored).toHaveLength(ids.length);
    const lines = (id: string) => [
      ledgerEntry(id, T0),
      ledgerEntry(id, T0 + 1, { verdict: 'failed', error: { name: 'Error', message: `it's "$1" \\ {a,b}`, code: null, stack: null } }),
      ledgerEntry(id, T0 + 2, { runId: `${id}@"{,}\\'$2` }),
      ledgerEntry(id, T0 + 3, { node: 'another' }),
    ];
    const answers = await a.commit([
      { id: 'state', expected: state!.revision, next: dueAt(state!.record, null), ledger: lines('state') },
      { id: 'whole', expected: whole!.revision, next: jobRecord('whole', T0 + 9, { definition: { task: 'other', tags: ['t'] } }), ledger: lines('whole') },
      { id: 'gone', expected: gone!.revision, next: null, ledger: lines('gone') },
      { id: 'lost', expected: Number(lost!.revision) - 1, next: lost!.record, ledger: lines('lost') },
      { id: 'state2', expected: state2!.revision, next: dueAt(state2!.record, T0 + 5), ledger: lines('state2').slice(0, 1) },
      { id: 'gone2', expected: gone2!.revision, next: null, ledger: [] },
    ]);
    expect(answers.map((revision) => revision !== undefined)).toEqual([true, true, true, false, true, true]);
    expect(new Set(answers).size).toBe(ids.length);
    for (const id of ['state', 'whole', 'gone']) expect((await b.ledger.list({ jobId: id, limit: 9 })).entries).toEqual(lines(id));
    expect((await b.ledger.list({ jobId: 'state2', limit: 9 })).entries).toEqual(lines('state2').slice(0, 1));
    for (const id of ['lost', 'gone2']) expect((await b.ledger.list({ jobId: id, limit: 9 })).entries).toEqual([]);
    const { jobs } = await b.list({ limit: 9 });
    expect(jobs.map(({ record, revision }) => [record.id, record.state.nextFireTime, revision])).toEqual([
      ['lost', T0, lost!.revision],
      ['state', null, answers[0]],
      ['state2', T0 + 5, answers[4]],
      ['whole', T0 + 9, answers[1]],
    ]);
    expect(idsIn((await b.list({ task: 'other', tags: ['t'], limit: 9 })).jobs)).toEqual(['whole']);
    // What is gone left nothing behind that stands in the way of another of the same id.
    expect((await b.insert([jobRecord('gone', T0)]))[0]).toBeDefined();
  });

  it('one batch of new states and deletes is one statement, and says of each whether it was written', async () => {
    const schema = freshSchema();
    const pool = openPool(server());
    const store = await openStore({ schema, pool, listen: false });
    const ids = ['gone', 'state', 'lost', 'gone2', 'state2', 'lostGone'];
    await store.insert(ids.map((id) => jobRecord(id, T0)));
    // Known there, so that they are not written again.
    const stored = await Promise.all(ids.map(async (id) => (await store.get(id))!));
    const change = (i: number, next: JobRecord | null, old = 0): JobChange => ({
      id: ids[i]!,
      expected: Number(stored[i]!.revision) - old,
      next,
      ledger: [ledgerEntry(ids[i]!, T0)],
    });
    const statements = vi.spyOn(pool, 'query');
    const answers = await store.commit([
      change(0, null),
      change(1, dueAt(stored[1]!.record, T0 + 1)),
      change(2, dueAt(stored[2]!.record, T0 + 2), 1),
      change(3, null),
      change(4, dueAt(stored[4]!.record, T0 + 4)),
      change(5, null, 1),
    ]);
    expect(statements).toHaveBeenCalledTimes(1);
    statements.mockRestore();
    expect(answers.map((revision) => revision !== undefined)).toEqual([true, true, false, true, true, false]);
    const { jobs } = await store.list({ limit: 9 });
    expect(jobs.map(({ record, revision }) => [record.id, record.state.nextFireTime, revision])).toEqual([
      ['lost', T0, stored[2]!.revision],
      ['lostGone', T0, stored[5]!.revision],
      ['state', T0 + 1, answers[1]],
      ['state2', T0 + 4, answers[4]],
    ]);
    expect((await store.ledger.list({ limit: 9 })).entries.map(({ jobId }) => jobId).sort()).toEqual(['gone', 'gone2', 'state', 'state2']);
    // The same of deletes alone, of all of which nothing is left.
    expect((await store.commit(jobs.map(({ record, revision }) => ({ id: record.id, expected: revision, next: null, ledger: [] })))).every((revision) => revision !== undefined)).toBe(true);
    const left = `SELECT (SELECT count(*) FROM ${schema}.jobs)::int AS jobs, (SELECT count(*) FROM ${schema}.definitions)::int AS definitions`;
    expect(await server().query(left)).toEqual([{ jobs: 0, definitions: 0 }]);
  });

  it('a job that was deleted and added again elsewhere is not the one that is remembered', async () => {
    const [a, b] = await twoStores(server());
    await a.insert([jobRecord('job', T0, { definition: { args: ['old'] } })]);
    const { revision } = (await a.get('job'))!;
    await b.commit([{ id: 'job', expected: revision, next: null, ledger: [] }]);
    await b.insert([jobRecord('job', T0, { definition: { args: ['new'] } })]);
    expect((await a.get('job'))?.record.definition.args).toEqual(['new']);
    expect(await a.commit([{ id: 'job', expected: revision, next: null, ledger: [] }])).toEqual([undefined]);
  });

  it('a definition that did not change is neither read nor written again, and one that changed elsewhere is', async () => {
    const [a, b] = await twoStores(server());
    await a.insert([jobRecord('job')]);
    const first = (await a.get('job'))!;
    const [second] = await a.commit([{ id: 'job', expected: first.revision, next: dueAt(first.record, T0 + 1), ledger: [] }]);
    expect((await a.get('job'))?.record.definition).toBe(first.record.definition);
    const changed = { ...first.record, definition: { ...first.record.definition, args: [7] } };
    const [third] = await b.commit([{ id: 'job', expected: second!, next: changed, ledger: [] }]);
    // Whoever still has the old definition has the old revision with it; if not, nothing is mixed.
    expect(await a.commit([{ id: 'job', expected: third!, next: first.record, ledger: [] }])).toEqual([undefined]);
    expect((await a.get('job'))?.record.definition.args).toEqual([7]);
  });

  it('are told of what others write long before anybody would look, and of nothing they write themselves', async () => {
    const [a, b] = await twoStores(server());
    const heard = vi.fn();
    const stop = await a.watch(heard);
    const before = performance.now();
    await b.insert([jobRecord('theirs')]);
    await expect.poll(() => heard.mock.calls.length, { interval: 5 }).toBe(1);
    expect(performance.now() - before).toBeLessThan(10_000);
    const told = vi.fn();
    await b.watch(told);
    await a.insert([jobRecord('mine')]);
    await expect.poll(() => told.mock.calls.length, { interval: 5 }).toBe(1);
    expect(heard).toHaveBeenCalledTimes(1);
    await stop();
  });

  it('a claim by a clock that was wrong hides nothing for long', async () => {
    const [a] = await twoStores(server());
    await a.insert([jobRecord('job', T0 - 2 * DAY)]);
    expect(await a.claimDue(claim(T0))).toHaveLength(1);
    expect(await a.claimDue(claim(T0))).toEqual([]);
    expect(idsIn(await a.claimDue(claim(T0 - DAY)))).toEqual(['job']);
  });
});

describePostgres('what is stored', (server) => {
  it('texts of any kind, in ids as well', async () => {
    const [store] = await twoStores(server());
    const texts = ['x'.repeat(1_000), '😀'.repeat(250), `'; DROP TABLE jobs; --`, '{jobs}', '$1', '\\', '{"a":1}', ' ', 'ÀÉ', 'İK', '\u0001\n\t', 'NULL'];
    await store.insert(texts.map((text) => jobRecord(text, T0, { definition: { task: text, tags: [text, text], name: text, owner: text, args: [text] } })));
    for (const text of texts) {
      for (const query of [{ tags: [text] }, { task: text }, { owner: text }, { text: text.toLowerCase() }]) {
        expect(idsIn((await store.list({ ...query, limit: 20 })).jobs)).toContain(text);
      }
      expect(idsIn(await store.claimDue(claim(T0, { tasks: new Map([[text, 1]]) })))).toEqual([text]);
      const { revision, record } = (await store.get(text))!;
      expect(record.definition).toMatchObject({ args: [text], tags: [text, text], owner: text });
      expect((await store.commit([{ id: text, expected: revision, next: null, ledger: [ledgerEntry(text, T0)] }]))[0]).toBeDefined();
      expect(await store.ledger.list({ runId: `${text}@${T0}`, limit: 9 })).toMatchObject({ entries: [{ jobId: text }] });
    }
  });

  it('arguments and errors with what PostgreSQL has no character for', async () => {
    const [store] = await twoStores(server());
    const args = ['nul\0byte', 'half \ud800', { 'key\0': 1 }, 'x'.repeat(1_000_000)];
    const { revision } = (await store.insert([jobRecord('job', T0, { definition: { args, name: 'a\0b' } })]))[0]!;
    expect((await store.get('job'))?.record.definition).toMatchObject({ args, name: 'a\0b' });
    const error = { name: 'E', message: 'nul\0', code: null, stack: 'half \udc00' };
    await store.commit([{ id: 'job', expected: revision, next: null, ledger: [ledgerEntry('job', T0, { verdict: 'failed', error, reason: 'r\0' })] }]);
    expect(await store.ledger.list({ limit: 1 })).toMatchObject({ entries: [{ error, reason: 'r\ufffd' }] });
  });

  it('what cannot be looked up again is refused, and nothing of its batch is kept', async () => {
    const [store] = await twoStores(server());
    const bad = [
      jobRecord('half \ud800'),
      jobRecord('nul\0'),
      jobRecord('ö'.repeat(501)),
      jobRecord('tag', T0, { definition: { tags: ['x'.repeat(1_001)] } }),
      jobRecord('task', T0, { definition: { task: 'a\0' } }),
      jobRecord('fn', T0, { definition: { args: [() => 1] } }),
    ];
    for (const record of bad) await expect(store.insert([jobRecord('good'), record])).rejects.toMatchObject({ code: 'JOB_UNSTORABLE' });
    expect((await store.list({ limit: 1 })).jobs).toEqual([]);
    expect(await store.get('nul\0')).toBeUndefined();
  });

  it('a record that cannot be read is kept as it was found, and holds up no other', async () => {
    const [store, , schema] = await twoStores(server());
    await store.insert(['a', 'b', 'c'].map((id) => jobRecord(id, T0, { definition: { tags: ['t'] }, policy: { priority: 7 } })));
    await server().query(`UPDATE ${schema}.definitions SET body = '{"v":1,' WHERE id = 'a'`);
    await server().query(`UPDATE ${schema}.jobs SET state = '[]' WHERE id = 'b'`);
    const due = await store.claimDue(claim(T0));
    expect(idsIn(due).sort()).toEqual(['a', 'b', 'c']);
    const changes = due.map(({ record, revision }) => ({ id: record.id, expected: revision, next: withState(record, { status: 'quarantined' as const }), ledger: [] }));
    expect((await store.commit(changes)).every((revision) => revision !== undefined)).toBe(true);
    expect(await server().query(`SELECT body, priority, tags FROM ${schema}.definitions WHERE id = 'a'`)).toEqual([{ body: '{"v":1,', priority: 7, tags: ['t'] }]);
    expect((await store.get('a'))?.record.state.status).toBe('quarantined');
  });

  it('what wakes at a part of a millisecond is due when it is claimed', async () => {
    const [store] = await twoStores(server());
    await store.insert([jobRecord('job', T0 + 0.5)]);
    expect(await store.claimDue(claim(T0))).toEqual([]);
    expect(await store.nextWakeAt(scope())).toBe(T0 + 0.5);
    expect(idsIn(await store.claimDue(claim(T0 + 1)))).toEqual(['job']);
  });
});

describePostgres('retention', (server) => {
  it('keeps about so many entries of each job, and says what is no longer there', async () => {
    const [store] = await twoStores(server(), { ledger: { perJob: 50, maxAge: null } });
    const { revision } = (await store.insert([jobRecord('job')]))[0]!;
    let latest = await writeLines(store, 'job', 0, 70, revision);
    await maintainAll(store, T0);
    expect(await fireTimes(store, 'job')).toHaveLength(70);
    latest = await writeLines(store, 'job', 70, 800, latest);
    await maintainAll(store, T0);
    expect(await fireTimes(store, 'job')).toEqual(Array.from({ length: 50 }, (_, i) => 820 + i));
    expect(await store.ledger.prunedThrough('job')).toBe(T0 + 819);
    expect(await store.ledger.prunedThrough('other')).toBeNull();
    await writeLines(store, 'job', 870, 1, latest);
    expect(await maintainAll(store, T0)).toBe(0);
  });

  it('keeps none where told so, and notes that there were some', async () => {
    const [store] = await twoStores(server(), { ledger: { perJob: 0 } });
    const { revision } = (await store.insert([jobRecord('job')]))[0]!;
    await writeLines(store, 'job', 0, 3, revision);
    expect(await fireTimes(store)).toEqual([]);
    expect(await store.ledger.prunedThrough('job')).toBe(T0 + 2);
  });

  it('drops what is old and results that have run out; of jobs that are gone one note is left', async () => {
    const [store, other] = await twoStores(server(), { ledger: { maxAge: { days: 10 } } });
    const { revision } = (await store.insert([jobRecord('job')]))[0]!;
    const result = { value: { by: 'devalue', data: '[1]' }, omitted: null, expiresAt: T0 + DAY };
    const ledger = [ledgerEntry('job', T0, { result }), ...Array.from({ length: 1_200 }, (_, i) => ledgerEntry('job', T0 + 1 + i))];
    await store.commit([{ id: 'job', expected: revision, next: null, ledger }]);
    await Promise.all([maintainAll(store, T0 + DAY), maintainAll(other, T0 + DAY)]);
    expect((await store.ledger.list({ jobId: 'job', limit: 2_000, newestFirst: true })).entries.every((entry) => entry.result === null)).toBe(true);
    await Promise.all([maintainAll(store, T0 + 11 * DAY), maintainAll(other, T0 + 11 * DAY)]);
    expect(await fireTimes(store)).toEqual([]);
    await maintainAll(store, T0 + 12 * DAY);
    expect(await store.ledger.prunedThrough('anybody')).toBe(T0 + 1_200);
  });
});

describePostgres('behind a pooler that swallows notices', (server) => {
  it('the store works, and says once that changes are found by polling', async () => {
    const pool = openPool(server());
    /** LISTEN is answered, and nothing comes: as when the connection behind it is another one by then. */
    class Deaf extends pg.Client {
      override emit(event: string | symbol, ...values: unknown[]): boolean {
        return event === 'notification' || super.emit(event, ...values);
      }
    }
    Object.assign(pool, { Client: Deaf });
    const logger = new MemoryLogger();
    const clock = new VirtualClock();
    const store = await openStore({ pool, schema: freshSchema() }, { ...storeContext(clock), logger });
    const stop = await store.watch(() => undefined);
    await clock.advance(5_000);
    expect(logger.messages('warn')).toEqual([expect.stringContaining('found by polling')]);
    await clock.advance(1_000);
    expect((await store.insert([jobRecord('job')]))[0]).toBeDefined();
    expect(logger.messages('warn')).toHaveLength(1);
    await stop();
  });
});

describePostgres('a server that hangs', (server) => {
  it('looks like one that fails, holds up no end, and is used again when it goes on', async () => {
    const store = await openStore({ connectionString: server().url(), schema: freshSchema(), timeout: 300 });
    await store.watch(() => undefined);
    const thaw = await server().freeze();
    onTestFinished(thaw);
    await expect(store.get('job')).rejects.toMatchObject({ reason: 'timeout' });
    await expect(store.get('job')).rejects.toMatchObject({ reason: 'unreachable' });
    thaw();
    await expect.poll(() => store.get('job').catch(() => 'not yet'), { timeout: 5_000 }).toBeUndefined();
    const again = await server().freeze();
    onTestFinished(again);
    await store.close();
    again();
  });
});

describePostgres('a server that goes and comes back', (server) => {
  it('is used again by the store, which listens again as well', async () => {
    const logger = new MemoryLogger();
    const context = { ...storeContext(new SystemClock()), logger };
    const schema = freshSchema();
    const own = server();
    const [a, b] = [await openStore({ connectionString: own.url(), schema }, context), await openStore({ connectionString: own.url(), schema })];
    const heard = vi.fn();
    await a.watch(heard);
    await a.insert([jobRecord('job')]);
    await own.halt();
    await expect(a.get('job')).rejects.toMatchObject({ reason: 'unreachable' });
    await own.resume();
    expect((await a.get('job'))?.record.id).toBe('job');
    // It cannot know what it missed, so it says that there may be something; then it hears of what others write.
    await expect.poll(() => heard.mock.calls.length, { timeout: 10_000 }).toBeGreaterThan(0);
    const before = heard.mock.calls.length;
    await b.insert([jobRecord('theirs')]);
    await expect.poll(() => heard.mock.calls.length).toBeGreaterThan(before);
    expect(logger.messages('warn')).toEqual(['PostgreSQL sends no notices for now: changes of other processes are found by polling']);
  });
});

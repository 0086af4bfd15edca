import Database from 'better-sqlite3';
import { AsyncScheduler, IntervalTrigger, type JobRecord, type LedgerPage, type Revision, type StoredJob } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { storeContext, VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { claim, dueAt, jobRecord, ledgerEntry, runningRun, scope, T0, withState } from '../../../src/testing/contracts/job-store/records.js';
import { MemoryLogger } from '../../scheduler/support/world.js';
import { openStore, temporaryFile, twoStores } from './support.js';

const DAY = 86_400_000;

function idsIn(jobs: readonly { readonly record: JobRecord }[]): string[] {
  return jobs.map(({ record }) => record.id);
}

/** Writes lines for a job, some at a time, and answers its revision. */
function writeLines(store: SQLiteJobStore, id: string, from: number, count: number, revision: Revision): Revision {
  let latest = revision;
  for (let i = from; i < from + count; i++) {
    [latest = latest] = store.commit([{ id, expected: latest, next: jobRecord(id, T0), ledger: [ledgerEntry(id, T0 + i)] }]) as [Revision];
  }
  return latest;
}

function maintainAll(store: SQLiteJobStore, now: number): number {
  let pieces = 0;
  while (store.maintain(now)) pieces += 1;
  return pieces;
}

function fireTimes(store: SQLiteJobStore, jobId?: string): number[] {
  const { entries } = store.ledger.list({ jobId, limit: 10_000 }) as LedgerPage;
  return entries.map(({ scheduledFor }) => scheduledFor - T0);
}

describe('several connections', () => {
  it('each reads what the other wrote last, however often they take turns', async () => {
    const [a, b] = await twoStores();
    let { record, revision } = a.insert([jobRecord('job', T0, { definition: { args: [0] } })])[0]!;
    for (let turn = 1; turn <= 40; turn++) {
      const [writer, reader] = turn % 2 === 0 ? [a, b] : [b, a];
      const state = dueAt(record, T0 + turn);
      const next = turn % 3 === 0 ? { ...state, definition: { ...record.definition, args: [turn] } } : state;
      revision = writer.commit([{ id: 'job', expected: revision, next, ledger: [] }])[0]!;
      for (const store of [reader, writer]) {
        const got = store.get('job')!;
        expect([got.revision, got.record.state.nextDueAt, got.record.definition.args]).toEqual([revision, T0 + turn, [turn - (turn % 3)]]);
      }
      expect(reader.claimDue(claim(T0 + turn))).toEqual([reader.get('job')]);
      record = reader.get('job')!.record;
    }
  });

  it('a job that was deleted and added again elsewhere is not the one in the cache', async () => {
    const [a, b] = await twoStores();
    a.insert([jobRecord('job', T0, { definition: { args: ['old'] } })]);
    const { revision } = a.get('job')!;
    expect(a.claimDue(claim(T0))).toHaveLength(1);
    b.commit([{ id: 'job', expected: revision, next: null, ledger: [] }]);
    b.insert([jobRecord('job', T0, { definition: { args: ['new'] } })]);
    expect(a.get('job')?.record.definition.args).toEqual(['new']);
    expect(a.commit([{ id: 'job', expected: revision, next: null, ledger: [] }])).toEqual([undefined]);
    expect(a.claimDue(claim(T0))[0]?.record.definition.args).toEqual(['new']);
  });

  it('lanes that another connection adds and takes out are known at once', async () => {
    const [a, b] = await twoStores();
    const job = (id: string): JobRecord => jobRecord(id, T0, { definition: { task: 'other' }, policy: { priority: 7 } });
    const tasks = new Map([['other', 1]]);
    const { revision } = a.insert([job('first')])[0]!;
    expect(idsIn(b.claimDue(claim(T0, { tasks })))).toEqual(['first']);
    expect(b.tasks()).toEqual(['other']);
    b.commit([{ id: 'first', expected: revision, next: null, ledger: [] }]);
    expect(a.tasks()).toEqual([]);
    b.insert([jobRecord('mine', T0)]);
    maintainAll(b, T0); // takes out the lane, of which `a` still knows the number
    b.insert([jobRecord('another', T0, { policy: { priority: 3 } })]);
    a.insert([job('second')]);
    expect(idsIn(b.claimDue(claim(T0, { tasks })))).toEqual(['second']);
    expect(idsIn(b.claimDue(claim(T0)))).toEqual(['another', 'mine']);
  });

  it('once they have met, what one has claimed is not claimed by the other, until it is committed or the time is over', async () => {
    const [a, b] = await twoStores();
    const all = Array.from({ length: 20 }, (_, i) => jobRecord(`job${10 + i}`, T0 + i));
    a.insert(all);
    const late = T0 + 100;
    const seenByB = b.claimDue(claim(late, { limit: 5 }));
    a.commit(a.claimDue(claim(late, { limit: 5 })).map(({ record, revision }) => ({ id: record.id, expected: revision, next: null, ledger: [] })));
    // b has lost all of its claim, and is wary from now on; so is a, which finds b's claims.
    expect(b.commit(seenByB.map(({ record, revision }) => ({ id: record.id, expected: revision, next: null, ledger: [] })))).toEqual(Array(5).fill(undefined));
    const second = b.claimDue(claim(late, { limit: 5 }));
    const third = a.claimDue(claim(late, { limit: 5 }));
    expect([...idsIn(second), ...idsIn(third)]).toEqual(idsIn(all.slice(5, 15).map((record) => ({ record }))));
    expect(idsIn(b.claimDue(claim(late)))).toEqual(['job25', 'job26', 'job27', 'job28', 'job29']);
    expect(a.claimDue(claim(late))).toEqual([]);
    // Nobody has to spin: there is something again when the claims end.
    expect(a.nextWakeAt(scope())).toBe(late + 1_000);
    expect(a.claimDue(claim(late + 1_000))).toHaveLength(15);
  });

  it('a claim that was not committed is over when the clock was set back', async () => {
    const store = await openStore(':memory:');
    store.insert([jobRecord('job', T0 - 2 * DAY)]);
    expect(store.claimDue(claim(T0))).toHaveLength(1);
    expect(store.claimDue(claim(T0))).toEqual([]);
    expect(idsIn(store.claimDue(claim(T0 - DAY)))).toEqual(['job']);
  });

  it('tells of what others write to the jobs, and of nothing else', async () => {
    const clock = new VirtualClock();
    const path = temporaryFile();
    const a = await openStore({ path, pollInterval: 200 }, clock);
    const b = await openStore(path, clock);
    const heard = vi.fn();
    const stop = a.watch(heard);
    a.insert([jobRecord('mine')]);
    await clock.advance(1_000);
    expect(heard).not.toHaveBeenCalled();
    const user = new Database(path);
    onTestFinished(() => { user.close(); });
    user.exec('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)');
    await clock.advance(1_000);
    expect(heard).not.toHaveBeenCalled();
    b.insert([jobRecord('theirs')]);
    await clock.advance(200);
    expect(heard).toHaveBeenCalledTimes(1);
    // What somebody else wrote just before is not hidden by a write of its own.
    b.insert([jobRecord('more')]);
    a.insert([jobRecord('mine too')]);
    await clock.advance(200);
    expect(heard).toHaveBeenCalledTimes(2);
    stop();
    b.insert([jobRecord('last')]);
    await clock.advance(1_000);
    expect(heard).toHaveBeenCalledTimes(2);
    expect(clock.pendingTimers ?? 0).toBe(0);
  });

  it.each(['file', 'memory'])('tells of what another store writes through the same connection (%s)', async (kind) => {
    const clock = new VirtualClock();
    const database = new Database(kind === 'file' ? temporaryFile() : ':memory:');
    onTestFinished(() => { database.close(); });
    const [a, b] = [await openStore({ database, pollInterval: 200 }, clock), await openStore(database, clock)];
    const heard = vi.fn();
    a.watch(heard);
    a.insert([jobRecord('mine')]);
    await clock.advance(1_000);
    expect(heard).not.toHaveBeenCalled();
    b.insert([jobRecord('theirs')]);
    await clock.advance(200);
    expect(heard).toHaveBeenCalledTimes(1);
  });

  it('are told without polling, by the log', async () => {
    const [a, b] = await twoStores();
    const told = new Promise<void>((resolve) => { a.watch(resolve); });
    b.insert([jobRecord('job')]);
    await told;
  });
});

describe('what a store remembers', () => {
  it('arguments of the caller are copied, not kept', async () => {
    const store = await openStore(':memory:');
    const args = [{ list: [1] }];
    store.insert([jobRecord('job', T0, { definition: { args } })]);
    args[0]!.list.push(2);
    expect(store.get('job')?.record.definition.args).toEqual([{ list: [1] }]);
    const { record, revision } = store.get('job')!;
    const given = { list: [3] };
    store.commit([{ id: 'job', expected: revision, next: { ...record, definition: { ...record.definition, args: [given] } }, ledger: [] }]);
    given.list.push(4);
    expect(store.get('job')?.record.definition.args).toEqual([{ list: [3] }]);
  });

  it('a definition that did not change is read once', async () => {
    const store = await openStore(':memory:');
    store.insert([jobRecord('job')]);
    const { record, revision } = store.get('job')!;
    store.commit([{ id: 'job', expected: revision, next: dueAt(record, T0 + 1), ledger: [] }]);
    expect(store.get('job')?.record.definition).toBe(record.definition);
    expect(store.claimDue(claim(T0 + 1))[0]?.record.definition).toBe(record.definition);
  });

  it('a record that cannot be read is kept as it was found', async () => {
    const database = new Database(':memory:');
    const store = await openStore(database);
    store.insert([jobRecord('job', T0, { definition: { args: [1], tags: ['a'] } })]);
    database.exec(`UPDATE punctual_definitions SET body = json_set(body, '$.args.by', 'unknown', '$.extra', 1)`);
    const before = database.prepare('SELECT body FROM punctual_definitions').pluck().get();
    const { record, revision } = store.get('job')!;
    const quarantined = withState(record, { status: 'quarantined', reason: 'cannot be read' });
    expect(store.commit([{ id: 'job', expected: revision, next: quarantined, ledger: [] }])[0]).toBeDefined();
    expect(JSON.parse(database.prepare('SELECT body FROM punctual_definitions').pluck().get() as string)).toEqual(JSON.parse(before as string));
    expect(store.get('job')?.record.state.status).toBe('quarantined');
    expect(store.list({ tags: ['a'], limit: 1 }).jobs).toHaveLength(1);
  });

  it('a row that is damaged holds up no other', async () => {
    const database = new Database(':memory:');
    const store = await openStore(database);
    store.insert(['a', 'b', 'c', 'd'].map((id) => jobRecord(id)));
    database.exec(`UPDATE punctual_definitions SET body = '{"v":1,' WHERE job = 1`);
    database.exec(`UPDATE punctual_jobs SET state = '[]' WHERE seq = 2`);
    database.exec('DELETE FROM punctual_definitions WHERE job = 3');
    // As somebody else has written them, nothing is known of them here.
    database.exec('UPDATE punctual_jobs SET revision = revision + 1000, definition = definition + 1000');
    const due = store.claimDue(claim(T0));
    expect(idsIn(due)).toEqual(['a', 'b', 'c', 'd']);
    expect(due.map(({ record }) => record.state.status)).toEqual(['active', 'quarantined', 'active', 'active']);
    expect(() => due[0]!.record.definition.trigger.next(T0)).toThrow();
    const revisions = store.commit(due.map(({ record, revision }) => ({ id: record.id, expected: revision, next: withState(record, { status: 'quarantined' }), ledger: [] })));
    expect(revisions.every((revision) => revision !== undefined)).toBe(true);
    expect(database.prepare('SELECT body FROM punctual_definitions WHERE job = 1').pluck().get()).toBe('{"v":1,');
    expect(idsIn(store.list({ limit: 9 }).jobs)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('when a job wakes is written as it is known here, whoever wrote the row', async () => {
    const database = new Database(':memory:');
    const store = await openStore(database);
    store.insert([jobRecord('job')]);
    // As by a process that could not read it.
    database.exec('UPDATE punctual_jobs SET wake_at = NULL, revision = revision + 1000');
    const { record, revision } = store.get('job')!;
    store.commit([{ id: 'job', expected: revision, next: withState(record, { reason: 'mended' }), ledger: [] }]);
    expect(idsIn(store.claimDue(claim(T0)))).toEqual(['job']);
  });

  it('a record that could not be read is served again once it can', async () => {
    const database = new Database(':memory:');
    const store = await openStore(database);
    store.insert([jobRecord('job', T0, { definition: { owner: 'set' }, policy: { priority: 7 } })]);
    database.exec(`UPDATE punctual_definitions SET body = json_object('v', 9, 'later', json(body))`);
    const { record, revision } = store.get('job')!;
    store.commit([{ id: 'job', expected: revision, next: withState(record, { status: 'quarantined' }), ledger: [] }]);
    database.exec(`UPDATE punctual_definitions SET body = body -> '$.later'`);
    const mended = store.get('job')!;
    store.commit([{ id: 'job', expected: mended.revision, next: withState(mended.record, { status: 'active' }), ledger: [] }]);
    expect(idsIn(store.claimDue(claim(T0)))).toEqual(['job']);
    expect(idsIn(store.list({ owner: 'set', limit: 1 }).jobs)).toEqual(['job']);
  });

  it('nothing of a batch of which one record cannot be stored', async () => {
    const store = await openStore(':memory:');
    const { revision } = store.insert([jobRecord('good')])[0]!;
    const bad = jobRecord('bad', T0, { definition: { args: [() => 1] } });
    expect(() => store.insert([jobRecord('other'), bad])).toThrow(expect.objectContaining({ code: 'JOB_UNSTORABLE' }));
    expect(() =>
      store.commit([
        { id: 'good', expected: revision, next: null, ledger: [ledgerEntry('good', T0)] },
        { id: 'good', expected: revision, next: bad, ledger: [] },
      ]),
    ).toThrow(expect.objectContaining({ code: 'JOB_UNSTORABLE' }));
    expect(idsIn(store.list({ limit: 9 }).jobs)).toEqual(['good']);
    expect(fireTimes(store)).toEqual([]);
    expect(() => store.insert([jobRecord('half \ud800')])).toThrow(expect.objectContaining({ code: 'JOB_UNSTORABLE' }));
  });

  it('a row keeps its length while a run starts and ends, and grows when it has to', async () => {
    const database = new Database(':memory:');
    const store = await openStore(database);
    // An instant takes six bytes, and what is not there none.
    const length = (): unknown => database.prepare('SELECT length(state) + iif(lease_at IS NULL, 0, 6) FROM punctual_jobs').pluck().get();
    let { record, revision } = store.insert([jobRecord('job')])[0]!;
    const write = (state: Partial<JobRecord['state']>): void => {
      record = withState(record, state);
      [revision = 0] = store.commit([{ id: 'job', expected: revision, next: record, ledger: [] }]) as [Revision];
      expect(store.get('job')!.record.state).toEqual(record.state);
    };
    const before = length();
    write({ runs: [runningRun('job', T0 + 30_000)] });
    expect(length()).toBe(before);
    write({ runs: [], nextFireTime: T0 + 60_000, nextDueAt: T0 + 60_000, lastFireTime: T0, runCount: 1 });
    expect(length()).toBe(before);
    const reason = 'x'.repeat(400);
    write({ status: 'paused', reason });
    const long = length();
    expect(long).toBeGreaterThan(400);
    write({ status: 'active', reason: null });
    expect(length()).toBe(long);
    // What was needed once is not kept for ever.
    write({ reason: 'x'.repeat(40_000) });
    write({ reason: null });
    expect(length()).toBe(before);
    const elsewhere = await openStore(database);
    expect(elsewhere.get('job')!.record.state).toEqual(record.state);
  });

  it('of jobs that were added together, one that is changed leaves the others as they are', async () => {
    const [a, b, path] = await twoStores();
    const ids = ['a', 'b', 'c', 'd', 'e'];
    a.insert(ids.map((id) => jobRecord(id, T0, { definition: { args: [id === 'c' ? 2 : 1] } })));
    const changed = b.get('b')!;
    b.commit([{ id: 'b', expected: changed.revision, next: { ...changed.record, definition: { ...changed.record.definition, args: [3] } }, ledger: [] }]);
    const c = await openStore(path);
    expect(c.claimDue(claim(T0)).map(({ record }) => record.definition.args[0])).toEqual([1, 3, 2, 1, 1]);
    for (const store of [a, b, c, await openStore(path)]) {
      expect(ids.map((id) => store.get(id)!.record.definition.args[0])).toEqual([1, 3, 2, 1, 1]);
    }
  });

  it('what was claimed first and is known later is read either way', async () => {
    const [a, b] = await twoStores();
    a.insert(Array.from({ length: 40 }, (_, i) => jobRecord(`job${10 + i}`, T0, { definition: { args: [i] } })));
    for (let turn = 0; turn < 3; turn++) {
      const due = b.claimDue({ ...claim(T0 + turn), limit: 40 });
      expect(due.map(({ record }) => record.definition.args[0])).toEqual(Array.from({ length: 40 }, (_, i) => i));
      b.commit(due.map(({ record, revision }) => ({ id: record.id, expected: revision, next: dueAt(record, T0 + turn + 1), ledger: [] })));
    }
    expect(idsIn(a.claimDue({ ...claim(T0 + 3), limit: 40 }))).toHaveLength(40);
  });

  it('texts of any length and kind', async () => {
    const store = await openStore(':memory:');
    const texts = ['x'.repeat(100_000), 'nul\0byte', '😀'.repeat(2_000), `'; DROP TABLE punctual_jobs; --`, '{jobs}', ' ', 'ÀÉ', 'İK'];
    store.insert(texts.map((text) => jobRecord(text, T0, { definition: { task: text, tags: [text, text], name: text, owner: text } })));
    for (const text of texts) {
      for (const query of [{ tags: [text] }, { task: text }, { owner: text }, { text: text.toLowerCase() }]) {
        expect(idsIn(store.list({ ...query, limit: 9 }).jobs)).toContain(text);
      }
      expect(idsIn(store.claimDue(claim(T0, { tasks: new Map([[text, 1]]) })))).toEqual([text]);
      const { revision } = store.get(text)!;
      expect(store.commit([{ id: text, expected: revision, next: null, ledger: [ledgerEntry(text, T0)] }])[0]).toBeDefined();
      expect(store.list({ tags: [text], limit: 9 }).jobs).toEqual([]);
      expect(store.ledger.list({ runId: `${text}@${T0}`, limit: 9 })).toMatchObject({ entries: [{ jobId: text }] });
    }
  });

  it('tags that come and go', async () => {
    const store = await openStore(':memory:');
    let { revision } = store.insert([jobRecord('job', T0, { definition: { tags: ['a', 'b'] } }), jobRecord('job2', T0, { definition: { tags: ['a'] } })])[0]!;
    const tagged = (tag: string): string[] => idsIn(store.list({ tags: [tag], limit: 9 }).jobs);
    [revision = 0] = store.commit([{ id: 'job', expected: revision, next: jobRecord('job', T0, { definition: { tags: ['b', 'c'] } }), ledger: [] }]) as [Revision];
    expect([tagged('a'), tagged('b'), tagged('c')]).toEqual([['job2'], ['job'], ['job']]);
    expect(idsIn(store.list({ tags: ['b', 'c'], limit: 9 }).jobs)).toEqual(['job']);
    expect(idsIn(store.list({ tags: ['a', 'c'], limit: 9 }).jobs)).toEqual([]);
  });
});

describe('claims', () => {
  it('that are not committed yet are found again when their time is up, among runs whose leases end before or after the next fire time', async () => {
    const store = await openStore(':memory:');
    const times = [-30, -20, -10, 5, 15, 1_500];
    const records = times.flatMap((wake) => times.map((lease) => jobRecord(`job ${wake} ${lease}`, T0 + wake, { state: { runs: [runningRun(`job ${wake} ${lease}`, T0 + lease)] } })));
    store.insert(records);
    const hidden = new Set<string>();
    for (const limit of [1, 3, 7, 20]) {
      for (const id of idsIn(store.claimDue(claim(T0, { limit, reserveMs: 1_000 })))) hidden.add(id);
      const looks = records.map(({ id, state }) => {
        const at = Math.min(state.nextDueAt!, (state.runs[0] as { leaseUntil: number }).leaseUntil);
        return hidden.has(id) ? T0 + 1_000 : at;
      });
      expect(store.nextWakeAt(scope())).toBe(Math.min(...looks));
    }
    expect(hidden.size).toBe(27);
  });

  it('merge many lanes of one priority in order of time', async () => {
    const store = await openStore(':memory:');
    const records = Array.from({ length: 300 }, (_, i) => jobRecord(`job${i}`, T0 + ((i * 37) % 300), { policy: { priority: 1 }, definition: { task: `task${i % 7}` } }));
    store.insert(records);
    const tasks = new Map(Array.from({ length: 7 }, (_, i) => [`task${i}`, 1]));
    const claimed: number[] = [];
    for (let due = store.claimDue(claim(T0 + 300, { tasks, limit: 23, executors: new Map([['default', 1_000]]) })); due.length > 0; ) {
      claimed.push(...due.map(({ record }) => record.state.nextDueAt! - T0));
      due = store.claimDue(claim(T0 + 300, { tasks, limit: 23, executors: new Map([['default', 1_000]]) }));
    }
    expect(claimed).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });

  it('in order of what comes first, a fire time or the end of a lease, and each job once', async () => {
    const store = await openStore(':memory:');
    const running = (id: string, at: number | null, lease: number | null): JobRecord => jobRecord(id, at, { state: { runs: [runningRun(id, lease)] } });
    store.insert([running('b', T0 + 2, T0 + 9), running('a', T0 + 8, T0 + 1), running('c', null, T0 + 3), running('never', null, null), jobRecord('d', T0 + 4), running('later', T0 + 90, T0 + 70)]);
    expect(store.nextWakeAt(scope())).toBe(T0 + 1);
    expect(store.demands()).toEqual([{ task: 'work', taskVersion: 1, executor: 'default', wakeAt: T0 + 1 }]);
    expect(idsIn(store.claimDue(claim(T0 + 50, { limit: 3 })))).toEqual(['a', 'b', 'c']);
    expect(store.nextWakeAt(scope())).toBe(T0 + 4);
    expect(idsIn(store.claimDue(claim(T0 + 50)))).toEqual(['d']);
    expect(store.claimDue(claim(T0 + 50))).toEqual([]);
    expect(store.nextWakeAt(scope())).toBe(T0 + 70);
    expect(idsIn(store.list({ running: true, limit: 9 }).jobs)).toEqual(['a', 'b', 'c', 'later', 'never']);
  });

  it('a job of which nothing but the end of its lease could wake it, without one, wakes nobody', async () => {
    const store = await openStore(':memory:');
    store.insert([jobRecord('job', null, { state: { runs: [runningRun('job', null)] } })]);
    expect(store.nextWakeAt(scope())).toBeNull();
    expect(store.demands()).toEqual([]);
    expect(store.claimDue(claim(T0 + 1e9))).toEqual([]);
  });

  it('what wakes at a part of a millisecond is due when it is claimed', async () => {
    const store = await openStore(':memory:');
    store.insert([jobRecord('job', T0 + 0.5)]);
    expect(store.claimDue(claim(T0))).toEqual([]);
    expect(store.nextWakeAt(scope())).toBe(T0 + 1);
    expect(idsIn(store.claimDue(claim(T0 + 1)))).toEqual(['job']);
  });
});

describe('plans: what is asked often or at each start walks along an index made for it', () => {
  it.each([
    [{ triggerKind: 'startup', statuses: ['active'] }, 'definitions_startup'],
    [{ running: true }, 'jobs_leased'],
    [{ task: 'work' }, 'jobs_lane'],
    [{ tags: ['a', 'b'] }, 'PRIMARY KEY'],
    [{ owner: 'me' }, 'definitions_owner'],
    [{ statuses: ['paused', 'quarantined'] }, 'jobs_at_rest'],
  ] as const)('%j', async (query, index) => {
    const database = new Database(':memory:');
    const statements: string[] = [];
    const prepare = database.prepare.bind(database);
    vi.spyOn(database, 'prepare').mockImplementation((sql: string) => {
      statements.push(sql);
      return prepare(sql);
    });
    const store = await openStore(database);
    store.insert([jobRecord('job')]);
    store.list({ ...query, limit: 10 });
    const sql = statements.at(-1)!;
    const plan = prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...Array<string>((sql.match(/\?/g) ?? []).length).fill('1')) as { detail: string }[];
    expect(plan[0]?.detail).toContain(index);
    expect(plan.map(({ detail }) => detail).filter((detail) => detail.startsWith('SCAN') && !/^SCAN r |definitions_startup|jobs_at_rest|jobs_leased/.test(detail))).toEqual([]);
  });
});

describe('the write-ahead log', () => {
  it('is copied into the database between batches, once it has become long', async () => {
    const path = temporaryFile();
    const clock = new VirtualClock();
    const store = await openStore(path, clock);
    let jobs = store.insert(Array.from({ length: 400 }, (_, i) => jobRecord(`job${1000 + i}`))) as StoredJob[];
    expect(store.betweenBatches()).toBe(false);
    const write = (at: number): void => {
      const next = jobs.map(({ record }) => dueAt(record, at));
      const revisions = store.commit(jobs.map(({ record, revision }, i) => ({ id: record.id, expected: revision, next: next[i]!, ledger: [ledgerEntry(record.id, at)] })));
      jobs = next.map((record, i) => ({ record, revision: revisions[i]! }));
    };
    let batches = 0;
    while (!store.betweenBatches()) write(T0 + ++batches);
    expect(batches).toBeGreaterThan(1);
    expect(batches).toBeLessThan(50);
    const other = new Database(path);
    onTestFinished(() => { other.close(); });
    const [{ log, checkpointed }] = other.pragma('wal_checkpoint(PASSIVE)') as [{ log: number; checkpointed: number }];
    expect(checkpointed).toBe(log);
    expect(store.betweenBatches()).toBe(false);
    // As often again, by what the first copy told. What is long again at once is for a thread.
    await clock.advance(60_000);
    let more = 0;
    while (!store.betweenBatches()) write(T0 + 1_000 + ++more);
    expect(more).toBeLessThan(50);
    expect(store.list({ limit: 1_000 }).jobs).toEqual(jobs);
  });

  it('of a database of yours, or in memory, is nobody else’s business', async () => {
    for (const target of [new Database(temporaryFile()), ':memory:']) {
      const store = await openStore(target);
      const jobs = store.insert(Array.from({ length: 400 }, (_, i) => jobRecord(`job${i}`))) as StoredJob[];
      let revisions: readonly (Revision | undefined)[] = jobs.map(({ revision }) => revision);
      for (let i = 1; i <= 20; i++) {
        revisions = store.commit(jobs.map(({ record }, j) => ({ id: record.id, expected: revisions[j]!, next: dueAt(record, T0 + i), ledger: [] })));
      }
      expect(revisions.every((revision) => revision !== undefined)).toBe(true);
      expect(store.betweenBatches()).toBe(false);
    }
  });
});

describe('history', () => {
  it('lines are in the order in which they were handed over, whatever they are and however many come at a time', async () => {
    const store = await openStore(':memory:');
    const verdicts = Array.from({ length: 45 }, (_, i) => (i % 19 === 5 ? ('failed' as const) : ('succeeded' as const)));
    const jobs = store.insert(verdicts.map((_, i) => jobRecord(`job${100 + i}`)));
    const entries = verdicts.map((verdict, i) => ledgerEntry(`job${100 + i}`, T0 + i, { verdict, attempt: 1 + (i % 3), at: T0 + 100 + i }));
    store.commit(entries.map((entry, i) => ({ id: entry.jobId, expected: jobs[i]!.revision, next: jobs[i]!.record, ledger: [entry] })));
    expect((store.ledger.list({ limit: 100 }) as LedgerPage).entries).toEqual(entries);
  });

  it('of a commit that fails nothing is left for the next one', async () => {
    const database = new Database(':memory:');
    const store = await openStore(database);
    const [a, b] = store.insert([jobRecord('a'), jobRecord('b')]);
    database.exec(`CREATE TRIGGER stop BEFORE UPDATE ON punctual_jobs WHEN old.id = 'b' BEGIN SELECT RAISE(ABORT, 'not now'); END`);
    const changes = [a!, b!].map(({ record, revision }, i) => ({ id: record.id, expected: revision, next: dueAt(record, T0 + 1), ledger: [ledgerEntry(record.id, T0 + i)] }));
    expect(() => store.commit(changes)).toThrow('not now');
    database.exec('DROP TRIGGER stop');
    store.commit(changes.slice(1));
    expect(fireTimes(store)).toEqual([1]);
    expect(store.commit(changes).map((revision) => revision !== undefined)).toEqual([true, false]);
    expect(fireTimes(store)).toEqual([1, 0]);
  });

  it('keeps about as many entries of each job as it is told, and says which are gone', async () => {
    const store = await openStore({ path: ':memory:', ledger: { perJob: 10, maxAge: null } });
    const [a, b] = store.insert([jobRecord('a'), jobRecord('b')]);
    let revision = writeLines(store, 'a', 0, 60, a!.revision);
    writeLines(store, 'b', 0, 5, b!.revision);
    expect(maintainAll(store, T0)).toBeGreaterThan(0);
    expect(fireTimes(store, 'a')).toEqual([50, 51, 52, 53, 54, 55, 56, 57, 58, 59]);
    expect([store.ledger.prunedThrough('a'), store.ledger.prunedThrough('b')]).toEqual([T0 + 49, null]);
    expect(fireTimes(store, 'b')).toHaveLength(5);
    // Not at each entry, but some at a time.
    revision = writeLines(store, 'a', 60, 15, revision);
    expect(maintainAll(store, T0)).toBe(0);
    writeLines(store, 'a', 75, 15, revision);
    maintainAll(store, T0);
    expect(fireTimes(store, 'a')).toHaveLength(10);
  });

  it('of a job that comes and goes under one id, too', async () => {
    const store = await openStore({ path: ':memory:', ledger: { perJob: 10, maxAge: null } });
    for (let i = 0; i < 100; i++) {
      const { revision } = store.insert([jobRecord('job')])[0]!;
      store.commit([{ id: 'job', expected: revision, next: null, ledger: [ledgerEntry('job', T0 + i)] }]);
      maintainAll(store, T0);
    }
    expect(fireTimes(store).length).toBeLessThanOrEqual(40);
    expect(fireTimes(store).at(-1)).toBe(99);
  });

  it('none at all with perJob 0, and says so', async () => {
    const store = await openStore({ path: ':memory:', ledger: { perJob: 0 } });
    const { revision } = store.insert([jobRecord('job')])[0]!;
    writeLines(store, 'job', 0, 5, revision);
    expect(fireTimes(store)).toEqual([]);
    expect(store.ledger.prunedThrough('job')).toBe(T0 + 4);
  });

  it('drops entries that are too old, a piece at a time, those of removed jobs included', async () => {
    const store = await openStore({ path: ':memory:', ledger: { maxAge: { days: 2 } } });
    const [a, gone] = store.insert([jobRecord('a'), jobRecord('gone')]);
    const revision = writeLines(store, 'a', 0, 500, a!.revision);
    store.commit([{ id: 'gone', expected: gone!.revision, next: null, ledger: [ledgerEntry('gone', T0 + 1_000)] }]);
    store.commit([{ id: 'a', expected: revision, next: jobRecord('a'), ledger: [ledgerEntry('a', T0 + DAY)] }]);
    maintainAll(store, T0 + DAY);
    expect(fireTimes(store)).toHaveLength(502);
    expect(maintainAll(store, T0 + 2.5 * DAY)).toBeGreaterThan(2);
    expect(fireTimes(store)).toEqual([DAY]);
    expect(store.ledger.prunedThrough('a')).toBe(T0 + 1_000); // of what is gone all that is known is how far
    expect(store.ledger.prunedThrough('gone')).toBe(T0 + 1_000);
  });

  it('drops results when their time is over, and keeps the entries', async () => {
    const store = await openStore(':memory:');
    const { revision } = store.insert([jobRecord('job')])[0]!;
    const result = (expiresAt: number) => ({ value: { by: 'x', data: '1' }, omitted: null, expiresAt });
    store.commit([{
      id: 'job',
      expected: revision,
      next: jobRecord('job'),
      ledger: [ledgerEntry('job', T0, { result: result(T0 + 10) }), ledgerEntry('job', T0 + 1, { result: result(T0 + 20) })],
    }]);
    maintainAll(store, T0 + 10);
    const { entries } = store.ledger.list({ limit: 9 }) as LedgerPage;
    expect(entries.map((entry) => entry.result?.expiresAt)).toEqual([undefined, T0 + 20]);
  });
});

describe('under a scheduler', () => {
  it('reads the lines of the history beside one that is damaged', async () => {
    const path = temporaryFile();
    const clock = new VirtualClock(T0);
    const scheduler = new AsyncScheduler({ clock, jobStores: { default: new SQLiteJobStore(path) } });
    onTestFinished(() => scheduler.shutdown());
    scheduler.defineTask('work', () => 'done', { resultTtl: { days: 1 } });
    await scheduler.start();
    await scheduler.addJob('work', new IntervalTrigger({ minutes: 1 }), { id: 'job' });
    await clock.advance(150_000);
    const database = new Database(path);
    database.exec(`UPDATE punctual_ledger SET error = 'gar{', result = 'gar{' WHERE seq = 1`);
    database.close();
    const runs = await scheduler.getRuns();
    expect(runs.map(({ result, resultOmitted, error }) => [result, resultOmitted, error?.message])).toEqual([[undefined, 'unreadable', 'gar{'], ['done', null, undefined]]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('jobs outlive it, and the next one goes on', async () => {
    const path = temporaryFile();
    const clock = new VirtualClock(T0);
    const runs: string[] = [];
    const start = async (name: string): Promise<AsyncScheduler> => {
      const scheduler = new AsyncScheduler({ clock, jobStores: { default: new SQLiteJobStore(path) }, node: name });
      scheduler.defineTask('work', (x: number) => { runs.push(`${name} ${x}`); });
      await scheduler.start();
      return scheduler;
    };
    const first = await start('one');
    await first.addJob('work', new IntervalTrigger({ minutes: 1 }), { id: 'job', args: [7] });
    await clock.advance(150_000);
    await first.shutdown();
    const second = await start('two');
    await clock.advance(120_000);
    expect(runs).toEqual(['one 7', 'one 7', 'two 7', 'two 7']);
    expect((await second.getRuns({ jobId: 'job' })).map(({ verdict }) => verdict)).toEqual(Array(4).fill('succeeded'));
    expect((await second.verifyLedger()).ok).toBe(true);
    await second.shutdown();
  });

  it.each([
    ['a state of no shape, of a job with runs', `UPDATE punctual_jobs SET state = 'gar{', running = 1 WHERE id = 'bad'`],
    ['runs that are none', `UPDATE punctual_jobs SET state = json_set(state, '$.runs', json('["x", null]')), running = 1 WHERE id = 'bad'`],
    ['no counters', `UPDATE punctual_jobs SET state = json_set(state, '$.stats', null) WHERE id = 'bad'`],
    ['numbers that are texts', `UPDATE punctual_jobs SET state = json_set(state, '$.generation', 'x', '$.nextFireTime', 'y') WHERE id = 'bad'`],
    ['a later release’s definition', `UPDATE punctual_definitions SET body = json_set(body, '$.v', 9, '$.name', json('{}'), '$.taskVersion', 'x', '$.policy.priority', 'high') WHERE job = 1`],
    ['claims nobody can read', `INSERT INTO punctual_claims VALUES ('x', 9e12, 'gar{'), ('y', 9e12, 'null')`],
  ])('a scheduler runs what is not damaged: %s', async (_what, damage) => {
    const path = temporaryFile();
    const clock = new VirtualClock(T0);
    const ran: string[] = [];
    const started = async (): Promise<AsyncScheduler> => {
      const scheduler = new AsyncScheduler({ clock, node: 'n', logger: new MemoryLogger(), jobStores: { default: new SQLiteJobStore(path) } });
      scheduler.defineTask('work', (id: string) => void ran.push(id));
      onTestFinished(() => scheduler.shutdown());
      await scheduler.start();
      return scheduler;
    };
    const first = await started();
    for (const id of ['bad', 'good']) await first.addJob('work', new IntervalTrigger({ seconds: 1 }), { id, args: [id] });
    await first.shutdown();
    const database = new Database(path);
    database.exec(damage);
    database.close();
    const second = await started();
    await clock.advance(2_500);
    expect(second.health().ok).toBe(true);
    expect(ran).toContain('good');
    await second.removeJob('bad');
  });

  it('two of them on one file share the work, each run once', async () => {
    const path = temporaryFile();
    const clock = new VirtualClock(T0);
    const runs = new Map<string, number>();
    const schedulers = await Promise.all(['a', 'b'].map(async (node) => {
      const scheduler = new AsyncScheduler({ clock, jobStores: { default: new SQLiteJobStore(path) }, node });
      scheduler.defineTask('work', (id: string) => { runs.set(id, (runs.get(id) ?? 0) + 1); });
      await scheduler.start();
      return scheduler;
    }));
    for (let i = 0; i < 40; i++) await schedulers[i % 2]!.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: `job${i}`, args: [`job${i}`] });
    await clock.advance(60_500);
    await Promise.all(schedulers.map((scheduler) => scheduler.shutdown()));
    expect([...runs.values()]).toEqual(Array(40).fill(6));
  });

  it('says why it cannot be started', async () => {
    const scheduler = new AsyncScheduler({ jobStores: { default: new SQLiteJobStore('/nowhere/at/all/jobs.db') } });
    await expect(scheduler.start()).rejects.toMatchObject({ code: 'STORE_UNUSABLE', reason: 'no-folder' });
  });

  it('a store is opened with what `storeContext` gives', async () => {
    const store = new SQLiteJobStore(':memory:');
    await store.open(storeContext());
    expect(store.insert([jobRecord('job', T0, { state: { runs: [runningRun('job', T0)] } })])).toHaveLength(1);
    expect(idsIn(store.list({ running: true, limit: 1 }).jobs)).toEqual(['job']);
    await store.close();
  });
});

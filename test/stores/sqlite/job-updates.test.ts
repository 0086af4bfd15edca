import Database from 'better-sqlite3';
import type { JobRecord, StoredJob } from 'punctual';
import { describe, expect, it, onTestFinished } from 'vitest';
import { dueAt, jobRecord, ledgerEntry, runningRun, scope, T0, withState } from '../../../src/testing/contracts/job-store/records.js';
import { openStore, twoStores } from './support.js';

describe('many changes at a time', () => {
  const JOBS = 80;

  it.each(['changed', 'deleted'] as const)('those of jobs that another has %s are lost, one by one, and the others are written', async (how) => {
    const [a, b, path] = await twoStores();
    const jobs = a.insert(Array.from({ length: JOBS }, (_, i) => jobRecord(`job${i}`))) as StoredJob[];
    const taken = new Set([0, 3, 4, 17, 40, 49, 63, 70]);
    for (const i of taken) {
      const { record, revision } = b.get(`job${i}`)!;
      b.commit([{ id: record.id, expected: revision, next: how === 'deleted' ? null : dueAt(record, T0 + 1_000), ledger: [] }]);
    }
    const answers = a.commit(jobs.map(({ record, revision }, i) => ({ id: record.id, expected: revision, next: dueAt(record, T0 + i), ledger: [ledgerEntry(record.id, T0)] })));
    expect(answers.flatMap((revision, i) => (revision === undefined ? [i] : []))).toEqual([...taken]);
    expect(new Set(answers.filter((revision) => revision !== undefined)).size).toBe(JOBS - taken.size);
    for (const store of [a, b]) {
      jobs.forEach(({ record }, i) => {
        const found = store.get(record.id);
        if (!taken.has(i)) expect(found).toEqual({ record: dueAt(record, T0 + i), revision: answers[i] });
        else expect(found?.record.state.nextDueAt).toBe(how === 'deleted' ? undefined : T0 + 1_000);
      });
      expect(store.ledger.list({ limit: 100 })).toMatchObject({ entries: { length: JOBS - taken.size } });
    }
    const database = new Database(path, { readonly: true });
    onTestFinished(() => { database.close(); });
    expect(database.prepare('SELECT count(*) FROM punctual_jobs').pluck().get()).toBe(how === 'deleted' ? JOBS - taken.size : JOBS);
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
  });

  it('of a commit that fails on the way nothing is left for the next one', async () => {
    const database = new Database(':memory:');
    const store = await openStore(database);
    const jobs = store.insert(Array.from({ length: JOBS }, (_, i) => jobRecord(`job${i}`))) as StoredJob[];
    const changes = jobs.map(({ record, revision }, i) => ({ id: record.id, expected: revision, next: dueAt(record, T0 + i), ledger: [] }));
    database.exec(`CREATE TRIGGER fails BEFORE UPDATE ON punctual_jobs WHEN NEW.seq = 37 BEGIN SELECT RAISE(ABORT, 'not now'); END`);
    expect(() => store.commit(changes)).toThrow('not now');
    expect(store.list({ limit: 100 }).jobs).toHaveLength(JOBS);
    expect(store.get('job7')).toEqual(jobs[7]);
    database.exec('DROP TRIGGER fails');
    const [first, second] = [store.commit(changes.slice(0, 20)), store.commit(changes.slice(20))];
    expect([...first, ...second].every((revision) => revision !== undefined)).toBe(true);
    expect(store.get('job37')?.record.state.nextDueAt).toBe(T0 + 37);
  });

  it('of a commit that cannot even be undone nothing is left for the next one', async () => {
    const database = new Database(':memory:');
    let fails = false;
    // As on a disk that fails while the journal is played back: the transaction is over, and an error is what is heard of it.
    const failing = new Proxy(database, {
      get: (target, name) => {
        if (name !== 'prepare') {
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
        }
        return (sql: string) => {
          const statement = target.prepare(sql);
          const run = statement.run.bind(statement);
          if (sql === 'ROLLBACK') statement.run = (...values: unknown[]) => {
            const result = run(...values);
            if (fails) throw new Error('no journal');
            return result;
          };
          return statement;
        };
      },
    });
    const store = await openStore(failing);
    const jobs = store.insert(['a', 'b', 'broken'].map((id) => jobRecord(id))) as StoredJob[];
    const [a, b, broken] = jobs.map(({ record, revision }, i) => ({ id: record.id, expected: revision, next: dueAt(record, T0 + i), ledger: [] }));
    database.exec(`CREATE TRIGGER fails BEFORE UPDATE ON punctual_jobs WHEN NEW.id = 'broken' BEGIN SELECT RAISE(ABORT, 'not now'); END`);
    fails = true;
    expect(() => store.commit([{ ...a!, next: withState(a!.next, { status: 'paused' }) }, broken!])).toThrow();
    fails = false;
    expect(store.commit([b!])).toEqual([expect.any(Number)]);
    expect(store.get('a')).toEqual(jobs[0]);
    expect(store.get('b')?.record).toEqual(b!.next);
  });

  it('changes of different kinds', async () => {
    const store = await openStore(':memory:');
    let jobs = store.insert(Array.from({ length: JOBS }, (_, i) => jobRecord(`job${i}`, T0, { policy: i % 7 === 0 ? { expect: { successWithinMs: 5, maxLatenessMs: null } } : {}, state: { watch: i % 7 === 0 ? { since: T0, overdue: null } : null } }))) as StoredJob[];
    const kinds: ((record: JobRecord, i: number) => JobRecord)[] = [
      (record, i) => dueAt(record, T0 + i),
      (record) => withState(record, { status: 'paused', reason: 'rest' }),
      (record) => withState(record, { runs: [runningRun(record.id, T0 + 7)] }),
      (record) => withState(record, { runs: [], nextFireTime: null, nextDueAt: null }),
      (record) => ({ ...record, definition: { ...record.definition, tags: ['new'] } }),
    ];
    for (let turn = 0; turn < kinds.length; turn++) {
      const next = jobs.map(({ record }, i) => kinds[(i + turn) % kinds.length]!(record, i));
      const revisions = store.commit(jobs.map(({ record, revision }, i) => ({ id: record.id, expected: revision, next: next[i]!, ledger: [] })));
      jobs = next.map((record, i) => ({ record, revision: revisions[i]! }));
      const byId = [...jobs].sort((a, b) => (a.record.id < b.record.id ? -1 : 1));
      expect(store.list({ limit: 100 }).jobs).toEqual(byId);
      const other = await openStore(':memory:');
      other.insert(next);
      expect(other.list({ running: true, limit: 100 }).jobs.map(({ record }) => record)).toEqual(store.list({ running: true, limit: 100 }).jobs.map(({ record }) => record));
      expect(store.nextWakeAt(scope())).toBe(other.nextWakeAt(scope()));
      expect(store.alarms()).toEqual(other.alarms());
      expect(store.demands()).toEqual(other.demands());
    }
  });
});

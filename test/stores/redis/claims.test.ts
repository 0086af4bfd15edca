import { SystemClock, type JobChange, type JobRecord, type JobStore, type StoredJob } from 'punctual';
import type { RedisJobStore } from 'punctual/redis';
import { storeContext } from 'punctual/testing';
import { expect, it } from 'vitest';
import { claim, dueAt, jobRecord, ledgerEntry, runningRun, scope, T0, withState } from '../../../src/testing/contracts/job-store/records.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeRedis, freshPrefix, openStore } from './support.js';

const HOUR = 3_600_000;
const RESERVE = 5_000;
const due = (store: JobStore, now = T0, limit = 100): Promise<StoredJob[]> => Promise.resolve(store.claimDue(claim(now, { limit, reserveMs: RESERVE }))).then((jobs) => [...jobs]);

function idsIn(jobs: readonly { readonly record: JobRecord }[]): string[] {
  return jobs.map(({ record }) => record.id);
}

/** Stores on one prefix, each under the name of a node, of which none was announced yet. */
async function nodes(server: RedisServer, ...names: string[]): Promise<{ stores: RedisJobStore[]; prefix: string }> {
  const prefix = freshPrefix();
  const stores: RedisJobStore[] = [];
  for (const name of names) stores.push(await openStore({ prefix, url: server.url() }, storeContext(new SystemClock(), name)));
  return { stores, prefix };
}

function announce(store: JobStore, node: string, now = T0, ttlMs = HOUR): unknown {
  return store.members!.announce({ node, about: '{}', now, ttlMs });
}

function sleeping({ record, revision }: StoredJob, at: number | null = T0 + HOUR): JobChange {
  return { id: record.id, expected: revision, next: dueAt(record, at), ledger: [] };
}

const three = (): JobRecord[] => ['a', 'b', 'c'].map((id, i) => jobRecord(id, T0 - 10 + i));

describeRedis('a node that is alone', (server) => {
  it('writes nothing to claim, and is answered nothing twice until that is committed, or could be lost', async () => {
    const { stores: [store, other], prefix } = await nodes(server(), 'one', 'two');
    await announce(store!, 'one');
    await store!.insert(three());
    const first = await due(store!, T0, 2);
    expect(idsIn(first)).toEqual(['a', 'b']);
    expect(await server().command('EXISTS', `{${prefix}}:hidden`)).toBe(0);
    expect(idsIn(await due(store!, T0, 2))).toEqual(['c']);
    expect(await due(store!, T0, 2)).toEqual([]);
    // Hidden ones included from when they reappear.
    expect(await store!.nextWakeAt(scope())).toBe(T0 + RESERVE);
    expect(await store!.commit([sleeping(first[0]!)])).toEqual([expect.any(String)]);
    expect(await due(store!, T0 + RESERVE - 1)).toEqual([]);
    expect(idsIn(await due(store!, T0 + RESERVE))).toEqual(['b', 'c']);
    // It is nobody's business but its own.
    expect(idsIn(await due(other!, T0))).toEqual(['b', 'c']);
  });

  it('is answered at once what it wrote, or what somebody else did, and what it failed to write', async () => {
    const { stores: [store, other] } = await nodes(server(), 'one', 'two');
    await announce(store!, 'one');
    await store!.insert(three());
    const [a, b] = await due(store!, T0, 2);
    await store!.commit([sleeping(a!, T0 - 1)]);
    await other!.commit([sleeping((await other!.get('b'))!, T0 - 2)]);
    expect(idsIn(await due(store!))).toEqual(['c', 'b', 'a']);
    expect(await store!.commit([sleeping(b!)])).toEqual([undefined]);
  });

  it('gets more than what is under way, of each executor as many as it takes', async () => {
    const { stores: [store] } = await nodes(server(), 'one');
    await announce(store!, 'one');
    const executors = new Map([['x', 2], ['y', 3]]);
    await store!.insert(Array.from({ length: 12 }, (_, i) => jobRecord(`j${String(i).padStart(2, '0')}`, T0 - 20 + i, { policy: { executor: i % 2 === 0 ? 'x' : 'y' } })));
    const ask = async (limit: number): Promise<string[]> => idsIn(await store!.claimDue(claim(T0, { limit, executors, reserveMs: RESERVE })));
    expect(await ask(3)).toEqual(['j00', 'j01', 'j02']);
    expect(await ask(4)).toEqual(['j03', 'j04', 'j05', 'j06']);
    expect(await ask(9)).toEqual(['j07', 'j08', 'j09', 'j10', 'j11']);
    expect(await ask(9)).toEqual([]);
  });

  it('answers claims that are made at one time different jobs', async () => {
    const { stores: [store] } = await nodes(server(), 'one');
    await announce(store!, 'one');
    await store!.insert(Array.from({ length: 30 }, (_, i) => jobRecord(`j${i}`, T0)));
    const all = (await Promise.all([due(store!, T0, 10), due(store!, T0, 10), due(store!, T0, 10)])).flatMap(idsIn);
    expect(new Set(all).size).toBe(30);
    expect(all).toHaveLength(30);
  });

  it('keeps nothing from itself for long by a clock that was wrong', async () => {
    const { stores: [store] } = await nodes(server(), 'one');
    await announce(store!, 'one', T0 - 48 * HOUR, 96 * HOUR);
    await store!.insert([jobRecord('job', T0 - 48 * HOUR)]);
    expect(await due(store!)).toHaveLength(1);
    expect(await due(store!, T0 - 24 * HOUR)).toHaveLength(1);
  });
});

describeRedis('a node hides what it claims', (server) => {
  const hides = async (store: JobStore, witness: JobStore, now = T0): Promise<boolean> => {
    await store.insert([jobRecord(`job${now}`, now)]);
    expect(idsIn(await due(store, now))).toContain(`job${now}`);
    return (await due(witness, now)).length === 0;
  };

  it('while nobody, it included, has said to be there', async () => {
    const { stores: [store, other] } = await nodes(server(), 'one', 'two');
    expect(await hides(store!, other!)).toBe(true);
    await announce(other!, 'two');
    expect(await hides(store!, other!, T0 + 1)).toBe(true);
  });

  it('from when on another is there, until that has left or was not heard of', async () => {
    const { stores: [store, other, third] } = await nodes(server(), 'one', 'two', 'three');
    await announce(store!, 'one');
    expect(await hides(store!, third!)).toBe(false);
    await announce(other!, 'two', T0 + 20_000, 30_000);
    expect(await hides(store!, third!, T0 + 20_000)).toBe(true);
    expect(await hides(store!, third!, T0 + 49_999)).toBe(true);
    expect(await hides(store!, third!, T0 + 50_000)).toBe(false);
    await announce(other!, 'two', T0 + 60_000);
    expect(await hides(store!, third!, T0 + 60_000)).toBe(true);
    await other!.members.withdraw('two');
    expect(await hides(store!, third!, T0 + 80_000)).toBe(false);
  });

  it('when its own time is up: others may take it for gone', async () => {
    const { stores: [store, other] } = await nodes(server(), 'one', 'two');
    await announce(store!, 'one', T0, 1_000);
    expect(await hides(store!, other!, T0 + 999)).toBe(false);
    expect(await hides(store!, other!, T0 + 10_000)).toBe(true);
  });

  it('for a while after a change was lost to somebody, whoever that is', async () => {
    const { stores: [store, namesake] } = await nodes(server(), 'one', 'one');
    await announce(store!, 'one');
    await store!.insert([jobRecord('job')]);
    const [mine] = await due(store!);
    const [theirs] = await due(namesake!);
    expect(await namesake!.commit([sleeping(theirs!)])).toEqual([expect.any(String)]);
    expect(await store!.commit([sleeping(mine!)])).toEqual([undefined]);
    expect(await hides(store!, namesake!, T0 + 1)).toBe(true);
    expect(await hides(store!, namesake!, T0 + 30_000)).toBe(false);
  });
});

describeRedis('a commit of many changes', (server) => {
  it('of all kinds at once writes those that nobody else was first with, and says which', async () => {
    const { stores: [store, other], prefix } = await nodes(server(), 'one', 'two');
    const kinds = ['start', 'end', 'sleep', 'pause', 'two lines', 'result', 'delete', 'failed', 'lane', 'line\nbreak', 'ze\0ro', 'expects'];
    const ids = kinds.flatMap((kind) => [`${kind} lost`, `${kind} won`]);
    await store!.insert(ids.map((id) => jobRecord(id, T0, {
      definition: id.startsWith('lane') ? { task: 'other' } : {},
      policy: id.startsWith('expects') ? { expect: { successWithinMs: HOUR, maxLatenessMs: null } } : {},
      state: id.startsWith('end') ? { runs: [runningRun(id, T0)] } : {},
    })));
    const listed = await store!.list({ limit: 100 });
    for (const { record, revision } of listed.jobs) {
      if (record.id.endsWith('lost')) await other!.commit([{ id: record.id, expected: revision, next: withState(record, { runCount: 77 }), ledger: [] }]);
    }
    const changes = listed.jobs.map(({ record, revision }): JobChange => {
      const { id } = record;
      const line = ledgerEntry(id, T0);
      const change = (next: JobRecord | null, ...ledger: JobChange['ledger']): JobChange => ({ id, expected: revision, next, ledger });
      if (id.startsWith('start')) return change(withState(record, { runs: [runningRun(id, T0 + HOUR)], nextDueAt: T0 + 9 }));
      if (id.startsWith('end')) return change(withState(record, { runs: [], nextDueAt: T0 + 9 }), line);
      if (id.startsWith('sleep')) return change(withState(record, { nextDueAt: null, nextFireTime: null }), line);
      if (id.startsWith('pause')) return change(withState(record, { status: 'paused' }));
      if (id.startsWith('two')) return change(dueAt(record, T0 + 9), line, ledgerEntry(id, T0 + 1));
      if (id.startsWith('result')) return change(dueAt(record, T0 + 9), { ...line, result: { value: { by: 'json', data: '7' }, omitted: null, expiresAt: T0 + HOUR } });
      if (id.startsWith('delete')) return change(null, line);
      if (id.startsWith('failed')) return change(dueAt(record, T0 + 9), { ...line, verdict: 'failed', reason: 'a\nreason' });
      return change(dueAt(record, T0 + 9), line);
    });
    const answers = await store!.commit(changes);
    expect(changes.filter((_, i) => answers[i] !== undefined).map(({ id }) => id).sort()).toEqual(kinds.map((kind) => `${kind} won`).sort());
    for (const [i, { id, next }] of changes.entries()) {
      const now = await other!.get(id);
      if (answers[i] === undefined) expect(now?.record.state.runCount).toBe(77);
      else expect(now && { revision: now.revision, state: now.record.state }).toEqual(next === null ? undefined : { revision: answers[i], state: next.state });
    }
    expect(idsIn((await other!.list({ running: true, limit: 9 })).jobs)).toEqual(['end lost', 'start won']);
    expect(idsIn((await other!.list({ statuses: ['paused'], limit: 9 })).jobs)).toEqual(['pause won']);
    const written = ['delete won', 'end won', 'expects won', 'failed won', 'lane won', 'line\nbreak won', 'result won', 'sleep won', 'two lines won', 'two lines won', 'ze\0ro won'];
    expect((await other!.ledger.list({ limit: 100 })).entries.map(({ jobId }) => jobId).sort()).toEqual(written);
    expect((await other!.ledger.list({ verdicts: ['failed'], limit: 100 })).entries).toMatchObject([{ jobId: 'failed won', reason: 'a\nreason' }]);
    expect(await other!.nextWakeAt(scope({ tasks: new Map([['other', 1]]) }))).toBe(T0);
    expect(await server().command('ZSCORE', `{${prefix}}:due:0 1 7 defaultwork`, 'sleep won')).toBeNull();
    // Nothing is left for the hourly look through the indexes to mend.
    await announce(store!, 'one');
    expect(idsIn(await due(store!)).sort()).toEqual(ids.filter((id) => id.endsWith('lost') && !id.startsWith('lane')).sort());
  });

  it('is one of many calls where there are more than fit into one, and takes up where the last one left off', async () => {
    const { stores: [store] } = await nodes(server(), 'one');
    await store!.insert(Array.from({ length: 2_300 }, (_, i) => jobRecord(`j${i}`, T0)));
    let { jobs } = await store!.list({ limit: 2_300 });
    for (let round = 1; round <= 3; round++) {
      const changes = jobs.map(({ record, revision }, i): JobChange => ({ id: record.id, expected: revision, next: dueAt(record, T0 + i), ledger: i % 2 === 0 ? [] : [ledgerEntry(record.id, T0 + round)] }));
      const answers = await store!.commit(changes);
      expect(answers).toHaveLength(2_300);
      expect(answers).not.toContain(undefined);
      expect(jobs.some(({ revision }, i) => revision === answers[i])).toBe(false);
      jobs = jobs.map(({ record }, i) => ({ record, revision: answers[i]! }));
    }
    const stored = new Map((await store!.list({ limit: 2_300 })).jobs.map(({ record, revision }) => [record.id, revision]));
    expect(jobs.map(({ record }) => stored.get(record.id))).toEqual(jobs.map(({ revision }) => revision));
    expect((await store!.ledger.list({ jobId: jobs[1]!.record.id, limit: 9 })).entries.map(({ scheduledFor }) => scheduledFor - T0)).toEqual([1, 2, 3]);
    expect((await store!.ledger.list({ limit: 10_000 })).entries).toHaveLength(3 * 1_150);
  });
});

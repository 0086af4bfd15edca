import { strict as assert } from 'node:assert';
import type { JobStore, LedgerPage, Revision } from '../../../ports/job-store.js';
import type { LedgerEntry, LedgerQuery } from '../../../model/ledger.js';
import { claim, dueAt, jobRecord, ledgerEntry, plain, runningRun, scope, T0, withState } from './records.js';
import { comesTrue } from './hints.js';
import { getRecord, ids, insertOne, type JobStoreCase } from './subject.js';

async function entriesOf(store: JobStore, query: LedgerQuery & { newestFirst?: boolean } = {}, limit = 100): Promise<LedgerEntry[]> {
  const entries: LedgerEntry[] = [];
  let after: string | undefined;
  do {
    const page: LedgerPage = await store.ledger.list({ ...query, limit, after });
    assert.ok(page.entries.length <= limit, `a page of ${page.entries.length} with a limit of ${limit}`);
    entries.push(...page.entries);
    after = page.nextCursor ?? undefined;
  } while (after !== undefined && entries.length < 1_000);
  return entries;
}

async function fires(store: JobStore, query?: LedgerQuery & { newestFirst?: boolean }, limit?: number): Promise<number[]> {
  return (await entriesOf(store, query, limit)).map((entry) => entry.scheduledFor - T0);
}

/** Writing: compare-and-set is what everything rests on. */
export const commitCases: readonly JobStoreCase[] = [
  {
    name: 'commit with the present revision replaces the record and answers its new revision',
    async run({ store }) {
      const { revision } = await insertOne(store, jobRecord('job', T0));
      const next = withState(jobRecord('job', T0 + 9), { runs: [runningRun('job', T0 + 5)], fence: T0 + 3 });
      const [written] = await store.commit([{ id: 'job', expected: revision, next, ledger: [] }]);
      assert.notEqual(written, undefined);
      assert.notEqual(written, revision);
      const got = await store.get('job');
      assert.equal(got?.revision, written);
      assert.deepEqual(plain(got?.record), plain(next));
    },
  },
  {
    name: 'commit writes a changed definition as well',
    async run({ store }) {
      const record = jobRecord('job', T0);
      const { revision } = await insertOne(store, record);
      const next = { ...record, definition: { ...record.definition, args: ['new'], name: 'new', tags: ['new'], task: 'work' } };
      await store.commit([{ id: 'job', expected: revision, next, ledger: [] }]);
      assert.deepEqual(plain(await getRecord(store, 'job')), plain(next));
      assert.deepEqual(ids((await store.list({ tags: ['new'], text: 'NEW', limit: 9 })).jobs), ['job']);
    },
  },
  {
    name: 'commit with a stale revision answers undefined and changes nothing, the ledger included',
    async run({ store }) {
      const first = await insertOne(store, jobRecord('job', T0));
      await store.commit([{ id: 'job', expected: first.revision, next: jobRecord('job', T0 + 1), ledger: [] }]);
      const before = await store.get('job');
      for (const next of [jobRecord('job', T0 + 2), null]) {
        const [answer] = await store.commit([{ id: 'job', expected: first.revision, next, ledger: [ledgerEntry('job', T0)] }]);
        assert.equal(answer, undefined);
      }
      const after = await store.get('job');
      assert.equal(after?.revision, before?.revision);
      assert.equal(after?.record.state.nextFireTime, T0 + 1);
      assert.deepEqual(await entriesOf(store), []);
      assert.equal(await store.nextWakeAt(scope()), T0 + 1);
    },
  },
  {
    name: 'commit to an id that is not there answers undefined and writes nothing',
    async run({ store }) {
      const { revision } = await insertOne(store, jobRecord('other'));
      const [answer] = await store.commit([{ id: 'job', expected: revision, next: jobRecord('job'), ledger: [ledgerEntry('job', T0)] }]);
      assert.equal(answer, undefined);
      assert.equal(await store.get('job'), undefined);
      assert.deepEqual(await entriesOf(store), []);
    },
  },
  {
    name: 'commit of null deletes: the record is nowhere any more, and its id is free',
    async run({ store }) {
      const { revision } = await insertOne(store, jobRecord('job', T0));
      const [answer] = await store.commit([{ id: 'job', expected: revision, next: null, ledger: [] }]);
      assert.notEqual(answer, undefined, 'a delete that wins answers some revision');
      assert.equal(await store.get('job'), undefined);
      assert.deepEqual((await store.list({ limit: 9 })).jobs, []);
      assert.deepEqual(await store.claimDue(claim(T0 + 9)), []);
      assert.equal(await store.nextWakeAt(scope()), null);
      assert.notEqual((await store.insert([jobRecord('job')]))[0], undefined);
    },
  },
  {
    name: 'a revision from before a delete and a new insert is stale (ABA)',
    async run({ store }) {
      const used: Revision[] = [];
      for (let round = 0; round < 3; round++) {
        const stored = await insertOne(store, jobRecord('job', T0));
        const [written] = await store.commit([{ id: 'job', expected: stored.revision, next: jobRecord('job', T0 + 1), ledger: [] }]);
        for (const old of used) {
          const [answer] = await store.commit([{ id: 'job', expected: old, next: null, ledger: [] }]);
          assert.equal(answer, undefined, 'a revision was used again');
        }
        used.push(stored.revision, written!);
        const [deleted] = await store.commit([{ id: 'job', expected: written!, next: null, ledger: [] }]);
        used.push(deleted!);
      }
      assert.equal(new Set(used).size, used.length);
    },
  },
  {
    name: 'the same record written again gets a new revision all the same',
    async run({ store }) {
      const record = jobRecord('job', T0);
      const { revision } = await insertOne(store, record);
      const [written] = await store.commit([{ id: 'job', expected: revision, next: record, ledger: [] }]);
      assert.notEqual(written, revision);
      const [stale] = await store.commit([{ id: 'job', expected: revision, next: null, ledger: [] }]);
      assert.equal(stale, undefined);
    },
  },
  {
    name: 'of many concurrent commits on one revision exactly one wins, and its ledger entry is the one there',
    async run({ store, connect }) {
      const other = (await connect?.()) ?? store;
      for (let round = 0; round < 5; round++) {
        const id = `job${round}`;
        const { revision } = await insertOne(store, jobRecord(id, T0));
        const writers = Array.from({ length: 20 }, async (_, i) => {
          const next = i % 5 === 4 ? null : jobRecord(id, T0 + 1 + i);
          return (i % 2 === 0 ? store : other).commit([{ id, expected: revision, next, ledger: [ledgerEntry(id, T0 + i)] }]);
        });
        const answers = (await Promise.all(writers)).map(([answer]) => answer);
        const winner = answers.findIndex((answer) => answer !== undefined);
        assert.equal(answers.filter((answer) => answer !== undefined).length, 1, 'exactly one wins');
        assert.deepEqual(await fires(store, { jobId: id }), [winner]);
        const got = await other.get(id);
        if (winner % 5 === 4) assert.equal(got, undefined);
        else assert.equal(got?.record.state.nextFireTime, T0 + 1 + winner);
      }
    },
  },
  {
    name: 'the changes of a batch are independent: one that lost holds back no other',
    async run({ store }) {
      const answers = await store.insert(['a', 'b', 'c', 'd'].map((id) => jobRecord(id, T0)));
      const [a, b, c, d] = answers.map((stored) => stored!.revision);
      await store.commit([{ id: 'b', expected: b!, next: jobRecord('b', T0 + 5), ledger: [] }]);
      const revisions = await store.commit([
        { id: 'a', expected: a!, next: jobRecord('a', T0 + 1), ledger: [ledgerEntry('a', T0)] },
        { id: 'b', expected: b!, next: jobRecord('b', T0 + 2), ledger: [ledgerEntry('b', T0)] },
        { id: 'nobody', expected: a!, next: null, ledger: [] },
        { id: 'c', expected: c!, next: null, ledger: [ledgerEntry('c', T0)] },
        { id: 'd', expected: d!, next: dueAt(jobRecord('d'), T0 + 4), ledger: [] },
      ]);
      assert.deepEqual(revisions.map((revision) => revision !== undefined), [true, false, false, true, true]);
      assert.equal((await getRecord(store, 'a'))?.state.nextFireTime, T0 + 1);
      assert.equal((await getRecord(store, 'b'))?.state.nextFireTime, T0 + 5);
      assert.equal(await store.get('c'), undefined);
      assert.equal((await getRecord(store, 'd'))?.state.nextFireTime, T0 + 4);
      assert.deepEqual((await entriesOf(store)).map((entry) => entry.jobId).sort(), ['a', 'c']);
      assert.deepEqual(await store.commit([]), []);
    },
  },
  {
    name: 'a write on one connection is seen on another at once',
    requires: ['connect'],
    async run({ store, connect }) {
      const other = await connect!();
      const { revision } = await insertOne(store, jobRecord('job', T0));
      assert.equal((await other.get('job'))?.revision, revision);
      const [written] = await other.commit([{ id: 'job', expected: revision, next: jobRecord('job', T0 + 7), ledger: [ledgerEntry('job', T0)] }]);
      assert.equal((await store.get('job'))?.revision, written);
      assert.deepEqual(await fires(store), [0]);
      assert.deepEqual(await store.commit([{ id: 'job', expected: revision, next: null, ledger: [] }]), [undefined]);
      assert.equal(await store.nextWakeAt(scope()), T0 + 7);
    },
  },
  {
    name: 'watchers are told of what others insert and commit, until they stop',
    requires: ['connect', 'watch'],
    async run({ store, connect }) {
      const other = await connect!();
      let calls = 0;
      const stop = await store.watch!(() => { calls += 1; });
      // A store of which nobody but the writer has a watcher may save itself the call.
      const stopOther = await other.watch?.(() => undefined);
      const change = async (act: () => Promise<unknown>, what: string): Promise<void> => {
        const before = calls;
        await act();
        assert.ok(await comesTrue(() => calls > before), `no hint came of ${what} by another connection`);
      };
      await change(async () => insertOne(other, jobRecord('job', T0)), 'an insert');
      const { revision } = (await other.get('job'))!;
      await change(async () => other.commit([{ id: 'job', expected: revision, next: jobRecord('job', T0 + 1), ledger: [] }]), 'a commit');
      await stop();
      const before = calls;
      await insertOne(other, jobRecord('more', T0));
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(calls, before, 'told after it had stopped watching');
      await stopOther?.();
    },
  },
  {
    name: 'the store tells its own time as whole epoch milliseconds that do not go back',
    requires: ['now'],
    async run({ store }) {
      let last = 0;
      for (let i = 0; i < 5; i++) {
        const now = await store.now!();
        assert.ok(Number.isInteger(now) && now >= last, `now() is ${now} after ${last}`);
        last = now;
      }
    },
  },
];

/** The history. */
export const ledgerCases: readonly JobStoreCase[] = [
  {
    name: 'ledger entries come back as they were written, in the order in which they were',
    async run({ store }) {
      const { revision } = await insertOne(store, jobRecord('job', T0));
      const error = { name: 'TypeError', message: 'ö "x"', code: 'E_X', stack: 'at…' };
      const entries = [
        ledgerEntry('job', T0 + 5, { verdict: 'failed', error, attempt: 3, reason: 'timeout' }),
        ledgerEntry('job', T0 + 1, { verdict: 'missed', runId: null, scheduledTo: T0 + 4, count: 4, exact: false, attempt: 0, startedAt: null }),
        ledgerEntry('job', T0 + 9, { manual: true, runId: 'job#7', node: 'n2', generation: T0 + 2 }),
      ];
      const [second] = await store.commit([{ id: 'job', expected: revision, next: jobRecord('job', T0 + 10), ledger: entries }]);
      await store.commit([{ id: 'job', expected: second!, next: null, ledger: [ledgerEntry('job', T0 + 2)] }]);
      assert.deepEqual(await entriesOf(store), [...entries, ledgerEntry('job', T0 + 2)]);
      assert.deepEqual(await fires(store, { newestFirst: true }), [2, 9, 1, 5]);
    },
  },
  {
    name: 'the ledger filters by job, run, verdicts and fire times, ranges included, and by all at once',
    async run({ store }) {
      const [a, b] = await store.insert([jobRecord('a'), jobRecord('b')]);
      const range = { runId: null, scheduledTo: T0 + 30, count: 3 };
      await store.commit([
        {
          id: 'a',
          expected: a!.revision,
          next: jobRecord('a', T0 + 90),
          ledger: [ledgerEntry('a', T0), ledgerEntry('a', T0 + 10, { verdict: 'missed', ...range }), ledgerEntry('a', T0 + 40, { verdict: 'failed' })],
        },
      ]);
      await store.commit([{ id: 'b', expected: b!.revision, next: jobRecord('b', T0 + 90), ledger: [ledgerEntry('b', T0 + 5), ledgerEntry('b', T0 + 50)] }]);
      assert.deepEqual(await fires(store), [0, 10, 40, 5, 50]);
      assert.deepEqual(await fires(store, { jobId: 'b' }), [5, 50]);
      assert.deepEqual(await fires(store, { jobId: 'nobody' }), []);
      assert.deepEqual(await fires(store, { runId: `a@${T0 + 40}` }), [40]);
      assert.deepEqual(await fires(store, { verdicts: ['missed', 'failed'] }), [10, 40]);
      assert.deepEqual(await fires(store, { verdicts: [] }), []);
      assert.deepEqual(await fires(store, { from: T0 + 40 }), [40, 50]);
      assert.deepEqual(await fires(store, { to: T0 + 5 }), [0, 5]);
      assert.deepEqual(await fires(store, { from: T0 + 20, to: T0 + 25 }), [10], 'a range counts where it reaches');
      assert.deepEqual(await fires(store, { jobId: 'a', verdicts: ['succeeded', 'failed'], from: T0 + 1, to: T0 + 40 }), [40]);
    },
  },
  {
    name: 'the ledger pages in both directions without a gap or a double',
    async run({ store }) {
      const answers = await store.insert([jobRecord('a'), jobRecord('b')]);
      const revisions = answers.map((stored) => stored!.revision);
      const written: number[] = [];
      for (let i = 0; i < 12; i++) {
        const which = i % 2;
        const id = which === 0 ? 'a' : 'b';
        const times = i % 3 === 0 ? [i * 10, i * 10 + 1] : [i * 10];
        const [revision] = await store.commit([
          { id, expected: revisions[which]!, next: jobRecord(id, T0 + 999), ledger: times.map((at) => ledgerEntry(id, T0 + at)) },
        ]);
        revisions[which] = revision!;
        written.push(...times);
      }
      for (const limit of [1, 2, 5, written.length, 100]) {
        assert.deepEqual(await fires(store, {}, limit), written, `pages of ${limit}`);
        assert.deepEqual(await fires(store, { newestFirst: true }, limit), [...written].reverse(), `pages of ${limit}, newest first`);
      }
      const ofA = written.filter((at) => Math.floor(at / 10) % 2 === 0);
      assert.deepEqual(await fires(store, { jobId: 'a' }, 2), ofA);
      assert.equal((await store.ledger.list({ limit: written.length })).nextCursor, null);
    },
  },
  {
    name: 'the history of a job outlives it, and prunedThrough is null while nothing was dropped',
    async run({ store }) {
      const { revision } = await insertOne(store, jobRecord('job'));
      await store.commit([{ id: 'job', expected: revision, next: null, ledger: [ledgerEntry('job', T0)] }]);
      assert.deepEqual(await fires(store, { jobId: 'job' }), [0]);
      assert.equal(await store.ledger.prunedThrough('job'), null);
      assert.equal(await store.ledger.prunedThrough('nobody'), null);
      await insertOne(store, jobRecord('job'));
      assert.deepEqual(await fires(store, { jobId: 'job' }), [0]);
    },
  },
  {
    name: 'what a store drops of its history it admits: after prunedThrough everything is there',
    async run({ store }) {
      let { revision } = await insertOne(store, jobRecord('job'));
      const count = 600;
      for (let from = 0; from < count; from += 50) {
        const ledger = Array.from({ length: 50 }, (_, i) => ledgerEntry('job', T0 + from + i));
        const [written] = await store.commit([{ id: 'job', expected: revision, next: jobRecord('job', T0 + 9_999), ledger }]);
        revision = written!;
      }
      const kept = await fires(store, { jobId: 'job' });
      const pruned = await store.ledger.prunedThrough('job');
      const complete = Array.from({ length: count }, (_, i) => i).filter((at) => pruned === null || T0 + at > pruned);
      assert.deepEqual(kept.filter((at) => pruned === null || T0 + at > pruned), complete);
      assert.equal(kept.length < count, pruned !== null, `${kept.length} of ${count} are there, and prunedThrough is ${String(pruned)}`);
    },
  },
];

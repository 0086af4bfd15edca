import { strict as assert } from 'node:assert';
import type { ClaimRequest, JobStore } from '../../../ports/job-store.js';
import type { JobRecord } from '../../../model/job.js';
import type { JobLinks } from '../../../model/links.js';
import { claim, dueAt, jobRecord, plain, runningRun, scope, T0, waitingRun, withState } from './records.js';
import { ids, insertOne, type JobStoreCase } from './subject.js';

async function claimed(store: JobStore, request: ClaimRequest): Promise<string[]> {
  return ids(await store.claimDue(request));
}

/** The record is due from `at` on, and not before; `null`: never. */
async function assertWakes(store: JobStore, record: JobRecord, at: number | null): Promise<void> {
  await insertOne(store, record);
  assert.equal(await store.nextWakeAt(scope()), at, `nextWakeAt with "${record.id}"`);
  if (at === null) {
    assert.deepEqual(await claimed(store, claim(T0 + 1e9)), [], `"${record.id}" must not wake`);
  } else {
    assert.deepEqual(await claimed(store, claim(at - 1)), [], `"${record.id}" is due too early`);
    assert.deepEqual(await claimed(store, claim(at)), [record.id], `"${record.id}" is not due in time`);
  }
}

/** What is due, for whom, in which order, and when there will be more. */
export const claimCases: readonly JobStoreCase[] = [
  {
    name: 'claimDue answers what is due at `now` and nothing else, as get would answer it',
    async run({ store }) {
      await store.insert([jobRecord('past', T0 - 1), jobRecord('now', T0), jobRecord('later', T0 + 1), jobRecord('never', null)]);
      const due = await store.claimDue(claim(T0));
      assert.deepEqual(ids(due).sort(), ['now', 'past']);
      for (const stored of due) {
        const got = await store.get(stored.record.id);
        assert.equal(got?.revision, stored.revision, 'claiming is no change');
        assert.deepEqual(plain(got.record), plain(stored.record));
      }
    },
  },
  {
    name: 'a record with links comes back as it was, and wakes for what is to be told or looked after, removed or not',
    async run({ store }) {
      const links: JobLinks = {
        since: T0,
        followers: [{ to: 'after', on: 'success', since: T0 }, { to: 'once', on: 'any', since: T0, once: 'token', run: 'told@1' }],
        outbox: [{ to: 'after', seq: 7, runId: 'told@1', verdict: 'succeeded', at: T0, since: T0 }],
        deliverAt: T0 + 20,
      };
      const told = jobRecord('told', T0 + 500, { state: { links } });
      await assertWakes(store, told, T0 + 20);
      assert.deepEqual(plain((await store.get('told'))?.record), plain(told));
      await assertWakes(store, jobRecord('gone', null, { state: { status: 'removed', links: { ...links, deliverAt: T0 + 10 } } }), T0 + 10);
      const waits: JobLinks = { since: T0, waits: [{ source: 'told', order: 0, token: 'token' }], onFailure: 'wait', checkAt: T0 + 5 };
      const waiting = jobRecord('waits', T0, { state: { links: waits } });
      await assertWakes(store, waiting, T0 + 5);
      const [stored] = await store.claimDue(claim(T0 + 1_005, { reserveMs: 1 }));
      const due = stored?.record.id === 'waits' ? stored : await store.get('waits');
      await store.commit([{ id: 'waits', expected: due!.revision, next: withState(waiting, { links: { since: T0, met: [{ jobId: 'told', runId: null, verdict: 'removed', order: 0 }] } }), ledger: [] }]);
      assert.ok((await claimed(store, claim(T0 + 1_005))).includes('waits'), 'what it waited for is there, and its fire time is due');
    },
  },
  {
    name: 'claimDue answers the highest priority first, then the earliest',
    async run({ store }) {
      const add = (id: string, at: number, priority: number): JobRecord => jobRecord(id, at, { policy: { priority } });
      await store.insert([add('low', T0 - 9, -1), add('b', T0 - 2, 0), add('a', T0 - 3, 0), add('high', T0, 5), add('higher', T0 - 1, 5)]);
      assert.deepEqual(await claimed(store, claim(T0, { limit: 2 })), ['higher', 'high']);
      assert.deepEqual(await claimed(store, claim(T0)), ['a', 'b', 'low']);
    },
  },
  {
    name: 'claimDue answers at most `limit`',
    async run({ store }) {
      await store.insert(Array.from({ length: 7 }, (_, i) => jobRecord(`j${i}`, T0 - i)));
      assert.equal((await store.claimDue(claim(T0, { limit: 3 }))).length, 3);
      assert.equal((await store.claimDue(claim(T0, { limit: 3 }))).length, 3);
      assert.equal((await store.claimDue(claim(T0, { limit: 3 }))).length, 1);
    },
  },
  {
    name: 'claimDue answers of each executor at most what it takes, and a full one blocks no other',
    async run({ store }) {
      const on = (executor: string, id: string, at: number, priority = 0): JobRecord => jobRecord(id, at, { policy: { executor, priority } });
      await store.insert([
        ...Array.from({ length: 5 }, (_, i) => on('a', `a${i}`, T0 - 50 - i, 9)),
        ...Array.from({ length: 5 }, (_, i) => on('b', `b${i}`, T0 - i)),
        on('full', 'f', T0 - 99, 99),
        on('unknown', 'u', T0 - 99, 99),
      ]);
      const executors = new Map([['a', 2], ['b', 4], ['full', 0]]);
      const due = await claimed(store, claim(T0, { executors, limit: 5 }));
      assert.deepEqual(due, ['a4', 'a3', 'b4', 'b3', 'b2']);
    },
  },
  {
    name: 'records of tasks a node does not have are left for others, and block nobody',
    async run({ store }) {
      const other = (id: string): JobRecord => jobRecord(id, T0 - 9, { definition: { task: 'elsewhere' }, policy: { priority: 9 } });
      await store.insert([...Array.from({ length: 20 }, (_, i) => other(`o${i}`)), jobRecord('mine', T0)]);
      assert.deepEqual(await claimed(store, claim(T0, { limit: 5 })), ['mine']);
      assert.deepEqual(await claimed(store, claim(T0, { limit: 5 })), []);
      assert.equal((await store.claimDue(claim(T0, { tasks: new Map([['elsewhere', 1]]) }))).length, 20);
    },
  },
  {
    name: 'records for a later version of a task are left for nodes that have it; those for an earlier one are not',
    async run({ store }) {
      const of = (id: string, taskVersion: number): JobRecord => jobRecord(id, T0 - 9, { definition: { taskVersion } });
      await store.insert([of('v1', 1), of('v2', 2), of('v3', 3)]);
      const at = (version: number): { tasks: Map<string, number> } => ({ tasks: new Map([['work', version]]) });
      assert.deepEqual((await claimed(store, claim(T0, at(2)))).sort(), ['v1', 'v2']);
      const next = await store.nextWakeAt(scope(at(2)));
      assert.ok(next === null || next > T0, 'a node would wake for what it cannot serve');
      assert.deepEqual(await claimed(store, claim(T0, at(3))), ['v3']);
    },
  },
  {
    name: 'after a claim that answered nothing, nextWakeAt is later than now: nobody has to spin',
    async run({ store }) {
      await store.insert([
        jobRecord('elsewhere', T0 - 5, { definition: { task: 'elsewhere' } }),
        jobRecord('full', T0 - 5, { policy: { executor: 'full' } }),
        jobRecord('later', T0 + 5),
      ]);
      assert.deepEqual(await claimed(store, claim(T0)), []);
      const next = await store.nextWakeAt(scope());
      assert.ok(next !== null && next > T0 && next <= T0 + 5, `nextWakeAt is ${String(next)} at ${T0}`);
    },
  },
  {
    name: 'a claimed record is answered again at the latest `reserveMs` later, and nextWakeAt says so',
    async run({ store, connect }) {
      await insertOne(store, jobRecord('job', T0));
      assert.deepEqual(await claimed(store, claim(T0, { reserveMs: 500 })), ['job']);
      const other = (await connect?.()) ?? store;
      const next = await other.nextWakeAt(scope());
      assert.ok(next !== null && next <= T0 + 500, `nextWakeAt is ${String(next)}`);
      assert.deepEqual(await claimed(other, claim(T0 + 500)), ['job']);
    },
  },
  {
    name: 'a commit ends the hiding: the record is due again as soon as what was written says',
    async run({ store }) {
      const { revision } = await insertOne(store, jobRecord('job', T0));
      await store.claimDue(claim(T0, { reserveMs: 60_000 }));
      await store.commit([{ id: 'job', expected: revision, next: jobRecord('job', T0 + 2), ledger: [] }]);
      assert.equal(await store.nextWakeAt(scope()), T0 + 2);
      assert.deepEqual(await claimed(store, claim(T0 + 1)), []);
      assert.deepEqual(await claimed(store, claim(T0 + 2)), ['job']);
    },
  },
  {
    name: 'hiding is no lock: who holds the revision may commit a record that another has claimed',
    async run({ store }) {
      const { revision } = await insertOne(store, jobRecord('job', T0));
      await store.claimDue(claim(T0, { reserveMs: 60_000 }));
      const [changed] = await store.commit([{ id: 'job', expected: revision, next: jobRecord('job', T0 + 9), ledger: [] }]);
      assert.notEqual(changed, undefined);
    },
  },
  {
    name: 'nextWakeAt answers the earliest that this node can serve, and null when there is none',
    async run({ store }) {
      assert.equal(await store.nextWakeAt(scope()), null);
      await store.insert([
        jobRecord('b', T0 + 20),
        jobRecord('a', T0 + 10, { policy: { executor: 'other' } }),
        jobRecord('never', null),
      ]);
      assert.equal(await store.nextWakeAt(scope()), T0 + 20);
      assert.equal(await store.nextWakeAt(scope({ executors: new Map([['other', 1]]) })), T0 + 10);
      assert.equal(await store.nextWakeAt(scope({ executors: new Map([['default', 0]]) })), null);
      assert.equal(await store.nextWakeAt(scope({ executors: new Map() })), null);
    },
  },
  {
    name: 'a record wakes when a lease in it runs out; a run without a lease wakes nobody',
    async run({ store }) {
      await assertWakes(store, jobRecord('leased', T0 + 900, { state: { runs: [runningRun('leased', T0 + 50)] } }), T0 + 50);
      const { revision } = (await store.get('leased'))!;
      await store.commit([{ id: 'leased', expected: revision, next: null, ledger: [] }]);
      await assertWakes(store, jobRecord('unleased', null, { state: { runs: [runningRun('unleased', null)] } }), null);
    },
  },
  {
    name: 'a waiting run wakes its record when it is ready and a slot is free',
    async run({ store }) {
      await assertWakes(store, jobRecord('waits', null, { state: { runs: [waitingRun('waits', T0 + 30)] } }), T0 + 30);
    },
  },
  {
    name: 'a waiting run without a free slot does not wake its record',
    async run({ store }) {
      const runs = [runningRun('full', T0 + 500), waitingRun('full', T0 + 30)];
      await assertWakes(store, jobRecord('full', null, { state: { runs } }), T0 + 500);
    },
  },
  {
    name: 'with more instances allowed the waiting run does wake it',
    async run({ store }) {
      const runs = [runningRun('two', T0 + 500), waitingRun('two', T0 + 30)];
      await assertWakes(store, jobRecord('two', null, { policy: { maxInstances: 2 }, state: { runs } }), T0 + 30);
    },
  },
  {
    name: 'a paused record wakes for leases and for runs asked for by name, not for its schedule',
    async run({ store }) {
      await assertWakes(store, jobRecord('paused', T0 + 10, { state: { status: 'paused', runs: [waitingRun('paused', T0 + 20)] } }), null);
      await assertWakes(store, jobRecord('leased', T0 + 10, { state: { status: 'paused', runs: [runningRun('leased', T0 + 70)] } }), T0 + 70);
      await assertWakes(store, jobRecord('manual', T0 + 10, { state: { status: 'paused', runs: [waitingRun('manual', T0 + 40, true)] } }), T0 + 40);
    },
  },
  {
    name: 'quarantined and removed records wake for leases alone',
    async run({ store }) {
      for (const status of ['quarantined', 'removed'] as const) {
        await assertWakes(store, jobRecord(`${status}-idle`, T0 + 10, { state: { status } }), null);
      }
      await assertWakes(store, jobRecord('removed', null, { state: { status: 'removed', runs: [runningRun('removed', T0 + 70)] } }), T0 + 70);
      await assertWakes(store, jobRecord('quarantined', T0 + 10, { state: { status: 'quarantined', runs: [runningRun('quarantined', T0 + 60)] } }), T0 + 60);
    },
  },
  {
    name: 'a commit that makes a record sleep or wake moves it in the index',
    async run({ store }) {
      const active = jobRecord('job', T0 + 10);
      let { revision } = await insertOne(store, active);
      const write = async (next: JobRecord): Promise<void> => {
        const [written] = await store.commit([{ id: 'job', expected: revision, next, ledger: [] }]);
        assert.notEqual(written, undefined);
        revision = written!;
      };
      await write(withState(active, { status: 'paused' }));
      assert.equal(await store.nextWakeAt(scope()), null);
      await write(dueAt(active, T0 + 5));
      assert.equal(await store.nextWakeAt(scope()), T0 + 5);
      await write(dueAt(active, T0 + 50));
      assert.deepEqual(await claimed(store, claim(T0 + 49)), []);
      assert.equal(await store.nextWakeAt(scope()), T0 + 50);
      await write({ ...dueAt(active, T0 + 1), definition: { ...active.definition, policy: { ...active.definition.policy, executor: 'other' } } });
      assert.deepEqual(await claimed(store, claim(T0 + 60)), [], 'its executor has changed');
      assert.deepEqual(await claimed(store, claim(T0 + 60, { executors: new Map([['other', 1]]) })), ['job']);
    },
  },
  {
    name: 'of several claimers at once, each due record is answered; whoever commits first has it',
    requires: ['connect'],
    async run({ store, connect }) {
      const others = [store, await connect!(), await connect!()];
      const all = Array.from({ length: 30 }, (_, i) => `j${i}`);
      await store.insert(all.map((id) => jobRecord(id, T0)));
      const winners = new Map<string, number>();
      const work = async (mine: JobStore): Promise<void> => {
        for (;;) {
          const due = await mine.claimDue(claim(T0, { limit: 4 }));
          if (due.length === 0) return;
          const revisions = await mine.commit(
            due.map(({ record, revision }) => ({ id: record.id, expected: revision, next: dueAt(record, null), ledger: [] })),
          );
          due.forEach(({ record }, i) => {
            if (revisions[i] !== undefined) winners.set(record.id, (winners.get(record.id) ?? 0) + 1);
          });
        }
      };
      await Promise.all(others.map(work));
      assert.deepEqual([...winners.keys()].sort(), all.sort());
      assert.ok([...winners.values()].every((count) => count === 1), 'a record was won twice');
    },
  },
];

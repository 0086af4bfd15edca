import { strict as assert } from 'node:assert';
import type { JobStatus } from '../../../model/job.js';
import type { JobQuery, JobStore } from '../../../ports/job-store.js';
import { StartupTrigger } from '../../../triggers/startup.js';
import { jobRecord, plain, runningRun, T0, waitingRun, withState } from './records.js';
import { getRecord, ids, insertOne, type JobStoreCase } from './subject.js';

async function idsOf(store: JobStore, query: Partial<JobQuery>): Promise<string[]> {
  return ids((await store.list({ limit: 100, ...query })).jobs);
}

/** Inserting, reading, listing, and what a store may do with what it was given. */
export const mapCases: readonly JobStoreCase[] = [
  {
    name: 'get answers a record equal to the one inserted, with the revision insert answered',
    async run({ store }) {
      const record = jobRecord('job', T0 + 1, {
        definition: { args: [{ nested: [1, 'två', null, true] }, ''], name: 'A job', tags: ['a', 'b'], metadata: { k: { v: 1 } } },
        policy: { retry: { maxAttempts: 3, delayMs: 5, backoff: 'fixed', maxDelayMs: 9, jitter: 0.5, retryIf: null }, endTime: T0 + 9 },
        state: { runs: [runningRun('job', T0 + 5), { ...waitingRun('job', T0 + 2, true), args: ['other'] }], runCount: 7, reason: 'why' },
      });
      const stored = await insertOne(store, record);
      const got = await store.get('job');
      assert.deepEqual(plain(got?.record), plain(record));
      assert.deepEqual(plain(stored.record), plain(record));
      assert.equal(got?.revision, stored.revision);
    },
  },
  {
    name: 'get of an unknown id answers undefined',
    async run({ store }) {
      assert.equal(await store.get('nobody'), undefined);
    },
  },
  {
    name: 'insert answers undefined for an id that is taken and changes nothing, and adds the others',
    async run({ store }) {
      const first = await insertOne(store, jobRecord('b'));
      const answers = await store.insert([jobRecord('a'), jobRecord('b', T0 + 9), jobRecord('c')]);
      assert.deepEqual(answers.map((answer) => answer?.record.id), ['a', undefined, 'c']);
      const kept = await store.get('b');
      assert.equal(kept?.record.state.nextFireTime, T0);
      assert.equal(kept.revision, first.revision);
      assert.deepEqual(await idsOf(store, {}), ['a', 'b', 'c']);
    },
  },
  {
    name: 'of one id twice in one insert, one is added',
    async run({ store }) {
      const answers = await store.insert([jobRecord('job', T0), jobRecord('job', T0 + 9)]);
      assert.equal(answers.filter((answer) => answer !== undefined).length, 1);
    },
  },
  {
    name: 'of many concurrent inserts of one id, exactly one wins',
    async run({ store, connect }) {
      const other = (await connect?.()) ?? store;
      const inserts = Array.from({ length: 20 }, async (_, i) => (i % 2 === 0 ? store : other).insert([jobRecord('job', T0 + i)]));
      const answers = (await Promise.all(inserts)).flat();
      const won = answers.filter((answer) => answer !== undefined);
      assert.equal(won.length, 1);
      assert.equal((await store.get('job'))?.revision, won[0]?.revision);
    },
  },
  {
    name: 'list answers pages in order of id, by UTF-16 code unit or by code point, always the same, each job once',
    async run({ store }) {
      const all = ['b', 'Z', 'a', 'ä', 'a-1', 'a.1', '10', '9', 'a/b', '𝒳', 'ﬀ'];
      await store.insert(all.map((id) => jobRecord(id)));
      const byCodeUnit = [...all].sort();
      const byCodePoint = [...all].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const whole = await idsOf(store, {});
      const sorted = whole.join() === byCodePoint.join() ? byCodePoint : byCodeUnit;
      for (const limit of [1, 2, 3, 10, 11, 12]) {
        const seen: string[] = [];
        let after: string | undefined;
        do {
          const page = await store.list({ limit, after });
          assert.ok(page.jobs.length <= limit, `a page of ${page.jobs.length} with a limit of ${limit}`);
          seen.push(...ids(page.jobs));
          after = page.nextCursor ?? undefined;
        } while (after !== undefined && seen.length <= sorted.length);
        assert.deepEqual(seen, sorted, `with pages of ${limit}`);
      }
    },
  },
  {
    name: 'the last page has no cursor, and an empty store has an empty page',
    async run({ store }) {
      assert.deepEqual(await store.list({ limit: 5 }), { jobs: [], nextCursor: null });
      await store.insert([jobRecord('a'), jobRecord('b')]);
      assert.equal((await store.list({ limit: 2 })).nextCursor, null);
      assert.notEqual((await store.list({ limit: 1 })).nextCursor, null);
    },
  },
  {
    name: 'list goes on after an id that is gone',
    async run({ store }) {
      await store.insert(['a', 'b', 'c', 'd'].map((id) => jobRecord(id)));
      const page = await store.list({ limit: 2 });
      const b = await store.get('b');
      await store.commit([{ id: 'b', expected: b!.revision, next: null, ledger: [] }]);
      assert.deepEqual(await idsOf(store, { after: page.nextCursor ?? '' }), ['c', 'd']);
      assert.deepEqual(await idsOf(store, { after: 'bb' }), ['c', 'd']);
    },
  },
  {
    name: 'list filters by tags (all of them), task, statuses and text, whatever the case, and by all at once',
    async run({ store }) {
      const add = (id: string, status: JobStatus, tags: string[], task: string, name: string | null): Promise<unknown> =>
        insertOne(store, withState(jobRecord(id, T0, { definition: { tags, task, name } }), { status }));
      await add('a', 'active', ['x', 'y'], 'mail', 'Daily Report');
      await add('b', 'paused', ['x'], 'mail', null);
      await add('c', 'quarantined', ['y'], 'report', null);
      await add('d', 'removed', [], 'mail', '100% of_it');
      assert.deepEqual(await idsOf(store, {}), ['a', 'b', 'c', 'd']);
      assert.deepEqual(await idsOf(store, { tags: ['x'] }), ['a', 'b']);
      assert.deepEqual(await idsOf(store, { tags: ['y', 'x'] }), ['a']);
      assert.deepEqual(await idsOf(store, { tags: [] }), ['a', 'b', 'c', 'd']);
      assert.deepEqual(await idsOf(store, { task: 'mail' }), ['a', 'b', 'd']);
      assert.deepEqual(await idsOf(store, { statuses: ['paused', 'removed'] }), ['b', 'd']);
      assert.deepEqual(await idsOf(store, { statuses: [] }), []);
      assert.deepEqual(await idsOf(store, { text: 'rEPORt' }), ['a', 'c']);
      assert.deepEqual(await idsOf(store, { text: '0% of_' }), ['d'], 'the text is no pattern');
      assert.deepEqual(await idsOf(store, { text: '%' }), ['d'], 'the text is no pattern');
      assert.deepEqual(await idsOf(store, { text: 'aily', task: 'mail', tags: ['x'], statuses: ['active'] }), ['a']);
      assert.deepEqual(await idsOf(store, { text: 'aily', task: 'report' }), []);
    },
  },
  {
    name: 'list filters by owner, by kind of trigger, and by whether some node holds a run, renewed and ended ones included',
    async run({ store }) {
      const running = { runs: [runningRun('b', T0 + 500)] };
      const [, b] = await store.insert([
        jobRecord('a', T0, { definition: { owner: 'app' } }),
        jobRecord('b', T0, { state: running }),
        jobRecord('c', null, { definition: { owner: 'other', trigger: new StartupTrigger() }, state: { runs: [waitingRun('c', T0)] } }),
        jobRecord('d', T0, { definition: { owner: 'app' }, state: { runs: [waitingRun('d', T0), { ...runningRun('d', T0 + 9), owner: "it's" }] } }),
      ]);
      assert.deepEqual(await idsOf(store, { owner: 'app' }), ['a', 'd']);
      assert.deepEqual(await idsOf(store, { owner: 'nobody' }), []);
      assert.deepEqual(await idsOf(store, { triggerKind: 'startup' }), ['c']);
      assert.deepEqual(await idsOf(store, { triggerKind: 'interval', owner: 'app' }), ['a', 'd']);
      assert.deepEqual(await idsOf(store, { running: true }), ['b', 'd']);
      assert.deepEqual(await idsOf(store, { running: true, owner: 'app' }), ['d']);
      const renewed = { runs: [runningRun('b', T0 + 900)] };
      const [revision] = await store.commit([{ id: 'b', expected: b!.revision, next: withState(b!.record, renewed), ledger: [] }]);
      assert.deepEqual(await idsOf(store, { running: true }), ['b', 'd']);
      await store.commit([{ id: 'b', expected: revision!, next: withState(b!.record, { runs: [] }), ledger: [] }]);
      assert.deepEqual(await idsOf(store, { running: true }), ['d']);
    },
  },
  {
    name: 'what jobs that want attention ask of a node, where a store can tell it, is there each once, with the earliest time',
    async run({ store }) {
      if (store.demands === undefined) return;
      const list = async (): Promise<unknown[]> =>
        (await store.demands!()).map(({ task, taskVersion, executor, wakeAt }) => `${task}/${taskVersion} ${executor} ${wakeAt - T0}`).sort();
      assert.deepEqual(await list(), []);
      await store.insert([
        jobRecord('a', T0 + 9),
        jobRecord('b', T0 + 5, { policy: { priority: 3 } }),
        jobRecord('c', T0 + 7),
        jobRecord('d', T0 + 1, { definition: { taskVersion: 2 } }),
        jobRecord('e', T0 + 2, { policy: { executor: 'gpu' } }),
        jobRecord('f', T0 + 3, { definition: { task: 'other' } }),
        jobRecord('g', null, { definition: { task: 'asleep' } }),
      ]);
      assert.deepEqual(await list(), ['other/1 default 3', 'work/1 default 5', 'work/1 gpu 2', 'work/2 default 1']);
      const drop = async (id: string): Promise<void> => {
        const stored = await store.get(id);
        await store.commit([{ id, expected: stored!.revision, next: null, ledger: [] }]);
      };
      await drop('b');
      await drop('f');
      assert.deepEqual(await list(), ['work/1 default 7', 'work/1 gpu 2', 'work/2 default 1']);
    },
  },
  {
    name: 'the tasks of stored jobs, where a store can tell them, are there each once',
    async run({ store }) {
      if (store.tasks === undefined) return;
      assert.deepEqual(await store.tasks(), []);
      await store.insert(['a', 'b', 'c'].map((id) => jobRecord(id, T0, { definition: { task: id === 'c' ? 'other' : 'work' } })));
      assert.deepEqual([...(await store.tasks())].sort(), ['other', 'work']);
      const c = await store.get('c');
      await store.commit([{ id: 'c', expected: c!.revision, next: null, ledger: [] }]);
      assert.deepEqual(await store.tasks(), ['work']);
    },
  },
  {
    name: 'a filtered page holds up to its limit of what matches',
    async run({ store }) {
      const all = Array.from({ length: 30 }, (_, i) => jobRecord(`j${10 + i}`, T0, { definition: { tags: i % 10 === 9 ? ['x'] : [] } }));
      await store.insert(all);
      const page = await store.list({ tags: ['x'], limit: 2 });
      assert.deepEqual(ids(page.jobs), ['j19', 'j29']);
      assert.deepEqual(await idsOf(store, { tags: ['x'], after: page.nextCursor ?? '' }), ['j39']);
    },
  },
  {
    name: 'what was answered does not change later',
    async run({ store }) {
      const stored = await insertOne(store, jobRecord('job', T0));
      const got = await store.get('job');
      const listed = (await store.list({ limit: 1 })).jobs[0];
      await store.commit([{ id: 'job', expected: stored.revision, next: jobRecord('job', T0 + 9), ledger: [] }]);
      for (const answer of [stored, got, listed]) {
        assert.equal(answer?.record.state.nextFireTime, T0);
        assert.equal(answer.revision, stored.revision);
      }
    },
  },
  {
    name: 'what a caller does to a list it was given does not reach the store',
    async run({ store }) {
      await store.insert([jobRecord('a'), jobRecord('b')]);
      const page = await store.list({ limit: 10 });
      try {
        (page.jobs as unknown[]).length = 0;
      } catch {
        // a frozen answer is as good
      }
      assert.deepEqual(await idsOf(store, {}), ['a', 'b']);
      assert.deepEqual(ids(await store.claimDue({ now: T0, limit: 5, reserveMs: 1, executors: new Map([['default', 5]]), tasks: new Map([['work', 1]]) })).sort(), ['a', 'b']);
    },
  },
  {
    name: 'ids, names and texts of any characters come back as they went in',
    async run({ store }) {
      const strange = ["it's", 'a"b', 'a\\b', 'new\nline', '{}', 'a:b:c', 'a*b?', '日本', ' lead', 'x'.repeat(300)];
      await store.insert(strange.map((id) => jobRecord(id, T0, { definition: { name: id, args: [id], tags: [id] } })));
      for (const id of strange) {
        const { definition } = (await getRecord(store, id))!;
        assert.deepEqual([definition.name, definition.args, definition.tags], [id, [id], [id]]);
        assert.deepEqual(await idsOf(store, { tags: [id] }), [id]);
      }
    },
  },
  {
    name: 'what is stored is there after reopening: records, revisions that hold, the ledger',
    requires: ['reopen'],
    async run({ store, reopen }) {
      const stored = await insertOne(store, jobRecord('job', T0, { definition: { args: [1], metadata: { a: 1 } } }));
      const reopened = await reopen!();
      const got = await reopened.get('job');
      assert.deepEqual(plain(got?.record), plain(stored.record));
      const [revision] = await reopened.commit([{ id: 'job', expected: got!.revision, next: null, ledger: [] }]);
      assert.notEqual(revision, undefined);
      const again = await insertOne(reopened, jobRecord('job'));
      for (const old of [stored.revision, got!.revision, revision]) assert.notEqual(again.revision, old, 'a revision was used again');
    },
  },
];

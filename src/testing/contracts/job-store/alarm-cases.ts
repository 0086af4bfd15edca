import { strict as assert } from 'node:assert';
import { alarmAt, RAISED } from '../../../model/alarm.js';
import type { JobRecord } from '../../../model/job.js';
import type { ExpectPolicy, JobWatch } from '../../../model/watch.js';
import type { JobQuery, JobStore } from '../../../ports/job-store.js';
import type { EpochMs } from '../../../ports/trigger.js';
import { jobRecord, plain, T0, withState } from './records.js';
import { ids, insertOne, type JobStoreCase } from './subject.js';

const WITHIN = 10_000;
const EXPECT: ExpectPolicy = Object.freeze({ successWithinMs: WITHIN, maxLatenessMs: null });

/** A job that is overdue from `alarm` on; `raised`: and that was said. */
function expecting(id: string, alarm: EpochMs, raised = false): JobRecord {
  const overdue = raised ? ({ why: 'no-success', deadline: alarm, raisedAt: alarm + 1 } as const) : null;
  const watch: JobWatch = { since: alarm - WITHIN, overdue };
  const record = jobRecord(id, T0, { policy: { expect: EXPECT }, state: { watch } });
  assert.equal(alarmAt(record), raised ? RAISED : alarm);
  return record;
}

async function idsOf(store: JobStore, query: Partial<JobQuery>): Promise<string[]> {
  return ids((await store.list({ limit: 100, ...query })).jobs);
}

async function replace(store: JobStore, next: JobRecord | null, id = next?.id ?? ''): Promise<void> {
  const stored = await store.get(id);
  const [revision] = await store.commit([{ id, expected: stored?.revision ?? 0, next, ledger: [] }]);
  assert.notEqual(revision, undefined);
}

/** Of jobs of which something is expected. */
export const alarmCases: readonly JobStoreCase[] = [
  {
    name: 'alarms answers null and 0 for jobs of which nothing is expected',
    requires: ['alarms'],
    async run({ store }) {
      assert.deepEqual(await store.alarms?.(), { nextAt: null, overdue: 0 });
      await store.insert([jobRecord('a'), jobRecord('b', T0, { state: { status: 'paused' } })]);
      assert.deepEqual(await store.alarms?.(), { nextAt: null, overdue: 0 });
      assert.deepEqual(await idsOf(store, { alarmBy: T0 + 1e9 }), []);
      assert.deepEqual(await idsOf(store, { overdue: true }), []);
    },
  },
  {
    name: 'alarms answers the earliest alarm that was not raised, and how many were',
    requires: ['alarms'],
    async run({ store }) {
      await store.insert([expecting('c', T0 + 300), expecting('a', T0 + 100), expecting('b', T0 + 200), jobRecord('d')]);
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 + 100, overdue: 0 });
      await store.insert([expecting('e', T0 - 500, true), expecting('f', T0 - 400, true)]);
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 + 100, overdue: 2 });
    },
  },
  {
    name: 'alarms follows each commit: later, earlier, raised, recovered, no longer expected, and gone',
    requires: ['alarms'],
    async run({ store }) {
      await store.insert([expecting('a', T0 + 100), expecting('b', T0 + 200)]);
      await replace(store, expecting('a', T0 + 300));
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 + 200, overdue: 0 });
      await replace(store, expecting('a', T0 + 50));
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 + 50, overdue: 0 });
      await replace(store, expecting('a', T0 + 50, true));
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 + 200, overdue: 1 });
      await replace(store, expecting('a', T0 + 900));
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 + 200, overdue: 0 });
      const paused = withState(expecting('b', T0 + 200), { status: 'paused', watch: null });
      await replace(store, paused);
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 + 900, overdue: 0 });
      await replace(store, jobRecord('a'));
      assert.deepEqual(await store.alarms?.(), { nextAt: null, overdue: 0 });
      await replace(store, expecting('a', T0 + 70, true));
      await replace(store, expecting('b', T0 + 80));
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 + 80, overdue: 1 });
      await replace(store, null, 'a');
      await replace(store, null, 'b');
      assert.deepEqual(await store.alarms?.(), { nextAt: null, overdue: 0 });
    },
  },
  {
    name: 'a commit that changes nothing but the state moves the alarm with it',
    requires: ['alarms'],
    async run({ store }) {
      const { record } = await insertOne(store, expecting('job', T0 + 100));
      const read = (await store.get('job'))?.record ?? record;
      await replace(store, withState(read, { stats: { ...read.state.stats, succeeded: 1, lastSuccessAt: T0 } }));
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 + WITHIN, overdue: 0 });
      const again = (await store.get('job'))?.record ?? record;
      await replace(store, withState(again, { watch: { since: T0, overdue: { why: 'no-success', deadline: T0 + 1, raisedAt: T0 + 2 } } }));
      assert.deepEqual(await store.alarms?.(), { nextAt: null, overdue: 1 });
    },
  },
  {
    name: 'a commit that lost changes no alarm',
    requires: ['alarms'],
    async run({ store }) {
      const stored = await insertOne(store, expecting('job', T0 + 100));
      await replace(store, expecting('job', T0 + 200));
      const [lost] = await store.commit([{ id: 'job', expected: stored.revision, next: expecting('job', T0 + 1), ledger: [] }]);
      assert.equal(lost, undefined);
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 + 200, overdue: 0 });
    },
  },
  {
    name: 'list by alarmBy answers jobs whose alarm is due and was not raised, in pages in order of id',
    requires: ['alarms'],
    async run({ store }) {
      const due = ['ä', 'b', 'a', '𝒳', 'ﬀ', '10'];
      await store.insert([...due.map((id, i) => expecting(id, T0 - i)), expecting('later', T0 + 1), expecting('said', T0 - 1, true), jobRecord('none')]);
      const all = await idsOf(store, { alarmBy: T0 });
      assert.deepEqual([...all].sort(), [...due].sort());
      assert.deepEqual(all, (await idsOf(store, {})).filter((id) => due.includes(id)));
      const seen: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await store.list({ alarmBy: T0, limit: 4, after });
        seen.push(...ids(page.jobs));
        if (page.nextCursor === null) break;
        after = page.nextCursor;
      }
      assert.deepEqual(seen, all);
      assert.deepEqual(await idsOf(store, { alarmBy: T0 - due.length }), []);
      assert.deepEqual(await idsOf(store, { alarmBy: T0 + 1, after: 'a' }), (await idsOf(store, { after: 'a' })).filter((id) => due.includes(id) || id === 'later'));
    },
  },
  {
    name: 'list by overdue answers jobs whose alarm was raised, and goes with the other conditions',
    requires: ['alarms'],
    async run({ store }) {
      const tagged = expecting('tagged', T0 - 1, true);
      const other = expecting('other', T0 - 1, true);
      await store.insert([
        { ...tagged, definition: { ...tagged.definition, tags: ['x'], owner: 'team' } },
        { ...other, definition: { ...other.definition, task: 'rest' } },
        withState(expecting('broken', T0 - 1, true), { status: 'quarantined', reason: 'why' }),
        expecting('not yet', T0 - 1),
        jobRecord('none', T0, { definition: { tags: ['x'] } }),
      ]);
      assert.deepEqual(await idsOf(store, { overdue: true }), ['broken', 'other', 'tagged']);
      assert.deepEqual(await idsOf(store, { overdue: true, tags: ['x'] }), ['tagged']);
      assert.deepEqual(await idsOf(store, { overdue: true, owner: 'team' }), ['tagged']);
      assert.deepEqual(await idsOf(store, { overdue: true, task: 'rest' }), ['other']);
      assert.deepEqual(await idsOf(store, { overdue: true, statuses: ['quarantined'] }), ['broken']);
      assert.deepEqual(await idsOf(store, { overdue: true, text: 'OTH' }), ['other']);
      assert.deepEqual(await idsOf(store, { overdue: true, running: true }), []);
      assert.deepEqual(await idsOf(store, { overdue: true, alarmBy: T0 + 1 }), []);
      assert.deepEqual((await store.list({ overdue: true, limit: 2 })).nextCursor, 'other');
      assert.deepEqual(await store.alarms?.(), { nextAt: T0 - 1, overdue: 3 });
    },
  },
  {
    name: 'what is expected of a job, and its alarm, come back as they were written',
    requires: ['alarms'],
    async run({ store }) {
      for (const record of [expecting('a', T0 + 100), expecting('b', T0 - 100, true)]) {
        await store.insert([record]);
        assert.deepEqual(plain((await store.get(record.id))?.record), plain(record));
      }
    },
  },
  {
    name: 'another connection sees alarms as they are',
    requires: ['alarms', 'connect'],
    async run({ store, connect }) {
      const other = (await connect?.()) ?? store;
      await store.insert([expecting('a', T0 + 100), expecting('b', T0 + 200, true)]);
      assert.deepEqual(await other.alarms?.(), { nextAt: T0 + 100, overdue: 1 });
      await replace(store, expecting('a', T0 + 100, true));
      assert.deepEqual(await idsOf(other, { overdue: true }), ['a', 'b']);
      assert.deepEqual(await other.alarms?.(), { nextAt: null, overdue: 2 });
    },
  },
  {
    name: 'alarms outlive the program',
    requires: ['alarms', 'reopen'],
    async run({ store, reopen }) {
      await store.insert([expecting('a', T0 + 100), expecting('b', T0 + 200, true)]);
      const next = (await reopen?.()) ?? store;
      assert.deepEqual(await next.alarms?.(), { nextAt: T0 + 100, overdue: 1 });
      assert.deepEqual(await idsOf(next, { alarmBy: T0 + 100 }), ['a']);
      await replace(next, expecting('a', T0 + 300));
      assert.deepEqual(await next.alarms?.(), { nextAt: T0 + 300, overdue: 1 });
    },
  },
];

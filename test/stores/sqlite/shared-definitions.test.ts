import { IntervalTrigger, type JobRecord } from 'punctual';
import { expect, it } from 'vitest';
import { dueAt, jobRecord, T0 } from '../../../src/testing/contracts/job-store/records.js';
import { openStore, temporaryFile } from './support.js';

/** Puts jobs into a file, and reads them in another connection to it, for which nothing is cached. */
async function readAgain(records: readonly JobRecord[]) {
  const path = temporaryFile();
  const before = await openStore(path);
  before.insert(records);
  const store = await openStore(path);
  return { store, read: records.map(({ id }) => store.get(id)!) };
}

it('jobs that differ in nothing but their id have one definition', async () => {
  const { store, read: [a, b] } = await readAgain(['a', 'b'].map((id) => jobRecord(id, T0, { definition: { args: [1, 'x', null], tags: ['t'] } })));
  expect(a!.record.definition).toBe(b!.record.definition);
  expect(a!.record.definition).toMatchObject({ args: [1, 'x', null], tags: ['t'] });
  expect(() => (a!.record.definition.tags as string[]).push('u')).toThrow(TypeError);

  const definition = { ...a!.record.definition, args: [2] };
  store.commit([{ id: 'a', expected: a!.revision, next: { ...a!.record, definition }, ledger: [] }]);
  expect(store.get('a')?.record.definition.args).toEqual([2]);
  expect(store.get('b')?.record.definition.args).toEqual([1, 'x', null]);
  store.commit([{ id: 'b', expected: b!.revision, next: dueAt(b!.record, T0 + 1), ledger: [] }]);
  expect(store.get('b')?.record.definition).toBe(b!.record.definition);
});

it.each([
  ['arguments', { args: [2] }],
  ['triggers', { trigger: new IntervalTrigger({ hours: 2 }, { startTime: T0 }) }],
  ['names', { name: 'b' }],
])('jobs with other %s have definitions of their own', async (_what, other) => {
  const { read: [a, b] } = await readAgain([jobRecord('a'), jobRecord('b', T0, { definition: other })]);
  expect(a!.record.definition).not.toBe(b!.record.definition);
  expect(b!.record.definition).toMatchObject(Object.fromEntries(Object.entries(other).filter(([field]) => field !== 'trigger')));
});

it.each([
  ['arguments', { args: [new Date(T0)] }],
  ['metadata', { metadata: { since: new Date(T0) } }],
])('%s that could be changed are nobody else’s', async (_what, own) => {
  const { read: [a, b] } = await readAgain(['a', 'b'].map((id) => jobRecord(id, T0, { definition: own })));
  expect(a!.record.definition).not.toBe(b!.record.definition);
  expect(b!.record.definition).toMatchObject(own);
});

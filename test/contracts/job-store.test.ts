import { MemoryJobStore, type JobStore } from 'punctual';
import { jobStoreContract, JsonJobStore, missingTraits, type JobStoreSubject } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { sqliteSubject } from '../stores/sqlite/support.js';
import { subjectOf } from './support.js';

const inProcess: Record<string, () => JobStore> = {
  'MemoryJobStore': () => new MemoryJobStore(),
  'MemoryJobStore, shared': () => new MemoryJobStore({ shared: true }),
  'MemoryJobStore with a long ledger': () => new MemoryJobStore({ ledger: { perJob: 1_000 } }),
  'JsonJobStore': () => new JsonJobStore(),
  'JsonJobStore, not shared': () => new JsonJobStore({ shared: false }),
};

const subjects: Record<string, () => Promise<JobStoreSubject>> = {
  ...Object.fromEntries(Object.entries(inProcess).map(([name, make]) => [name, async () => subjectOf(make())])),
  'SQLiteJobStore on a file': () => sqliteSubject('file'),
  'SQLiteJobStore in memory': () => sqliteSubject('memory'),
  'SQLiteJobStore on a database of the user': () => sqliteSubject('database'),
};

describe.each(Object.entries(subjects))('job store contract: %s', (_, make) => {
  for (const { name, requires, run } of jobStoreContract) {
    it(name, async ({ skip }) => {
      const subject = await make();
      const missing = missingTraits(subject, requires);
      if (missing.length > 0) skip(`the store has no ${missing.join(', no ')}`);
      await run(subject);
    });
  }
});

describe('job store contract', () => {
  it('names each obligation once', () => {
    const names = jobStoreContract.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

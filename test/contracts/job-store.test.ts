import { MemoryJobStore, type JobStore } from 'punctual';
import { jobStoreContract, JsonJobStore, missingTraits } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { subjectOf } from './support.js';

const stores: Record<string, () => JobStore> = {
  'MemoryJobStore': () => new MemoryJobStore(),
  'MemoryJobStore, shared': () => new MemoryJobStore({ shared: true }),
  'MemoryJobStore with a long ledger': () => new MemoryJobStore({ ledger: { perJob: 1_000 } }),
  'JsonJobStore': () => new JsonJobStore(),
  'JsonJobStore, not shared': () => new JsonJobStore({ shared: false }),
};

describe.each(Object.entries(stores))('job store contract: %s', (_, make) => {
  for (const { name, requires, run } of jobStoreContract) {
    it(name, async ({ skip }) => {
      const subject = await subjectOf(make());
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

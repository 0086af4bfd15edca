import { jobStoreContract, missingTraits } from 'punctual/testing';
import { expect, it } from 'vitest';
import { brokenStores } from './broken-stores.js';
import { subjectOf } from './support.js';

/** Which cases a store fails. */
async function failures(make: (typeof brokenStores)[string]): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, requires, run } of jobStoreContract) {
    const subject = await subjectOf(make());
    if (missingTraits(subject, requires).length > 0) continue;
    try {
      await run(subject);
    } catch {
      failed.push(name);
    }
  }
  return failed;
}

it.each(Object.entries(brokenStores))('the contract catches a store where %s', async (_, make) => {
  expect(await failures(make)).not.toEqual([]);
});

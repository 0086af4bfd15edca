import { alarmCases } from './job-store/alarm-cases.js';
import { claimCases } from './job-store/claim-cases.js';
import { commitCases, ledgerCases } from './job-store/commit-cases.js';
import { leaseCases } from './job-store/lease-cases.js';
import { mapCases } from './job-store/map-cases.js';
import { memberCases } from './job-store/member-cases.js';
import type { JobStoreCase } from './job-store/subject.js';

/**
 * The text of the `JobStore` port as data: list it, count it, filter it, and run it under any test runner, over your
 * own store too. Each case wants a fresh subject; one whose `requires` the subject lacks does not apply.
 *
 * @example
 * ```ts
 * for (const { name, requires, run } of jobStoreContract) {
 *   test(name, async (t) => {
 *     const store = new MyJobStore(await emptyDatabase());
 *     await store.open(storeContext());
 *     const subject = { store };
 *     if (missingTraits(subject, requires).length > 0) return t.skip();
 *     try {
 *       await run(subject);
 *     } finally {
 *       await store.close();
 *     }
 *   });
 * }
 * ```
 */
export const jobStoreContract: readonly JobStoreCase[] = [
  ...mapCases,
  ...claimCases,
  ...commitCases,
  ...ledgerCases,
  ...leaseCases,
  ...memberCases,
  ...alarmCases,
];

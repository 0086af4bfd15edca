import { jobStoreContract, missingTraits } from 'punctual/testing';
import { describe, it } from 'vitest';
import { describePostgres, postgresSubject } from './support.js';

describePostgres('job store contract: PostgresJobStore', (server) => {
  describe.each(['own', 'pool'] as const)('on its own connections, or a pool of the user: %s', (kind) => {
    for (const { name, requires, run } of jobStoreContract) {
      it(name, async ({ skip }) => {
        const subject = await postgresSubject(server(), kind);
        const missing = missingTraits(subject, requires);
        if (missing.length > 0) skip(`the store has no ${missing.join(', no ')}`);
        await run(subject);
      });
    }
  });
});

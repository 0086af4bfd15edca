import { PostgresJobStore } from 'punctual/postgres';
import { jobStoreContract, missingTraits } from 'punctual/testing';
import { describe, it } from 'vitest';
import { lockSuite } from '../support/lock-suite.js';
import { describePostgres, freshSchema, openStore, postgresSubject } from './support.js';

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

  describe('as the only node that there is, for all it can know', () => {
    for (const { name, requires = [], run } of jobStoreContract) {
      // It is there itself, which the cases on who is there do not expect.
      if (requires.includes('members')) continue;
      it(name, async ({ skip }) => {
        const subject = await postgresSubject(server(), 'alone');
        const missing = missingTraits(subject, requires);
        if (missing.length > 0) skip(`the store has no ${missing.join(', no ')}`);
        await run(subject);
      });
    }
  });

  lockSuite('PostgresJobStore', async () => {
    const options = { schema: freshSchema(), connectionString: server().url() };
    return { connect: () => openStore(options), alone: () => new PostgresJobStore(options), close: async () => undefined };
  });
});

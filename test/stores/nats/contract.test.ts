import { NatsJobStore } from 'punctual/nats';
import { jobStoreContract, missingTraits } from 'punctual/testing';
import { describe, it } from 'vitest';
import { lockSuite } from '../support/lock-suite.js';
import { describeNats, freshBucket, natsSubject, openStore } from './support.js';

describeNats('job store contract: NatsJobStore', (server) => {
  describe.each(['own', 'connection'] as const)('on its own connection, or one of the user: %s', (kind) => {
    for (const { name, requires, run } of jobStoreContract) {
      it(name, async ({ skip }) => {
        const subject = await natsSubject(server(), kind);
        const missing = missingTraits(subject, requires);
        if (missing.length > 0) skip(`the store has no ${missing.join(', no ')}`);
        await run(subject);
      });
    }
  });

  lockSuite('NatsJobStore', async () => {
    const options = { bucket: freshBucket(), servers: server().url };
    return { connect: () => openStore(options), alone: () => new NatsJobStore(options), close: async () => undefined };
  });
});

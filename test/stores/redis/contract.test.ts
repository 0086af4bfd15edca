import { RedisJobStore } from 'punctual/redis';
import { jobStoreContract, missingTraits, storeContext } from 'punctual/testing';
import { describe, it } from 'vitest';
import { lockSuite } from '../support/lock-suite.js';
import { describeRedis, freshPrefix, openStore, redisSubject } from './support.js';

describeRedis('job store contract: RedisJobStore', (server) => {
  describe.each(['own', 'ioredis', 'redis'] as const)('on its own connections, or those of a client of the user: %s', (kind) => {
    for (const { name, requires, run } of jobStoreContract) {
      it(name, async ({ skip }) => {
        const subject = await redisSubject(server(), kind);
        const missing = missingTraits(subject, requires);
        if (missing.length > 0) skip(`the store has no ${missing.join(', no ')}`);
        await run(subject);
      });
    }
  });

  describe('of a node that is the only one, and hides nothing', () => {
    for (const { name, requires, run } of jobStoreContract) {
      // The nodes are counted there.
      if (requires?.includes('members') === true) continue;
      it(name, async () => {
        const subject = await redisSubject(server(), 'own');
        // All connections of the contract have the name of one node.
        await subject.store.members!.announce({ node: storeContext().node, about: '{}', now: 0, ttlMs: 8e15 });
        await run(subject);
      });
    }
  });

  lockSuite('RedisJobStore', async () => {
    const options = { prefix: freshPrefix(), url: server().url() };
    return { connect: () => openStore(options), alone: () => new RedisJobStore(options), close: async () => undefined };
  });
});

import { RedisJobStore } from 'punctual/redis';
import { jobStoreContract, missingTraits } from 'punctual/testing';
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

  lockSuite('RedisJobStore', async () => {
    const options = { prefix: freshPrefix(), url: server().url() };
    return { connect: () => openStore(options), alone: () => new RedisJobStore(options), close: async () => undefined };
  });
});

import { loadNats, loadPostgres, loadRedis } from './load.mjs';
import { withNats } from './nats-servers.mjs';
import { withServer } from './postgres-servers.mjs';
import { withRedis } from './redis-servers.mjs';

/** @typedef {'postgres' | 'redis' | 'nats'} EngineName */

/**
 * Where jobs can be shared: how to have a server of its own, and what makes stores on it.
 *
 * @type {Readonly<Record<EngineName, {
 *   title: string,
 *   use: <T>(use: (url: string) => Promise<T>) => Promise<T | undefined>,
 *   stores: (url: string) => Promise<() => import('punctual').JobStore>,
 * }>>}
 */
export const engines = {
  postgres: {
    title: 'PostgreSQL',
    use: (use) => withServer(use),
    stores: async (url) => {
      const { PostgresJobStore } = await loadPostgres();
      return () => new PostgresJobStore({ connectionString: url });
    },
  },
  redis: {
    title: 'Redis',
    use: (use) => withRedis(use),
    stores: async (url) => {
      const { RedisJobStore } = await loadRedis();
      return () => new RedisJobStore({ url });
    },
  },
  nats: {
    title: 'NATS',
    use: (use) => withNats(use),
    stores: async (url) => {
      const { NatsJobStore } = await loadNats();
      return () => new NatsJobStore({ servers: url });
    },
  },
};

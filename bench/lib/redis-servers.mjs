import { loadRedisDriver } from './load.mjs';
import { withProgram } from './servers.mjs';

/**
 * A Redis (or Valkey) of its own that loses nothing it has acknowledged: each turn of its loop writes its log to the disk
 * before it answers. Answers `undefined` where there is none.
 *
 * @template T
 * @param {(url: string) => Promise<T>} use
 */
export function withRedis(use) {
  const settings = { bind: '127.0.0.1', appendonly: 'yes', appendfsync: 'always', save: '' };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  return withProgram(
    {
      names: ['redis-server', 'valkey-server'],
      args: (port, folder) => [...flags, '--port', String(port), '--dir', folder],
      ask: async (port) => {
        const { Redis } = await loadRedisDriver();
        const client = new Redis({
          port,
          host: '127.0.0.1',
          lazyConnect: true,
          retryStrategy: null,
          maxRetriesPerRequest: 0,
        });
        client.on('error', () => {});
        try {
          await client.connect();
          await client.ping();
        } finally {
          client.disconnect();
        }
      },
    },
    (port) => use(`redis://127.0.0.1:${port}`),
  );
}

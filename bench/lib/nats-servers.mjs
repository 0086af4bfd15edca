import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadNatsDriver } from './load.mjs';
import { freePort, withProgram } from './servers.mjs';

/**
 * A nats-server of its own with JetStream on a new folder, as it comes otherwise. Answers `undefined` where there is none.
 *
 * @template T
 * @param {(url: string, monitor: string) => Promise<T>} use `monitor` is where the server tells of itself by HTTP
 */
export async function withNats(use) {
  const monitor = await freePort();
  return withProgram(
    {
      names: ['nats-server'],
      args: (port, folder) => {
        const config = join(folder, 'nats.conf');
        writeFileSync(
          config,
          `listen: "127.0.0.1:${port}"\nhttp: "127.0.0.1:${monitor}"\njetstream { store_dir: "${join(folder, 'data')}" }\n`,
        );
        return ['-c', config];
      },
      ask: async (port) => {
        const { connect } = await loadNatsDriver();
        const connection = await connect({ servers: `127.0.0.1:${port}`, reconnect: false, timeout: 1_000 });
        await connection.close();
      },
    },
    (port) => use(`nats://127.0.0.1:${port}`, `http://127.0.0.1:${monitor}`),
  );
}

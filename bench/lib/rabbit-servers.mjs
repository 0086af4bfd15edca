import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { loadAmqpDriver } from './load.mjs';
import { findProgram, freePort, untilAnswered } from './servers.mjs';
import { makeFolder } from './sqlite-files.mjs';

/** The script itself: what Debian puts on the path runs it as a user of its own, with files of its own. */
const SCRIPT = '/usr/lib/rabbitmq/bin/rabbitmq-server';

/**
 * A RabbitMQ of its own, as it comes otherwise, with a port mapper of its own. Answers `undefined` where there is none.
 *
 * @template T
 * @param {(url: string) => Promise<T>} use
 * @returns {Promise<T | undefined>}
 */
export async function withRabbit(use) {
  const program = existsSync(SCRIPT) ? SCRIPT : findProgram(['rabbitmq-server']);
  const mapper = findProgram(['epmd']);
  if (program === undefined || mapper === undefined) return undefined;
  const { default: amqplib } = await loadAmqpDriver();
  const folder = await makeFolder();
  const [port, distribution, epmdPort] = [await freePort(), await freePort(), await freePort()];
  for (const name of ['home', 'mnesia', 'log']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'enabled_plugins'), '[].\n');
  writeFileSync(join(folder, 'rabbitmq.conf'), `listeners.tcp.1 = 127.0.0.1:${port}\nlog.console = false\ndisk_free_limit.absolute = 1MB\n`);
  const env = {
    PATH: process.env['PATH'],
    LANG: 'C.UTF-8',
    HOME: join(folder, 'home'),
    RUNNING_UNDER_SYSTEMD: 'true',
    ERL_EPMD_PORT: String(epmdPort),
    RABBITMQ_NODENAME: `punctual${port}@localhost`,
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_PID_FILE: join(folder, 'pid'),
  };
  const epmd = spawn(mapper, ['-port', String(epmdPort), '-address', '127.0.0.1'], { env, stdio: 'ignore' });
  await untilAnswered(
    () =>
      new Promise((resolve, reject) => {
        const socket = connect(epmdPort, '127.0.0.1', () => resolve(socket.destroy())).on('error', reject);
      }),
    epmd,
  );
  const server = spawn(program, [], { cwd: folder, env, stdio: 'ignore' });
  const kill = () => void (server.kill('SIGKILL'), epmd.kill('SIGKILL'));
  process.once('exit', kill);
  const ended = new Promise((resolve) => void server.once('exit', resolve));
  const url = `amqp://127.0.0.1:${port}`;
  try {
    await untilAnswered(async () => (await amqplib.connect(url, { timeout: 1_000 })).close(), server, 600);
    return await use(url);
  } finally {
    process.removeListener('exit', kill);
    kill();
    await ended;
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

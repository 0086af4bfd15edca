import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadPgDriver } from './load.mjs';
import { makeFolder } from './sqlite-files.mjs';

/** The folder with `initdb` and `postgres`: on the path, or where Debian puts it. */
function binaries() {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    ...versions.map((version) => join(debian, version, 'bin')),
  ];
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))));
}

/** PostgreSQL does not run as root. */
function identity() {
  if (process.getuid?.() !== 0) return {};
  const id = (/** @type {string} */ flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/**
 * A server of its own with the settings it comes with (durable: fsync and synchronous_commit are on), on a new folder.
 * Answers `undefined` where PostgreSQL is not installed.
 *
 * @template T
 * @param {(url: string) => Promise<T>} use
 * @returns {Promise<T | undefined>}
 */
export async function withServer(use) {
  const found = binaries();
  if (found === undefined) return undefined;
  const folder = await makeFolder();
  const who = identity();
  if (who.uid !== undefined) chownSync(folder, who.uid, who.gid);
  const data = join(folder, 'data');
  const how = /** @type {const} */ ({ ...who, cwd: folder, stdio: 'ignore' });
  execFileSync(join(found, 'initdb'), ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-locale'], how);
  const port = await freePort();
  const settings = ['-c', `port=${port}`, '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${folder}`];
  const server = spawn(join(found, 'postgres'), ['-D', data, ...settings], how);
  const ended = new Promise((resolve) => void server.once('exit', resolve));
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  try {
    await answering(url);
    return await use(url);
  } finally {
    server.kill('SIGQUIT');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

/** @param {string} url */
async function answering(url) {
  const { Client } = await loadPgDriver();
  for (let attempt = 0; ; attempt++) {
    const client = new Client({ connectionString: url });
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      if (attempt === 200) throw error;
      await sleep(50);
    }
  }
}

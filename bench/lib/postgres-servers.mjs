import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { loadPgDriver } from './load.mjs';
import { freePort, untilAnswered } from './servers.mjs';
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

/**
 * A server of its own with the settings it comes with (durable: fsync and synchronous_commit are on), on a new folder.
 * Answers `undefined` where PostgreSQL is not installed.
 *
 * @template T
 * @param {(url: string) => Promise<T>} use
 * @param {readonly string[]} [more] settings, as `name=value`
 * @returns {Promise<T | undefined>}
 */
export async function withServer(use, more = []) {
  const found = binaries();
  if (found === undefined) return undefined;
  const folder = await makeFolder();
  const who = identity();
  if (who.uid !== undefined) chownSync(folder, who.uid, who.gid);
  const data = join(folder, 'data');
  const how = /** @type {const} */ ({ ...who, cwd: folder, stdio: 'ignore' });
  execFileSync(
    join(found, 'initdb'),
    ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-locale'],
    how,
  );
  const port = await freePort();
  const settings = [
    '-c',
    `port=${port}`,
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    `unix_socket_directories=${folder}`,
    ...more.flatMap((setting) => ['-c', setting]),
  ];
  const server = spawn(join(found, 'postgres'), ['-D', data, ...settings], how);
  const ended = new Promise((resolve) => void server.once('exit', resolve));
  const kill = () => void server.kill('SIGQUIT');
  process.once('exit', kill);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  try {
    await untilAnswered(() => answering(url), server);
    return await use(url);
  } finally {
    process.removeListener('exit', kill);
    kill();
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

/** @param {string} url */
async function answering(url) {
  const { Client } = await loadPgDriver();
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.end();
}

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from './sqlite-files.mjs';

const ATTEMPTS = 200;

/** @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/**
 * Where a program is: on the path, or where Debian puts servers.
 *
 * @param {readonly string[]} names any of these
 */
export function findProgram(names) {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find((path) => existsSync(path));
}

/**
 * Starts a server of its own on a new folder, for as long as `use` takes. Answers `undefined` where it is not installed.
 *
 * @template T
 * @param {object} server
 * @param {readonly string[]} server.names of its program
 * @param {(port: number, folder: string) => readonly string[]} server.args
 * @param {(port: number) => Promise<unknown>} server.ask rejects as long as it does not answer
 * @param {(port: number) => Promise<T>} use
 * @returns {Promise<T | undefined>}
 */
export async function withProgram({ names, args, ask }, use) {
  const program = findProgram(names);
  if (program === undefined) return undefined;
  const folder = await makeFolder();
  const port = await freePort();
  const server = spawn(program, args(port, folder), { cwd: folder, stdio: 'ignore' });
  const kill = () => void server.kill('SIGKILL');
  process.once('exit', kill);
  const ended = new Promise((resolve) => void server.once('exit', resolve));
  try {
    await untilAnswered(() => ask(port), server);
    return await use(port);
  } finally {
    process.removeListener('exit', kill);
    kill();
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * @param {() => Promise<unknown>} ask
 * @param {import('node:child_process').ChildProcess} server
 * @param {number} [attempts]
 */
export async function untilAnswered(ask, server, attempts = ATTEMPTS) {
  for (let attempt = 0; ; attempt++) {
    try {
      await ask();
      return;
    } catch (error) {
      if (attempt === attempts || server.exitCode !== null) throw error;
      await sleep(50);
    }
  }
}

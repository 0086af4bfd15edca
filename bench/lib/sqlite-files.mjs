import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder for database files. Set TMPDIR to measure on another disk. */
export function makeFolder() {
  return mkdtemp(join(tmpdir(), 'punctual-bench-'));
}

/**
 * Gives `use` the path of a database file that does not exist yet, on the disk of all contenders.
 *
 * @template T
 * @param {(path: string) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withFile(use) {
  const folder = await makeFolder();
  try {
    return await use(join(folder, 'jobs.db'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('apscheduler_sqlite.py', import.meta.url));
const VENV = fileURLToPath(new URL('../.venv/bin/python', import.meta.url));

/** `PUNCTUAL_PYTHON` is another interpreter than that of ../.venv, with the packages of ../requirements.txt. */
const python = process.env['PUNCTUAL_PYTHON'] ?? (existsSync(VENV) ? VENV : 'python3');

/**
 * APScheduler 3 with its SQLAlchemyJobStore on SQLite. An empty sample where Python or the packages are missing.
 *
 * @param {'run' | 'add'} what
 * @param {number} jobs
 * @param {string} path
 * @param {'wal' | 'default'} settings `wal`: the write-ahead log and synchronous NORMAL, as punctual has them; `default`: as it comes
 * @returns {Promise<import('./measurement.mjs').Sample>}
 */
export async function apscheduler(what, jobs, path, settings) {
  try {
    await run(python, ['-c', 'import apscheduler.schedulers.background, sqlalchemy']);
  } catch {
    console.error(`APScheduler is left out: ${python} does not have it. See requirements.txt.`);
    return {};
  }
  const { stdout } = await run(python, [SCRIPT, what, String(jobs), path, settings]);
  return JSON.parse(stdout);
}

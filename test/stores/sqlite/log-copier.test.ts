import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { VirtualClock } from 'punctual/testing';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { SQLiteDatabase } from '../../../src/stores/sqlite/driver.js';
import { LogCopier } from '../../../src/stores/sqlite/log-copier.js';
import { threadLog } from '../../../src/stores/sqlite/log-thread.js';
import { MemoryLogger } from '../../scheduler/support/world.js';
import { temporaryFile } from './support.js';

/** A log that grows by so many pages with each row, which SQLite copies within a commit when it is as long as it was told. */
function write(rows: number, pagesARow: number): { copies: number; copiesInCommits: number } {
  let most = Number.POSITIVE_INFINITY;
  let log = 0;
  let copies = 0;
  let copiesInCommits = 0;
  const pragma = (text: string): unknown => {
    const limit = /^wal_autocheckpoint = (\d+)$/.exec(text)?.[1];
    if (limit !== undefined) most = Number(limit);
    if (text !== 'wal_checkpoint(PASSIVE)') return undefined;
    const answer = [{ log: Math.floor(log) }];
    log = 0;
    return answer;
  };
  // Of no driver that a thread could load.
  const copier = new LogCopier({ pragma, name: 'jobs.db' } as unknown as SQLiteDatabase, new VirtualClock(), new MemoryLogger());
  for (let row = 0; row < rows; row++) {
    log += pagesARow;
    if (log >= most) {
      log = 0;
      copiesInCommits += 1;
    }
    copier.wrote(1);
    if (copier.copy()) copies += 1;
  }
  return { copies, copiesInCommits };
}

it.each([0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 6, 7])('copies the log of rows of %f pages between batches, and seldom', (pagesARow) => {
  const { copies, copiesInCommits } = write(20_000, pagesARow);
  expect(copiesInCommits).toBeLessThan(2);
  expect(copies).toBeGreaterThan((20_000 * pagesARow) / 1_000 / 2);
  expect(copies).toBeLessThan((20_000 * pagesARow) / 1_000 + 10);
});

const PAGE_BYTES = 4_096 + 24;

/** A file of which each row takes a page of the log or two, and what has the log copied; copies that are made here are counted. */
function fileWithLog() {
  const path = temporaryFile();
  const database = new Database(path);
  onTestFinished(() => { database.close(); });
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  database.exec('CREATE TABLE rows (text TEXT)');
  const insert = database.prepare('INSERT INTO rows VALUES (?)');
  let here = 0;
  const { pragma } = database;
  database.pragma = (text, ...options) => {
    if (text.startsWith('wal_checkpoint')) here += 1;
    return pragma.call(database, text, ...options);
  };
  const clock = new VirtualClock();
  const copier = new LogCopier(database, clock, new MemoryLogger());
  const write = (rows: number): void => {
    for (let i = 0; i < rows; i++) insert.run('x'.repeat(3_000));
    copier.wrote(rows);
  };
  /** Pages that are in the log and not in the database. */
  const left = (): number => {
    const [{ log, checkpointed }] = pragma.call(database, 'wal_checkpoint(PASSIVE)') as [{ log: number; checkpointed: number }];
    return log - checkpointed;
  };
  return { path, database, clock, copier, write, left, here: () => here, longest: () => statSync(`${path}-wal`).size / PAGE_BYTES };
}

it('has a log that is long again soon copied by a thread, and the rest of a very long one here, so that it begins anew', async () => {
  const { database, copier, here, write, longest } = fileWithLog();
  write(1_000);
  expect(copier.copy()).toBe(true);
  for (let batch = 1; batch <= 60; batch++) {
    write(250);
    copier.copy();
    await new Promise((resolve) => { setTimeout(resolve, 2); });
  }
  // Each row is a commit of two pages or three: some thirty copies of a thousand pages, if all were made here.
  expect(here()).toBeLessThan(20);
  // What a log is that never begins anew. How long this one becomes is a matter of how slow the thread is.
  expect(longest()).toBeLessThan(25_000);
  await copier.close();
  expect(database.prepare('SELECT count(*) FROM rows').pluck().get()).toBe(16_000);
  expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
});

it('is copied here where that happens seldom', async () => {
  const { clock, copier, here, write } = fileWithLog();
  for (let copies = 1; copies <= 3; copies++) {
    write(1_000);
    expect(copier.copy()).toBe(true);
    expect(here()).toBe(copies);
    await clock.advance(60_000);
  }
  expect(copier.close()).toBeUndefined();
});

it('leaves no log behind when the thread has let go of the file and the database is closed', async () => {
  const { path, database, copier, write } = fileWithLog();
  for (let copies = 0; copies < 2; copies++) {
    write(1_000);
    copier.copy();
  }
  await copier.close();
  database.close();
  expect(existsSync(path)).toBe(true);
  expect(existsSync(`${path}-wal`)).toBe(false);
});

it('is copied here when the thread cannot', async () => {
  const { path, copier, here, write, left } = fileWithLog();
  write(1_000);
  copier.copy();
  rmSync(path);
  write(1_000);
  expect(copier.copy()).toBe(false);
  await vi.waitFor(() => {
    write(100);
    expect(copier.copy()).toBe(true);
  });
  expect(here()).toBe(2);
  expect(left()).toBe(0);
});

it('is no matter of a thread where it would load another driver', () => {
  expect(() => threadLog(new VirtualClock(), Object, temporaryFile(), 1)).toThrow('another copy of better-sqlite3');
});

/** The module as it is in a process that has no thread yet. */
async function withoutThread(): Promise<typeof threadLog> {
  vi.resetModules();
  return (await import('../../../src/stores/sqlite/log-thread.js')).threadLog;
}

it('does not count on a thread that is about to end', async () => {
  const fresh = await withoutThread();
  const { path } = fileWithLog();
  let leave = (): void => undefined;
  const clock = new VirtualClock();
  vi.spyOn(clock, 'setTimer').mockImplementation((_, callback) => {
    leave = callback;
    return { cancel: () => undefined };
  });
  const first = fresh(clock, Database, path, 1);
  expect(await first.copy()).toBeDefined();
  await first.close();
  leave();
  const second = fresh(clock, Database, path, 1);
  expect(await second.copy()).toBeDefined();
  await second.close();
  leave();
});

it('has nothing loaded into the thread that NODE_OPTIONS asks for', async () => {
  const fresh = await withoutThread();
  const { path } = fileWithLog();
  const preloaded = join(dirname(path), 'preloaded.cjs');
  writeFileSync(preloaded, 'throw new Error("not in a thread of the store");');
  vi.stubEnv('NODE_OPTIONS', `--require ${JSON.stringify(preloaded)}`);
  onTestFinished(() => { vi.unstubAllEnvs(); });
  const log = fresh(new VirtualClock(), Database, path, 1);
  expect(await log.copy()).toBeDefined();
  await log.close();
});

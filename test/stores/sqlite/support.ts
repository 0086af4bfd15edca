import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { JobStore } from 'punctual';
import { SQLiteJobStore, type SQLiteJobStoreOptions } from 'punctual/sqlite';
import { storeContext, VirtualClock, type JobStoreSubject } from 'punctual/testing';
import { onTestFinished } from 'vitest';

/** A folder that is there until the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'punctual-sqlite-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function temporaryFile(): string {
  return join(temporaryFolder(), 'jobs.db');
}

export async function openStore(target: ConstructorParameters<typeof SQLiteJobStore>[0], clock = new VirtualClock()): Promise<SQLiteJobStore> {
  const store = new SQLiteJobStore(target);
  await store.open(storeContext(clock));
  onTestFinished(() => store.close());
  return store;
}

/** A file that two stores have open. */
export async function twoStores(options: SQLiteJobStoreOptions = {}): Promise<[SQLiteJobStore, SQLiteJobStore, string]> {
  const path = temporaryFile();
  return [await openStore({ ...options, path }), await openStore({ ...options, path }), path];
}

/** For the contract: a store, other connections to its file, and its next start. */
export async function sqliteSubject(kind: 'file' | 'memory' | 'database'): Promise<JobStoreSubject> {
  if (kind === 'memory') return { store: await openStore(':memory:') };
  const path = temporaryFile();
  const open = (): Promise<JobStore> => {
    if (kind === 'file') return openStore(path);
    const database = new Database(path);
    onTestFinished(() => { database.close(); });
    return openStore(database);
  };
  const store = await open();
  return {
    store,
    connect: open,
    reopen: async () => {
      await store.close();
      return open();
    },
  };
}

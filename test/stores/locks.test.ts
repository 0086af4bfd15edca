import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { MemoryJobStore } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { JsonJobStore, storeContext, VirtualClock } from 'punctual/testing';
import { lockSuite, type LockableStore } from './support/lock-suite.js';

for (const [kind, make] of [
  ['MemoryJobStore', () => new MemoryJobStore({ shared: true })],
  ['JsonJobStore', () => new JsonJobStore()],
] as const) {
  lockSuite(kind, async () => {
    const clock = new VirtualClock();
    const store = make();
    const connect = async (): Promise<LockableStore> => {
      await store.open(storeContext(clock));
      return store;
    };
    return { connect, clock, close: async () => undefined };
  });
}

for (const kind of ['file', 'database'] as const) {
  lockSuite(`SQLiteJobStore on a ${kind}`, async () => {
    const clock = new VirtualClock();
    const folder = mkdtempSync(join(tmpdir(), 'punctual-locks-'));
    const path = join(folder, 'jobs.db');
    const open: SQLiteJobStore[] = [];
    const databases: Database.Database[] = [];
    const alone = (): SQLiteJobStore => {
      if (kind === 'file') return new SQLiteJobStore(path);
      const database = new Database(path);
      databases.push(database);
      return new SQLiteJobStore(database);
    };
    return {
      clock,
      alone,
      connect: async () => {
        const store = alone();
        await store.open(storeContext(clock));
        open.push(store);
        return store;
      },
      close: async () => {
        for (const store of open) await store.close();
        for (const database of databases) database.close();
        rmSync(folder, { recursive: true });
      },
    };
  });
}

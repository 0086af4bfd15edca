/**
 * How do I make sure that one process at a time does something, outside of any job?
 *
 * By a lock of the store. It is renewed while it is held, and its signal fires before another may have it. What no lock can do is
 * to hold back a process that was frozen in the middle of a write: for that there is the fencing token, which whatever is
 * written to compares with the greatest it has seen.
 */
import assert from 'node:assert/strict';
import { MemoryJobStore, type LockStore } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What is written to: a table with a column for the token, a file store with a precondition, … */
class Ledger {
  balance = 0;
  #greatest = 0;

  /** @throws when somebody with a greater token has been here. */
  write(balance: number, token: number): void {
    if (token < this.#greatest) throw new Error(`token ${token} comes too late, ${this.#greatest} has been here`);
    this.#greatest = token;
    this.balance = balance;
  }
}

const folder = await mkdtemp(join(tmpdir(), 'punctual-lock-'));
const ledger = new Ledger();

// No scheduler is needed: the file is open for as long as a lock of it is held or waited for.
const stores: LockStore[] = [new SQLiteJobStore(join(folder, 'jobs.db')), new SQLiteJobStore(join(folder, 'jobs.db'))];

// Two processes that add to a balance: read, think, write.
await Promise.all(
  stores.map(async (store, i) => {
    for (let round = 0; round < 3; round++) {
      await using lock = await store.lock('balance', { ttl: { seconds: 5 }, wait: { minutes: 1 }, owner: `process ${i}` });
      if (lock === undefined) throw new Error('nobody holds it for a minute');
      const seen = ledger.balance;
      await new Promise((resolve) => setTimeout(resolve, 5));
      lock.signal.throwIfAborted();
      ledger.write(seen + 1, lock.token);
    }
  }),
);
assert.equal(ledger.balance, 6);
console.log(`balance ${ledger.balance}: nothing was lost between reading and writing`);

// One who sleeps too long has a token that is too small by then.
const store = new MemoryJobStore();
const sleeper = await store.lock('balance');
await sleeper!.release(); // as if its lease had run out
await using next = await store.lock('balance');
const other = new Ledger();
other.write(1, next!.token);
assert.throws(() => { other.write(100, sleeper!.token); }, /comes too late/);
console.log('a holder who wakes up too late is refused by its token');

await rm(folder, { recursive: true });

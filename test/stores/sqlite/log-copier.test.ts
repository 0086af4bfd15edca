import { expect, it } from 'vitest';
import type { SQLiteDatabase } from '../../../src/stores/sqlite/driver.js';
import { LogCopier } from '../../../src/stores/sqlite/log-copier.js';
import { MemoryLogger } from '../../scheduler/support/world.js';

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
  const copier = new LogCopier({ pragma } as unknown as SQLiteDatabase, new MemoryLogger());
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

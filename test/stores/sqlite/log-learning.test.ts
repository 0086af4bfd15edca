import { VirtualClock } from 'punctual/testing';
import { expect, it, vi } from 'vitest';
import type { SQLiteDatabase } from '../../../src/stores/sqlite/driver.js';
import { LogCopier } from '../../../src/stores/sqlite/log-copier.js';
import { MemoryLogger } from '../../scheduler/support/world.js';

const log = vi.hoisted(() => {
  const state = { pages: 0, isCopied: false };
  const copy = (): { log: number; checkpointed: number } => {
    state.isCopied = true;
    return { log: state.pages, checkpointed: state.pages };
  };
  return { state, copy };
});
vi.mock('../../../src/stores/sqlite/log-thread.js', () => ({ threadLog: () => ({ copy: () => Promise.resolve(log.copy()), close: () => Promise.resolve() }) }));

it('keeps the log of a store short that has time between its batches, so that it begins anew by itself', async () => {
  let here = 0;
  let longest = 0;
  const pragma = (text: string): unknown => {
    if (text !== 'wal_checkpoint(PASSIVE)') return 1;
    here += 1;
    return [log.copy()];
  };
  const copier = new LogCopier({ pragma, name: 'jobs.db' } as unknown as SQLiteDatabase, new VirtualClock(), new MemoryLogger());
  for (let batch = 1; batch <= 1_000; batch++) {
    const pages = 100 + (batch % 7);
    log.state.pages = log.state.isCopied ? pages : log.state.pages + pages;
    log.state.isCopied = false;
    longest = Math.max(longest, log.state.pages);
    copier.wrote(40);
    copier.copy();
    await Promise.resolve();
    await new Promise((resolve) => { setImmediate(resolve); });
  }
  expect(longest).toBeLessThan(1_500);
  expect(here).toBe(1);
});

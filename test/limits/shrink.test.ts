import { MemoryJobStore, type JobStore } from 'punctual';
import { JsonJobStore } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { SECOND } from '../scheduler/support/world.js';
import { busiest, peak, shop } from './support/shop.js';

const stores: readonly (readonly [string, () => JobStore])[] = [
  ['in memory', () => new MemoryJobStore()],
  ['in a durable store', () => new JsonJobStore()],
];

describe.each(stores)('a limit that is lowered, %s', (_name, makeStore) => {
  it('counts the runs that began before', async () => {
    const { clock, node, executions } = shop(makeStore());
    const { scheduler } = node('a', { work: { concurrency: 4 } });
    await scheduler.start();
    for (let i = 0; i < 4; i++) await scheduler.enqueue('work', { id: `work-${i}`, args: [(i + 1) * 10 * SECOND] });
    await clock.advance(SECOND);
    for (let i = 4; i < 8; i++) await scheduler.enqueue('work', { id: `work-${i}`, args: [SECOND] });
    scheduler.setLimit({ task: 'work' }, { concurrency: 2 });
    await clock.advance(SECOND);
    expect(scheduler.health().jobStores['default']?.limits).toMatchObject([{ max: 2, used: 4 }]);
    await clock.advance(60 * SECOND);
    expect(executions.slice(4).map(({ startedAt }) => startedAt / SECOND)).toEqual([30, 31, 32, 33]);
    expect(peak(executions.slice(3))).toBe(2);
  });

  it('counts the starts of before', async () => {
    const { clock, node, executions } = shop(makeStore());
    const { scheduler } = node('a', { mail: { rateLimit: { max: 4, per: 100 * SECOND } } });
    await scheduler.start();
    for (let i = 0; i < 4; i++) {
      await scheduler.enqueue('mail', { id: `mail-${i}` });
      await clock.advance(SECOND);
    }
    for (let i = 4; i < 8; i++) await scheduler.enqueue('mail', { id: `mail-${i}` });
    scheduler.setLimit({ task: 'mail' }, { rateLimit: { max: 2, per: 100 * SECOND } });
    await clock.advance(300 * SECOND);
    expect(executions.map(({ startedAt }) => startedAt / SECOND)).toEqual([0, 1, 2, 3, 102, 103, 202, 203]);
    expect(busiest(executions.slice(2), 100 * SECOND)).toBe(2);
  });
});

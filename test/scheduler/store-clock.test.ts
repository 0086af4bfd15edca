import { MemoryJobStore } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';
import type { StoreAccess } from '../../src/scheduler/store-access.js';
import { StoreClock } from '../../src/scheduler/store-clock.js';
import { makeWorld, MINUTE, SECOND, START } from './support/world.js';

it('goes by the quickest answer of a store about its time, not by the last', async () => {
  const clock = new VirtualClock(START);
  const ahead = 5 * SECOND;
  let answersAfterMs = 0;
  const now = async (): Promise<number> => {
    const theirs = clock.now() + ahead;
    await clock.sleep(answersAfterMs);
    return theirs;
  };
  const storeClock = new StoreClock({ store: { now }, now } as unknown as StoreAccess, clock, 15 * SECOND);
  const first = storeClock.sync();
  await clock.advance(1);
  await first;
  expect(storeClock.now() - clock.now()).toBe(ahead);
  // Old by now, so it is asked again; half of four seconds is all that this answer leaves open.
  await clock.advance(10 * MINUTE);
  answersAfterMs = 4 * SECOND;
  const second = storeClock.sync();
  await clock.advance(4 * SECOND);
  await second;
  expect(storeClock.now() - clock.now()).toBe(ahead);
  // A quick one counts again.
  await clock.advance(10 * MINUTE);
  answersAfterMs = 2;
  const third = storeClock.sync();
  await clock.advance(2);
  await third;
  expect(Math.abs(storeClock.now() - clock.now() - ahead)).toBeLessThanOrEqual(2);
});

it.each([
  ['at the beginning', 0],
  ['in the middle', 0.5],
  ['at the end', 1],
])('is never ahead of a store that reads its clock %s of a round trip', async (_, part) => {
  const clock = new VirtualClock(START);
  const ahead = 5 * SECOND;
  let roundTripMs = 24;
  const now = async (): Promise<number> => {
    await clock.sleep(roundTripMs * part);
    const theirs = clock.now() + ahead;
    await clock.sleep(roundTripMs * (1 - part));
    return theirs;
  };
  const storeClock = new StoreClock({ store: { now }, now } as unknown as StoreAccess, clock, 15 * SECOND);
  for (roundTripMs of [24, 3, 250, 1, 800, 12]) {
    const asking = storeClock.sync();
    await clock.advance(10 * SECOND);
    await asking;
    const behind = clock.now() + ahead - storeClock.now();
    expect(behind).toBeGreaterThanOrEqual(0);
    expect(behind).toBeLessThanOrEqual(Math.max(24, roundTripMs));
    // What it tells of this machine's clock is in the middle of what it may be.
    const { byMs, errorMs } = storeClock.skew()!;
    expect(Math.abs(byMs - ahead)).toBeLessThanOrEqual(errorMs);
    storeClock.forget();
  }
});

it('raises no alarm by the clock of a machine while the store cannot tell the time', async () => {
  const clock = new VirtualClock(START);
  const behind = 30 * MINUTE;
  let isSilent = false;
  const store = Object.assign(new MemoryJobStore({ shared: true }), {
    now: () => {
      if (isSilent) throw new Error('no answer');
      return clock.now() - behind;
    },
  });
  const first = makeWorld({ clock, jobStores: { default: store }, node: 'first' });
  await first.scheduler.addJob(() => undefined, '@yearly', { id: 'job', expect: { successWithin: 10 * MINUTE } });
  isSilent = true;
  const second = makeWorld({ clock, jobStores: { default: store }, node: 'second' });
  await second.scheduler.start();
  await clock.advance(5 * MINUTE);
  expect(second.recorder.of('jobOverdue')).toEqual([]);
  isSilent = false;
  await clock.advance(10 * MINUTE);
  expect(second.recorder.of('jobOverdue')).toHaveLength(1);
});

it('starts nothing early on a store whose answers about its time take long', async () => {
  const clock = new VirtualClock(START);
  const store = Object.assign(new MemoryJobStore({ shared: true }), {
    // All of the delay is on the way there.
    now: async (): Promise<number> => {
      await clock.sleep(24);
      return clock.now();
    },
  });
  const { scheduler } = makeWorld({ clock, jobStores: { default: store } });
  const starts: number[] = [];
  await Promise.all([scheduler.start(), clock.advance(SECOND)]);
  for (let i = 1; i <= 20; i++) await scheduler.addJob(() => { starts.push(clock.now() % 100); }, new Date(clock.now() + i * 100));
  await clock.advance(5 * SECOND);
  expect(starts).toHaveLength(20);
  expect(starts.filter((ms) => ms > 50)).toEqual([]);
});

import { VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';
import type { StoreAccess } from '../../src/scheduler/store-access.js';
import { StoreClock } from '../../src/scheduler/store-clock.js';
import { MINUTE, SECOND, START } from './support/world.js';

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
  expect(Math.abs(storeClock.now() - clock.now() - ahead)).toBeLessThanOrEqual(1);
});

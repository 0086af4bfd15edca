import type { Clock } from '../../ports/clock.js';

/** Waits until `work` is done, well or not, or the time is up: a server that hangs must not hold up an end. */
export async function inTime(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = clock.setTimer(ms, resolve);
    const done = (): void => {
      timer.cancel();
      resolve();
    };
    work.then(done, done);
  });
}

import type { Clock } from '../ports/clock.js';

/** Rejects when there is no answer within `ms`: a store that hangs looks like one which fails. It may still do what it was asked. */
export function inTime<T>(clock: Clock, ms: number, answer: Promise<T>, keepAlive = false): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(ms, () => { reject(new Error(`The store gave no answer within ${ms} ms.`)); }, keepAlive);
    answer.then(resolve, reject).finally(() => { timer.cancel(); });
  });
}

/** Waits until `work` is done, well or not, or the time is up: a server that hangs must not hold up an end. */
export async function overInTime(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  await inTime(clock, ms, work, true).catch(() => undefined);
}

import type { Clock } from '../ports/clock.js';

/** Rejects when there is no answer within `ms`: a store that hangs looks like one which fails. It may still do what it was asked. */
export function inTime<T>(clock: Clock, ms: number, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(ms, () => { reject(new Error(`The store gave no answer within ${ms} ms.`)); }, false);
    answer.then(resolve, reject).finally(() => { timer.cancel(); });
  });
}

import type { Clock } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { StoreLoop } from './store-loop.js';

/** Time for aborted tasks to come to an end, and for what they leave to be written. */
const GRACE_MS = 1_000;

/**
 * Takes the runs of all loops to an end: drain until `drainMs` are over, abort the rest, give back what does not
 * stop. Answers how many were given back.
 */
export async function windDown(loops: readonly StoreLoop[], clock: Clock, drainMs: number, logger: Logger): Promise<number> {
  await Promise.all(loops.map((loop) => loop.pause()));
  const drained = Promise.all(loops.map((loop) => loop.runner.drain()));
  // Without time to drain there is nothing to wait for: the clock need not move for an abort.
  if (drainMs > 0 && (await settledWithin(drained, drainMs, clock))) return 0;
  for (const loop of loops) loop.runner.abortAll('shutdown');
  if (await settledWithin(drained, GRACE_MS, clock)) return 0;
  const handedBack = loops.reduce((sum, loop) => sum + loop.runner.release('shutdown'), 0);
  if (!(await settledWithin(drained, GRACE_MS, clock))) {
    const runs = loops.reduce((sum, loop) => sum + loop.runner.size, 0);
    logger.warn('the results of some runs could not be written before the shutdown; other nodes take them over', { runs });
  }
  return handedBack;
}

async function settledWithin(work: Promise<unknown>, ms: number, clock: Clock): Promise<boolean> {
  if (ms === Number.POSITIVE_INFINITY) {
    await work;
    return true;
  }
  let cancel = (): void => undefined;
  const timeUp = new Promise<false>((resolve) => {
    const timer = clock.setTimer(ms, () => { resolve(false); });
    cancel = () => { timer.cancel(); };
  });
  const done = await Promise.race([work.then(() => true as const), timeUp]);
  cancel();
  return done;
}

import type { Clock } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { StoreLoop } from './store-loop.js';

/** Time for aborted tasks to come to an end: others take their runs over within a second. */
const GRACE_MS = 750;
/** Time for what they leave to be written. */
const WRITE_MS = 1_000;

/** How long a shutdown lets tasks come to their end; a later call may cut that short. */
export class DrainTime {
  readonly ms: number;
  #hurry: () => void = () => undefined;
  /** Resolves when there is no more time. */
  readonly isOver = new Promise<void>((resolve) => { this.#hurry = resolve; });

  constructor(ms: number) {
    this.ms = ms;
  }

  end(): void {
    this.#hurry();
  }
}

/**
 * Takes the runs of all loops to an end: drain until the time is over, abort the rest, give back what does not
 * stop. Answers how many were given back.
 */
export async function windDown(loops: readonly StoreLoop[], clock: Clock, time: DrainTime, logger: Logger): Promise<number> {
  await Promise.all(loops.map((loop) => loop.pause()));
  const drained = Promise.all(loops.map((loop) => loop.runner.drain()));
  // Without time to drain there is nothing to wait for: the clock need not move for an abort.
  if (time.ms > 0 && (await settledWithin(drained, time.ms, clock, time.isOver))) return 0;
  for (const loop of loops) loop.runner.abortAll('shutdown');
  if (await settledWithin(drained, GRACE_MS, clock)) return 0;
  const handedBack = loops.reduce((sum, loop) => sum + loop.runner.release('shutdown'), 0);
  if (!(await settledWithin(drained, WRITE_MS, clock))) {
    const runs = loops.reduce((sum, loop) => sum + loop.runner.size, 0);
    logger.warn('the results of some runs could not be written before the shutdown; other nodes take them over', { runs });
  }
  return handedBack;
}

async function settledWithin(work: Promise<unknown>, ms: number, clock: Clock, isOver?: Promise<void>): Promise<boolean> {
  let cancel = (): void => undefined;
  const timeUp = new Promise<false>((resolve) => {
    void isOver?.then(() => { resolve(false); });
    if (ms === Number.POSITIVE_INFINITY) return;
    const timer = clock.setTimer(ms, () => { resolve(false); });
    cancel = () => { timer.cancel(); };
  });
  const done = await Promise.race([work.then(() => true as const), timeUp]);
  cancel();
  return done;
}

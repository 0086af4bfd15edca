import type { Clock } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { StoreAccess } from './store-access.js';
import type { StoreLoop } from './store-loop.js';

/** Time for what was claimed to be written, when the time for the tasks is over. */
const PAUSE_MS = 1_000;
/** Time for aborted tasks to come to an end: others take their runs over within a second. */
const GRACE_MS = 750;
/** Time for what they leave to be written. */
const WRITE_MS = 1_000;
/** Time for the stores and executors to be closed, at least. */
const CLOSE_MS = 2_000;
/** What all of that takes at most, after the time for the tasks: with the 25 s these have by default, less than 30 s. */
const AFTERWARDS_MS = PAUSE_MS + GRACE_MS + WRITE_MS + CLOSE_MS;
/** Longest wait for something that ought to be quick when tasks may take as long as they like. */
const PATIENCE_MS = 25_000;

/** How long a shutdown lets tasks come to their end, and when all of it is over; a later call may cut that short. */
export class ShutdownTime {
  /** How long tasks may take. */
  readonly ms: number;
  readonly #clock: Clock;
  /** Monotonic. */
  readonly #drainsBy: number;
  #endsBy: number;
  #hurry: () => void = () => undefined;
  /** Resolves when there is no more time for tasks. */
  readonly isOver = new Promise<void>((resolve) => { this.#hurry = resolve; });

  constructor(ms: number, clock: Clock) {
    this.ms = ms;
    this.#clock = clock;
    this.#drainsBy = clock.monotonic() + ms;
    this.#endsBy = this.#drainsBy + AFTERWARDS_MS;
  }

  /** No more of it for tasks. */
  end(): void {
    this.#endsBy = Math.min(this.#endsBy, this.#clock.monotonic() + AFTERWARDS_MS);
    this.#hurry();
  }

  /** The tasks have come to their end, in however much time. */
  drained(): void {
    this.#endsBy = Math.min(this.#endsBy, this.#clock.monotonic() + PATIENCE_MS + AFTERWARDS_MS);
  }

  get drainMs(): number {
    return Math.max(0, this.#drainsBy - this.#clock.monotonic());
  }

  /** Until all has to be over. */
  get leftMs(): number {
    return Math.max(0, this.#endsBy - this.#clock.monotonic());
  }
}

/**
 * Takes the runs of all loops to an end: drain until the time is over, abort the rest, give back what does not
 * stop. Answers how many were given back.
 */
export async function windDown(loops: readonly StoreLoop[], clock: Clock, time: ShutdownTime, logger: Logger): Promise<number> {
  const pausing = Promise.all(loops.map((loop) => loop.pause()));
  const drained = pausing.then(() => Promise.all(loops.map((loop) => loop.runner.drain())));
  // Without time to drain there is nothing to wait for: the clock need not move for an abort.
  if (time.drainMs > 0 && (await settledWithin(drained, time.drainMs, clock, time.isOver))) return done(0);
  await settledWithin(pausing, PAUSE_MS, clock);
  // What a store that hangs answers from now on is given back before it begins.
  for (const loop of loops) loop.runner.abortAll('shutdown');
  if (await settledWithin(drained, GRACE_MS, clock)) return done(0);
  const handedBack = loops.reduce((sum, loop) => sum + loop.runner.release('shutdown'), 0);
  if (!(await settledWithin(drained, WRITE_MS, clock))) {
    const runs = loops.reduce((sum, loop) => sum + loop.runner.size, 0);
    const callbacks = loops.reduce((sum, loop) => sum + loop.runner.callbacks, 0);
    if (runs > 0) logger.warn('the results of some runs could not be written before the shutdown; other nodes take them over', { runs });
    if (callbacks > 0) logger.warn('onError was still being waited for when the time of the shutdown was up', { callbacks });
  }
  return done(handedBack);

  function done(count: number): number {
    time.drained();
    return count;
  }
}

/** How long a start that has not come to its end is waited for. */
export function patience(time: ShutdownTime): number {
  return Math.min(Math.max(time.drainMs, PAUSE_MS), PATIENCE_MS);
}

/** What is still going on when the time is up, by name; empty when all is done, well or not. */
export async function unfinishedWithin(work: Readonly<Record<string, Promise<unknown>>>, ms: number, clock: Clock): Promise<string[]> {
  const going = new Set(Object.keys(work));
  const all = Object.entries(work).map(([name, promise]) => {
    const over = (): void => { going.delete(name); };
    return promise.then(over, over);
  });
  await settledWithin(Promise.all(all), ms, clock);
  return [...going];
}

/**
 * Ends what a loop has to do with its store, then closes it, also when it does not answer: what goes on is left, and its late
 * answers are dealt with as they come.
 *
 * @throws what the store throws when it is closed.
 */
export async function leaveStore(access: StoreAccess, leaving: Readonly<Record<string, Promise<void>>>, withinMs: number, clock: Clock, logger: Logger): Promise<void> {
  const endsAt = clock.monotonic() + withinMs;
  const jobStore = access.alias;
  for (const [part, work] of Object.entries(leaving)) {
    work.catch((error: unknown) => { logger.error('a job store could not be left in order', { part, error, jobStore }); });
  }
  const unfinished = await unfinishedWithin(leaving, Math.max(0, withinMs - CLOSE_MS / 2), clock);
  if (unfinished.length > 0) logger.warn('a job store does not answer, and is left without waiting any longer', { jobStore, unfinished });
  const closing = access.close();
  closing.catch(() => undefined); // who waits for it hears
  if (await settledWithin(closing, Math.max(0, endsAt - clock.monotonic()), clock)) await closing;
  else logger.warn('a job store does not close, and is left without waiting any longer', { jobStore });
}

export async function settledWithin(work: Promise<unknown>, ms: number, clock: Clock, isOver?: Promise<void>): Promise<boolean> {
  let cancel = (): void => undefined;
  const timeUp = new Promise<false>((resolve) => {
    void isOver?.then(() => { resolve(false); });
    if (ms === Number.POSITIVE_INFINITY) return;
    const timer = clock.setTimer(ms, () => { resolve(false); });
    cancel = () => { timer.cancel(); };
  });
  const done = await Promise.race([work.then(() => true as const, () => true as const), timeUp]);
  cancel();
  return done;
}

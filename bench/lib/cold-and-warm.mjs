import { column } from './measurement.mjs';
import { median, ratio, show } from './stats.mjs';

/** Until the code is compiled as well as it will be: with fewer the next rounds still become quicker, by a third in all. */
export const SETTLING_ROUNDS = 10;
export const WARM_ROUNDS = 5;

let hasCollected = false;

/**
 * Collects garbage before the first time that is taken in a process, and not again: with what is left of an earlier round,
 * V8 throws away all compiled code that has met it, which in a program with one scheduler does not happen.
 */
export function collectOnce() {
  if (!hasCollected) globalThis.gc?.();
  hasCollected = true;
}

/** How it is done, for the text above the figures. */
export const METHOD = `A program that works off due jobs is one that has been running for a while: a first round shows a process whose code is not compiled yet (“cold”); the same is done ${SETTLING_ROUNDS - 1} more times until it is, and then ${WARM_ROUNDS} times, each on a place of its own, and the median of these counts. The same for what is done by hand, and for the peers.`;

/**
 * Runs per second in a process that has just begun, and in one that has done the same for a while.
 *
 * @param {() => Promise<number>} work on a new place
 * @returns {Promise<{ perSecond: number, cold: number }>}
 */
export async function coldAndWarm(work) {
  const cold = await work();
  for (let round = 1; round < SETTLING_ROUNDS; round++) await work();
  const warm = [];
  for (let round = 0; round < WARM_ROUNDS; round++) warm.push(await work());
  return { perSecond: median(warm), cold };
}

/**
 * What of it a table shows beside the rate: the cold one, and its ratio to another's.
 *
 * @param {import('./measurement.mjs').Samples} samples
 * @param {string} contender
 * @param {string} other
 */
export function coldColumns(samples, contender, other) {
  const own = column(samples, contender, 'cold');
  if (own.every((rate) => Number.isNaN(rate))) return ['–', '–'];
  return [show(median(own)), `${show(ratio(own, column(samples, other, 'cold')))}×`];
}

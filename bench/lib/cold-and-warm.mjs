import { column } from './measurement.mjs';
import { median, ratio, show } from './stats.mjs';

const WARM_ROUNDS = 3;

/** How it is done, for the text above the figures. */
export const METHOD = `A program that works off due jobs is one that has been running for a while: after a first round, which shows a process whose code is not compiled yet (“cold”), the same is done ${WARM_ROUNDS} more times, each on a place of its own, and the median of these counts. The same for what is done by hand, and for the peers.`;

/**
 * Runs per second in a process that has just begun, and in one that has done the same before.
 *
 * @param {() => Promise<number>} work on a new place
 * @returns {Promise<{ perSecond: number, cold: number }>}
 */
export async function coldAndWarm(work) {
  const cold = await work();
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

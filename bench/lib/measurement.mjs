/**
 * What a file in ../measurements exports.
 *
 * A sample is what one contender measured once, in a process of its own; `samples` has them by contender and round.
 *
 * @typedef {Readonly<Record<string, number>>} Sample
 * @typedef {Readonly<Record<string, readonly Sample[]>>} Samples
 *
 * @typedef {object} Contender
 * @property {() => Promise<Sample>} measure an empty sample where what it needs is not on this machine
 * @property {number} [rounds] fewer rounds than the others, where it is slow
 *
 * @typedef {object} Check
 * @property {string} target
 * @property {string} figure what was measured
 * @property {boolean | null} met `null`: it could not be measured here
 *
 * @typedef {object} Report
 * @property {readonly string[]} head
 * @property {readonly (readonly string[])[]} rows
 * @property {readonly Check[]} checks
 *
 * @typedef {object} Measurement
 * @property {string} id
 * @property {string} title
 * @property {readonly string[]} method what is the same for all contenders, and what differs
 * @property {number} rounds
 * @property {boolean} [sideBySide] its contenders may run at the same time: none of them is kept busy
 * @property {() => Promise<() => Promise<void>>} [prepare] once, before the first sample; answers how to clean up. What it puts
 *   into `process.env` reaches the contenders
 * @property {Readonly<Record<string, Contender>>} contenders in the order in which each round runs them
 * @property {(samples: Samples) => Report} report
 */

/**
 * @param {Samples} samples
 * @param {string} contender
 * @param {string} field
 * @returns {number[]}
 */
export function column(samples, contender, field) {
  return (samples[contender] ?? []).map((sample) => sample[field] ?? Number.NaN);
}

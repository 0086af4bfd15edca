import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));
const FLAGS = ['--expose-gc', '--max-old-space-size=8192'];

/**
 * Takes every sample of a measurement: round by round, and in each round one contender after another, so that what
 * slows the machine for a while slows all of them. A sample that fails is tried once more, then left out.
 *
 * @param {import('./measurement.mjs').Measurement} measurement
 * @param {(contender: string, round: number) => void} progress
 * @returns {Promise<import('./measurement.mjs').Samples>}
 */
export async function takeSamples(measurement, progress) {
  const names = Object.keys(measurement.contenders);
  /** @type {Record<string, import('./measurement.mjs').Sample[]>} */
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 1; round <= measurement.rounds; round++) {
    const due = names.filter((name) => round <= (measurement.contenders[name]?.rounds ?? measurement.rounds));
    /** @param {string} name */
    const take = async (name) => {
      progress(name, round);
      for (const patience of [1, 3]) {
        try {
          samples[name]?.push(await takeSample(measurement.id, name, patience));
          return;
        } catch (error) {
          console.error(error);
        }
      }
    };
    if (measurement.sideBySide === true) await Promise.all(due.map(take));
    else for (const name of due) await take(name);
  }
  return samples;
}

/**
 * @param {string} measurementId
 * @param {string} contender
 * @param {number} patience how much longer than usual the sample may prepare itself
 * @returns {Promise<import('./measurement.mjs').Sample>}
 */
function takeSample(measurementId, contender, patience) {
  return new Promise((resolve, reject) => {
    const child = fork(CHILD, [measurementId, contender, String(patience)], { execArgv: FLAGS });
    /** @type {any} */
    let answer;
    child.on('message', (message) => {
      answer = message;
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (answer !== undefined) resolve(answer);
      else reject(new Error(`${measurementId}: ${contender} ended with code ${code} and without a figure`));
    });
  });
}

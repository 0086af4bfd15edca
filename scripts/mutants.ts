/**
 * Puts deliberate faults into the scheduler, one at a time, and plays simulated worlds until one shows it. Fails when a
 * fault goes unseen, or when the source has moved on and an edit no longer matches.
 *
 *   npm run mutants                        the short form, as in CI
 *   npm run mutants -- --seeds 3000        look longer before giving up
 *   npm run mutants -- --only fencing      those whose name has this in it
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { SimulationResult } from '../src/testing/simulation/simulation.js';
import { bundleSimulation, play } from './simulation-bundle.js';
import { mutants, type Mutant } from './mutant-list.js';

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '1000' }, only: { type: 'string', default: '' } },
});
const seeds = Number(values.seeds);
if (!Number.isInteger(seeds) || seeds < 1) throw new RangeError('--seeds takes a whole number');
/**
 * A world that does not come to an end shows the fault as well, if without the fault it takes no more than a part of the time
 * it was given: else it may be the machine that is slow.
 */
const HUNG_MS = 120_000;
const SOUND_PART = 0.1;

interface Outcome {
  readonly mutant: Mutant;
  readonly seen: string | null;
}

const directory = mkdtempSync(join(tmpdir(), 'punctual-mutants-'));
const sound = join(directory, 'sound.mjs');
const queue = mutants.filter(({ name }) => name.includes(values.only));
const outcomes: Outcome[] = [];

async function look(mutant: Mutant, index: number): Promise<string | null> {
  const bundle = join(directory, `mutant-${index}.mjs`);
  try {
    await bundleSimulation(bundle, mutant.edits);
  } catch (error) {
    console.log(`STALE     ${mutant.name}: ${String(error)}`);
    return null;
  }
  let worlds = 0;
  let caught: SimulationResult | undefined;
  const ended = await play(bundle, { from: 1, to: seeds, mode: 'first', hungMs: HUNG_MS }, (result) => {
    worlds += 1;
    if (result.breach !== undefined) caught ??= result;
  });
  if (ended === 'ended' && caught === undefined) return null;
  // What the scheduler does without the fault as well is no sign of it.
  const seed = caught?.seed ?? worlds + 1;
  const soundMs = await playSound(seed);
  if (caught?.breach !== undefined) return `seed ${seed}: ${caught.breach.promise}, ${caught.breach.what.slice(0, 110)}`;
  if (ended === 'hung' && soundMs > HUNG_MS * SOUND_PART) throw new Error(`seed ${seed} takes ${Math.round(soundMs)} ms without any fault: this machine is too slow to tell whether it hangs with one`);
  return `seed ${seed}: it ${ended === 'hung' ? `hangs (${Math.round(soundMs)} ms without the fault)` : ended}`;
}

/** Milliseconds that a world takes without any fault. @throws Error when it shows a breach all the same, or breaks down. */
async function playSound(seed: number): Promise<number> {
  const began = process.hrtime.bigint();
  let isClean = false;
  await play(sound, { from: seed, to: seed, mode: 'all', hungMs: HUNG_MS }, ({ breach }) => { isClean = breach === undefined; });
  if (!isClean) throw new Error(`seed ${seed} shows a breach, or hangs, without any fault: npm run simulate -- --seed ${seed} --trace`);
  return Number(process.hrtime.bigint() - began) / 1e6;
}

let next = 0;
async function work(): Promise<void> {
  for (let index = next++; index < queue.length; index = next++) {
    const mutant = queue[index]!;
    const seen = await look(mutant, index);
    outcomes.push({ mutant, seen });
    console.log(`${seen === null ? 'SURVIVED' : 'caught  '}  ${mutant.name.padEnd(58)} ${seen ?? `nothing in ${seeds} worlds`}`);
  }
}

const began = process.hrtime.bigint();
try {
  await bundleSimulation(sound);
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
const survived = outcomes.filter(({ seen }) => seen === null);
console.log(`${outcomes.length - survived.length} of ${outcomes.length} faults seen in ${(Number(process.hrtime.bigint() - began) / 1e9).toFixed(1)} s.`);
process.exitCode = survived.length > 0 || outcomes.length === 0 ? 1 : 0;

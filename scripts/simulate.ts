/**
 * Plays simulated worlds and reports the promises that were not kept.
 *
 *   npm run simulate                                 the short form, as in CI
 *   npm run simulate -- --seeds 5000 --from 1        more of them
 *   npm run simulate -- --seed 1234 --trace          one world again, step by step
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleSimulation, play } from './simulation-bundle.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});
const single = values.seed === undefined ? undefined : Number(values.seed);
const from = single ?? Number(values.from);
const to = single ?? from + Number(values.seeds) - 1;
if (!Number.isInteger(from) || !Number.isInteger(to)) throw new RangeError('--seed, --seeds and --from take whole numbers');

const directory = mkdtempSync(join(tmpdir(), 'punctual-simulation-'));
const began = process.hrtime.bigint();
const totals = new Map<string, number>();
let worlds = 0;
let broken = 0;
try {
  const bundle = join(directory, 'simulation.mjs');
  await bundleSimulation(bundle);
  const workers = single === undefined ? Math.min(2, availableParallelism()) : 1;
  const ends = await Promise.all(
    Array.from({ length: workers }, (_, i) =>
      play(bundle, { from: from + i, to, step: workers, mode: values.trace ? 'trace' : 'all' }, ({ seed, breach, totals: own }) => {
        worlds += 1;
        for (const [name, count] of Object.entries(own)) totals.set(name, (totals.get(name) ?? 0) + count);
        if (breach === undefined) return;
        broken += 1;
        console.log(`seed ${seed}, ${(breach.at / 1000).toFixed(3)} s: ${breach.promise} is not kept. ${breach.what}`);
      }),
    ),
  );
  if (ends.some((end) => end !== 'ended')) throw new Error('a simulation broke down');
} finally {
  rmSync(directory, { recursive: true, force: true });
}
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
for (const [name, count] of totals) console.log(`${String(count).padStart(10)} ${name}`);
console.log(`${worlds} worlds in ${seconds.toFixed(1)} s, promises not kept in ${broken}.`);
if (broken > 0) console.log('Play one again: npm run simulate -- --seed <seed> --trace');
process.exitCode = broken > 0 ? 1 : 0;

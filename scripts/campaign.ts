/**
 * Nodes on one store, each a process of its own, and everything that can happen to them: killed at any moment or while they
 * commit, frozen for longer than a lease, cut off, slow, restarted, with wall clocks that are wrong; and their server stopped,
 * killed and frozen. Then an audit of what they left, against what the tasks themselves wrote down.
 *
 *   npm run campaign -- --engine postgres                     300 faults, some ten minutes
 *   npm run campaign -- --engine sqlite --faults 2000 --seed 7   more of them, others, on a file
 *   npm run campaign -- --engine all --seconds 60             each for so long, however many that makes
 *   npm run campaign -- --engine redis --mutant limit         with the first fault of mutant-list.ts that has this in its name
 *
 * The seed decides on the jobs, the calls and the faults; where they meet is up to the machine, so a breach may take a few
 * tries to come again. The files of a round with a breach are kept (with --keep those of all):
 * the plan, the log of all processes, their stderr.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleChild } from './campaign/bundle.js';
import { missing, startEngine, type Engine } from './campaign/engines.js';
import { ENGINES, type EngineName } from './campaign/plan.js';
import { FAULTS, Round } from './campaign/round.js';
import { printTable } from './campaign/table.js';
import { mutants } from './mutant-list.js';

const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'all' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    faults: { type: 'string', default: '300' },
    seconds: { type: 'string' },
    nodes: { type: 'string' },
    'faults-per-round': { type: 'string', default: '30' },
    keep: { type: 'boolean', default: false },
    mutant: { type: 'string' },
  },
});
const seed = whole('seed');
const faults = values.seconds === undefined ? whole('faults') : Number.POSITIVE_INFINITY;
const perRound = whole('faults-per-round');
const nodes = values.nodes === undefined ? undefined : whole('nodes');

function whole(name: 'seed' | 'faults' | 'seconds' | 'nodes' | 'faults-per-round'): number {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 1) throw new RangeError(`--${name} takes a whole number above 0`);
  return number;
}

function engines(): readonly EngineName[] {
  if (values.engine === 'all') return ENGINES;
  const engine = ENGINES.find((name) => name === values.engine);
  if (engine === undefined) throw new RangeError(`--engine takes one of ${ENGINES.join(', ')}, all`);
  return [engine];
}

/** A round with fewer faults is over before much has begun. */
const FEWEST = 8;
/** So is one with less time, in ms. */
const SHORTEST_MS = 8_000;

const directory = mkdtempSync(join(tmpdir(), 'punctual-campaign-'));
const kept: string[] = [];
let playing: Round | undefined;

/** Nothing stays behind: no process, and no file but those of a breach. */
function cleanUp(): void {
  playing?.dispose();
  playing = undefined;
  if (kept.length === 0) rmSync(directory, { recursive: true, force: true });
}
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
  process.on(signal, () => process.exit(code));
}
process.on('exit', cleanUp);

/** Plays rounds on an engine until there were enough faults. Answers the totals, and the rounds in which a promise was not kept. */
async function campaign(engine: Engine, bundle: string): Promise<{ totals: Map<string, number>; broken: number }> {
  const began = performance.now();
  const deadline = values.seconds === undefined ? Number.POSITIVE_INFINITY : began + whole('seconds') * 1_000;
  const totals = new Map<string, number>();
  const delays: number[] = [];
  let rounds = 0;
  let broken = 0;
  while ((totals.get(FAULTS) ?? 0) < faults && (rounds === 0 || performance.now() < deadline - SHORTEST_MS)) {
    const own = seed + rounds;
    const files = join(directory, engine.name, `round-${own}`);
    playing = await Round.prepare({ engine, directory: files, bundle, seed: own, nodes });
    const left = faults - (totals.get(FAULTS) ?? 0);
    const result = await playing.play(Math.max(FEWEST, Math.min(perRound, left)), deadline);
    playing = undefined;
    rounds += 1;
    for (const [name, count] of Object.entries(result.totals)) totals.set(name, (totals.get(name) ?? 0) + count);
    delays.push(...result.takeoverDelays);
    if (values.keep || result.breaches.length > 0) kept.push(files);
    else rmSync(files, { recursive: true, force: true });
    if (result.breaches.length === 0) continue;
    broken += 1;
    console.log(`${engine.name}, seed ${own}: ${result.breaches.length} breaches. The files are in ${files}`);
    for (const { check, what } of result.breaches.slice(0, 20)) console.log(`  ${check} is not kept: ${what}`);
  }
  delays.sort((a, b) => a - b);
  totals.set('takeover, ms, median', Math.round(delays[Math.floor(delays.length / 2)] ?? 0));
  totals.set('takeover, ms, longest', Math.round(delays.at(-1) ?? 0));
  totals.set('rounds', rounds);
  totals.set('rounds with a breach', broken);
  totals.set('seconds', Math.round((performance.now() - began) / 1_000));
  return { totals, broken };
}

console.log(`seed ${seed}`);
const bundle = join(directory, 'child.mjs');
mkdirSync(directory, { recursive: true });
const mutant = values.mutant === undefined ? undefined : mutants.find(({ name }) => name.includes(values.mutant ?? ''));
if (values.mutant !== undefined && mutant === undefined) throw new RangeError('--mutant takes a part of a name in scripts/mutant-list.ts');
if (mutant !== undefined) console.log(`with a fault: ${mutant.name}`);
await bundleChild(bundle, mutant?.edits);
const results = new Map<string, ReadonlyMap<string, number>>();
let failed = 0;
for (const name of engines()) {
  const lack = missing(name);
  if (lack !== undefined) {
    console.log(`${name}: left out, ${lack}`);
    // In continuous integration nothing is left out unseen, and what was asked for by name is wanted.
    if (process.env['CI'] || values.engine === name) failed += 1;
    continue;
  }
  const engine = await startEngine(name);
  try {
    const { totals, broken } = await campaign(engine, bundle);
    results.set(name, totals);
    failed += broken;
  } finally {
    await engine.close();
  }
}
printTable(results);
if (failed > 0) console.log('Play a round again: npm run campaign -- --engine <engine> --seed <seed> --faults 30');
process.exit(failed > 0 ? 1 : 0);

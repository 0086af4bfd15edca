/**
 * Kills processes that share a database with SIGKILL, again and again, and reports the promises that were not kept. Some
 * are killed from outside at any moment, some end themselves within a transaction, some stand still for longer than a lease.
 *
 *   npm run kill                                  500 kills, some ten minutes
 *   npm run kill -- --kills 2000 --seed 7         more of them, others
 *   npm run kill -- --seconds 60                  for so long, however many that makes
 *
 * The seed decides on the jobs, the calls and the kills; where they meet is up to the machine, so a breach may take a few
 * tries to come again. The files of a round with a breach are kept: the database, the log of all processes, their stderr.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleChild } from './campaign/bundle.js';
import { LATE, Round } from './campaign/round.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    kills: { type: 'string', default: '500' },
    seconds: { type: 'string' },
    'kills-per-round': { type: 'string', default: '25' },
  },
});
const seed = whole('seed');
const kills = values.seconds === undefined ? whole('kills') : Number.POSITIVE_INFINITY;
const perRound = whole('kills-per-round');
const deadline = values.seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + whole('seconds') * 1_000;

function whole(name: 'seed' | 'kills' | 'seconds' | 'kills-per-round'): number {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 1) throw new RangeError(`--${name} takes a whole number above 0`);
  return number;
}

/** A round with fewer kills is over before much has begun. */
const FEWEST = 8;
const MAX_LEAD_MS = 10_000;

const directory = mkdtempSync(join(tmpdir(), 'punctual-kill-'));
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

const began = performance.now();
const totals = new Map<string, number>();
let leadMs = 1_600;
let rounds = 0;
let broken = 0;
console.log(`seed ${seed}`);
const bundle = join(directory, 'child.mjs');
await bundleChild(bundle);
while ((totals.get('kills') ?? 0) < kills && performance.now() < deadline) {
  const own = seed + rounds;
  const files = join(directory, `round-${own}`);
  playing = new Round(files, bundle, own, leadMs);
  const left = kills - (totals.get('kills') ?? 0);
  const { breaches, totals: counted } = await playing.play(Math.max(FEWEST, Math.min(perRound, left)), deadline);
  playing = undefined;
  rounds += 1;
  // Jobs that come too late are left out of most checks: a machine this slow needs more time.
  if ((counted[LATE] ?? 0) > 0) leadMs = Math.min(2 * leadMs, MAX_LEAD_MS);
  for (const [name, count] of Object.entries(counted)) totals.set(name, (totals.get(name) ?? 0) + count);
  if (breaches.length === 0) {
    rmSync(files, { recursive: true, force: true });
    continue;
  }
  broken += 1;
  kept.push(files);
  console.log(`seed ${own}: ${breaches.length} breaches. Its files are in ${files}`);
  for (const { check, what } of breaches.slice(0, 20)) console.log(`  ${check} is not kept: ${what}`);
}
for (const [name, count] of totals) console.log(`${String(count).padStart(10)} ${name}`);
console.log(`${rounds} rounds in ${((performance.now() - began) / 1_000).toFixed(1)} s, promises not kept in ${broken}.`);
if (broken > 0) console.log('Play a round again: npm run kill -- --seed <seed> --kills 25');
process.exit(broken > 0 ? 1 : 0);

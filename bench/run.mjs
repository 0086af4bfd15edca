/**
 * Measures punctual beside its peers. Build first (npm run build), then: npm run bench -- [options] [measurement…]
 *
 *   --json    print everything as JSON, samples included, instead of tables
 *   --write   put the figures into RESULTS.md
 *   --rounds <n>   at most so many rounds, for a quick look
 */
import { readdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { describeMachine } from './lib/machine.mjs';
import { writeResults } from './lib/results-file.mjs';
import { takeSamples } from './lib/sample.mjs';
import { asText } from './lib/table.mjs';

/** In the order of the report, then whatever else there is; the quiet one goes beside the next, which does not go by the clock. */
const FIRST = ['add', 'idle', 'heap', 'due-at-once', 'lateness', 'downtime'];
const BESIDE_ITS_SUCCESSOR = 'idle';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, write: { type: 'boolean' }, rounds: { type: 'string' } },
});

const files = await readdir(new URL('measurements/', import.meta.url));
const known = files.filter((file) => file.endsWith('.mjs')).map((file) => file.slice(0, -'.mjs'.length));
const strangers = positionals.filter((id) => !known.includes(id));
if (strangers.length > 0)
  throw new Error(`There is no measurement "${strangers.join('", "')}"; there are ${known.join(', ')}.`);

const machine = describeMachine();
const started = performance.now();
/** @type {{ measurement: import('./lib/measurement.mjs').Measurement, samples: import('./lib/measurement.mjs').Samples, report: import('./lib/measurement.mjs').Report }[]} */
const results = [];
/** @type {Promise<void> | undefined} */
let beside;

const order = [...FIRST, ...known.filter((id) => !FIRST.includes(id))];
for (const id of order.filter((name) => positionals.length === 0 || positionals.includes(name))) {
  const run = measure(id);
  if (id === BESIDE_ITS_SUCCESSOR) {
    beside = run;
    continue;
  }
  await run;
  await beside;
  beside = undefined;
}
await beside;

if (options.json === true)
  console.log(JSON.stringify({ machine, date: today(), results: results.map(asJson) }, null, 2));
if (options.write === true) await writeResults(results, machine, today());
console.error(`\n${Math.round((performance.now() - started) / 1000)} s`);

/** @param {string} id */
async function measure(id) {
  /** @type {{ measurement: import('./lib/measurement.mjs').Measurement }} */
  const { measurement } = await import(new URL(`measurements/${id}.mjs`, import.meta.url).href);
  const rounds = Math.min(measurement.rounds, Number(options.rounds ?? Infinity));
  const cleanUp = await measurement.prepare?.();
  const samples = await takeSamples({ ...measurement, rounds }, (contender, round) => {
    if (process.stderr.isTTY) console.error(`${id}, round ${round} of ${rounds}: ${contender}`);
  });
  await cleanUp?.();
  const report = measurement.report(samples);
  results.push({ measurement: { ...measurement, rounds }, samples, report });
  if (options.json !== true) console.log(asText(measurement, report));
}

/** @param {(typeof results)[number]} result */
function asJson({ measurement: { id, title }, samples, report: { checks } }) {
  return { id, title, checks, samples };
}

function today() {
  return new Date().toISOString().slice(0, 10);
}

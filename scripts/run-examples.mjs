/**
 * Runs every examples/*.ts in a process of its own, against the sources, and reports. An example has to end by itself,
 * with exit code 0, within the time limit. One that needs what this machine lacks (a server, a driver) says so and ends
 * with exit code 77, which counts as skipped.
 *
 * Usage: node scripts/run-examples.mjs [part of a name ...]
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const limitMs = Number(process.env['EXAMPLE_TIMEOUT_MS'] ?? 60_000);
const skipped = 77;
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = new URL('../examples/', import.meta.url);
const wanted = process.argv.slice(2);
const examples = (existsSync(folder) ? readdirSync(folder) : [])
  .filter((name) => name.endsWith('.ts'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort();

/** @type {(name: string) => Promise<{ verdict: string, output: string, seconds: string }>} */
function runExample(name) {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', `examples/${name}`], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, limitMs);
    child.stdout.on('data', (/** @type {Buffer} */ data) => (output += data.toString()));
    child.stderr.on('data', (/** @type {Buffer} */ data) => (output += data.toString()));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const verdict = late
        ? `still running after ${limitMs} ms`
        : code === 0
          ? 'ok'
          : code === skipped
            ? 'skipped'
            : `ended with ${signal ?? `exit code ${code}`}`;
      resolve({ verdict, output, seconds: ((performance.now() - started) / 1000).toFixed(1) });
    });
  });
}

if (examples.length === 0) console.log('No examples to run.');
let failed = 0;
for (const name of examples) {
  const { verdict, output, seconds } = await runExample(name);
  console.log(`${verdict === 'ok' || verdict === 'skipped' ? verdict.padEnd(7) : 'FAILED '} ${name} (${seconds} s)`);
  if (verdict === 'skipped') console.log(output.trim().replace(/^/gm, '        '));
  if (verdict === 'ok' || verdict === 'skipped') continue;
  failed += 1;
  console.log(`        ${verdict}\n${output.trimEnd().replace(/^/gm, '        | ')}`);
}
if (failed > 0) process.exitCode = 1;

/** The simulation as one file that plain Node runs: quicker than a loader, and a place to put faults in. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import type { SimulationResult } from '../src/testing/simulation/simulation.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Text to be replaced in a file below src. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Plays seeds from the first to the last, one line of JSON each, until one is not kept or, with `all`, to the end. */
const RUNNER = `
import { simulate } from './src/testing/simulation/simulation.ts';
const [first, last, mode, step] = process.argv.slice(2);
for (let seed = Number(first); seed <= Number(last); seed += Number(step)) {
  const result = await simulate(seed, mode === 'trace' ? (line) => { console.error(line); } : undefined);
  console.log(JSON.stringify(result));
  if (result.breach !== undefined && mode === 'first') process.exit(0);
}
process.exit(0);
`;

/** Puts the edits into what is bundled. @throws Error when one does not match the source exactly once: that has moved on. */
export function faults(edits: readonly Edit[]): Plugin {
  for (const { file, from } of edits) {
    const found = readFileSync(resolve(root, 'src', file), 'utf8').split(from).length - 1;
    if (found !== 1) throw new Error(`src/${file} has ${found} places that read: ${from}`);
  }
  return {
    name: 'faults',
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
        const file = relative(resolve(root, 'src'), path).replaceAll('\\', '/');
        const own = edits.filter((edit) => edit.file === file);
        if (own.length === 0) return undefined;
        const contents = own.reduce((text, { from, to }) => text.replace(from, () => to), readFileSync(path, 'utf8'));
        return { contents, loader: 'ts' };
      });
    },
  };
}

/** @throws Error when an edit does not match the source: see {@link faults}. */
export async function bundleSimulation(outfile: string, edits: readonly Edit[] = []): Promise<void> {
  await build({
    stdin: { contents: RUNNER, resolveDir: root, loader: 'js' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile,
    plugins: [faults(edits)],
    logLevel: 'error',
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  });
}

export interface PlayOptions {
  readonly from: number;
  readonly to: number;
  /** `first`: stop at the first breach. `all`: go on. `trace`: go on, with every step on stderr. */
  readonly mode: 'first' | 'all' | 'trace';
  readonly step?: number;
  /** Give up when one world takes longer than this many ms. */
  readonly hungMs?: number;
}

/** How a process that plays worlds came to its end. */
export type PlayEnd = 'ended' | 'hung' | 'broke down';

/** Plays seeds in a process of their own. */
export function play(
  bundle: string,
  { from, to, mode, step = 1, hungMs }: PlayOptions,
  onResult: (result: SimulationResult) => void,
): Promise<PlayEnd> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [bundle, String(from), String(to), mode, String(step)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let isHung = false;
    const timer = hungMs === undefined ? undefined : setTimeout(() => {
      isHung = true;
      child.kill('SIGKILL');
    }, hungMs);
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      if (lines.length > 0) timer?.refresh();
      for (const line of lines) onResult(JSON.parse(line) as SimulationResult);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      done(isHung ? 'hung' : code === 0 ? 'ended' : 'broke down');
    });
  });
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { play } from '../../scripts/simulation-bundle.js';

it.each([
  ['ended', 'process.exit(0);', undefined],
  ['broke down', 'process.exit(3);', undefined],
  ['broke down', "process.kill(process.pid, 'SIGKILL');", undefined],
  ['hung', 'setInterval(() => undefined, 60_000);', 1],
] as const)('playing worlds tells that they %s', async (end, code, hungMs) => {
  const folder = mkdtempSync(join(tmpdir(), 'punctual-play-'));
  onTestFinished(() => { rmSync(folder, { recursive: true, force: true }); });
  const bundle = join(folder, 'worlds.mjs');
  const result = { seed: 1, breach: undefined, totals: {} };
  writeFileSync(bundle, `process.stdout.write(${JSON.stringify(`${JSON.stringify(result)}\n`)}, () => { ${code} });`);
  const seeds: number[] = [];
  expect(await play(bundle, { from: 1, to: 2, mode: 'all', ...(hungMs === undefined ? {} : { hungMs }) }, ({ seed }) => { seeds.push(seed); })).toBe(end);
  if (hungMs === undefined) expect(seeds).toEqual([1]);
});

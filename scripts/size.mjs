/**
 * What each subpath costs its user: our own code, minified and compressed, without the packages it depends on. Fails
 * when one outgrows its limit. Raise a limit in the commit that needs it, and say there what for.
 */
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';
import { manifest, subpaths } from './subpaths.mjs';

/** Limits in kB. @type {Readonly<Record<string, number>>} */
const limits = {
  punctual: 103,
  'punctual/testing': 60,
  'punctual/rrule': 20,
  'punctual/sqlite': 24,
  'punctual/postgres': 24,
  'punctual/redis': 31,
  'punctual/nats': 25,
  'punctual/workers': 8,
  'punctual/amqp': 20,
  'punctual/nats-executor': 22,
  'punctual/bullmq': 18,
};

const packages = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
let failed = 0;
for (const { name, source } of subpaths) {
  const { outputFiles } = await build({
    entryPoints: [source],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: packages.flatMap((dependency) => [dependency, `${dependency}/*`]),
    write: false,
    logLevel: 'warning',
  });
  const bytes = outputFiles.reduce((sum, { contents }) => sum + brotliCompressSync(contents).length, 0);
  const kilobytes = bytes / 1000;
  const limit = limits[name];
  const verdict = limit === undefined ? 'has no limit in scripts/size.mjs' : kilobytes > limit ? 'TOO LARGE' : 'ok';
  if (verdict !== 'ok') failed += 1;
  console.log(`${name.padEnd(24)} ${kilobytes.toFixed(1).padStart(7)} kB  (limit ${limit ?? '?'} kB)  ${verdict}`);
}
if (failed > 0) process.exitCode = 1;

/**
 * The subpaths of the package, read from the one table there is: `exports` in package.json.
 *
 * `dist` mirrors `src`, so `./dist/stores/sqlite/index.js` is built from `src/stores/sqlite/index.ts`. The build, the
 * test aliases, the API documentation, the dead code check and the size check all derive their lists from here. Only
 * `paths` in tsconfig.json has to be written by hand; test/package.test.ts compares it.
 */
import { readFileSync } from 'node:fs';

/** @typedef {{ types: string, default: string }} Target */
/** @typedef {{ import: Target, require: Target }} Conditions */
/**
 * @typedef {object} Subpath
 * @property {string} name what a program imports, such as `punctual/testing`
 * @property {string} source the source file, relative to the root: `src/testing/index.ts`
 * @property {string} output the path in dist without its ending: `testing/index`
 * @property {Conditions} conditions the entry in package.json
 */

/**
 * Files that are loaded by path rather than imported (worker entries): built like subpaths, but not exported.
 * @type {readonly string[]}
 */
export const unexportedEntries = ['src/executors/workers/entry.ts'];

/** @type {{ name: string, exports: Record<string, Conditions | string>, dependencies: Record<string, string>, peerDependencies?: Record<string, string>, peerDependenciesMeta?: Record<string, { optional?: boolean }> }} */
export const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** @type {readonly Subpath[]} */
export const subpaths = Object.entries(manifest.exports).flatMap(([key, conditions]) => {
  if (typeof conditions === 'string') return [];
  const output = conditions.import.default.replace(/^\.\/dist\//, '').replace(/\.js$/, '');
  return [{ name: key.replace(/^\./, manifest.name), source: `src/${output}.ts`, output, conditions }];
});

/** Output name to source file, for the bundler. */
export const buildEntries = Object.fromEntries([
  ...subpaths.map(({ output, source }) => [output, source]),
  ...unexportedEntries.map((source) => [source.replace(/^src\//, '').replace(/\.ts$/, ''), source]),
]);

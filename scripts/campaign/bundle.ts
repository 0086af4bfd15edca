/** The child program as one file that plain Node starts quickly. */
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { faults, type Edit } from '../simulation-bundle.js';
import type { runChild } from './child.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Native, so it stays where it is: the bundle lies elsewhere, and has to be told where that is. */
const DRIVER = 'better-sqlite3';
const ENTRY: keyof { runChild: typeof runChild } = 'runChild';

/** @param edits - faults to put into the sources: the audit has to see them. */
export async function bundleChild(outfile: string, edits: readonly Edit[] = []): Promise<void> {
  const driver = pathToFileURL(createRequire(import.meta.url).resolve(DRIVER)).href;
  const outside: Plugin = {
    name: 'driver',
    setup({ onResolve }) {
      onResolve({ filter: new RegExp(`^${DRIVER}$`) }, () => ({ path: driver, external: true }));
    },
  };
  await build({
    stdin: {
      contents: `import { ${ENTRY} } from './scripts/campaign/child.ts'; await ${ENTRY}(process.argv.slice(2));`,
      resolveDir: root,
      loader: 'ts',
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile,
    sourcemap: 'inline',
    plugins: [outside, faults(edits)],
    logLevel: 'error',
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  });
}

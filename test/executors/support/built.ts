import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..', '..');

export interface Built {
  /** The file that workers start with. */
  readonly entry: string;
  /** fixtures/tasks.ts */
  readonly tasks: URL;
}

let made: Promise<Built> | undefined;
let folder: string | undefined;

/** The entry of the workers and the tasks as JavaScript: a loader for TypeScript would cost each worker a second. */
export function built(): Promise<Built> {
  return (made ??= make());
}

export async function removeBuilt(): Promise<void> {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
}

async function make(): Promise<Built> {
  folder = await mkdtemp(join(tmpdir(), 'punctual-workers-'));
  await build({
    entryPoints: {
      entry: join(root, 'src', 'executors', 'workers', 'entry.ts'),
      tasks: join(here, '..', 'fixtures', 'tasks.ts'),
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    sourcemap: 'inline',
    logLevel: 'error',
  });
  return { entry: join(folder, 'entry.mjs'), tasks: pathToFileURL(join(folder, 'tasks.mjs')) };
}

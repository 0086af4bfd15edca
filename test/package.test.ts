import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'tsup';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { folders } from '../architecture.config.js';
import { manifest, subpaths } from '../scripts/subpaths.mjs';
import buildConfig from '../tsup.config.js';

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const drivers = Object.values(folders).flatMap(({ drivers = {} }) => Object.values(drivers).flat());
const required = Object.keys(manifest.dependencies);
const optional = Object.keys(manifest.peerDependencies ?? {});

/** A directory in which the package is installed as a user would get it, built from the sources of this moment. */
let home: string;
/** The files in the packed package. */
let packed: string[];
/** Of which sources each built file was made. */
interface Bundled {
  readonly outputs: Readonly<Record<string, { readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>> }>>;
}
const bundled: Partial<Record<'esm' | 'cjs', Bundled>> = {};

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'punctual-package-'));
  const workshop = join(home, 'workshop');
  if (typeof buildConfig === 'function' || Array.isArray(buildConfig)) throw new Error('Expected one build.');
  // The types take the bundler long; `npm run check:package` looks at them in the full build.
  const outDir = join(workshop, 'dist');
  await build({ ...buildConfig, config: false, dts: false, clean: false, silent: true, metafile: true, outDir });
  for (const format of ['esm', 'cjs'] as const) {
    const report = join(outDir, `metafile-${format}.json`);
    bundled[format] = JSON.parse(await readFile(report, 'utf8')) as Bundled;
    await rm(report);
  }
  for (const file of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']) {
    if (existsSync(join(root, file))) await cp(join(root, file), join(workshop, file));
  }
  for (const decoy of ['src/index.ts', 'test/index.test.ts', '.ci/run', 'tsconfig.json']) {
    await mkdir(dirname(join(workshop, decoy)), { recursive: true });
    await writeFile(join(workshop, decoy), '');
  }

  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', home], {
    cwd: workshop,
  });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  packed = files.map(({ path }) => path);

  const modules = join(home, 'node_modules');
  await mkdir(join(modules, manifest.name), { recursive: true });
  await run('tar', ['-xzf', join(home, filename), '--strip-components=1', '-C', join(modules, manifest.name)]);
  for (const name of required) await symlink(join(root, 'node_modules', name), join(modules, name), 'junction');
}, 120_000);

afterAll(() => rm(home, { recursive: true, force: true }));

/** Runs a program beside the installed package and reads the JSON it prints. */
async function ask(kind: 'module' | 'commonjs', program: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, [`--input-type=${kind}`, '--eval', program], { cwd: home });
  return JSON.parse(stdout);
}

/** What a built file imports, and what the files it imports import, up to the packages. */
async function packagesOf(file: string, seen = new Set<string>()): Promise<Set<string>> {
  const found = new Set<string>();
  if (seen.has(file)) return found;
  seen.add(file);
  const text = await readFile(join(home, 'node_modules', manifest.name, file), 'utf8');
  for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
    if (fileName.startsWith('.')) {
      for (const name of await packagesOf(posix.join(posix.dirname(file), fileName), seen)) found.add(name);
    } else if (!fileName.startsWith('node:')) {
      found.add(fileName.split('/', fileName.startsWith('@') ? 2 : 1).join('/'));
    }
  }
  return found;
}

describe('the table of subpaths', () => {
  it.each(subpaths)('spells $name as it is built', ({ output, conditions }) => {
    expect(conditions).toEqual({
      import: { types: `./dist/${output}.d.ts`, default: `./dist/${output}.js` },
      require: { types: `./dist/${output}.d.cts`, default: `./dist/${output}.cjs` },
    });
    // The first condition that fits wins, so the types come first.
    expect(Object.keys(conditions.import)[0]).toBe('types');
    expect(Object.keys(conditions.require)[0]).toBe('types');
  });

  it('is what TypeScript resolves in tests and examples', () => {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
      config: { compilerOptions: { paths: Record<string, string[]> } };
    };
    expect(config.compilerOptions.paths).toEqual(
      Object.fromEntries(subpaths.map(({ name, source }) => [name, [`./${source}`]])),
    );
  });
});

describe('the packed package', () => {
  it('holds the built files and the pages about it, and nothing else', () => {
    for (const { output } of subpaths)
      expect(packed).toEqual(expect.arrayContaining([`dist/${output}.js`, `dist/${output}.cjs`]));
    const pages = packed.filter((path) => !path.startsWith('dist/'));
    expect(pages.sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']);
  });

  it('has no source maps, and stack traces that can be read without', async () => {
    expect(packed.filter((path) => path.endsWith('.map'))).toEqual([]);
    const code = packed.filter((path) => /\.c?js$/.test(path));
    const texts = await Promise.all(code.map((path) => readFile(join(home, 'node_modules', manifest.name, path), 'utf8')));
    expect(code.filter((_, i) => texts[i]!.includes('sourceMappingURL'))).toEqual([]);
    const program = `let stack; try { new IntervalTrigger({ minute: 5 }) } catch (error) { stack = error.stack } console.log(JSON.stringify(stack));`;
    for (const load of [ask('module', `import { IntervalTrigger } from '${manifest.name}'; ${program}`), ask('commonjs', `const { IntervalTrigger } = require('${manifest.name}'); ${program}`)]) {
      expect(await load).toMatch(/at (?:Object\.)?refuseUnknownKeys .*at new IntervalTrigger /s);
    }
  });

  it.each(subpaths)('loads $name by import and by require, with the same names', async ({ name }) => {
    const imported = await ask(
      'module',
      `import * as all from '${name}'; console.log(JSON.stringify(Object.keys(all)))`,
    );
    const demanded = await ask('commonjs', `console.log(JSON.stringify(Object.keys(require('${name}'))))`);
    expect(imported).not.toEqual([]);
    expect([...(demanded as string[])].sort()).toEqual([...(imported as string[])].sort());
  });

  it('leaves its own manifest readable', async () => {
    expect(await ask('commonjs', `console.log(JSON.stringify(require('${manifest.name}/package.json').name))`)).toBe(
      manifest.name,
    );
  });

  it.each(['module', 'commonjs'] as const)('starts threads and child processes (%s)', async (kind) => {
    const task = join(home, `task-${kind}.${kind === 'module' ? 'mjs' : 'cjs'}`);
    await writeFile(task, kind === 'module' ? 'export const twice = (n) => n * 2;' : 'exports.twice = (n) => n * 2;');
    const names = ['punctual', 'punctual/workers'].map((name) => (kind === 'module' ? `import('${name}')` : `require('${name}')`));
    const program = `
      Promise.all([${names.join(', ')}]).then(async ([{ AsyncScheduler }, { WorkerThreadExecutor, ChildProcessExecutor }]) => {
        const executors = { threads: new WorkerThreadExecutor(), children: new ChildProcessExecutor() };
        const scheduler = new AsyncScheduler({ executors, keepAlive: false });
        scheduler.defineTask('twice', { module: ${JSON.stringify(task)}, export: 'twice' });
        await scheduler.start();
        const results = [];
        for (const executor of ['default', 'threads', 'children']) {
          const job = await scheduler.addJob('twice', '@yearly', { args: [21], executor });
          results.push(await (await job.run()).result());
        }
        console.log(JSON.stringify(results));
        // Not shut down: workers with nothing to do must not keep the process.
      });`;
    expect(await ask(kind, program)).toEqual([42, 42, 42]);
  });

  it.each(['module', 'commonjs'] as const)('keeps the names of classes (%s)', async (kind) => {
    const program = `
      const subpaths = ${JSON.stringify(subpaths.map(({ name }) => name))};
      Promise.all(subpaths.map((name) => ${kind === 'module' ? 'import(name)' : 'require(name)'})).then((all) => {
        const classes = all.flatMap((names) => Object.entries(names)).filter(([, value]) => /^class\\b/.test(String(value)));
        console.log(JSON.stringify(classes.map(([key, value]) => [key, value.name])));
      });`;
    const classes = (await ask(kind, program)) as [string, string][];
    expect(classes.length).toBeGreaterThan(0);
    expect(classes.filter(([key, name]) => key !== name)).toEqual([]);
  });

  it.each(['esm', 'cjs'] as const)('holds each source once, so that subpaths share classes and state (%s)', (format) => {
    const sources = Object.values(bundled[format]!.outputs).flatMap(({ inputs }) => Object.entries(inputs).flatMap(([source, { bytesInOutput }]) => (bytesInOutput > 0 ? [source] : [])));
    expect(sources).toContain('src/async-scheduler.ts');
    expect(sources.filter((source, index) => sources.indexOf(source) !== index)).toEqual([]);
  });

  it.each(['.js', '.cjs'])('imports no driver at its root (%s)', async (ending) => {
    const packages = await packagesOf(`dist/index${ending}`);
    expect(packages.size).toBeGreaterThan(0);
    expect([...packages].filter((name) => !required.includes(name))).toEqual([]);
    expect([...packages].filter((name) => drivers.includes(name))).toEqual([]);
  });

  it.each(subpaths)('declares every package that $name imports', async ({ output }) => {
    const packages = await packagesOf(`dist/${output}.js`);
    expect([...packages].filter((name) => !required.includes(name) && !optional.includes(name))).toEqual([]);
  });
});

describe('the pages in the package', () => {
  it('link to nothing that is not in it', async () => {
    // As the repository has them: all but what is built.
    const { stdout } = await run('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], { cwd: root });
    const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    const pages = paths.filter((path) => path.endsWith('.md'));
    expect(pages).toEqual(expect.arrayContaining(['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'docs/guarantees.md']));
    const dead: string[] = [];
    for (const page of pages) {
      for (const [, link = ''] of (await readFile(join(root, page), 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:|^#/i.test(link)) continue;
        const target = posix.normalize(posix.join(posix.dirname(page), link.replace(/#.*/, '')));
        if (!paths.some((path) => path === target || path.startsWith(`${target}/`))) dead.push(`${page} -> ${link}`);
      }
    }
    expect(dead).toEqual([]);
  });
});

describe('the drivers', () => {
  it('are optional peers, never dependencies', () => {
    expect(required.filter((name) => drivers.includes(name))).toEqual([]);
    const notOptional = optional.filter((name) => manifest.peerDependenciesMeta?.[name]?.optional !== true);
    expect(notOptional).toEqual([]);
  });
});

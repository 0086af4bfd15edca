import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Linter } from 'eslint';
import ts from 'typescript';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';
import { folders, maxLines } from '../architecture.config.js';
import { architecture } from '../scripts/architecture-rules.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .map((path) => `src/${path.replaceAll('\\', '/')}`)
  .filter((path) => path.endsWith('.ts'))
  .sort();
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const linter = new Linter({ cwd: root });
const config: Linter.Config[] = [{ files: ['**/*.ts'], languageOptions: { parser: tseslint.parser } }, ...architecture];

/** The table's verdict on a file, real or made up. Comments cannot switch it off. */
function violations(file: string, text: string): string[] {
  return linter
    .verify(text, config, { filename: join(root, file), allowInlineConfig: false })
    .map(({ line, message }) => `${file}:${line} ${message}`);
}

/** What is left of a file of types when it is compiled. */
function runtimeStatements(text: string): string[] {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
  });
  const compiled = ts.createSourceFile('port.js', outputText, ts.ScriptTarget.ES2022);
  return compiled.statements
    .map((statement) => statement.getText(compiled))
    .filter((statement) => statement !== 'export {};');
}

/** The files of src that a file loads when it is loaded. */
function loads(file: string, text: string): string[] {
  return ts
    .createSourceFile(file, text, ts.ScriptTarget.ES2022)
    .statements.flatMap((statement) => {
      if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return [];
      const typeOnly = ts.isImportDeclaration(statement)
        ? statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
        : statement.isTypeOnly;
      const specifier = statement.moduleSpecifier;
      if (typeOnly || specifier === undefined || !ts.isStringLiteral(specifier)) return [];
      return specifier.text.startsWith('.') ? [specifier.text] : [];
    })
    .map((specifier) => posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts'));
}

/** A circle of files that load each other, if there is one. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next, [...trail, file]);
      if (cycle) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return undefined;
}

describe('the sources', () => {
  it('keep to the table of architecture.config.js', { timeout: 300_000 }, () => {
    expect(files.length).toBeGreaterThan(0);
    expect(files.flatMap((file) => violations(file, read(file)))).toEqual([]);
  });

  it('have ports that compile to nothing', () => {
    const ports = files.filter((file) => file.startsWith('src/ports/'));
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.flatMap((file) => runtimeStatements(read(file)).map((statement) => `${file}: ${statement}`))).toEqual(
      [],
    );
  });

  it('load each other without circles', () => {
    expect(findCycle(new Map(files.map((file) => [file, loads(file, read(file))])))).toBeUndefined();
  });

  it(`have no file over ${maxLines} lines`, () => {
    const lengths = files.map((file) => ({ file, lines: read(file).trimEnd().split('\n').length }));
    expect(lengths.filter(({ lines }) => lines > maxLines)).toEqual([]);
  });
});

describe('the table', () => {
  it('names only folders that it describes', () => {
    const named = Object.values(folders).flatMap(({ imports, types = [] }) => [...imports, ...types]);
    expect(named.filter((folder) => !(folder in folders))).toEqual([]);
  });
});

// A rule that cannot fail proves nothing: each of these must be caught, and its harmless neighbour must not.
describe('the rules', () => {
  const forbidden: [file: string, text: string, message: RegExp][] = [
    ['src/ports/clock.ts', `import { wakeAt } from '../model/job.js';`, /only types from src\/model/],
    ['src/ports/clock.ts', `import { type Job } from '../model/job.js';`, /only types from src\/model/],
    ['src/ports/clock.ts', `import type { decide } from '../core/decide.js';`, /may not import src\/core/],
    ['src/model/job.ts', `import { PunctualError } from '../errors/base.js';`, /only types from src\/errors/],
    ['src/model/job.ts', `import { readFile } from 'node:fs/promises';`, /Node's modules/],
    ['src/core/decide.ts', `import type { Loop } from '../scheduler/loop.js';`, /may not import src\/scheduler/],
    ['src/core/decide.ts', `import { DateTime } from 'luxon';`, /package 'luxon'/],
    ['src/core/decide.ts', `import { createHash } from 'node:crypto';`, /Node's modules/],
    ['src/core/decide.ts', `export async function decide() {}`, /decides and never waits/],
    ['src/core/decide.ts', `export const decide = (): Promise<void> => later;`, /decides and never waits/],
    ['src/core/decide.ts', `export const decide = (at: Date): number => 0;`, /epoch milliseconds/],
    ['src/core/decide.ts', `export const at = new Date(0);`, /epoch milliseconds/],
    ['src/core/decide.ts', `export const luck = Math.random();`, /chance/],
    ['src/core/decide.ts', `export const at = Date.now();`, /Clock port/],
    ['src/core/decide.ts', `const lazy = () => import('../scheduler/loop.js');`, /may not import src\/scheduler/],
    [
      'src/scheduler/loop.ts',
      `import { MemoryJobStore } from '../stores/memory/index.js';`,
      /may not import src\/stores/,
    ],
    ['src/scheduler/loop.ts', `import { EventEmitter } from 'eventemitter3';`, /package 'eventemitter3'/],
    ['src/scheduler/loop.ts', `setTimeout(tick, 10);`, /Clock port/],
    ['src/scheduler/loop.ts', `globalThis.setInterval(tick, 10);`, /Clock port/],
    ['src/scheduler/loop.ts', `const at = new Date();`, /Clock port/],
    ['src/scheduler/loop.ts', `const at = performance.now();`, /Clock port/],
    ['src/scheduler/loop.ts', `import { setTimeout } from 'node:timers/promises';`, /Clock port/],
    ['src/scheduler/loop.ts', `const signal = AbortSignal.timeout(5);`, /Clock port/],
    ['src/scheduler/loop.ts', `import { AsyncScheduler } from '../index.js';`, /Nothing imports src\/index\.ts/],
    ['src/scheduler/loop.ts', `import { decide } from '../core/decide';`, /ending \.js/],
    ['src/scheduler/loop.ts', `import { version } from '../../package.json.js';`, /leaves src/],
    ['src/triggers/cron/engine.ts', `import { decide } from '../../core/decide.js';`, /may not import src\/core/],
    ['src/triggers/cron/engine.ts', `const now = DateTime.utc();`, /Clock port/],
    ['src/stores/redis/index.ts', `import { Table } from '../postgres/table.js';`, /stand alone/],
    ['src/stores/store-guard.ts', `import { Table } from './postgres/table.js';`, /stand alone/],
    ['src/stores/postgres/store.ts', `import { Pool } from 'pg';`, /optional/],
    ['src/stores/postgres/store.ts', `import type { Pool } from 'pg';`, /optional/],
    ['src/stores/postgres/store.ts', `const redis = await import('ioredis');`, /package 'ioredis'/],
    [
      'src/stores/memory/store.ts',
      `import type { Loop } from '../../scheduler/loop.js';`,
      /may not import src\/scheduler/,
    ],
    [
      'src/executors/inline/executor.ts',
      `import { s } from '../../stores/memory/store.js';`,
      /may not import src\/stores/,
    ],
    ['src/testing/contracts/store.ts', `import { it } from 'vitest';`, /test runner|package 'vitest'/],
    ['src/testing/index.ts', `export const answer = 42;`, /only re-exports/],
    ['src/scheduler/loop.ts', `import { AsyncScheduler } from '../async-scheduler.js';`, /knows every part/],
    ['src/async-scheduler.ts', `import { DateTime } from 'luxon';`, /puts our own parts together/],
    ['src/index.ts', `console.log('hello');`, /only re-exports/],
    ['src/index.ts', `export const answer = 42;`, /only re-exports/],
    ['src/index.ts', `export { DateTime } from 'luxon';`, /our own parts/],
    ['src/novelty/thing.ts', `import { x } from '../errors/base.js';`, /not in architecture\.config\.js/],
    ['src/core/decide.ts', `// eslint-disable-next-line\nexport const luck = Math.random();`, /chance/],
  ];
  it.each(forbidden)('catch in %s: %s', (file, text, message) => {
    expect(violations(file, text).join('\n')).toMatch(message);
  });

  const allowed: [file: string, text: string][] = [
    [
      'src/ports/clock.ts',
      `import type { EpochMs } from '../model/job.js';\nexport interface Clock { now(): EpochMs }`,
    ],
    ['src/core/decide.ts', `import { wakeAt } from '../model/job.js';\nexport const decide = wakeAt;`],
    ['src/scheduler/loop.ts', `import { randomUUID } from 'node:crypto';\nthis.clock.setTimer(5, tick);`],
    ['src/scheduler/loop.ts', `export const face = new Date(this.clock.now());`],
    ['src/triggers/cron/engine.ts', `import { DateTime } from 'luxon';\nconst at = DateTime.utc(2030, 1, 1);`],
    [
      'src/stores/redis/store.ts',
      `import { guard } from '../store-guard.js';\nimport { page } from '../shared/page.js';`,
    ],
    ['src/stores/postgres/store.ts', `const { Pool } = await import('pg');`],
    [
      'src/async-scheduler.ts',
      `import { hostname } from 'node:os';\nimport { SystemClock } from './clocks/system.js';\nexport const clock = new SystemClock();`,
    ],
    ['src/testing/manual-scheduler.ts', `import { AsyncScheduler } from '../async-scheduler.js';`],
    ['src/clocks/system.ts', `setTimeout(() => performance.now() + Date.now(), 10);`],
    [
      'src/index.ts',
      `export { AsyncScheduler } from './scheduler/async-scheduler.js';\nexport type * from './ports/clock.js';`,
    ],
  ];
  it.each(allowed)('allow in %s: %s', (file, text) => {
    expect(violations(file, text)).toEqual([]);
  });

  it('see what a port leaves behind at runtime', () => {
    expect(runtimeStatements('export interface Clock { now(): number }')).toEqual([]);
    expect(runtimeStatements(`import type { A } from './a.js';\nexport type B = A;`)).toEqual([]);
    expect(runtimeStatements('export const never = 0;')).toHaveLength(1);
    expect(runtimeStatements(`import { type A } from './a.js';\nexport type B = A;`)).toHaveLength(1);
    expect(runtimeStatements('export enum State { on }')).not.toEqual([]);
  });

  it('see a circle', () => {
    const texts = {
      'src/core/a.ts': `import { b } from './b.js';`,
      'src/core/b.ts': `export * from '../core/c.js';`,
      'src/core/c.ts': `import { a } from './a.js';`,
    };
    const graph = new Map(Object.entries(texts).map(([file, text]) => [file, loads(file, text)]));
    expect(findCycle(graph)).toEqual(['src/core/a.ts', 'src/core/b.ts', 'src/core/c.ts', 'src/core/a.ts']);
    graph.set('src/core/c.ts', loads('src/core/c.ts', `import type { A } from './a.js';`));
    expect(findCycle(graph)).toBeUndefined();
  });
});

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as punctual from 'punctual';
import * as nats from 'punctual/nats';
import * as postgres from 'punctual/postgres';
import * as redis from 'punctual/redis';
import * as sqlite from 'punctual/sqlite';
import { describe, expect, it } from 'vitest';
import { EVENT_MASKS } from '../src/events/masks.js';
import { BUILT_IN_POLICY, POLICY_OPTIONS } from '../src/scheduler/policy.js';
import { manifest } from '../scripts/subpaths.mjs';
import { executorLimits } from '../src/executors/remote/options.js';
import { readSettings as readNatsSettings } from '../src/stores/nats/options.js';
import { readSettings as readPostgresSettings } from '../src/stores/postgres/options.js';
import { readSettings as readRedisSettings } from '../src/stores/redis/options.js';
import { readSettings } from '../src/stores/sqlite/options.js';
import { readSnippets, runSnippet, typeErrors, type Snippet } from './support/snippets.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const markdown = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...listMarkdown('docs')];

function listMarkdown(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return path === 'docs/api' ? [] : listMarkdown(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** The rows of the table of a document whose first title is `first`, cell by cell. */
function table(file: string, first: string): string[][] {
  const lines = read(file).split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${first} |`));
  expect(start, `a table in ${file} that begins with ${first}`).toBeGreaterThan(-1);
  const rows: string[][] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith('|')) break;
    rows.push(
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

const names = (cell: string): string[] => [...cell.matchAll(/`([\w.]+)`/g)].map(([, name]) => name!);

describe('the code in the documents', () => {
  const snippets = markdown.flatMap((file) => readSnippets(file, read(file)));

  it('is there', () => {
    const documents = ['README.md', 'CONTRIBUTING.md', ...['easy-to-get-wrong', 'events', 'executors', 'jobs', 'nodes', 'stores', 'triggers'].map((guide) => `docs/${guide}.md`)];
    expect([...new Set(snippets.map(({ title }) => title.split(':')[0]))]).toEqual(documents);
    expect(snippets.filter(({ title }) => title.startsWith('README.md')).length).toBeGreaterThanOrEqual(10);
  });

  it('compiles as strictly as the sources', { timeout: 120_000 }, () => {
    expect(typeErrors(snippets)).toEqual([]);
  });

  it('compiles with the tsconfig.json that the README shows', { timeout: 120_000 }, () => {
    const [, block] = /```json\n([^]*?)\n```/.exec(read('README.md'))!;
    const { compilerOptions } = JSON.parse(block!) as { compilerOptions: Record<string, unknown> };
    expect(typeErrors(snippets.filter(({ title }) => title.startsWith('README.md')), compilerOptions)).toEqual([]);
  });

  describe.concurrent('does what it says', () => {
    it.each(snippets.map((snippet) => [snippet.title, snippet] as const))(
      '%s',
      { timeout: 60_000 },
      async (_title, snippet) => {
        expect(await runSnippet(snippet)).toBeNull();
      },
    );
  });
});

describe('the test of the snippets', () => {
  const snippet = (...lines: string[]): Snippet =>
    readSnippets('made up', ['# One', '```ts', ...lines, '```'].join('\n'))[0]!;

  it('finds the blocks of a section, and only those in TypeScript', () => {
    const text = [
      '# A',
      '```ts',
      'a();',
      '```',
      'text',
      '```sh',
      'ls',
      '```',
      '```ts',
      'b();',
      '// → out',
      '```',
      '## B',
      '```ts',
      'c();',
      '```',
    ];
    expect(readSnippets('x', text.join('\n'))).toEqual([
      { title: 'x: A', code: 'a();\nb();\n// → out', output: ['out'] },
      { title: 'x: B', code: 'c();', output: [] },
    ]);
  });

  it('fails on a type error', { timeout: 120_000 }, () => {
    const wrong = snippet("import { AsyncScheduler } from 'punctual';", 'new AsyncScheduler({ timezone: 5 });');
    expect(typeErrors([wrong])).toEqual([expect.stringContaining("Type 'number' is not assignable to type 'string'")]);
  });

  it.concurrent('fails on another output, an error, and a program that does not end', { timeout: 60_000 }, async () => {
    const [output, error, endless] = await Promise.all([
      runSnippet(snippet("console.log('one');", '// → two')),
      runSnippet(snippet("throw new Error('no');")),
      runSnippet(
        snippet(
          "console.log('x');",
          'setInterval(() => undefined, 1000);',
          "process.on('SIGINT', () => undefined);",
          '// → x',
        ),
        6_000,
      ),
    ]);
    expect(output).toContain('promised\ntwo\nbut printed\none');
    expect(error).toContain('exit code 1');
    expect(endless).toContain('SIGKILL');
  });
});

describe('the tables of the documents', () => {
  it('have every policy option, with its default', () => {
    const inMs: Record<string, string> = {
      misfireGraceTime: 'misfireGraceMs',
      jitter: 'jitterMs',
      timeout: 'timeoutMs',
      resultTtl: 'resultTtlMs',
    };
    const rows = table('README.md', 'option');
    expect(rows.map(([option]) => names(option!)[0])).toEqual(POLICY_OPTIONS);
    for (const [option, , fallback] of rows) {
      const name = names(option!)[0]!;
      const known = (BUILT_IN_POLICY as unknown as Record<string, unknown>)[inMs[name] ?? name];
      expect(fallback, name).toBe(`\`${typeof known === 'string' ? `'${known}'` : String(known)}\``);
    }
  });

  it('have every option of the scheduler, with its default', async () => {
    const [body] = /export interface SchedulerOptions<[^]*?^}/m.exec(read('src/scheduler/options.ts'))!;
    const rows = table('docs/jobs.md', 'scheduler option');
    expect(rows.map(([option]) => names(option!)[0])).toEqual([...body.matchAll(/^ {2}readonly (\w+)\?/gm)].map(([, name]) => name!));

    class Defaults extends punctual.AsyncScheduler {
      get known(): Record<string, unknown> {
        const { maxResultSize, leaseMs, heartbeatMs, blockedAfterMs, batchSize, maxSleepMs, storeTimeoutMs, keepAlive, onError, ha, signals } = this.options;
        const inMs = { leaseDuration: leaseMs, heartbeatInterval: heartbeatMs, blockedAfter: blockedAfterMs, maxSleep: maxSleepMs, storeTimeout: storeTimeoutMs };
        return { maxResultSize, batchSize, keepAlive, onError, ha: `{ mode: '${ha.mode}' }`, signals: signals.length > 0, ...inMs };
      }
    }
    await using scheduler = new Defaults();
    const inTable = Object.fromEntries(rows.map(([option, , fallback]) => [names(option!)[0], fallback]));
    expect(inTable).toMatchObject(Object.fromEntries(Object.entries(scheduler.known).map(([name, known]) => [name, `\`${String(known)}\``])));
  });

  it('have all that a task knows of its run', () => {
    const [body] = /export interface RunContext [^]*?^}/m.exec(read('src/ports/executor.ts'))!;
    const listed = table('docs/jobs.md', 'of the run').flatMap(([fields]) => names(fields!));
    expect(listed.sort()).toEqual([...body.matchAll(/^ {2}readonly (\w+)/gm)].map(([, name]) => name!).sort());
  });

  it('have every field of a job', () => {
    const [body] = /export class Job<[^]*?^}/m.exec(read('src/scheduler/job.ts'))!;
    const fields = [...body.matchAll(/^ {2}(?:readonly|get) (\w+)/gm)].map(([, name]) => name!);
    const listed = table('docs/jobs.md', 'of the job').flatMap(([cell]) => names(cell!));
    expect(listed.sort()).toEqual(fields.sort());
  });

  it('have every option of the SQLite store, with its default', () => {
    const source = read('src/stores/sqlite/options.ts');
    const [body] = /export interface SQLiteJobStoreOptions [^]*?^}/m.exec(source)!;
    const inner = [...body.matchAll(/^ {8}readonly (\w+)\?/gm)].map(([, name]) => `ledger.${name!}`);
    const outer = [...body.matchAll(/^ {2}readonly (\w+)\?/gm)].map(([, name]) => name!);
    const options = outer.flatMap((name) => (name === 'ledger' ? inner : [name]));
    const rows = table('docs/stores.md', 'store option');
    expect(rows.map(([option]) => names(option!)[0])).toEqual(options);

    const { synchronous, busyTimeoutMs, perJob, maxAgeMs, prefix, pollMs } = readSettings('jobs.db');
    const defaults = [synchronous, busyTimeoutMs, perJob, maxAgeMs, prefix, pollMs];
    const texts = defaults.map((known) => `\`${typeof known === 'string' ? `'${known}'` : String(known)}\``);
    expect(rows.map(([, , fallback]) => fallback)).toEqual(['', '', ...texts]);
  });

  it('have every option of the PostgreSQL store, with its default', () => {
    const [body] = /export interface PostgresJobStoreOptions [^]*?^}/m.exec(read('src/stores/postgres/options.ts'))!;
    const inner = [...body.matchAll(/^ {8}readonly (\w+)\?/gm)].map(([, name]) => `ledger.${name!}`);
    const outer = [...body.matchAll(/^ {2}readonly (\w+)\?/gm)].map(([, name]) => name!);
    const rows = table('docs/stores.md', 'PostgreSQL option');
    expect(rows.flatMap(([option]) => names(option!))).toEqual(outer.flatMap((name) => (name === 'ledger' ? inner : [name])));

    const { source, schema, timeoutMs, listen, perJob, maxAgeMs } = readPostgresSettings({});
    const { max, application_name: name } = 'config' in source ? source.config : {};
    const texts = [max, name, schema, timeoutMs, listen, perJob, maxAgeMs].map((known) => `\`${typeof known === 'string' ? `'${known}'` : String(known)}\``);
    expect(rows.map(([, , fallback]) => fallback)).toEqual(['', '', '', ...texts]);
  });

  it('have every option of the Redis store, with its default', () => {
    const [body] = /export interface RedisJobStoreOptions [^]*?^}/m.exec(read('src/stores/redis/options.ts'))!;
    const inner = [...body.matchAll(/^ {8}readonly (\w+)\?/gm)].map(([, name]) => `ledger.${name!}`);
    const outer = [...body.matchAll(/^ {2}readonly (\w+)\?/gm)].map(([, name]) => name!);
    const rows = table('docs/stores.md', 'Redis option');
    expect(rows.flatMap(([option]) => names(option!))).toEqual(outer.flatMap((name) => (name === 'ledger' ? inner : [name])));

    const { source, prefix, timeoutMs, listen, perJob, maxAgeMs } = readRedisSettings({});
    const texts = ['place' in source ? source.place.connectionName : '', prefix, timeoutMs, listen, perJob, maxAgeMs].map((known) => `\`${typeof known === 'string' ? `'${known}'` : String(known)}\``);
    expect(rows.map(([, , fallback]) => fallback)).toEqual(['', '', '', ...texts]);
  });

  it('have every reason of the Redis store', () => {
    const [union] = /export type RedisProblem =[^]*?;/.exec(read('src/stores/redis/errors.ts'))!;
    const reasons = [...union.matchAll(/\| '([\w-]+)'/g)].map(([, reason]) => reason!);
    const [sentence] = /throws a `RedisStoreError`[^]*?with a `reason`: [^.]*/.exec(read('docs/stores.md'))!;
    const listed = sentence.slice(sentence.indexOf('with a `reason`'));
    expect([...listed.matchAll(/`([a-z-]+)`/g)].map(([, reason]) => reason!).slice(1)).toEqual(reasons);
  });

  it('have every reason of the PostgreSQL store', () => {
    const [union] = /export type PostgresProblem =[^]*?;/.exec(read('src/stores/postgres/errors.ts'))!;
    const reasons = [...union.matchAll(/\| '([\w-]+)'/g)].map(([, reason]) => reason!);
    const [sentence] = /with a `reason`: [^.]*/.exec(read('docs/stores.md'))!;
    expect([...sentence.matchAll(/`([a-z-]+)`/g)].map(([, reason]) => reason!).slice(1)).toEqual(reasons);
  });

  it('have every option of the NATS store, with its default', () => {
    const [body] = /export interface NatsJobStoreOptions [^]*?^}/m.exec(read('src/stores/nats/options.ts'))!;
    const inner = [...body.matchAll(/^ {8}readonly (\w+)\?/gm)].map(([, name]) => `ledger.${name!}`);
    const [server] = /export interface NatsServerOptions[^]*?^}/m.exec(read('src/nats/server-options.ts'))!;
    const outer = [server, body].flatMap((options) => [...options.matchAll(/^ {2}readonly (\w+)\?/gm)].map(([, name]) => name!));
    const rows = table('docs/stores.md', 'NATS option');
    expect(rows.flatMap(([option]) => names(option!))).toEqual(outer.flatMap((name) => (name === 'ledger' ? inner : [name])));

    const { source, bucket, replicas, timeoutMs, perJob, maxAgeMs } = readNatsSettings({});
    const { name } = 'config' in source ? source.config : {};
    const [nameText, bucketText, ...texts] = [name, bucket, replicas, timeoutMs, perJob, maxAgeMs].map((known) => `\`${typeof known === 'string' ? `'${known}'` : String(known)}\``);
    expect(rows.map(([, , fallback]) => fallback).filter((text) => text !== '')).toEqual([nameText, bucketText, ...texts]);
  });

  it('have every reason of the NATS store', () => {
    const [union] = /export type NatsProblem =[^]*?;/.exec(read('src/stores/nats/errors.ts'))!;
    const reasons = [...union.matchAll(/\| '([\w-]+)'/g)].map(([, reason]) => reason!);
    const [sentence] = /Its `reason` is one of these: [^.]*/.exec(read('docs/stores.md'))!;
    expect([...sentence.matchAll(/`([a-z-]+)`/g)].map(([, reason]) => reason!).slice(1)).toEqual(reasons);
  });

  it('have every setting of `synchronous`', () => {
    const settings = table('docs/stores.md', 'with `synchronous`').flatMap(([setting]) =>
      [...setting!.matchAll(/'(\w+)'/g)].map(([, name]) => name!),
    );
    expect(settings.sort()).toEqual(['EXTRA', 'FULL', 'NORMAL', 'OFF']);
    for (const synchronous of settings)
      expect(() => readSettings({ path: 'x', synchronous: synchronous as 'FULL' })).not.toThrow();
  });

  it('have every reason of the SQLite store', () => {
    const [union] = /export type SQLiteProblem =[^]*?;/.exec(read('src/stores/sqlite/errors.ts'))!;
    const reasons = [...union.matchAll(/\| '([\w-]+)'/g)].map(([, reason]) => reason!);
    const [sentence] = /whose `reason` is one of [^.]*/.exec(read('docs/stores.md'))!;
    expect([...sentence.matchAll(/`([a-z-]+)`/g)].map(([, reason]) => reason!).slice(1)).toEqual(reasons);
  });

  it('have every event', () => {
    expect(
      table('docs/events.md', 'event')
        .flatMap(([types]) => names(types!))
        .sort(),
    ).toEqual(Object.keys(EVENT_MASKS).sort());
  });

  it('have every error by its code and class', () => {
    const codes = [...read('src/errors/base.ts').matchAll(/^ {2}\| '(\w+)'/gm)].map(([, code]) => code!);
    expect(codes.length).toBeGreaterThan(15);
    const rows = table('docs/events.md', 'code');
    expect(rows.map(([code]) => names(code!)[0]).sort()).toEqual(codes.sort());
    const classes = [...Object.keys(punctual), ...Object.keys(sqlite), ...Object.keys(postgres), ...Object.keys(redis), ...Object.keys(nats)].filter(
      (name) => name.endsWith('Error') && name !== 'PunctualError',
    );
    const inTable = rows.flatMap(([, name]) => names(name!));
    expect(inTable.filter((name) => !classes.includes(name))).toEqual([]);
  });

  it('have every trigger', () => {
    const triggers = Object.keys(punctual).filter((name) => name.endsWith('Trigger'));
    const rows = table('README.md', 'trigger').flatMap(([name]) => names(name!));
    expect(triggers.filter((name) => !rows.includes(name))).toEqual([]);
    expect(rows.filter((name) => !(name in punctual))).toEqual([]);
  });

  it('have every option of the executors with workers', () => {
    const [body] = /export interface WorkerOptions [^]*?^}/m.exec(read('src/executors/workers/options.ts'))!;
    const options = [...body.matchAll(/^ {2}readonly (\w+)\?/gm)].map(([, name]) => name!);
    expect(table('docs/executors.md', 'worker option').map(([option]) => names(option!)[0])).toEqual(options);
  });

  it('have every option of the executors that hand runs to a broker, and of their workers', () => {
    const optionsOf = (file: string, name: string): string[] => {
      const [body] = new RegExp(`export interface ${name}\\b[^]*?^}`, 'm').exec(read(file))!;
      return [...body.matchAll(/^ {2}readonly (\w+)\?/gm)].map(([, option]) => option!);
    };
    const options = (first: string): string[] => table('docs/executors.md', first).map(([option]) => names(option!)[0]!);
    const shared = 'src/executors/remote/options.ts';
    const amqp = 'src/executors/amqp/options.ts';
    expect(options('broker option')).toEqual(optionsOf(shared, 'BrokerExecutorOptions'));
    expect(options('worker-side option')).toEqual(['tasks', ...optionsOf(shared, 'BrokerWorkerOptions')]);
    expect(options('RabbitMQ option')).toEqual([...optionsOf(amqp, 'AmqpPlace'), ...optionsOf(amqp, 'AmqpExecutorOptions'), ...optionsOf(amqp, 'AmqpWorkerOptions')]);
    const nats = 'src/executors/nats/options.ts';
    expect(table('docs/executors.md', 'NATS executor option').flatMap(([option]) => names(option!))).toEqual([...optionsOf('src/nats/server-options.ts', 'NatsServerOptions'), ...optionsOf(nats, 'NatsPlace'), ...optionsOf(nats, 'NatsWorkerOptions')]);
    const { awaitResult, concurrency, publishMs, cancelMs, timeoutMs } = executorLimits({});
    const defaults = table('docs/executors.md', 'broker option').map(([, , fallback]) => fallback);
    expect(defaults).toEqual([...[awaitResult, concurrency, publishMs, cancelMs, timeoutMs].map((known) => `\`${String(known)}\``), '`TaggedSerializer`']);
  });

  it('have the runtime dependencies, and no other', () => {
    const rows = table('README.md', 'package').map(([name]) => /^\[([\w-]+)\]/.exec(name!)?.[1]);
    expect(rows).toEqual(Object.keys(manifest.dependencies));
    const peers = table('README.md', 'optional peer').map(([name]) => /^\[([@/\w-]+)\]/.exec(name!)?.[1]);
    expect(peers).toEqual(Object.keys(manifest.peerDependencies ?? {}));
  });
});

describe('the notices', () => {
  it('have the licence of everything that is bundled, and are in the package', () => {
    const [, list] = /noExternal: \[([^\]]*)\]/.exec(read('tsup.config.ts'))!;
    const bundled = [...list!.matchAll(/'([^']+)'/g)].map(([, name]) => name!);
    expect(bundled).toContain('devalue');
    const notices = read('THIRD-PARTY-NOTICES.md');
    for (const name of bundled) {
      expect(notices).toContain(`## ${name}`);
      expect(notices).toContain(read(`node_modules/${name}/LICENSE`).trim());
    }
    expect((JSON.parse(read('package.json')) as { files: string[] }).files).toContain('THIRD-PARTY-NOTICES.md');
  });
});

describe('the links of the documents', () => {
  const withoutCode = (file: string): string => read(file).replace(/^```[^]*?^```/gm, '');

  /** What follows the `#` of a link to each heading, as GitHub makes it. */
  function anchors(file: string): string[] {
    const seen = new Map<string, number>();
    return [...withoutCode(file).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading]) => {
      const anchor = heading!
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-');
      const before = seen.get(anchor) ?? 0;
      seen.set(anchor, before + 1);
      return before === 0 ? anchor : `${anchor}-${before}`;
    });
  }

  /** The links of a text in this file that lead nowhere. */
  function deadLinks(file: string, text: string): string[] {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!);
    return links.filter((link) => {
      if (/^https?:/.test(link)) return false;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? file : join(dirname(file), path);
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchors(target).includes(anchor);
    });
  }

  it.each([...markdown, 'bench/RESULTS.md'])('%s leads somewhere', (file) => {
    expect(deadLinks(file, withoutCode(file))).toEqual([]);
  });

  it('are found where they lead nowhere', () => {
    const text = '[a](stores.md#redis) [b](stores.md#valkey) [c](shops.md) [d](#g5-maxinstances-holds-across-nodes) [e](#g5) [f](../README.md)';
    expect(deadLinks('docs/guarantees.md', text)).toEqual(['stores.md#valkey', 'shops.md', '#g5']);
  });

  it('lead from the README to every guide', () => {
    const guides = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
    expect(guides.filter((name) => !read('README.md').includes(`](docs/${name})`))).toEqual([]);
  });

  it('lead to every example', () => {
    const examples = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'));
    expect(examples.filter((name) => !read('README.md').includes(`](examples/${name})`))).toEqual([]);
  });

  it.each(markdown)('%s names files that exist', (file) => {
    const named = [...read(file).matchAll(/`((?:src|test|scripts|examples|docs)\/[\w./-]*\w)`/g)].map(
      ([, path]) => path!,
    );
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

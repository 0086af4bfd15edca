import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CronTrigger } from 'punctual';
import { describe, expect, it } from 'vitest';
import { readCrontab } from '../examples/demo/crontab.js';

const root = fileURLToPath(new URL('..', import.meta.url));

interface RealExpression {
  readonly expr: string;
  readonly repo: string;
  readonly file: string;
  readonly line?: number;
  readonly kind: string;
}

/** Runs the demo as a user would; `stopAt`: interrupts it when its output has this text. */
async function runDemo(options: { readonly stopAt?: string } = {}): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/demo/main.ts'], {
    cwd: root,
    env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let interrupted = false;
  const collect = (data: Buffer): void => {
    output += data.toString();
    if (options.stopAt === undefined || interrupted || !output.includes(options.stopAt)) return;
    interrupted = true;
    child.kill('SIGINT');
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, output };
}

describe('the crontab of the demo', () => {
  it('has every expression of the vectors, under its source', async () => {
    const real = readFileSync(new URL('vectors/realworld.jsonl', import.meta.url), 'utf8')
      .trim()
      .split('\n');
    const expected = real
      .map((line) => JSON.parse(line) as RealExpression)
      .map(
        ({ expr, repo, file, line, kind }) =>
          `${repo} ${file}${line === undefined ? '' : `:${line}`} (${kind}) ${expr}`,
      );
    const entries = await readCrontab(new URL('../examples/data/realworld.crontab', import.meta.url));
    expect(entries.map(({ expression, source }) => `${source} ${expression}`).sort()).toEqual(expected.sort());
    for (const { expression } of entries) expect(() => new CronTrigger(expression)).not.toThrow();
  });
});

describe.concurrent('the demo', () => {
  it('shows everything it says it shows, and adds up', { timeout: 90_000 }, async () => {
    const { code, output } = await runDemo();
    expect(code, output).toBe(0);
    for (const shown of [
      /A crontab of 173 lines/,
      /171 scheduled/,
      /Never fires, so it is added paused: 0 0 31 2 \*/,
      /sample +load \d+\.\d\d, memory \d+\.\d %, disk \d+\.\d %/,
      /rows put aside as machine\.1\.csv/,
      /remind +a one-shot job/,
      /\(attempt 2\); next attempt in \d\.\d s/,
      /upload +went through on attempt 3/,
      /inspect +held back \(skipped\)/,
      /sample +\d+ fire times skipped: paused/,
      /adds up {2}verifyLedger\(\): 178 jobs, 0 problems, 0 runs without a verdict/,
      /upload has one verdict for 3 attempts/,
    ]) {
      expect(output).toMatch(shown);
    }
    expect(output).not.toContain('DOES NOT ADD UP');
    expect(output).not.toContain('\u001b[');
  });

  it.skipIf(process.platform === 'win32')(
    'ends in order on Ctrl-C: what runs comes to its end, and it still adds up',
    { timeout: 90_000 },
    async () => {
      const { code, output } = await runDemo({ stopAt: 'a one-shot job' });
      expect(code, output).toBe(0);
      expect(output).toMatch(/Ctrl-C: shutdown[^]*inspect +ends/);
      expect(output).toContain('verifyLedger(): 178 jobs, 0 problems, 0 runs without a verdict');
      expect(output).not.toContain('DOES NOT ADD UP');
    },
  );
});

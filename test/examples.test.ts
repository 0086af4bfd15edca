import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AsyncScheduler, CronTrigger } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
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

interface DemoOptions {
  /** Where its database lies. */
  readonly folder: string;
  /** Sends it this signal when its output has this text. */
  readonly stopAt?: string;
  readonly signal?: 'SIGINT' | 'SIGKILL';
}

/** Runs the demo as a user would. */
async function runDemo({
  folder,
  stopAt,
  signal = 'SIGINT',
}: DemoOptions): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/demo/main.ts'], {
    cwd: root,
    env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: '1', PUNCTUAL_DEMO_FOLDER: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let stopped = false;
  const collect = (data: Buffer): void => {
    output += data.toString();
    if (stopAt === undefined || stopped || !output.includes(stopAt)) return;
    stopped = true;
    child.kill(signal);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, output };
}

function temporaryFolder(onTestFinished: (clean: () => void) => void): string {
  const folder = mkdtempSync(join(tmpdir(), 'punctual-demo-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Waits until a job of the file is due, and so many of its intervals more. */
async function untilBehind(folder: string, id: string, intervals: number): Promise<void> {
  const store = new SQLiteJobStore(join(folder, 'jobs.db'));
  await using scheduler = new AsyncScheduler({ jobStores: { default: store } });
  const [time] = (await scheduler.nextRunTimes(id, intervals + 1)).slice(-1);
  while (Date.now() < time!.getTime()) await sleep(50);
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
  it(
    'shows everything it says it shows, adds up, and remembers the next time',
    { timeout: 120_000 },
    async ({ onTestFinished }) => {
      const folder = temporaryFolder(onTestFinished);
      const { code, output } = await runDemo({ folder });
      expect(code, output).toBe(0);
      for (const shown of [
        /A new database/,
        /A crontab of 173 lines/,
        /171 scheduled/,
        /Never fires, so it is added paused: 0 0 31 2 \*/,
        /sync: crontab: 173 created, 0 changed, 0 removed, 0 unchanged/,
        /sync +agent: 5 created, 0 changed, 0 removed, 0 unchanged/,
        /sample +load \d+\.\d\d, memory \d+\.\d %, disk \d+\.\d %/,
        /[1-9]\d* rows? put aside as machine\.1\.csv/,
        /remind +a one-shot job/,
        /\(attempt 2\); next attempt in \d\.\d s/,
        /upload +went through on attempt 3/,
        /inspect +held back \(skipped\)/,
        /sample +\d+ fire times skipped: paused/,
        /adds up {2}verifyLedger\(\): 178 jobs, 0 problems, 0 runs without a verdict/,
        /upload has one verdict for 3 attempts/,
        /Run it again: it remembers\. Or kill -9 it in the middle/,
      ]) {
        expect(output).toMatch(shown);
      }
      expect(output).not.toContain('DOES NOT ADD UP');
      expect(output).not.toContain('\u001b[');
      const [, verdicts] = /its (\d+) verdicts are/.exec(output)!;

      await untilBehind(folder, 'inspect', 1);
      const again = await runDemo({ folder, stopAt: "pauseJob('sample')" });
      expect(again.code, again.output).toBe(0);
      for (const shown of [
        /It remembers: 176 jobs/,
        /It was away for \d+\.\d s, since \d{4}-/,
        /It was shut down in order: no run was cut short/,
        /^ +inspect +[1-9]\d* +0 +[1-9]\d* +\S+ \S+ succeeded: all well/m,
        /upload fired and is gone; its history stays: succeeded, through on attempt 3/,
        /sync: crontab: 0 created, 0 changed, 0 removed, 173 unchanged/,
        /sync +~ sample \(trigger, args\)/,
        /sync +agent: 2 created, 2 changed, 0 removed, 1 unchanged/,
        /backlog +sample: \d+ fire times? skipped: rescheduled/,
        /backlog +inspect: \d+ fire times? coalesced/,
        /backlog +the crontab: \d+ fire times? (?:coalesced|missed)/,
        /inspect +begins, to catch up/,
        /inspect +fires at [\d:.]+Z, \d+ intervals after [\d:.]+Z, when it was first added/,
        new RegExp(`and before +${verdicts!} `),
        /adds up {2}verifyLedger\(\): 178 jobs, 0 problems, 0 runs without a verdict/,
      ]) {
        expect(again.output).toMatch(shown);
      }
      expect(again.output).not.toContain('DOES NOT ADD UP');
    },
  );

  it('takes up at once what a kill cut short', { timeout: 90_000 }, async ({ onTestFinished }) => {
    const folder = temporaryFolder(onTestFinished);
    const killed = await runDemo({ folder, stopAt: 'inspect   begins', signal: 'SIGKILL' });
    expect(killed.code, killed.output).toBeNull();
    const [, runId] = /inspect +begins, and takes 3\.5 s \((\d+)\)/.exec(killed.output)!;
    const { code, output } = await runDemo({ folder, stopAt: 'inspect   ends' });
    expect(code, output).toBe(0);
    expect(output).toContain(`It was killed while inspect was running (${runId!})`);
    expect(output).toContain(`its run ${runId!} was cut short when the process died; attempt 2 follows at once`);
    expect(output).toContain(`inspect   begins again, attempt 2, and takes 3.5 s (${runId!})`);
    expect(output).toContain(`inspect   ends (${runId!})`);
    expect(output).toMatch(/verifyLedger\(\): 178 jobs, 0 problems/);
    expect(output).not.toContain('DOES NOT ADD UP');
    expect(output).not.toContain('another process may be running');
  });

  it.skipIf(process.platform === 'win32')(
    'ends in order on Ctrl-C: what runs comes to its end, and it still adds up',
    { timeout: 90_000 },
    async ({ onTestFinished }) => {
      const { code, output } = await runDemo({ folder: temporaryFolder(onTestFinished), stopAt: 'a one-shot job' });
      expect(code, output).toBe(0);
      expect(output).toMatch(/Ctrl-C: shutdown[^]*inspect +ends/);
      expect(output).toContain('verifyLedger(): 178 jobs, 0 problems, 0 runs without a verdict');
      expect(output).not.toContain('DOES NOT ADD UP');
    },
  );
});

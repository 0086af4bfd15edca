import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AsyncScheduler, InvalidOptionError } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('support/signals.ts', import.meta.url));

interface Program {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly file: string;
  said(line: string): Promise<void>;
  ended(): Promise<void>;
}

function start(onTestFinished: (clean: () => void) => void, ...args: string[]): Program {
  const folder = mkdtempSync(join(tmpdir(), 'punctual-signals-'));
  const file = join(folder, 'jobs.db');
  const child = spawn(process.execPath, ['--import', 'tsx', program, file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const lines: string[] = [];
  let heard = (): void => undefined;
  let rest = '';
  child.stdout.on('data', (data: Buffer) => {
    const parts = (rest + data.toString()).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    heard();
  });
  const end = once(child, 'close');
  return {
    child,
    lines,
    file,
    async said(line) {
      while (!lines.includes(line)) {
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended without saying "${line}": ${lines.join(', ')}`);
        await Promise.race([new Promise<void>((resolve) => { heard = resolve; }), end]);
      }
    },
    async ended() { await end; },
  };
}

/** What the history says of the job's runs. */
async function verdicts(file: string): Promise<string[]> {
  await using scheduler = new AsyncScheduler({ jobStores: { default: new SQLiteJobStore(file) } });
  return (await scheduler.getRuns({ jobId: 'work' })).map(({ verdict }) => verdict);
}

describe.skipIf(process.platform === 'win32').concurrent('a scheduler that listens for signals', () => {
  it('lets what runs come to its end, and then the process ends by the signal', { timeout: 60_000 }, async ({ onTestFinished }) => {
    const { child, said, ended, lines, file } = start(onTestFinished, '1500');
    await said('begins');
    child.kill('SIGTERM');
    await ended();
    expect(lines).toEqual(['begins', 'ends', 'shut down']);
    expect(child.signalCode).toBe('SIGTERM');
    expect(await verdicts(file)).toEqual(['succeeded']);
  });

  it('aborts what runs at the second signal', { timeout: 60_000 }, async ({ onTestFinished }) => {
    const { child, said, ended, lines } = start(onTestFinished, '3600000');
    await said('begins');
    child.kill('SIGINT');
    child.kill('SIGINT'); // the same Ctrl-C, passed on by a runner
    await sleep(700);
    expect(lines).toEqual(['begins']);
    child.kill('SIGTERM');
    await ended();
    expect(lines).toEqual(['begins', 'aborted', 'shut down']);
    expect(child.signalCode).toBe('SIGINT');
  });

  it('leaves the end of the process to whoever else listens', { timeout: 60_000 }, async ({ onTestFinished }) => {
    const { child, said, ended, lines } = start(onTestFinished, '1', 'listener');
    await said('ends');
    child.kill('SIGTERM');
    await ended();
    expect(lines).toEqual(['begins', 'ends', 'heard', 'shut down']);
    expect(child.exitCode).toBe(7);
  });
});

describe('signals', () => {
  it('are listened for while the scheduler runs, and only if that was asked for', async () => {
    const count = (): number => process.listenerCount('SIGUSR2');
    const before = count();
    const scheduler = new AsyncScheduler({ signals: ['SIGUSR2', 'SIGUSR2'] });
    expect(count()).toBe(before);
    await scheduler.start();
    expect(count()).toBe(before + 1);
    await scheduler.shutdown();
    expect(count()).toBe(before);
    const usual = process.listenerCount('SIGTERM');
    await using other = new AsyncScheduler();
    await other.start();
    expect(process.listenerCount('SIGTERM')).toBe(usual);
  });

  it.each([[['SIGKILL']], [['TERM']], [[]], ['SIGTERM'], [15]])('%j is refused', (wrong) => {
    expect(() => new AsyncScheduler({ signals: wrong as never })).toThrow(InvalidOptionError);
  });
});

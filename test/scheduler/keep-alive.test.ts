import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const keepAlive = fileURLToPath(new URL('support/keep-alive.ts', import.meta.url));
const asksOnly = fileURLToPath(new URL('support/asks-only.ts', import.meta.url));

/** Runs a program. Answers whether it ends within two seconds of having said that it is so far. */
async function endsByItself(...args: string[]): Promise<boolean> {
  return ends(keepAlive, args);
}

async function ends(program: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(() => true);
  await Promise.race([once(child.stdout, 'data'), ended]);
  const timer = setTimeout(() => child.kill('SIGKILL'), 2_000);
  await ended;
  clearTimeout(timer);
  return child.signalCode === null;
}

it.concurrent('a scheduler that is not to keep the process alive lets it end', async () => {
  expect(await endsByItself('keepAlive=false')).toBe(true);
}, 60_000);

it.concurrent('by default it keeps the process alive', async () => {
  expect(await endsByItself('keepAlive=true')).toBe(false);
}, 60_000);

it.concurrent('paused as well', async () => {
  expect(await endsByItself('keepAlive=true', 'paused')).toBe(false);
}, 60_000);

it.concurrent('after a shutdown nothing keeps it', async () => {
  expect(await endsByItself('keepAlive=true', 'paused', 'shutdown')).toBe(true);
}, 60_000);

it.concurrent('who waits for the result of a run that other processes execute keeps the process alive, and who only asks for it does not', async ({ onTestFinished }) => {
  const folder = mkdtempSync(join(tmpdir(), 'punctual-keep-alive-'));
  onTestFinished(() => { rmSync(folder, { recursive: true }); });
  const path = join(folder, 'jobs.db');
  expect(await ends(asksOnly, [path, 'waits'])).toBe(false);
  expect(await ends(asksOnly, [path])).toBe(true);
}, 60_000);

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AsyncScheduler } from 'punctual';
import { createAmqpWorker, type BrokerWorker } from 'punctual/amqp';
import { createBullMQWorker } from 'punctual/bullmq';
import { createNatsWorker } from 'punctual/nats-executor';
import { SQLiteJobStore } from 'punctual/sqlite';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { natsBinary, NatsServer } from '../support/nats-server.js';
import { rabbitBinaries, RabbitServer } from '../support/rabbitmq-server.js';
import { redisBinary, RedisServer } from '../support/redis-server.js';
import { work } from './fixtures/waiting-task.mjs';
import { MemoryLogger } from './support/world.js';

const program = fileURLToPath(new URL('fixtures/any-executor.ts', import.meta.url));
const LONG = { timeout: 240_000 };
const eventually = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 120_000, interval: 50 });

interface Kind {
  readonly name: string;
  /** Where its broker is, if it has one. */
  readonly address?: () => string;
  readonly worker?: (queue: string) => BrokerWorker;
}

interface Program {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly file: string;
  readonly worker: BrokerWorker | undefined;
  /** Lets the task come to its end. */
  go(): void;
  said(part: string): Promise<string>;
  ended(): Promise<void>;
}

let queues = 0;

async function start({ name, address, worker: makeWorker }: Kind): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), 'punctual-signals-'));
  const [file, go] = [join(folder, 'jobs.db'), join(folder, 'go')];
  const queue = `signals${(queues += 1)}`;
  const worker = makeWorker?.(queue);
  onTestFinished(() => worker?.close({ timeout: 0 }));
  await worker?.start();
  const args = ['--import', 'tsx', program, file, go, name, ...(address === undefined ? [] : [address(), queue])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const lines: string[] = [];
  let rest = '';
  child.stdout.on('data', (data: Buffer) => {
    const parts = (rest + data.toString()).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  const end = once(child, 'close');
  return {
    child,
    lines,
    file,
    worker,
    go: () => { writeFileSync(go, ''); },
    said: (part) => eventually(() => {
      const line = lines.find((one) => one.includes(part));
      if (line === undefined) throw new Error(`it has not said "${part}": ${lines.join(', ')}`);
      return line;
    }),
    ended: async () => { await end; },
  };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Not what an executor has to say about its connection. */
const isOurs = (line: string): boolean => /^(begins|heard|ends|told|shut down)/.test(line);

function behaves(kind: Kind): void {
  it(`${kind.name}: lets what runs come to its end at SIGTERM, and leaves nothing that keeps the process`, LONG, async () => {
    const { child, lines, file, worker, go, said, ended } = await start(kind);
    await said('begins 1');
    child.kill('SIGTERM');
    await said('heard');
    go();
    await ended();
    expect(lines.filter(isOurs).slice(1)).toEqual(['heard', 'ends', 'shut down']);
    expect([child.exitCode, child.signalCode]).toEqual([0, null]);
    await using scheduler = new AsyncScheduler({ jobStores: { default: new SQLiteJobStore(file) } });
    expect(await scheduler.getRuns({ jobId: 'work' })).toMatchObject([{ verdict: 'succeeded', attempt: 1 }]);
    expect(worker?.running ?? 0).toBe(0);
  });

  it(`${kind.name}: stops what runs at a second SIGTERM, and another node goes on at once`, LONG, async () => {
    const { child, lines, file, worker, said, ended } = await start(kind);
    const pid = Number(/ in (\d+)$/.exec(await said('begins 1'))?.[1]);
    child.kill('SIGTERM');
    await said('heard');
    // What comes within half a second is the same Ctrl-C, passed on. One more is enough, and a third could meet a process that
    // is on its way out, and listens no longer.
    await sleep(2_000);
    child.kill('SIGTERM');
    await ended();
    // It is told; whether its last words arrive within the half second that a shutdown gives it is the machine's affair.
    expect(lines.filter((line) => isOurs(line) && line !== 'heard' && line !== 'told: shutdown').slice(1)).toEqual(['shut down']);
    if (kind.name === 'inline') expect(lines).toContain('told: shutdown');
    expect([child.exitCode, child.signalCode]).toEqual([0, null]);
    if (pid !== process.pid) await eventually(() => { expect(isAlive(pid)).toBe(false); });
    if (worker !== undefined) await eventually(() => { expect(worker.running).toBe(0); });

    const another = new AsyncScheduler({ node: 'another', jobStores: { default: new SQLiteJobStore(file) }, tasks: { work: () => 'done by another' } });
    onTestFinished(() => another.shutdown({ wait: false }));
    const done = new Promise((resolve) => { another.once('jobExecuted', resolve); });
    await another.start();
    expect(await done).toMatchObject({ jobId: 'work', attempt: 2, result: 'done by another' });
  });
}

const onThisMachine = process.platform !== 'win32';
const inCI = Boolean(process.env['CI']);

describe.skipIf(!onThisMachine)('SIGTERM to a process whose tasks run', () => {
  for (const name of ['inline', 'threads', 'children']) behaves({ name });
});

describe.skipIf(!onThisMachine || (rabbitBinaries() === undefined && !inCI))('SIGTERM to a process whose tasks run behind RabbitMQ', () => {
  let server: RabbitServer;
  beforeAll(async () => { server = await RabbitServer.start(); }, 180_000);
  afterAll(async () => server.stop(), 60_000);
  behaves({ name: 'amqp', address: () => server.url, worker: (queue) => createAmqpWorker({ url: server.url, queue, tasks: { work }, logger: new MemoryLogger() }) });
});

describe.skipIf(!onThisMachine || (natsBinary() === undefined && !inCI))('SIGTERM to a process whose tasks run behind NATS', () => {
  let server: NatsServer;
  beforeAll(async () => { server = await NatsServer.start(); });
  afterAll(async () => server.stop());
  behaves({ name: 'nats', address: () => server.url, worker: (queue) => createNatsWorker({ servers: server.url, stream: queue, tasks: { work }, logger: new MemoryLogger() }) });
});

describe.skipIf(!onThisMachine || (redisBinary() === undefined && !inCI))('SIGTERM to a process whose tasks run behind BullMQ', () => {
  let server: RedisServer;
  beforeAll(async () => { server = await RedisServer.start(); });
  afterAll(async () => server.stop());
  behaves({ name: 'bullmq', address: () => server.url(), worker: (queue) => createBullMQWorker({ connection: { url: server.url() }, queue, tasks: { work }, logger: new MemoryLogger() }) });
});

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Redis } from 'ioredis';
import { freeze } from './freeze.js';

/** The server on the path: Redis, or Valkey. */
export function redisBinary(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.flatMap((folder) => ['redis-server', 'valkey-server'].map((name) => join(folder, name))).find((file) => existsSync(file));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** A server of its own, on a port and a folder of its own, for as long as the tests of a file go on. */
export class RedisServer {
  readonly port: number;
  readonly #binary: string;
  readonly #folder: string;
  readonly #settings: Readonly<Record<string, string>>;
  #process: ChildProcess | undefined;
  #admin: Redis | undefined;
  readonly #killAtExit = (): void => { this.#process?.kill('SIGKILL'); };

  private constructor(binary: string, folder: string, port: number, settings: Readonly<Record<string, string>>) {
    this.#binary = binary;
    this.#folder = folder;
    this.port = port;
    this.#settings = settings;
  }

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
    const binary = redisBinary();
    if (binary === undefined) throw new Error('There is no redis-server here. Install it: apt-get install redis-server');
    let port = await freePort();
    // A node of a cluster talks to the others on this port + 10,000.
    while (settings['cluster-enabled'] === 'yes' && port > 55_000) port = await freePort();
    const server = new RedisServer(binary, mkdtempSync(join(tmpdir(), 'punctual-redis-')), port, settings);
    await server.resume();
    return server;
  }

  /** Starts it again, with what it had, and waits until it answers. */
  async resume(): Promise<void> {
    const settings = { port: String(this.port), bind: '127.0.0.1', dir: this.#folder, appendonly: 'yes', appendfsync: 'always', save: '', ...this.#settings };
    const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn(this.#binary, flags, { cwd: this.#folder, stdio: 'ignore' });
    this.#process = child;
    process.once('exit', this.#killAtExit);
    for (;;) {
      try {
        if ((await this.command('PING')) === 'PONG') return;
      } catch (error) {
        if (child.exitCode !== null) throw new Error('Redis did not start', { cause: error });
        await new Promise((resolve) => { setTimeout(resolve, 30); });
      }
    }
  }

  /** Ends it, at once (`SIGKILL`) or in order (`SIGTERM`): connections break. */
  async halt(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    this.#admin?.disconnect();
    this.#admin = undefined;
    process.removeListener('exit', this.#killAtExit);
    const ended = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill(signal);
    child.kill('SIGCONT');
    await ended;
  }

  /** It takes what is sent, and does not answer. Answers how to end that. */
  freeze(): () => void {
    return freeze(this.#process);
  }

  async stop(): Promise<void> {
    await this.halt();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  url(login = ''): string {
    return `redis://${login}127.0.0.1:${this.port}/0`;
  }

  /** One command, as the administrator of the server. */
  async command(command: string, ...args: (string | number)[]): Promise<unknown> {
    this.#admin ??= this.#connect();
    return this.#admin.call(command, ...args);
  }

  #connect(): Redis {
    const admin = new Redis({ host: '127.0.0.1', port: this.port, maxRetriesPerRequest: 0, connectionName: 'administrator', ...(this.#settings['requirepass'] === undefined ? {} : { password: this.#settings['requirepass'] }) });
    admin.on('error', () => undefined);
    return admin;
  }
}

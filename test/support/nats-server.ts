import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { connect, type ConnectionOptions, type NatsConnection } from '@nats-io/transport-node';
import { freeze } from './freeze.js';

/** `nats-server`: on the path, or where Debian puts it. */
export function natsBinary(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/usr/local/bin'];
  return folders.map((folder) => join(folder, 'nats-server')).find((path) => existsSync(path));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

export interface NatsServerOptions {
  /** More of the configuration, in its own language. */
  readonly config?: string;
  /** The block `jetstream`; `null` for a server without. */
  readonly jetstream?: string | null;
  /** How tests of the server's own connect. */
  readonly login?: ConnectionOptions;
}

/** A server of its own, with JetStream, on a port and a folder of its own, for as long as the tests of a file go on. */
export class NatsServer {
  readonly port: number;
  readonly #binary: string;
  readonly #folder: string;
  readonly #login: ConnectionOptions;
  #process: ChildProcess | undefined;
  readonly #killAtExit = (): void => { this.#process?.kill('SIGKILL'); };

  private constructor(binary: string, folder: string, port: number, login: ConnectionOptions) {
    this.#binary = binary;
    this.#folder = folder;
    this.port = port;
    this.#login = login;
  }

  static async start({ config = '', jetstream = '', login = {} }: NatsServerOptions = {}): Promise<NatsServer> {
    const binary = natsBinary();
    if (binary === undefined) throw new Error('There is no nats-server here. Install it: apt-get install nats-server');
    const folder = mkdtempSync(join(tmpdir(), 'punctual-nats-'));
    const server = new NatsServer(binary, folder, await freePort(), login);
    const streams = jetstream === null ? '' : `jetstream { store_dir: "${join(folder, 'data')}"\n${jetstream} }`;
    writeFileSync(join(folder, 'nats.conf'), `listen: "127.0.0.1:${server.port}"\n${streams}\n${config}\n`);
    await server.resume();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Starts it again, with what it had, and waits until it lets somebody in. */
  async resume(): Promise<void> {
    const child = spawn(this.#binary, ['-c', join(this.#folder, 'nats.conf')], { cwd: this.#folder, stdio: 'ignore' });
    this.#process = child;
    process.once('exit', this.#killAtExit);
    for (;;) {
      try {
        const connection = await this.connect({ reconnect: false, timeout: 1_000 });
        await connection.close();
        return;
      } catch (error) {
        if (child.exitCode !== null) throw new Error('nats-server did not start', { cause: error });
        await new Promise((resolve) => { setTimeout(resolve, 30); });
      }
    }
  }

  /** Ends it, at once (`SIGKILL`) or in order (`SIGTERM`). */
  async halt(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    process.removeListener('exit', this.#killAtExit);
    const ended = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill(signal);
    await ended;
  }

  /** It takes what is sent, and does not answer. Answers how to end that. */
  freeze(): () => void {
    return freeze(this.#process);
  }

  async stop(): Promise<void> {
    this.#process?.kill('SIGCONT');
    await this.halt();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A connection of the test's own. */
  async connect(options: ConnectionOptions = {}): Promise<NatsConnection> {
    return connect({ servers: this.url, ...this.#login, ...options });
  }
}

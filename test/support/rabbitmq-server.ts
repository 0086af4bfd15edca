import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import amqplib, { type ChannelModel } from 'amqplib';
import { freeze } from './freeze.js';

const run = promisify(execFile);

const find = (name: string, folders: readonly string[]): string | undefined =>
  [...folders, ...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/usr/bin'].map((folder) => join(folder, name)).find((path) => existsSync(path));

/** The scripts themselves: what Debian puts on the path runs them as a user of their own, with files of their own. */
const DEBIAN = ['/usr/lib/rabbitmq/bin'];

/** `rabbitmq-server`, with what it needs: on the path, or where Debian puts it. */
export function rabbitBinaries(): { readonly server: string; readonly control: string; readonly epmd: string } | undefined {
  const server = find('rabbitmq-server', DEBIAN);
  const control = find('rabbitmqctl', DEBIAN);
  const epmd = find('epmd', []);
  return server === undefined || control === undefined || epmd === undefined ? undefined : { server, control, epmd };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** A RabbitMQ of its own: node, ports, port mapper, cookie and files are its own, for as long as the tests of a file go on. */
export class RabbitServer {
  readonly port: number;
  readonly #binaries: NonNullable<ReturnType<typeof rabbitBinaries>>;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #epmdPort: number;
  #process: ChildProcess | undefined;
  #epmd: ChildProcess | undefined;
  readonly #killAtExit = (): void => {
    this.#process?.kill('SIGKILL');
    this.#epmd?.kill('SIGKILL');
  };

  private constructor(folder: string, [port, distribution, epmdPort]: readonly [number, number, number]) {
    this.#binaries = rabbitBinaries()!;
    this.#folder = folder;
    this.port = port;
    this.#epmdPort = epmdPort;
    this.#env = {
      PATH: process.env['PATH'],
      LANG: 'C.UTF-8',
      // The cookie is made there.
      HOME: join(folder, 'home'),
      // The process that is started is the server then, and not a shell that waits for it.
      RUNNING_UNDER_SYSTEMD: 'true',
      ERL_EPMD_PORT: String(epmdPort),
      RABBITMQ_NODENAME: `punctual${port}@localhost`,
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_PID_FILE: join(folder, 'pid'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+sbwt none +sbwtdcpu none +sbwtdio none +S 1:1',
    };
  }

  static async start(): Promise<RabbitServer> {
    if (rabbitBinaries() === undefined) throw new Error('There is no rabbitmq-server here. Install it: apt-get install rabbitmq-server');
    const folder = mkdtempSync(join(tmpdir(), 'punctual-rabbit-'));
    const server = new RabbitServer(folder, [await freePort(), await freePort(), await freePort()]);
    for (const name of ['home', 'mnesia', 'log']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'home', '.erlang.cookie'), randomBytes(16).toString('hex'), { mode: 0o400 });
    writeFileSync(join(folder, 'enabled_plugins'), '[].\n');
    const lines = [`listeners.tcp.1 = 127.0.0.1:${server.port}`, 'log.console = false', 'log.file.level = error', 'vm_memory_high_watermark.absolute = 4GB', 'disk_free_limit.absolute = 1MB'];
    writeFileSync(join(folder, 'rabbitmq.conf'), `${lines.join('\n')}\n`);
    await server.resume();
    return server;
  }

  get url(): string {
    return `amqp://127.0.0.1:${this.port}`;
  }

  /** Starts it again, with what it had, and waits until it lets somebody in. */
  async resume(): Promise<void> {
    process.once('exit', this.#killAtExit);
    // In the foreground, so that it ends with the test. The server would start one that stays.
    this.#epmd ??= spawn(this.#binaries.epmd, ['-port', String(this.#epmdPort), '-address', '127.0.0.1'], { stdio: 'ignore', env: this.#env });
    for (;;) {
      const listens = await new Promise<boolean>((resolve) => {
        const socket = connectTcp(this.#epmdPort, '127.0.0.1', () => { resolve(true); }).on('error', () => { resolve(false); });
        socket.on('connect', () => { socket.destroy(); });
      });
      if (listens) break;
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
    const child = spawn(this.#binaries.server, [], { cwd: this.#folder, env: this.#env, stdio: 'ignore' });
    this.#process = child;
    for (;;) {
      try {
        const connection = await this.connect();
        await connection.close();
        return;
      } catch (error) {
        if (child.exitCode !== null) throw new Error('rabbitmq-server did not start', { cause: error });
        await new Promise((resolve) => { setTimeout(resolve, 100); });
      }
    }
  }

  /** Ends it, at once (`SIGKILL`) or in order (`SIGTERM`). */
  async halt(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
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
    const epmd = this.#epmd;
    if (epmd !== undefined) {
      const ended = new Promise((resolve) => { epmd.once('exit', resolve); });
      epmd.kill('SIGKILL');
      await ended;
    }
    process.removeListener('exit', this.#killAtExit);
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** A command to the server, such as `set_vm_memory_high_watermark`. */
  async control(...args: string[]): Promise<string> {
    const { stdout } = await run(this.#binaries.control, ['--quiet', ...args], { env: this.#env, cwd: this.#folder });
    return stdout;
  }

  /** A connection of the test's own. */
  async connect(): Promise<ChannelModel> {
    const connection = await amqplib.connect(this.url, { timeout: 5_000 });
    connection.on('error', () => undefined);
    return connection;
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import { freePort, identity } from './postgres-server.js';

/** Where Debian puts it, which is not on everybody's path. */
export function pgbouncerBinary(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  return folders.map((folder) => join(folder, 'pgbouncer')).find((path) => existsSync(path));
}

/** PgBouncer in transaction mode before a server: each transaction gets whichever of two connections is free. */
export class PgBouncer {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #killAtExit = (): void => { this.#process.kill('SIGKILL'); };

  private constructor(child: ChildProcess, folder: string, port: number) {
    this.#process = child;
    this.#folder = folder;
    this.port = port;
    process.once('exit', this.#killAtExit);
  }

  static async start(serverPort: number): Promise<PgBouncer> {
    const binary = pgbouncerBinary();
    if (binary === undefined) throw new Error('There is no PgBouncer here. Install it: apt-get install pgbouncer');
    const folder = mkdtempSync(join(tmpdir(), 'punctual-pgbouncer-'));
    const who = identity();
    const port = await freePort();
    const settings = {
      listen_addr: '127.0.0.1',
      listen_port: port,
      unix_socket_dir: '',
      auth_type: 'trust',
      auth_file: join(folder, 'users'),
      pool_mode: 'transaction',
      default_pool_size: 2,
      logfile: join(folder, 'log'),
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    writeFileSync(join(folder, 'users'), '"postgres" ""\n');
    writeFileSync(join(folder, 'ini'), ['[databases]', `* = host=127.0.0.1 port=${serverPort}`, '[pgbouncer]', ...lines, ''].join('\n'));
    // It does not run as root.
    if (who !== undefined) chownSync(folder, who.uid, who.gid);
    const child = spawn(binary, [join(folder, 'ini')], { ...who, cwd: folder, stdio: 'ignore' });
    const pooler = new PgBouncer(child, folder, port);
    await pooler.#answers();
    return pooler;
  }

  async #answers(): Promise<void> {
    for (;;) {
      const client = new pg.Client({ connectionString: this.url() });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await client.query('SELECT 1');
        return;
      } catch (error) {
        if (this.#process.exitCode !== null) throw new Error('PgBouncer did not start', { cause: error });
        await new Promise((resolve) => { setTimeout(resolve, 50); });
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`;
  }

  async stop(): Promise<void> {
    process.removeListener('exit', this.#killAtExit);
    const ended = new Promise((resolve) => { this.#process.once('exit', resolve); });
    this.#process.kill('SIGKILL');
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

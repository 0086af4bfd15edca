import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';

/** The folder with `initdb` and `postgres`: on the path, or where Debian puts it. The latest, if there are several. */
export function postgresBinaries(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...versions.map((version) => join(debian, version, 'bin'))];
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))));
}

/** Neither PostgreSQL nor PgBouncer runs as root. */
export function identity(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** A server of its own, on a port and a folder of its own, for as long as the tests of a file go on. */
export class PostgresServer {
  static readonly password = 'secret';
  readonly port: number;
  readonly #binaries: string;
  readonly #folder: string;
  #process: ChildProcess | undefined;
  readonly #killAtExit = (): void => { this.#process?.kill('SIGKILL'); };

  private constructor(binaries: string, folder: string, port: number) {
    this.#binaries = binaries;
    this.#folder = folder;
    this.port = port;
  }

  static async start(): Promise<PostgresServer> {
    const binaries = postgresBinaries();
    if (binaries === undefined) throw new Error('There are no PostgreSQL binaries here. Install them: apt-get install postgresql');
    const folder = mkdtempSync(join(tmpdir(), 'punctual-postgres-'));
    const who = identity();
    if (who !== undefined) chownSync(folder, who.uid, who.gid);
    const init = (...locale: string[]): void => {
      const flags = ['-D', join(folder, 'data'), '-U', 'postgres', '--auth=trust', '--encoding=UTF8', ...locale];
      execFileSync(join(binaries, 'initdb'), flags, { ...who, cwd: folder, stdio: 'ignore' });
    };
    try {
      // Order and case must not depend on how the database sorts.
      init('--locale=C', '--locale-provider=icu', '--icu-locale=en-US');
    } catch {
      init('--no-locale'); // before PostgreSQL 15, or built without ICU
    }
    const server = new PostgresServer(binaries, folder, await freePort());
    await server.resume();
    await server.query(`CREATE ROLE locked_out LOGIN PASSWORD '${PostgresServer.password}'`);
    return server;
  }

  /** From now on it lets in those who know the password. */
  async requirePasswords(): Promise<void> {
    await this.query(`ALTER ROLE postgres PASSWORD '${PostgresServer.password}'`);
    writeFileSync(join(this.#folder, 'data', 'pg_hba.conf'), 'host all all 127.0.0.1/32 scram-sha-256\n');
    await this.query('SELECT pg_reload_conf()');
  }

  /** Starts it again, with what it had, and waits until it lets somebody in. Nothing is lost without fsync but in a power cut. */
  async resume(): Promise<void> {
    const settings = { port: this.port, listen_addresses: '127.0.0.1', unix_socket_directories: this.#folder, max_connections: 100, fsync: 'off' };
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = spawn(join(this.#binaries, 'postgres'), ['-D', join(this.#folder, 'data'), ...flags], { ...identity(), cwd: this.#folder, stdio: 'ignore' });
    this.#process = child;
    process.once('exit', this.#killAtExit);
    for (;;) {
      try {
        await this.query('SELECT 1');
        return;
      } catch (error) {
        if (child.exitCode !== null) throw new Error('PostgreSQL did not start', { cause: error });
        await new Promise((resolve) => { setTimeout(resolve, 50); });
      }
    }
  }

  /**
   * Stops it at once, as a crash of the machine would: connections break. That is an immediate shutdown, which ends its own
   * children; SIGKILL would leave them behind. With SIGINT it is a fast one: it tells its clients, and puts all in order.
   */
  async halt(signal: 'SIGQUIT' | 'SIGINT' = 'SIGQUIT'): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    process.removeListener('exit', this.#killAtExit);
    const ended = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill(signal);
    await ended;
  }

  /** Kills it with all that belongs to it: nothing is said to anybody. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined) return;
    const own = execFileSync('ps', ['-o', 'pid=', '--ppid', String(child.pid)], { encoding: 'utf8' });
    this.#process = undefined;
    process.removeListener('exit', this.#killAtExit);
    const ended = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill('SIGKILL');
    for (const pid of own.split('\n').map(Number).filter((id) => id > 0)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
    await ended;
  }

  /** It takes what is sent, and does not answer. Answers how to end that. */
  async freeze(): Promise<() => void> {
    const rows = await this.query(`SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`);
    const pids = [this.#process?.pid, ...rows.map((row) => Number(row['pid']))].filter((pid) => pid !== undefined);
    const send = (signal: NodeJS.Signals): void => {
      for (const pid of pids) {
        try {
          process.kill(pid, signal);
        } catch {
          // It has ended.
        }
      }
    };
    send('SIGSTOP');
    return () => { send('SIGCONT'); };
  }

  async stop(): Promise<void> {
    await this.halt();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  url(database = 'postgres', user = 'postgres'): string {
    return `postgres://${user}:${PostgresServer.password}@127.0.0.1:${this.port}/${database}`;
  }

  /** One statement on a connection of its own. */
  async query(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.url() });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query(text, values)).rows;
    } finally {
      await client.end();
    }
  }
}

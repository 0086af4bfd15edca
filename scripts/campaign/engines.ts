/** Where the jobs of a campaign are kept: a private server that can be stopped, killed and frozen, or a file. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { natsBinary, NatsServer } from '../../test/support/nats-server.js';
import { postgresBinaries, PostgresServer } from '../../test/support/postgres-server.js';
import { redisBinary, RedisServer } from '../../test/support/redis-server.js';
import type { EngineName } from './plan.js';

export interface Engine {
  readonly name: EngineName;
  /** Shortest that a campaign works with: with more between a node and its jobs, more is needed. */
  readonly leaseMs: number;
  /** `undefined`: jobs are in a file. */
  readonly server: Server | undefined;
  /** Where the jobs of a round are, that nobody else has. */
  place(directory: string, name: string): string;
  /** What is wrong with what is stored, apart from what it means. */
  check(place: string): string | undefined;
  close(): Promise<void>;
}

/** Loses nothing that it has answered, whatever is done to it. */
export interface Server {
  readonly port: number;
  /** It comes to an end by itself, and tells its clients. */
  stop(): Promise<void>;
  /** At once, as in a crash. */
  kill(): Promise<void>;
  resume(): Promise<void>;
  /** Answers how to end that. */
  freeze(): Promise<() => void>;
}

/** @throws Error with what to install, where an engine is not there. */
export async function startEngine(name: EngineName): Promise<Engine> {
  switch (name) {
    case 'sqlite':
      return new SQLiteEngine();
    case 'nats':
      return startNats();
    case 'redis':
      return startRedis();
    case 'postgres':
      return startPostgres();
    default:
      throw new Error(`no such engine: ${String(name satisfies never)}`);
  }
}

/** What to install, where the engine is not there. */
export function missing(name: EngineName): string | undefined {
  if (name === 'postgres' && postgresBinaries() === undefined) return 'no PostgreSQL binaries here: apt-get install postgresql';
  if (name === 'redis' && redisBinary() === undefined) return 'no redis-server or valkey-server here: apt-get install redis-server';
  if (name === 'nats' && natsBinary() === undefined) return 'no nats-server here: apt-get install nats-server';
  return undefined;
}

class SQLiteEngine implements Engine {
  readonly name = 'sqlite';
  readonly leaseMs = 1_000;
  readonly server = undefined;

  place(directory: string, name: string): string {
    return join(directory, `${name}.db`);
  }

  check(place: string): string | undefined {
    const database = new Database(place);
    try {
      const found = database.pragma('integrity_check') as readonly Record<string, unknown>[];
      const text = found.map((row) => Object.values(row).join(' ')).join('; ');
      return text === 'ok' ? undefined : text;
    } finally {
      database.close();
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class RemoteEngine implements Engine {
  readonly name: EngineName;
  readonly leaseMs = 2_000;
  readonly server: Server;
  readonly #close: () => Promise<void>;

  constructor(name: EngineName, server: Server, close: () => Promise<void>) {
    this.name = name;
    this.server = server;
    this.#close = close;
  }

  place(_: string, name: string): string {
    return `round_${name}`;
  }

  check(): undefined {
    return undefined;
  }

  close(): Promise<void> {
    return this.#close();
  }
}

async function startPostgres(): Promise<Engine> {
  const server = await PostgresServer.start();
  return new RemoteEngine('postgres', {
    port: server.port,
    stop: () => server.halt('SIGINT'),
    kill: () => server.halt(),
    resume: () => server.resume(),
    freeze: () => server.freeze(),
  }, () => server.stop());
}

async function startRedis(): Promise<Engine> {
  // Not an answer before the disk has it: else a write that was answered may be gone after a kill.
  const server = await RedisServer.start({ appendonly: 'yes', appendfsync: 'always' });
  return new RemoteEngine('redis', {
    port: server.port,
    stop: () => server.halt('SIGTERM'),
    kill: () => server.halt('SIGKILL'),
    resume: () => server.resume(),
    freeze: () => Promise.resolve(server.freeze()),
  }, () => server.stop());
}

async function startNats(): Promise<Engine> {
  // It writes before it answers, though not to the disk: that is enough when the process is killed and the machine is not.
  const server = await NatsServer.start();
  return new RemoteEngine('nats', {
    port: server.port,
    stop: () => server.halt('SIGTERM'),
    kill: () => server.halt('SIGKILL'),
    resume: () => server.resume(),
    freeze: () => Promise.resolve(server.freeze()),
  }, () => server.stop());
}

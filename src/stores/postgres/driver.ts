import { errorFromLoading } from './errors.js';

/** One statement, as the package `pg` takes it. */
export interface PostgresQuery {
  text: string;
  values?: unknown[];
}

export interface PostgresResult {
  readonly rows: unknown[];
}

/** What is needed of a client that a `Pool` of the package `pg` hands out. */
export interface PostgresPoolClient {
  query(query: PostgresQuery): Promise<PostgresResult>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
  /** With an error, the connection is closed and not used again. */
  release(error?: Error | boolean): void;
}

/** What is needed of a `Pool` of the package `pg`, version 8. */
export interface PostgresPool {
  query(query: PostgresQuery): Promise<PostgresResult>;
  connect(): Promise<PostgresPoolClient>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

/** What is needed of a `Client` of its own. */
export interface PostgresClient {
  connect(): Promise<unknown>;
  query(query: PostgresQuery): Promise<PostgresResult>;
  on(event: string, listener: (value: never) => void): unknown;
  end(): Promise<void>;
  unref?(): void;
}

export type OwnPool = PostgresPool & { end(): Promise<void> };

type ClientClass = new (config: object) => PostgresClient;

interface Driver {
  readonly Pool: new (config: object) => OwnPool;
  readonly Client: ClientClass;
}

export async function loadDriver(): Promise<Driver> {
  try {
    const driver = (await import('pg')) as unknown as { default: Driver };
    return driver.default;
  } catch (error) {
    throw errorFromLoading(error);
  }
}

/** Makes connections of its own beside a pool, with what the pool was made with; `undefined` where that cannot be told. */
export function clientsLike(pool: PostgresPool, connectTimeoutMs: number): (() => PostgresClient) | undefined {
  const { Client, options } = pool as { Client?: ClientClass; options?: { password?: unknown } };
  if (typeof Client !== 'function' || typeof options !== 'object') return undefined;
  // The pool keeps its password where nobody lists it by accident.
  return () => new Client({ ...options, password: options.password, connectionTimeoutMillis: connectTimeoutMs });
}

import { InvalidOptionError } from '../../errors/errors.js';

/** BullMQ waits for up to 10 s at a time for an answer; a connection that brings none for so long is dead. */
const SILENCE_MS = 30_000;

/** A connection that broke is made again as long as it takes, and commands wait for it. */
const LASTING = { maxRetriesPerRequest: null, retryStrategy: (times: number): number => Math.min(100 * 2 ** Math.min(times, 6), 5_000), socketTimeout: SILENCE_MS } as const;

/** A client of ioredis, of a server or of a cluster. */
export interface UserClient {
  readonly isCluster?: boolean;
  duplicate(...args: unknown[]): UserClient;
  defineCommand(...args: never[]): unknown;
  on(event: string, listener: () => void): unknown;
  disconnect(): void;
}

/** What a client is made with, or a client to copy. */
export type Connection = UserClient | Readonly<Record<string, unknown>>;

/** @throws InvalidOptionError */
export function readConnection(connection: unknown): Connection {
  if (connection === undefined) return withDefaults({});
  const allowed = 'an object as BullMQ takes it, such as { host, port }, or a client of ioredis';
  if (typeof connection !== 'object' || connection === null || Array.isArray(connection)) throw new InvalidOptionError('connection', typeof connection, allowed);
  if (isUserClient(connection)) return connection;
  // Of another package, which is copied and connected in other ways.
  if ('duplicate' in connection) throw new InvalidOptionError('connection', 'another client', allowed);
  if ('keyPrefix' in connection && Boolean(connection.keyPrefix)) throw new InvalidOptionError('connection.keyPrefix', connection.keyPrefix, 'nothing: BullMQ has `prefix` for that');
  return withDefaults(connection);
}

export function isUserClient(connection: object): connection is UserClient {
  const { duplicate, defineCommand } = connection as Partial<UserClient>;
  return typeof duplicate === 'function' && typeof defineCommand === 'function';
}

/** A client like the user's, which may be ended, and which goes on trying. */
export function copyOf(client: UserClient): UserClient {
  const copy = client.isCluster === true ? client.duplicate() : client.duplicate(LASTING);
  // Those of BullMQ hear the errors, as long as there are any.
  copy.on('error', () => undefined);
  return copy;
}

function withDefaults(options: object): Connection {
  return { host: '127.0.0.1', port: 6_379, ...LASTING, ...options, maxRetriesPerRequest: null };
}

import { InvalidOptionError } from '../errors/errors.js';

/** Where NATS is, and who asks. */
export interface NatsServerOptions<C extends object = object> {
  /** One address or several, such as `nats://host:4222`. Default `127.0.0.1:4222`. */
  readonly servers?: string | readonly string[] | undefined;
  /** In place of servers: a connection of `@nats-io/transport-node` or `@nats-io/nats-core`, which stays yours to close. Let it reconnect without an end. */
  readonly connection?: C | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** As `connect` of the driver takes it: for credentials files, NKeys and JWTs. */
  readonly authenticator?: unknown;
  /** As `connect` of the driver takes it. */
  readonly tls?: object | null | undefined;
}

/** The names of those options. */
export const SERVER_OPTIONS = ['servers', 'connection', 'user', 'password', 'token', 'authenticator', 'tls'] as const;

/** The user's connection, or what to make one with. */
export type NatsSource<C extends object> = { readonly connection: C } | { readonly config: Readonly<Record<string, unknown>> };

const MOST_REPLICAS = 5;

/**
 * @param methods - what is called of a connection.
 * @throws InvalidOptionError
 */
export function natsSource<C extends object>(
  options: NatsServerOptions<C> & { readonly name?: string | undefined },
  timeoutMs: number,
  methods: readonly (keyof C & string)[],
): NatsSource<C> {
  const { connection, servers, user, password, token, authenticator, tls, name = 'punctual' } = options;
  if (connection !== undefined) {
    for (const option of [...SERVER_OPTIONS, 'name'] as const) {
      if (option !== 'connection' && options[option] !== undefined) throw new InvalidOptionError(option, options[option], 'nothing beside `connection`');
    }
    if (!hasMethods(connection, methods)) throw new InvalidOptionError('connection', connection, 'a connection of @nats-io/transport-node or @nats-io/nats-core, version 3');
    return { connection };
  }
  const list = typeof servers === 'string' ? [servers] : servers;
  const isRight = list === undefined || (Array.isArray(list) && list.length > 0 && list.every(isAddress));
  if (!isRight) throw new InvalidOptionError('servers', servers, 'an address such as nats://host:4222, or a list of them');
  for (const [option, value] of Object.entries({ user, password, token, name })) {
    if (value !== undefined && typeof value !== 'string') throw new InvalidOptionError(option, value, 'a text');
  }
  // An environment variable that is not set, by `?? ''`.
  const isLogin = (user ?? '') !== '';
  // The driver would connect without either.
  if ((password ?? '') !== '' && !isLogin) throw new InvalidOptionError('user', user, 'the user whose `password` is given');
  const given = Object.entries({ servers: list, ...(isLogin ? { user, pass: password } : {}), token, authenticator, tls }).filter(([, value]) => value !== undefined);
  return {
    config: {
      ...Object.fromEntries(given),
      name,
      timeout: timeoutMs,
      // It goes on trying as long as it is open; calls fail in time all the same.
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 250,
      // A login that is refused during a restart of the servers is refused for a while only.
      ignoreAuthErrorAbort: true,
      pingInterval: 15_000,
      maxPingOut: 2,
      noAsyncTraces: true,
    },
  };
}

/** The name of a bucket or stream. @throws InvalidOptionError */
export function natsName(value: unknown, option: string): string {
  if (typeof value === 'string' && /^[A-Za-z0-9_-]{1,50}$/.test(value)) return value;
  throw new InvalidOptionError(option, value, 'up to 50 letters, digits, underscores and hyphens');
}

/** How many servers keep a copy. @throws InvalidOptionError */
export function replicaCount(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MOST_REPLICAS) return value as number;
  throw new InvalidOptionError('replicas', value, 'a whole number from 1 to 5');
}

function isAddress(server: unknown): boolean {
  if (typeof server !== 'string' || server.trim() === '') return false;
  const scheme = /^([a-z]+):\/\//i.exec(server)?.[1] ?? 'nats';
  return ['nats', 'tls'].includes(scheme.toLowerCase()) && URL.canParse(server.includes('://') ? server : `nats://${server}`);
}

function hasMethods(value: unknown, methods: readonly string[]): boolean {
  return typeof value === 'object' && value !== null && methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function');
}

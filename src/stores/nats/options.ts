import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { toMs, type DurationInput } from '../../time/duration.js';
import type { NatsConnectionLike } from './driver.js';

const MS_PER_DAY = 86_400_000;
const MAX_TIMEOUT_MS = 3_600_000;
const MOST_REPLICAS = 5;

export interface NatsJobStoreOptions {
  /** One address or several, such as `nats://host:4222`. Default `127.0.0.1:4222`. */
  readonly servers?: string | readonly string[] | undefined;
  /** In place of servers: a connection of `@nats-io/transport-node` or `@nats-io/nats-core`, which stays yours to close. */
  readonly connection?: NatsConnectionLike | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** As `connect` of the driver takes it: for credentials files, NKeys and JWTs. */
  readonly authenticator?: unknown;
  /** As `connect` of the driver takes it. */
  readonly tls?: object | null | undefined;
  /** What the connection is called in the server's reports. Default `'punctual'`. */
  readonly name?: string | undefined;
  /** The KV bucket with the jobs; the bucket of leases and the stream of the ledger are named after it. They are made where there are none. Default `'punctual'`. */
  readonly bucket?: string | undefined;
  /** Servers of a cluster that keep a copy each: 1, 3 or 5. Only when the streams are made. Default 1. */
  readonly replicas?: number | undefined;
  /** Most bytes that the bucket of jobs may take. Only when it is made. Default: what the account allows. */
  readonly maxBytes?: number | undefined;
  /** How long a connection or an answer is waited for. Default 10 s. */
  readonly timeout?: DurationInput | undefined;
  /** How much history is kept. Whoever opens the bucket last decides for all. */
  readonly ledger?:
    | {
        /** Entries of each job. Default 1,000; 0 keeps none. */
        readonly perJob?: number | undefined;
        /** Age at which entries are dropped. Default 30 days; `null`: never. */
        readonly maxAge?: DurationInput | null | undefined;
      }
    | undefined;
}

export interface Settings {
  /** The user's connection, or what to make one with. */
  readonly source: { readonly connection: NatsConnectionLike } | { readonly config: Readonly<Record<string, unknown>> };
  readonly bucket: string;
  readonly replicas: number;
  readonly maxBytes: number | undefined;
  readonly timeoutMs: number;
  readonly perJob: number;
  readonly maxAgeMs: number | null;
}

/** What says where the server is, and who asks. */
const PLACE = ['servers', 'user', 'password', 'token', 'authenticator', 'tls', 'name'] as const;

/** @throws InvalidOptionError */
export function readSettings(target: string | NatsJobStoreOptions): Settings {
  const options: NatsJobStoreOptions = typeof target === 'string' ? { servers: target } : target;
  refuseUnknownKeys(options, '', [...PLACE, 'connection', 'bucket', 'replicas', 'maxBytes', 'timeout', 'ledger']);
  refuseUnknownKeys(options.ledger ?? {}, 'ledger', ['perJob', 'maxAge']);
  const { bucket = 'punctual', replicas = 1, maxBytes, timeout = 10_000 } = options;
  const { perJob = 1_000, maxAge = 30 * MS_PER_DAY } = options.ledger ?? {};
  if (typeof bucket !== 'string' || !/^[A-Za-z0-9_-]{1,50}$/.test(bucket)) {
    throw new InvalidOptionError('bucket', bucket, 'up to 50 letters, digits, underscores and hyphens');
  }
  if (!Number.isSafeInteger(replicas) || replicas < 1 || replicas > MOST_REPLICAS) throw new InvalidOptionError('replicas', replicas, 'a whole number from 1 to 5');
  if (maxBytes !== undefined && (!Number.isSafeInteger(maxBytes) || maxBytes < 1)) throw new InvalidOptionError('maxBytes', maxBytes, 'a whole number of 1 or more');
  if (!Number.isSafeInteger(perJob) || perJob < 0) throw new InvalidOptionError('ledger.perJob', perJob, 'a whole number of 0 or more');
  const timeoutMs = toMs(timeout, 'timeout', 1);
  if (timeoutMs > MAX_TIMEOUT_MS) throw new InvalidOptionError('timeout', timeout, 'a duration of at most an hour');
  return {
    source: sourceOf(options, timeoutMs),
    bucket,
    replicas,
    maxBytes,
    timeoutMs,
    perJob,
    maxAgeMs: maxAge === null ? null : toMs(maxAge, 'ledger.maxAge', 1),
  };
}

function sourceOf(options: NatsJobStoreOptions, timeoutMs: number): Settings['source'] {
  const { connection, servers, user, password, token, authenticator, tls, name = 'punctual' } = options;
  if (connection !== undefined) {
    for (const option of PLACE) if (options[option] !== undefined) throw new InvalidOptionError(option, options[option], 'nothing beside `connection`');
    if (!isConnection(connection)) throw new InvalidOptionError('connection', connection, 'a connection of @nats-io/transport-node or @nats-io/nats-core, version 3');
    return { connection };
  }
  const list = typeof servers === 'string' ? [servers] : servers;
  const isRight = list === undefined || (Array.isArray(list) && list.length > 0 && list.every(isAddress));
  if (!isRight) throw new InvalidOptionError('servers', servers, 'an address such as nats://host:4222, or a list of them');
  for (const [option, value] of Object.entries({ user, password, token, name })) {
    if (value !== undefined && typeof value !== 'string') throw new InvalidOptionError(option, value, 'a text');
  }
  // The driver would connect without either.
  if (password !== undefined && (user ?? '') === '') throw new InvalidOptionError('user', user, 'the user whose `password` is given');
  const given = Object.entries({ servers: list, user, pass: password, token, authenticator, tls }).filter(([, value]) => value !== undefined);
  return {
    config: {
      ...Object.fromEntries(given),
      name,
      timeout: timeoutMs,
      // It goes on trying as long as the store is open; calls fail in time all the same.
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

function isAddress(server: unknown): boolean {
  if (typeof server !== 'string' || server.trim() === '') return false;
  const scheme = /^([a-z]+):\/\//i.exec(server)?.[1] ?? 'nats';
  return ['nats', 'tls'].includes(scheme.toLowerCase()) && URL.canParse(server.includes('://') ? server : `nats://${server}`);
}

function isConnection(value: unknown): value is NatsConnectionLike {
  if (typeof value !== 'object' || value === null) return false;
  return ['publish', 'subscribe', 'status', 'isClosed'].every((method) => typeof (value as Record<string, unknown>)[method] === 'function');
}

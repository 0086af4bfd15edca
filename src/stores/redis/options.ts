import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { toMs, type DurationInput } from '../../time/duration.js';
import { hidePassword } from '../shared/strangers.js';
import { kindOf, type RedisClient } from './driver.js';

const MS_PER_DAY = 86_400_000;
const MAX_TIMEOUT_MS = 3_600_000;

export interface RedisJobStoreOptions {
  /** Such as `redis://user:password@host:6379/0`, or `rediss://…` for TLS. Without it and `host`: this machine's port 6379. */
  readonly url?: string | undefined;
  /**
   * In place of a connection: a client or a cluster of ioredis or redis. The store works on duplicates of it, and
   * neither changes nor closes yours.
   */
  readonly client?: RedisClient | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** Number of the database. */
  readonly db?: number | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** `true`, or options of `tls.connect`. */
  readonly tls?: boolean | object | undefined;
  /** What the connections are called in `CLIENT LIST`. Default `'punctual'`. */
  readonly connectionName?: string | undefined;
  /** What all keys begin with, in braces, so that a cluster keeps them together. Default `'punctual'`. */
  readonly prefix?: string | undefined;
  /** How long a connection or an answer is waited for. Default 10 s. */
  readonly timeout?: DurationInput | undefined;
  /** Whether to tell others of changes and to be told, by PUBLISH and SUBSCRIBE on one more connection. Default `true`. */
  readonly listen?: boolean | undefined;
  /** How much history is kept. */
  readonly ledger?:
    | {
        /** Entries of each job, roughly: they are dropped some at a time. Default 1,000; 0 keeps none. */
        readonly perJob?: number | undefined;
        /** Age at which entries are dropped. Default 30 days; `null`: never. */
        readonly maxAge?: DurationInput | null | undefined;
      }
    | undefined;
}

/** Where the server is, and who asks, for a driver to be told. */
export interface Place {
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly db?: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: boolean | object;
  readonly connectionName: string;
}

export interface Settings {
  /** The user's client, or what to make one with. */
  readonly source: { readonly client: RedisClient } | { readonly place: Place };
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly listen: boolean;
  readonly perJob: number;
  readonly maxAgeMs: number | null;
}

const PLACE = ['url', 'host', 'port', 'db', 'username', 'password', 'tls', 'connectionName'] as const;

/** @throws InvalidOptionError */
export function readSettings(target: string | RedisJobStoreOptions): Settings {
  const options: RedisJobStoreOptions = typeof target === 'string' ? { url: target } : target;
  refuseUnknownKeys(options, '', [...PLACE, 'client', 'prefix', 'timeout', 'listen', 'ledger']);
  refuseUnknownKeys(options.ledger ?? {}, 'ledger', ['perJob', 'maxAge']);
  const { prefix = 'punctual', timeout = 10_000, listen = true } = options;
  const { perJob = 1_000, maxAge = 30 * MS_PER_DAY } = options.ledger ?? {};
  if (!Number.isSafeInteger(perJob) || perJob < 0) throw new InvalidOptionError('ledger.perJob', perJob, 'a whole number of 0 or more');
  if (typeof prefix !== 'string' || !/^[^{}\s]{1,100}$/.test(prefix)) {
    throw new InvalidOptionError('prefix', prefix, 'up to 100 characters without braces and spaces; the store puts it into braces itself');
  }
  if (typeof listen !== 'boolean') throw new InvalidOptionError('listen', listen, 'true or false');
  const timeoutMs = toMs(timeout, 'timeout', 1);
  if (timeoutMs > MAX_TIMEOUT_MS) throw new InvalidOptionError('timeout', timeout, 'a duration of at most an hour');
  return {
    source: sourceOf(options),
    prefix,
    timeoutMs,
    listen,
    perJob,
    maxAgeMs: maxAge === null ? null : toMs(maxAge, 'ledger.maxAge'),
  };
}

function sourceOf(options: RedisJobStoreOptions): Settings['source'] {
  const { client, url, host, port, db, username, password, tls, connectionName = 'punctual' } = options;
  if (client !== undefined) {
    for (const option of PLACE) if (options[option] !== undefined) throw new InvalidOptionError(option, options[option], 'nothing beside `client`');
    if (kindOf(client) === undefined) throw new InvalidOptionError('client', client, 'a client or a cluster of ioredis or redis (node-redis)');
    return { client };
  }
  if (url !== undefined) {
    if (typeof url !== 'string' || !/^rediss?:\/\//.test(url) || !URL.canParse(url)) {
      throw new InvalidOptionError('url', hidePassword(url), 'such as redis://user:password@host:6379/0');
    }
    if (!/^\/?\d*$/.test(new URL(url).pathname)) throw new InvalidOptionError('url', hidePassword(url), 'the number of a database after the host, such as redis://host:6379/0, or nothing');
    for (const option of ['host', 'port'] as const) if (options[option] !== undefined) throw new InvalidOptionError(option, options[option], 'nothing beside `url`');
  }
  requireText('host', host);
  requireText('username', username);
  requireText('password', password === undefined ? undefined : password && '…', password);
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) throw new InvalidOptionError('port', port, 'a whole number from 1 to 65535');
  if (db !== undefined && !(Number.isSafeInteger(db) && db >= 0)) throw new InvalidOptionError('db', db, 'a whole number of 0 or more');
  if (tls !== undefined && typeof tls !== 'boolean' && (typeof tls !== 'object' || (tls as unknown) === null)) throw new InvalidOptionError('tls', tls, 'true, false, or options of tls.connect');
  // Redis takes no others in the name of a connection.
  if (typeof connectionName !== 'string' || !/^[!-~]*$/.test(connectionName)) throw new InvalidOptionError('connectionName', connectionName, 'printable characters without spaces');
  const given = Object.entries({ url, host, port, db, username, password, tls }).filter(([, value]) => value !== undefined);
  return { place: { ...Object.fromEntries(given), connectionName } };
}

function requireText(option: string, shown: unknown, value: unknown = shown): void {
  if (value !== undefined && typeof value !== 'string') throw new InvalidOptionError(option, shown, 'a text');
}

import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { toMs, type DurationInput } from '../../time/duration.js';
import { hidePassword } from '../shared/strangers.js';
import type { PostgresPool } from './driver.js';

const MS_PER_DAY = 86_400_000;
const MAX_TIMEOUT_MS = 3_600_000;

export interface PostgresJobStoreOptions {
  /** Such as `postgres://user:password@host:5432/database`. What is not said anywhere comes from `PGHOST`, `PGUSER` and the like. */
  readonly connectionString?: string | undefined;
  /** In place of a connection: a `Pool` of pg, which stays yours to close. */
  readonly pool?: PostgresPool | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly database?: string | undefined;
  readonly user?: string | undefined;
  /** Or a function that answers it, for passwords that change. */
  readonly password?: string | (() => string | Promise<string>) | undefined;
  /** As `pg` takes it: `true`, or options of `tls.connect`. */
  readonly ssl?: boolean | object | undefined;
  /** Most connections, beside the one that listens. Default 5. */
  readonly max?: number | undefined;
  /** What the connections are called in `pg_stat_activity`. Default `'punctual'`. */
  readonly applicationName?: string | undefined;
  /** Schema for the tables; it is made where there is none. Default `'punctual'`. */
  readonly schema?: string | undefined;
  /** How long a connection or an answer is waited for. Default 10 s. */
  readonly timeout?: DurationInput | undefined;
  /** Whether to tell others of changes and to be told, by NOTIFY and LISTEN on one more connection. Default `true`. */
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

export interface Settings {
  /** The user's pool, or what to make one with. */
  readonly source: { readonly pool: PostgresPool } | { readonly config: Readonly<Record<string, unknown>> };
  /** A connection string was meant to be given, and nothing says where the server is. */
  readonly isAddressMissing: boolean;
  readonly schema: string;
  readonly timeoutMs: number;
  readonly listen: boolean;
  readonly perJob: number;
  readonly maxAgeMs: number | null;
}

/** What says where the server is, and who asks. */
const PLACE = ['connectionString', 'host', 'port', 'database', 'user', 'password', 'ssl', 'max', 'applicationName'] as const;

/** @throws InvalidOptionError */
export function readSettings(target: string | PostgresJobStoreOptions): Settings {
  const options: PostgresJobStoreOptions = typeof target === 'string' ? { connectionString: target } : target;
  refuseUnknownKeys(options, '', [...PLACE, 'pool', 'schema', 'timeout', 'listen', 'ledger']);
  refuseUnknownKeys(options.ledger ?? {}, 'ledger', ['perJob', 'maxAge']);
  const { schema = 'punctual', timeout = 10_000, listen = true } = options;
  const { perJob = 1_000, maxAge = 30 * MS_PER_DAY } = options.ledger ?? {};
  if (!Number.isSafeInteger(perJob) || perJob < 0) throw new InvalidOptionError('ledger.perJob', perJob, 'a whole number of 0 or more');
  if (typeof schema !== 'string' || !/^[A-Za-z_]\w{0,49}$/.test(schema) || /^pg_/i.test(schema)) {
    throw new InvalidOptionError('schema', schema, 'up to 50 letters, digits and underscores that begin with none of the digits and not with "pg_"');
  }
  if (typeof listen !== 'boolean') throw new InvalidOptionError('listen', listen, 'true or false');
  const timeoutMs = toMs(timeout, 'timeout', 1);
  if (timeoutMs > MAX_TIMEOUT_MS) throw new InvalidOptionError('timeout', timeout, 'a duration of at most an hour');
  return {
    source: sourceOf(options, timeoutMs),
    isAddressMissing: 'connectionString' in options && options.pool === undefined && PLACE.every((option) => options[option] === undefined),
    schema,
    timeoutMs,
    listen,
    perJob,
    maxAgeMs: maxAge === null ? null : toMs(maxAge, 'ledger.maxAge'),
  };
}

function sourceOf(options: PostgresJobStoreOptions, timeoutMs: number): Settings['source'] {
  const { pool, connectionString, max = 5, applicationName = 'punctual', host, port, database, user, password, ssl } = options;
  if (pool !== undefined) {
    for (const option of PLACE) if (options[option] !== undefined) throw new InvalidOptionError(option, options[option], 'nothing beside `pool`');
    if (!isPool(pool)) throw new InvalidOptionError('pool', pool, 'a Pool of pg');
    return { pool };
  }
  if (connectionString !== undefined && !isAddress(connectionString)) {
    throw new InvalidOptionError('connectionString', hidePassword(connectionString), 'such as postgres://user:password@host:5432/database, with what is no letter or digit of a password percent-encoded');
  }
  for (const [option, value] of Object.entries({ host, database, user, applicationName })) {
    if (value !== undefined && typeof value !== 'string') throw new InvalidOptionError(option, value, 'a text');
  }
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) throw new InvalidOptionError('port', port, 'a whole number from 1 to 65535');
  if (!Number.isSafeInteger(max) || max < 1) throw new InvalidOptionError('max', max, 'a whole number of 1 or more');
  const given = Object.entries({ connectionString, host, port, database, user, password, ssl }).filter(([, value]) => value !== undefined);
  return {
    config: {
      ...Object.fromEntries(given),
      max,
      application_name: applicationName,
      connectionTimeoutMillis: timeoutMs,
      keepAlive: true,
      // Whether the process goes on is for the scheduler to say.
      allowExitOnIdle: true,
    },
  };
}

/** As pg reads it: a URL, or the folder of a socket. What is neither it takes for the name of a database on a host called "base". */
function isAddress(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  if (value.startsWith('/')) return true;
  return /^(postgres|postgresql|pg|socket):/i.test(value) && (URL.canParse(value) || URL.canParse(encodeURI(value)));
}

function isPool(value: unknown): value is PostgresPool {
  if (typeof value !== 'object' || value === null) return false;
  return ['query', 'connect', 'on', 'removeListener'].every((method) => typeof (value as Record<string, unknown>)[method] === 'function');
}

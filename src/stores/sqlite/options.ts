import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { toMs, type DurationInput } from '../../time/duration.js';
import type { SQLiteDatabase } from './driver.js';

const SYNCHRONOUS = ['NORMAL', 'FULL', 'EXTRA', 'OFF'] as const;
const MS_PER_DAY = 86_400_000;
const MAX_BUSY_MS = 3_600_000;

export interface SQLiteJobStoreOptions {
  /** Path of the database file; it is made where there is none. `':memory:'`: nothing outlives the process. */
  readonly path?: string | undefined;
  /** In place of a path: an open `Database` of better-sqlite3, which stays yours to close. */
  readonly database?: SQLiteDatabase | undefined;
  /**
   * When SQLite waits for the disk. `'NORMAL'` (the default) survives every crash of the process; a power cut may undo
   * the last writes, in whole transactions. `'FULL'` keeps those too. A database of your own keeps its setting unless
   * this is given.
   */
  readonly synchronous?: (typeof SYNCHRONOUS)[number] | undefined;
  /** How long to wait for another connection that writes; this process stands still meanwhile. Default 5 s. */
  readonly busyTimeout?: DurationInput | undefined;
  /** How much history is kept. */
  readonly ledger?:
    | {
        /** Entries of each job, roughly: they are dropped some at a time. Default 1,000; 0 keeps none. */
        readonly perJob?: number | undefined;
        /** Age at which entries are dropped. Default 30 days; `null`: never. */
        readonly maxAge?: DurationInput | null | undefined;
      }
    | undefined;
  /** What the names of the tables begin with. Default `'punctual_'`. */
  readonly tablePrefix?: string | undefined;
  /** How often to look whether another process has changed something. Default 500 ms. */
  readonly pollInterval?: DurationInput | undefined;
}

export interface Settings {
  readonly source: { readonly path: string } | { readonly database: SQLiteDatabase };
  /** `undefined`: as it is. */
  readonly synchronous: (typeof SYNCHRONOUS)[number] | undefined;
  readonly busyTimeoutMs: number | undefined;
  readonly perJob: number;
  readonly maxAgeMs: number | null;
  readonly prefix: string;
  readonly pollMs: number;
}

/** @throws InvalidOptionError */
export function readSettings(target: string | SQLiteDatabase | SQLiteJobStoreOptions): Settings {
  const options = optionsOf(target);
  refuseUnknownKeys(options, '', ['path', 'database', 'synchronous', 'busyTimeout', 'ledger', 'tablePrefix', 'pollInterval']);
  refuseUnknownKeys(options.ledger ?? {}, 'ledger', ['perJob', 'maxAge']);
  const { synchronous, busyTimeout, tablePrefix = 'punctual_', pollInterval = 500 } = options;
  const { perJob = 1_000, maxAge = 30 * MS_PER_DAY } = options.ledger ?? {};
  const source = sourceOf(options);
  if (synchronous !== undefined && !SYNCHRONOUS.includes(synchronous)) {
    throw new InvalidOptionError('synchronous', synchronous, `one of ${SYNCHRONOUS.join(', ')}`);
  }
  if (!Number.isSafeInteger(perJob) || perJob < 0) throw new InvalidOptionError('ledger.perJob', perJob, 'a whole number of 0 or more');
  if (typeof tablePrefix !== 'string' || !/^[A-Za-z_]\w{0,63}$/.test(tablePrefix) || /^sqlite_/i.test(tablePrefix)) {
    throw new InvalidOptionError('tablePrefix', tablePrefix, 'up to 64 letters, digits and underscores that begin with none of the digits and not with "sqlite_"');
  }
  const isOwn = 'path' in source;
  return {
    source,
    synchronous: synchronous ?? (isOwn ? 'NORMAL' : undefined),
    busyTimeoutMs: busyTimeout === undefined ? (isOwn ? 5_000 : undefined) : busyMs(busyTimeout),
    perJob,
    maxAgeMs: maxAge === null ? null : toMs(maxAge, 'ledger.maxAge'),
    prefix: tablePrefix,
    pollMs: toMs(pollInterval, 'pollInterval', 1),
  };
}

function busyMs(input: DurationInput): number {
  const ms = toMs(input, 'busyTimeout');
  if (ms > MAX_BUSY_MS) throw new InvalidOptionError('busyTimeout', input, 'a duration of at most an hour, during which this process stands still');
  return ms;
}

function optionsOf(target: unknown): SQLiteJobStoreOptions {
  if (typeof target === 'string') return { path: target };
  // As of an environment variable that is not set: what is missing is the path.
  if (target === undefined) return {};
  return isDatabase(target) ? { database: target } : (target as SQLiteJobStoreOptions);
}

function sourceOf({ path, database }: SQLiteJobStoreOptions): Settings['source'] {
  if (database !== undefined) {
    if (path !== undefined) throw new InvalidOptionError('path', path, 'nothing beside `database`');
    if (!isDatabase(database)) throw new InvalidOptionError('database', database, 'an open Database of better-sqlite3');
    return { database };
  }
  if (typeof path !== 'string' || path.trim() === '') throw new InvalidOptionError('path', path, "the path of a file, such as 'jobs.db', or ':memory:'");
  return { path };
}

function isDatabase(value: unknown): value is SQLiteDatabase {
  if (typeof value !== 'object' || value === null) return false;
  return ['prepare', 'exec', 'pragma'].every((method) => typeof (value as Record<string, unknown>)[method] === 'function');
}

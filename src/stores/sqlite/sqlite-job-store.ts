import { StoreInUseError } from '../../errors/scheduler-errors.js';
import { LockingStore } from '../../locks/locking-store.js';
import { StoreLocks } from '../../locks/store-locks.js';
import type { JobRecord } from '../../model/job.js';
import type {
  ClaimRequest,
  ClaimScope,
  JobAlarms,
  JobChange,
  JobDemand,
  JobPage,
  JobQuery,
  JobStore,
  Leases,
  Ledger,
  MaybePromise,
  Members,
  Revision,
  StoreContext,
  StoredJob,
} from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { ChangeWatch } from './change-watch.js';
import { Claims } from './claims.js';
import { Connection } from './connection.js';
import { openDatabase, type SQLiteDatabase } from './driver.js';
import { errorFromTables, isBusy, SQLiteStoreError } from './errors.js';
import { Housekeeping } from './housekeeping.js';
import { JobList } from './job-list.js';
import { JobTable } from './job-table.js';
import { LogCopier } from './log-copier.js';
import { Lanes } from './lanes.js';
import { readSettings, type Settings, type SQLiteJobStoreOptions } from './options.js';
import { migrate } from './schema.js';
import { SQLiteLeases } from './sqlite-leases.js';
import { SQLiteLedger } from './sqlite-ledger.js';
import { SQLiteMembers } from './sqlite-members.js';

/** What there is while the store is open. */
interface Parts {
  readonly connection: Connection;
  readonly clock: StoreContext['clock'];
  readonly logger: StoreContext['logger'];
  readonly lanes: Lanes;
  readonly jobs: JobTable;
  readonly log: LogCopier | undefined;
  readonly list: JobList;
  readonly claims: Claims;
  readonly ledger: SQLiteLedger;
  readonly leases: SQLiteLeases;
  readonly members: SQLiteMembers;
  readonly housekeeping: Housekeeping;
  readonly changes: ChangeWatch;
}

/** Pages of the database kept in memory by a connection of our own, in KiB. */
const CACHE_KIB = 16_000;
/** Attempts to switch the log on while other processes do the same. */
const LOG_ATTEMPTS = 50;

/**
 * Keeps jobs in a SQLite database, through the package `better-sqlite3`, which is yours to install. Several processes of
 * one machine may use the file at the same time. Not for a network drive: SQLite's locks do not work there.
 *
 * A `Database` of your own is used as it is, apart from the write-ahead log, which is switched on; it stays open. Its
 * `busy_timeout` and `synchronous` are changed where the options say so.
 *
 * @example
 * ```ts
 * import { SQLiteJobStore } from 'punctual/sqlite';
 *
 * const scheduler = new AsyncScheduler({ jobStores: { default: new SQLiteJobStore('jobs.db') } });
 * ```
 */
export class SQLiteJobStore extends LockingStore implements JobStore {
  readonly durable: boolean = true;
  readonly shared: boolean = true;
  /** What is claimed, started and recorded together holds up the event loop. */
  readonly batchSize: number = 32;
  readonly #settings: Settings;
  #parts: Parts | undefined;
  #isOpening = false;
  /** @internal */
  protected readonly locks: StoreLocks;

  /**
   * @param target - a path, a `Database` of better-sqlite3, or options with one of them. Nothing is opened yet.
   * @throws InvalidOptionError
   */
  constructor(target: string | SQLiteDatabase | SQLiteJobStoreOptions) {
    super();
    this.#settings = readSettings(target);
    const { source } = this.#settings;
    // Each connection to a database in memory is to one of its own: no other connection has its locks.
    const isPrivate = 'path' in source && source.path === ':memory:';
    this.locks = new StoreLocks({ store: this, opened: () => this.#parts, another: isPrivate ? undefined : () => new SQLiteJobStore(target) });
  }

  get ledger(): Ledger {
    return this.#open.ledger;
  }

  get leases(): Leases {
    return this.#open.leases;
  }

  /** Of nodes on one machine: the file tells of no other. `undefined` before it is open. */
  get members(): Members | undefined {
    return this.#parts?.members;
  }

  /**
   * @throws SQLiteStoreError when the database cannot be used; its `reason` says why.
   * @throws StoreInUseError when a scheduler has this store already.
   */
  async open(context: StoreContext): Promise<void> {
    if (this.#parts !== undefined || this.#isOpening) {
      throw new StoreInUseError('This SQLiteJobStore has a scheduler already. Give each scheduler a SQLiteJobStore of its own; they may have the same file.');
    }
    this.#isOpening = true;
    try {
      const { source, busyTimeoutMs } = this.#settings;
      const database = 'database' in source ? source.database : await openDatabase(source.path, busyTimeoutMs ?? 0);
      try {
        this.#parts = this.#assemble(database, context);
      } catch (error) {
        if ('path' in source) database.close();
        throw errorFromTables(error, database.name);
      }
    } finally {
      this.#isOpening = false;
    }
  }

  #assemble(database: SQLiteDatabase, { codec, clock, logger, node }: StoreContext): Parts {
    if (!database.open) throw new SQLiteStoreError('closed', 'The database given to SQLiteJobStore is closed. Hand over an open one.');
    if (database.readonly) throw new SQLiteStoreError('read-only', 'The database given to SQLiteJobStore was opened with { readonly: true }. Open it for writing.');
    if (database.inTransaction) throw new SQLiteStoreError('in-transaction', 'The database given to SQLiteJobStore is in a transaction. End it first.');
    const { prefix, perJob, maxAgeMs, synchronous, busyTimeoutMs, pollMs, source } = this.#settings;
    if (busyTimeoutMs !== undefined) database.pragma(`busy_timeout = ${busyTimeoutMs}`);
    if ('path' in source) database.pragma(`cache_size = -${CACHE_KIB}`);
    const connection = new Connection(database, prefix);
    const mode = writeAheadLog(database);
    if (mode !== 'wal' && mode !== 'memory') {
      logger.warn('SQLite has no write-ahead log here: readers and writers wait for each other', { path: database.name, journalMode: mode });
    }
    if (synchronous !== undefined) database.pragma(`synchronous = ${synchronous}`);
    migrate(connection);
    connection.requireWritable();
    const lanes = new Lanes(connection);
    // How often the log of a database of the user's is copied is up to him.
    const log = 'path' in source && mode === 'wal' ? new LogCopier(database, clock, logger) : undefined;
    const ledger = new SQLiteLedger(connection, perJob);
    const jobs = new JobTable(connection, codec, lanes, ledger, node);
    connection.onUndone = () => {
      lanes.undone();
      ledger.undone();
      jobs.undone();
    };
    return {
      connection,
      clock,
      logger,
      lanes,
      jobs,
      log,
      list: new JobList(connection, jobs),
      claims: new Claims(connection, jobs, lanes),
      ledger,
      leases: new SQLiteLeases(connection),
      members: new SQLiteMembers(connection),
      housekeeping: new Housekeeping(connection, ledger, lanes, { perJob, maxAgeMs }),
      changes: new ChangeWatch(database, clock, pollMs, () => lanes.takeForeign()),
    };
  }

  close(): MaybePromise<void> {
    const parts = this.#parts;
    if (parts === undefined) return undefined;
    this.#parts = undefined;
    parts.changes.stop();
    const leaving = parts.log?.close();
    if (leaving !== undefined) return leaving.then(() => { this.#leave(parts); });
    this.#leave(parts);
    return undefined;
  }

  #leave({ connection: { database }, claims, clock }: Parts): void {
    if (!database.open) return;
    try {
      claims.release(clock.now());
      if ('path' in this.#settings.source) database.pragma('optimize');
    } catch {
      // Both are for the convenience of those who come after; the data is safe.
    } finally {
      if ('path' in this.#settings.source) database.close();
    }
  }

  insert(records: readonly JobRecord[]): readonly (StoredJob | undefined)[] {
    return this.#open.jobs.insert(records);
  }

  get(id: string): StoredJob | undefined {
    return this.#open.jobs.get(id);
  }

  list(query: JobQuery): JobPage {
    return this.#open.list.list(query);
  }

  claimDue(request: ClaimRequest): readonly StoredJob[] {
    return this.#open.claims.claim(request);
  }

  commit(changes: readonly JobChange[]): readonly (Revision | undefined)[] {
    const { jobs, log } = this.#open;
    const answers = jobs.commit(changes);
    log?.wrote(changes.length);
    return answers;
  }

  nextWakeAt(scope: ClaimScope): EpochMs | null {
    return this.#open.claims.nextWakeAt(scope);
  }

  tasks(): readonly string[] {
    return this.#open.list.tasks();
  }

  demands(): readonly JobDemand[] {
    return this.#open.list.demands();
  }

  alarms(): JobAlarms {
    return this.#open.list.alarms();
  }

  betweenBatches(): boolean {
    return this.#open.log?.copy() ?? false;
  }

  maintain(now: EpochMs): boolean {
    return this.#open.housekeeping.maintain(now);
  }

  watch(onChange: () => void): () => void {
    const { changes, connection } = this.#open;
    const isAlone = 'path' in this.#settings.source && connection.database.memory;
    return isAlone ? () => undefined : changes.listen(onChange);
  }

  get #open(): Parts {
    if (this.#parts !== undefined) return this.#parts;
    throw new SQLiteStoreError('closed', 'This SQLiteJobStore is not open. A scheduler opens it; on your own, call open() first.');
  }
}

/** Switches it on, and answers the mode that is on then. Other processes that do the same are waited for. */
function writeAheadLog(database: SQLiteDatabase): unknown {
  for (let attempt = 1; ; attempt++) {
    try {
      const mode = database.pragma('journal_mode', { simple: true });
      return mode === 'wal' || mode === 'memory' ? mode : database.pragma('journal_mode = WAL', { simple: true });
    } catch (error) {
      if (!isBusy(error) || attempt === LOG_ATTEMPTS) throw error;
      // The change of mode itself does not wait for others; a transaction does.
      database.exec('BEGIN IMMEDIATE; COMMIT');
    }
  }
}

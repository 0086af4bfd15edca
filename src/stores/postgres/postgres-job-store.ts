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
  JobWriter,
  Leases,
  Ledger,
  Members,
  Revision,
  StoreContext,
  StoredJob,
} from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { overInTime } from '../../locks/in-time.js';
import { Claims } from './claims.js';
import { Database } from './database.js';
import { clientsLike, loadDriver, type OwnPool, type PostgresClient, type PostgresPool } from './driver.js';
import { PostgresStoreError, translate } from './errors.js';
import { Housekeeping } from './housekeeping.js';
import { JobList } from './job-list.js';
import { JobTable } from './job-table.js';
import { MOST_END_MS, Notices } from './notices.js';
import { readSettings, type PostgresJobStoreOptions, type Settings } from './options.js';
import { PostgresLeases } from './postgres-leases.js';
import { PostgresLedger } from './postgres-ledger.js';
import { PostgresMembers } from './postgres-members.js';
import { migrate } from './schema.js';
import { UserTransactions } from './user-transaction.js';

/** What there is while the store is open. */
interface Parts {
  readonly clock: StoreContext['clock'];
  readonly logger: StoreContext['logger'];
  readonly database: Database;
  readonly jobs: JobTable;
  readonly list: JobList;
  readonly claims: Claims;
  readonly ledger: PostgresLedger;
  readonly leases: PostgresLeases;
  readonly members: PostgresMembers;
  readonly transactions: UserTransactions;
  readonly housekeeping: Housekeeping;
  readonly notices: Notices | undefined;
  readonly connections: Connections;
}

interface Connections {
  readonly pool: PostgresPool;
  readonly makeClient: (() => PostgresClient) | undefined;
  close(): Promise<void>;
}

/**
 * Keeps jobs in a PostgreSQL database (13 or later), through the package `pg`, which is yours to install. Any number of
 * processes on any number of machines may use one schema at the same time; what is due is told by the server's clock.
 *
 * A `Pool` of your own is used as it is, and stays open. While the store is open it listens to the pool's `error` events,
 * so that a connection that breaks while nobody uses it does not end the process.
 *
 * @example
 * ```ts
 * import { PostgresJobStore } from 'punctual/postgres';
 *
 * const jobStore = new PostgresJobStore('postgres://app:secret@db.example.com/app');
 * const scheduler = new AsyncScheduler({ jobStores: { default: jobStore } });
 * ```
 */
export class PostgresJobStore extends LockingStore implements JobStore {
  readonly durable: boolean = true;
  readonly shared: boolean = true;
  /** What is claimed together is locked for a moment in every lane, and is for one process: the others shall have some, too. */
  readonly batchSize: number = 100;
  /** A transaction waits for the disk, and with a backlog there is enough for all. */
  readonly backlogBatchSize: number = 400;
  readonly #settings: Settings;
  #parts: Parts | undefined;
  #isOpening = false;
  /** @internal */
  protected readonly locks: StoreLocks;

  /**
   * @param target - a connection string, or options. Nothing is opened yet. Without either, `PGHOST` and the like say where.
   * @throws InvalidOptionError
   */
  constructor(target: string | PostgresJobStoreOptions = {}) {
    super();
    this.#settings = readSettings(target);
    this.locks = new StoreLocks({ store: this, opened: () => this.#parts, another: () => new PostgresJobStore(target) });
  }

  get ledger(): Ledger {
    return this.#open.ledger;
  }

  get leases(): Leases {
    return this.#open.leases;
  }

  get members(): Members {
    return this.#open.members;
  }

  /**
   * Writes inside a transaction of yours; `addJob(…, { client })` does so.
   *
   * @param client - a `Client` of pg, or one of a pool's, after `BEGIN`.
   * @throws InvalidOptionError
   */
  within(client: unknown): JobWriter {
    return this.#open.transactions.writer(client);
  }

  /**
   * @throws PostgresStoreError when the database cannot be used; its `reason` says why.
   * @throws StoreInUseError when a scheduler has this store already.
   */
  async open(context: StoreContext): Promise<void> {
    if (this.#parts !== undefined || this.#isOpening) {
      throw new StoreInUseError('This PostgresJobStore has a scheduler already. Give each scheduler a PostgresJobStore of its own; they may have the same schema.');
    }
    this.#isOpening = true;
    try {
      const connections = await connect(this.#settings, context);
      try {
        const { schema, timeoutMs } = this.#settings;
        const database = new Database(connections.pool, schema, timeoutMs);
        await migrate(database);
        this.#parts = this.#assemble(database, connections, context);
      } catch (error) {
        await connections.close();
        const failure = translate(error, this.#settings.schema);
        if (!this.#settings.isAddressMissing || !(failure instanceof PostgresStoreError)) throw failure;
        const text = `${failure.message} \`connectionString\` was given as undefined, so that PGHOST and the like counted, and defaults.`;
        throw new PostgresStoreError(failure.reason, text, { cause: failure.cause });
      }
    } finally {
      this.#isOpening = false;
    }
  }

  #assemble(database: Database, connections: Connections, context: StoreContext): Parts {
    const { perJob, maxAgeMs, listen, timeoutMs } = this.#settings;
    const ledger = new PostgresLedger(database, perJob);
    const jobs = new JobTable(database, context.codec, ledger);
    const members = new PostgresMembers(database);
    const notices = listen ? new Notices(database, connections.makeClient, context, timeoutMs) : undefined;
    if (notices !== undefined) jobs.onWritten = () => { notices.changed(); };
    return {
      clock: context.clock,
      logger: context.logger,
      database,
      jobs,
      list: new JobList(database, jobs),
      claims: new Claims(database, jobs, members, context.clock),
      ledger,
      leases: new PostgresLeases(database),
      members,
      transactions: new UserTransactions(database, jobs, notices?.toAll),
      housekeeping: new Housekeeping(database, ledger, { perJob, maxAgeMs }),
      notices,
      connections,
    };
  }

  async close(): Promise<void> {
    const parts = this.#parts;
    if (parts === undefined) return;
    this.#parts = undefined;
    await parts.notices?.close();
    await parts.connections.close();
  }

  async insert(records: readonly JobRecord[]): Promise<readonly (StoredJob | undefined)[]> {
    return this.#open.jobs.insert(records);
  }

  async get(id: string): Promise<StoredJob | undefined> {
    return this.#open.jobs.get(id);
  }

  async list(query: JobQuery): Promise<JobPage> {
    return this.#open.list.list(query);
  }

  async claimDue(request: ClaimRequest): Promise<readonly StoredJob[]> {
    return this.#open.claims.claim(request);
  }

  async commit(changes: readonly JobChange[]): Promise<readonly (Revision | undefined)[]> {
    const { jobs, claims } = this.#open;
    try {
      const answers = await jobs.commit(changes);
      claims.written(changes, answers);
      return answers;
    } catch (error) {
      claims.written(changes, undefined);
      throw error;
    }
  }

  async nextWakeAt(scope: ClaimScope): Promise<EpochMs | null> {
    return this.#open.claims.nextWakeAt(scope);
  }

  /** The server's clock. */
  async now(): Promise<EpochMs> {
    const [row] = await this.#open.database.query('SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint');
    return Number(row?.[0]);
  }

  async tasks(): Promise<readonly string[]> {
    return this.#open.list.tasks();
  }

  async demands(): Promise<readonly JobDemand[]> {
    return this.#open.claims.demands();
  }

  async alarms(): Promise<JobAlarms> {
    return this.#open.list.alarms();
  }

  async maintain(now: EpochMs): Promise<boolean> {
    return this.#open.housekeeping.maintain(now);
  }

  async watch(onChange: () => void): Promise<() => Promise<void>> {
    const { notices } = this.#open;
    return notices === undefined ? async () => undefined : notices.listen(onChange);
  }

  get #open(): Parts {
    if (this.#parts !== undefined) return this.#parts;
    throw new PostgresStoreError('closed', 'This PostgresJobStore is not open. A scheduler opens it; on your own, call open() first.');
  }
}

async function connect({ source, timeoutMs }: Settings, { clock, logger }: StoreContext): Promise<Connections> {
  const onError = (error: Error): void => { logger.debug('a connection to PostgreSQL broke while it was idle', { error }); };
  if ('pool' in source) {
    const { pool } = source;
    pool.on('error', onError);
    return { pool, makeClient: clientsLike(pool, timeoutMs), close: async () => { pool.removeListener('error', onError); } };
  }
  const { Pool, Client } = await loadDriver();
  const pool: OwnPool = new Pool(source.config);
  pool.on('error', onError);
  return { pool, makeClient: () => new Client(source.config), close: async () => overInTime(clock, MOST_END_MS, pool.end()) };
}

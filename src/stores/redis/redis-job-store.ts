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
  Members,
  Revision,
  StoreContext,
  StoredJob,
} from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { Alarms } from './alarms.js';
import { Claims } from './claims.js';
import { connectLike, connectTo, type Reply } from './driver.js';
import { RedisStoreError } from './errors.js';
import { Housekeeping } from './housekeeping.js';
import { JobList } from './job-list.js';
import { COMMON } from './job-scripts.js';
import { JobTable } from './job-table.js';
import { Link, script } from './link.js';
import { Notices } from './notices.js';
import { readSettings, type RedisJobStoreOptions, type Settings } from './options.js';
import { RedisLeases } from './redis-leases.js';
import { RedisLedger } from './redis-ledger.js';
import { RedisMembers } from './redis-members.js';
import { prepare } from './schema.js';
import { Sweep } from './sweep.js';

/** What there is while the store is open. */
interface Parts {
  readonly link: Link;
  readonly jobs: JobTable;
  readonly list: JobList;
  readonly alarms: Alarms;
  readonly claims: Claims;
  readonly ledger: RedisLedger;
  readonly leases: RedisLeases;
  readonly members: RedisMembers;
  readonly housekeeping: Housekeeping;
  readonly notices: Notices | undefined;
}

/** A script, so that in a cluster it is the node with the jobs that tells the time. */
const TIME = script(`${COMMON}
return call('TIME')
`);

/**
 * Keeps jobs in Redis (6.2 or later) or Valkey, through the package `ioredis` or `redis`, which is yours to install. Any
 * number of processes on any number of machines may use one prefix at the same time; what is due is told by the server's
 * clock. Each change is one script, which the server carries out as a whole.
 *
 * All keys of a store have one hash tag, the prefix: a cluster keeps them in one slot.
 *
 * A client of your own is neither changed nor closed: the store connects as it does, with duplicates of it that repeat
 * nothing and queue nothing. Its `keyPrefix` is not used.
 *
 * @example
 * ```ts
 * import { RedisJobStore } from 'punctual/redis';
 *
 * const jobStore = new RedisJobStore('redis://:secret@redis.example.com:6379');
 * const scheduler = new AsyncScheduler({ jobStores: { default: jobStore } });
 * ```
 */
export class RedisJobStore extends LockingStore implements JobStore {
  readonly durable: boolean = true;
  readonly shared: boolean = true;
  /** What is claimed together is for one process: the others shall have some, too. */
  readonly batchSize: number = 200;
  /** With a backlog there is enough for all; a script of so many holds up the server for some milliseconds. */
  readonly backlogBatchSize: number = 500;
  readonly #settings: Settings;
  #parts: Parts | undefined;
  #isOpening = false;
  #context: StoreContext | undefined;
  /** @internal */
  protected readonly locks: StoreLocks;

  /**
   * @param target - a URL, or options. Nothing is connected yet. Without either it is this machine's port 6379.
   * @throws InvalidOptionError
   */
  constructor(target: string | RedisJobStoreOptions = {}) {
    super();
    this.#settings = readSettings(target);
    this.locks = new StoreLocks({ store: this, opened: () => (this.#parts === undefined ? undefined : this.#context), another: () => new RedisJobStore(target) });
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
   * @throws RedisStoreError when the server cannot be used; its `reason` says why.
   * @throws StoreInUseError when a scheduler has this store already.
   */
  async open(context: StoreContext): Promise<void> {
    if (this.#parts !== undefined || this.#isOpening) {
      throw new StoreInUseError('This RedisJobStore has a scheduler already. Give each scheduler a RedisJobStore of its own; they may have the same prefix.');
    }
    this.#isOpening = true;
    try {
      const { source, prefix, timeoutMs } = this.#settings;
      const connect = 'client' in source ? connectLike(source.client) : await connectTo(source.place);
      const link = new Link(connect, `{${prefix}}:`, { clock: context.clock, timeoutMs });
      try {
        await prepare(link, context.logger);
      } catch (error) {
        link.close();
        throw error;
      }
      this.#parts = this.#assemble(link, context);
      this.#context = context;
    } finally {
      this.#isOpening = false;
    }
  }

  #assemble(link: Link, context: StoreContext): Parts {
    const { perJob, maxAgeMs, listen } = this.#settings;
    const ledger = new RedisLedger(link, perJob);
    const jobs = new JobTable(link, context.codec, ledger);
    const notices = listen ? new Notices(link, context) : undefined;
    if (notices !== undefined) jobs.onWritten = () => { notices.changed(); };
    return {
      link,
      jobs,
      list: new JobList(link, jobs),
      alarms: new Alarms(link, jobs),
      claims: new Claims(link, jobs, context.node),
      ledger,
      leases: new RedisLeases(link, notices),
      members: new RedisMembers(link),
      housekeeping: new Housekeeping(link, ledger, new Sweep(link, context.logger), { perJob, maxAgeMs }),
      notices,
    };
  }

  async close(): Promise<void> {
    const parts = this.#parts;
    if (parts === undefined) return;
    this.#parts = undefined;
    await parts.notices?.close();
    parts.link.close();
  }

  async insert(records: readonly JobRecord[]): Promise<readonly (StoredJob | undefined)[]> {
    return this.#open.jobs.insert(records);
  }

  async get(id: string): Promise<StoredJob | undefined> {
    return this.#open.jobs.get(id);
  }

  async list(query: JobQuery): Promise<JobPage> {
    const { list, alarms } = this.#open;
    return (query.overdue ?? query.alarmBy) === undefined ? list.list(query) : alarms.list(query);
  }

  async claimDue(request: ClaimRequest): Promise<readonly StoredJob[]> {
    return this.#open.claims.claim(request);
  }

  async commit(changes: readonly JobChange[]): Promise<readonly (Revision | undefined)[]> {
    const { jobs, claims } = this.#open;
    let answers: readonly (Revision | undefined)[] | undefined;
    try {
      return (answers = await jobs.commit(changes));
    } finally {
      claims.committed(changes, answers);
    }
  }

  async nextWakeAt(scope: ClaimScope): Promise<EpochMs | null> {
    return this.#open.claims.nextWakeAt(scope);
  }

  /** The server's clock. */
  async now(): Promise<EpochMs> {
    const [seconds, microseconds] = (await this.#open.link.run(TIME, [])) as Reply[];
    return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
  }

  async tasks(): Promise<readonly string[]> {
    return this.#open.list.tasks();
  }

  async demands(): Promise<readonly JobDemand[]> {
    return this.#open.claims.demands();
  }

  async alarms(): Promise<JobAlarms> {
    return this.#open.alarms.alarms();
  }

  async maintain(now: EpochMs): Promise<boolean> {
    return this.#open.housekeeping.maintain(now);
  }

  async watch(onChange: () => void): Promise<() => void> {
    const { notices } = this.#open;
    return notices === undefined ? () => undefined : notices.listen(onChange);
  }

  get #open(): Parts {
    if (this.#parts !== undefined) return this.#parts;
    throw new RedisStoreError('closed', 'This RedisJobStore is not open. A scheduler opens it; on your own, call open() first.');
  }
}

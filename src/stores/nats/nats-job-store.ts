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
import { overInTime } from '../../locks/in-time.js';
import { loadDriver, type NatsConnectionLike } from './driver.js';
import { NatsStoreError, translate, translateConnecting } from './errors.js';
import { Link } from './link.js';
import { Node } from './node.js';
import { readSettings, type NatsJobStoreOptions, type Settings } from './options.js';
import { namesOf, prepareStreams } from './streams.js';

/** How long the end of a connection is waited for. */
const MOST_END_MS = 1_000;

/**
 * Keeps jobs in a KV bucket of NATS JetStream (server 2.9 or later), through the package `@nats-io/transport-node`, which
 * is yours to install. Any number of processes on any number of machines may use one bucket at the same time; what is due
 * is told by the server's clock.
 *
 * A connection of your own is used as it is, and stays open. Let it reconnect without an end (`maxReconnectAttempts: -1`).
 *
 * @example
 * ```ts
 * import { NatsJobStore } from 'punctual/nats';
 *
 * const jobStore = new NatsJobStore({ servers: 'nats://nats.example.com:4222', token: 'secret', replicas: 3 });
 * const scheduler = new AsyncScheduler({ jobStores: { default: jobStore } });
 * ```
 */
export class NatsJobStore extends LockingStore implements JobStore {
  readonly durable: boolean = true;
  readonly shared: boolean = true;
  /** What is claimed together is for one process: the others shall have some, too. */
  readonly batchSize: number = 200;
  readonly #settings: Settings;
  #node: Node | undefined;
  #isOpening = false;
  #context: StoreContext | undefined;
  /** @internal */
  protected readonly locks: StoreLocks;

  /**
   * @param target - an address, or options. Nothing is opened yet. Without either it is `127.0.0.1:4222`.
   * @throws InvalidOptionError
   */
  constructor(target: string | NatsJobStoreOptions = {}) {
    super();
    this.#settings = readSettings(target);
    this.locks = new StoreLocks({ store: this, opened: () => (this.#node === undefined ? undefined : this.#context), another: () => new NatsJobStore(target) });
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
   * @throws NatsStoreError when the server cannot be used; its `reason` says why.
   * @throws StoreInUseError when a scheduler has this store already.
   */
  async open(context: StoreContext): Promise<void> {
    if (this.#node !== undefined || this.#isOpening) {
      throw new StoreInUseError('This NatsJobStore has a scheduler already. Give each scheduler a NatsJobStore of its own; they may have the same bucket.');
    }
    this.#isOpening = true;
    try {
      this.#node = await this.#connect(context);
      this.#context = context;
    } catch (error) {
      throw translate(error);
    } finally {
      this.#isOpening = false;
    }
  }

  async #connect(context: StoreContext): Promise<Node> {
    const { source, bucket, timeoutMs } = this.#settings;
    const driver = await loadDriver();
    const names = namesOf(bucket);
    let connection: NatsConnectionLike;
    let end = async (): Promise<void> => undefined;
    if ('connection' in source) ({ connection } = source);
    else {
      const own = await driver.connect(source.config).catch((error: unknown) => { throw translateConnecting(error); });
      connection = own;
      end = async () => overInTime(context.clock, MOST_END_MS, own.close());
    }
    const link = new Link(connection, driver, context.clock, timeoutMs);
    const close = async (): Promise<void> => {
      link.close();
      await end();
    };
    try {
      await prepareStreams(link, names, this.#settings);
      const node = new Node(link, names, context, this.#settings, close);
      await node.start();
      return node;
    } catch (error) {
      await close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const node = this.#node;
    this.#node = undefined;
    if (node !== undefined) await node.close(MOST_END_MS);
  }

  async insert(records: readonly JobRecord[]): Promise<readonly (StoredJob | undefined)[]> {
    return this.#open.jobs.insert(records);
  }

  async get(id: string): Promise<StoredJob | undefined> {
    return this.#open.jobs.get(id);
  }

  async list(query: JobQuery): Promise<JobPage> {
    return this.#open.list(query);
  }

  async claimDue(request: ClaimRequest): Promise<readonly StoredJob[]> {
    return this.#open.claims.claim(request);
  }

  async commit(changes: readonly JobChange[]): Promise<readonly (Revision | undefined)[]> {
    return this.#open.jobs.commit(changes);
  }

  async nextWakeAt(scope: ClaimScope): Promise<EpochMs | null> {
    // The index is here: only the connection says whether what it knows is still so.
    await this.#open.connected();
    return this.#open.index.nextWakeAt(scope);
  }

  /** The server's clock. */
  async now(): Promise<EpochMs> {
    return this.#open.clock.now();
  }

  async tasks(): Promise<readonly string[]> {
    return this.#open.tasks();
  }

  async demands(): Promise<readonly JobDemand[]> {
    return this.#open.demands();
  }

  async alarms(): Promise<JobAlarms> {
    return this.#open.alarms();
  }

  async maintain(): Promise<boolean> {
    return this.#open.housekeeping.maintain();
  }

  watch(onChange: () => void): () => void {
    return this.#open.watch(onChange);
  }

  get #open(): Node {
    if (this.#node !== undefined) return this.#node;
    throw new NatsStoreError('closed', 'This NatsJobStore is not open. A scheduler opens it; on your own, call open() first.');
  }
}

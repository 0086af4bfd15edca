import { MemoryJobStore, type MemoryJobStoreOptions } from '../stores/memory/memory-job-store.js';
import { LockingStore } from '../locks/locking-store.js';
import { StoreLocks } from '../locks/store-locks.js';
import { wakeAt, type JobRecord } from '../model/job.js';
import type { LedgerEntry, LedgerQuery } from '../model/ledger.js';
import type { EncodedJob, JobCodec } from '../ports/job-codec.js';
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
  LedgerPage,
  LedgerPageRequest,
  Members,
  Revision,
  StoreContext,
  StoredJob,
} from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';

/**
 * A job store that stands in for a database in tests: it is `durable`, so jobs need explicit ids and registered tasks;
 * everything that goes in or comes out passes through JSON, so what a database would lose or refuse is lost or refused
 * here; every answer is a promise; and what it holds survives `close()`, so a second scheduler finds what the first
 * one left. It is gone with the process.
 *
 * @example
 * ```ts
 * const jobStore = new JsonJobStore();
 * const before = new AsyncScheduler({ clock, jobStores: { default: jobStore } });
 * // …add jobs, start, shut down…
 * const after = new AsyncScheduler({ clock, jobStores: { default: jobStore } });
 * ```
 */
export class JsonJobStore extends LockingStore implements JobStore {
  readonly durable: boolean = true;
  readonly #memory: MemoryJobStore;
  /** Of each open connection its own, as each scheduler knows other triggers. The latest serves. */
  #codec: JobCodec | undefined;
  #context: StoreContext | undefined;
  /** @internal */
  protected readonly locks = new StoreLocks({ store: this, opened: () => this.#context });

  /** @param options - as of `MemoryJobStore`. `shared` is `true` unless said otherwise. */
  constructor(options: MemoryJobStoreOptions = {}) {
    super();
    this.#memory = new MemoryJobStore({ shared: true, ...options });
  }

  get shared(): boolean {
    return this.#memory.shared;
  }

  get ledger(): Ledger {
    return {
      list: async (query: LedgerQuery & LedgerPageRequest): Promise<LedgerPage> => copy(this.#memory.ledger.list(query) as LedgerPage),
      prunedThrough: async (jobId: string): Promise<EpochMs | null> => this.#memory.ledger.prunedThrough(jobId),
    };
  }

  get leases(): Leases {
    return this.#memory.leases;
  }

  get members(): Members {
    return this.#memory.members;
  }

  async open(context: StoreContext): Promise<void> {
    this.#memory.open(context);
    this.#codec = context.codec;
    this.#context = context;
  }

  async close(): Promise<void> {
    this.#memory.close();
  }

  async insert(records: readonly JobRecord[]): Promise<readonly (StoredJob | undefined)[]> {
    return this.#memory.insert(records.map((record) => this.#through(record))).map((stored) => stored && this.#answer(stored));
  }

  async get(id: string): Promise<StoredJob | undefined> {
    const stored = this.#memory.get(id);
    return stored && this.#answer(stored);
  }

  async list(query: JobQuery): Promise<JobPage> {
    const { jobs, nextCursor } = this.#memory.list(query);
    return { jobs: jobs.map((stored) => this.#answer(stored)), nextCursor };
  }

  async claimDue(request: ClaimRequest): Promise<readonly StoredJob[]> {
    return this.#memory.claimDue(request).map((stored) => this.#answer(stored));
  }

  async commit(changes: readonly JobChange[]): Promise<readonly (Revision | undefined)[]> {
    return this.#memory.commit(
      changes.map(({ id, expected, next, ledger }) => ({
        id,
        expected,
        next: next === null ? null : this.#through(next),
        ledger: copy(ledger as LedgerEntry[]),
      })),
    );
  }

  async nextWakeAt(scope: ClaimScope): Promise<EpochMs | null> {
    return this.#memory.nextWakeAt(scope);
  }

  async tasks(): Promise<readonly string[]> {
    const { jobs } = this.#memory.list({ limit: Number.MAX_SAFE_INTEGER });
    return [...new Set(jobs.map(({ record }) => record.definition.task))];
  }

  async alarms(): Promise<JobAlarms> {
    return this.#memory.alarms();
  }

  async demands(): Promise<readonly JobDemand[]> {
    const demands = new Map<string, JobDemand>();
    for (const { record } of this.#memory.list({ limit: Number.MAX_SAFE_INTEGER }).jobs) {
      const { task, taskVersion, policy: { executor } } = record.definition;
      const at = wakeAt(record);
      const key = JSON.stringify([task, taskVersion, executor]);
      const known = demands.get(key);
      if (at !== null && (known === undefined || at < known.wakeAt)) demands.set(key, { task, taskVersion, executor, wakeAt: at });
    }
    return [...demands.values()];
  }

  watch(onChange: () => void): () => void {
    return this.#memory.watch(onChange);
  }

  #answer({ record, revision }: StoredJob): StoredJob {
    return { record: this.#through(record), revision };
  }

  /** The record as it is after a way to a database and back. @throws JobUnstorableError */
  #through(record: JobRecord): JobRecord {
    const codec = this.#codec;
    if (codec === undefined) throw new Error('JsonJobStore was used before open(). A scheduler opens it; on your own, call open(storeContext()).');
    return codec.decode(copy<EncodedJob>(codec.encode(record)));
  }
}

function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { StoreInUseError } from '../../errors/scheduler-errors.js';
import { LockingStore } from '../../locks/locking-store.js';
import { StoreLocks } from '../../locks/store-locks.js';
import { alarmAt } from '../../model/alarm.js';
import { runningCount, wakeAt, type JobRecord } from '../../model/job.js';
import type {
  ClaimRequest,
  ClaimScope,
  JobAlarms,
  JobChange,
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
import { MemoryLeases } from './memory-leases.js';
import { MemoryLedger, type History } from './memory-ledger.js';
import { MemoryMembers } from './memory-members.js';
import { AlarmIndex } from '../shared/alarm-index.js';
import { WakeIndex, type WakeEntry } from '../shared/wake-index.js';

export interface MemoryJobStoreOptions {
  /** Let several schedulers of this process work on the same jobs, under leases, as nodes on a remote store do. Default `false`. */
  readonly shared?: boolean | undefined;
  /** How much history is kept. */
  readonly ledger?:
    | {
        /** Entries of each job. Default 100; 0 keeps none. */
        readonly perJob?: number | undefined;
        /** Jobs that are gone whose history is kept. Default 1,000. */
        readonly removedJobs?: number | undefined;
      }
    | undefined;
}

/** A stored record with its place in the index, and its history. */
interface Entry extends WakeEntry {
  record: JobRecord;
  history: History | null;
}

/**
 * Keeps jobs in memory: the default, and the reference that other stores are compared with. Takes bare functions and
 * any arguments, by reference. What it holds is gone with the process.
 *
 * @example
 * ```ts
 * new AsyncScheduler({ jobStores: { default: new MemoryJobStore({ ledger: { perJob: 1_000 } }) } });
 * ```
 */
export class MemoryJobStore extends LockingStore implements JobStore {
  readonly durable: boolean = false;
  readonly shared: boolean;
  readonly #entries = new Map<string, Entry>();
  readonly #index = new WakeIndex<Entry>(wakeAt);
  readonly #alarms = new AlarmIndex();
  readonly #ledger: MemoryLedger;
  readonly leases: Leases = new MemoryLeases();
  readonly members: Members = new MemoryMembers();
  readonly #watchers = new Set<() => void>();
  #sortedIds: string[] | null = null;
  #revision = 0;
  #users = 0;
  #context: StoreContext | undefined;
  /** @internal */
  protected readonly locks = new StoreLocks({ store: this, opened: () => (this.#users > 0 ? this.#context : undefined) });

  /** @throws InvalidOptionError when a limit is not a whole number of 0 or more. */
  constructor(options: MemoryJobStoreOptions = {}) {
    super();
    refuseUnknownKeys(options, '', ['shared', 'ledger']);
    refuseUnknownKeys(options.ledger ?? {}, 'ledger', ['perJob', 'removedJobs']);
    this.shared = options.shared ?? false;
    const { perJob = 100, removedJobs = 1_000 } = options.ledger ?? {};
    for (const [name, value] of Object.entries({ perJob, removedJobs })) {
      if (!Number.isInteger(value) || value < 0) {
        throw new InvalidOptionError(`ledger.${name}`, value, 'a whole number of 0 or more');
      }
    }
    this.#ledger = new MemoryLedger({ perJob, removedJobs }, this.#entries);
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  open(context: StoreContext): void {
    if (this.#users > 0 && !this.shared) {
      throw new StoreInUseError(
        'This MemoryJobStore has a scheduler already. Give each scheduler its own, or share it: new MemoryJobStore({ shared: true }).',
      );
    }
    this.#users += 1;
    this.#context = context;
  }

  close(): void {
    this.#users -= 1;
  }

  insert(records: readonly JobRecord[]): (StoredJob | undefined)[] {
    const answers = records.map((record) => {
      if (this.#entries.has(record.id)) return undefined;
      const revision = ++this.#revision;
      const entry: Entry = { record, revision, history: null, at: 0, place: 'never', lane: null, stamp: 0, position: 0 };
      this.#entries.set(record.id, entry);
      this.#index.add(entry);
      this.#alarms.set(record.id, alarmAt(record));
      this.#ledger.jobAdded(record.id, entry);
      return { record, revision };
    });
    this.#sortedIds = null;
    this.#changed();
    return answers;
  }

  get(id: string): StoredJob | undefined {
    const entry = this.#entries.get(id);
    return entry === undefined ? undefined : { record: entry.record, revision: entry.revision };
  }

  list(query: JobQuery): JobPage {
    const ids = this.#idsInOrder(query);
    const jobs: StoredJob[] = [];
    for (let i = query.after === undefined ? 0 : firstAfter(ids, query.after); i < ids.length; i++) {
      const entry = this.#entries.get(ids[i]!);
      if (entry === undefined || !matches(entry.record, query)) continue;
      if (jobs.length === query.limit) return { jobs, nextCursor: jobs.at(-1)?.record.id ?? null };
      jobs.push({ record: entry.record, revision: entry.revision });
    }
    return { jobs, nextCursor: null };
  }

  /** What is asked of few jobs, at each start, must not cost the sorting of all. */
  #idsInOrder(query: JobQuery): readonly string[] {
    const overdue = this.#alarms.find(query);
    if (overdue !== undefined) return overdue;
    if (this.#sortedIds === null && (query.triggerKind ?? query.running) !== undefined) {
      return [...this.#entries.values()].flatMap(({ record }) => (matches(record, query) ? record.id : [])).sort();
    }
    return (this.#sortedIds ??= [...this.#entries.keys()].sort());
  }

  claimDue(request: ClaimRequest): StoredJob[] {
    return this.#index.claim(request).map(({ record, revision }) => ({ record, revision }));
  }

  commit(changes: readonly JobChange[]): (Revision | undefined)[] {
    const answers = changes.map(({ id, expected, next, ledger }) => {
      const entry = this.#entries.get(id);
      if (entry?.revision !== expected) return undefined;
      const revision = ++this.#revision;
      if (ledger.length > 0) this.#ledger.append(entry, ledger);
      if (next === null) {
        this.#index.remove(entry);
        this.#alarms.set(id, null);
        this.#entries.delete(id);
        this.#sortedIds = null;
        this.#ledger.jobRemoved(id, entry);
      } else {
        entry.revision = revision;
        this.#index.replace(entry, next);
        this.#alarms.set(id, alarmAt(next));
      }
      return revision;
    });
    this.#changed();
    return answers;
  }

  nextWakeAt(scope: ClaimScope): EpochMs | null {
    return this.#index.nextWakeAt(scope);
  }

  alarms(): JobAlarms {
    return this.#alarms.alarms();
  }

  watch(onChange: () => void): () => void {
    // Each call is told by itself, also if the function is the same.
    const watcher = (): void => { onChange(); };
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  #changed(): void {
    // With one user there is nobody else to tell.
    if (this.#users > 1) for (const onChange of this.#watchers) queueMicrotask(onChange);
  }
}

/** Index of the first id greater than `after` in sorted ids. */
function firstAfter(ids: readonly string[], after: string): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle]!) > after) high = middle;
    else low = middle + 1;
  }
  return low;
}

function matches({ id, definition, state }: JobRecord, query: JobQuery): boolean {
  if (query.task !== undefined && definition.task !== query.task) return false;
  if (query.triggerKind !== undefined && definition.trigger.kind !== query.triggerKind) return false;
  if (query.statuses !== undefined && !query.statuses.includes(state.status)) return false;
  if (query.owner !== undefined && definition.owner !== query.owner) return false;
  if (query.running && runningCount(state.runs) === 0) return false;
  if (query.tags?.every((tag) => definition.tags.includes(tag)) === false) return false;
  if (query.text === undefined) return true;
  const text = query.text.toLowerCase();
  return [id, definition.name ?? '', definition.task].some((field) => field.toLowerCase().includes(text));
}

import type { JobRecord, JobStatus } from '../model/job.js';
import type { LedgerEntry, LedgerQuery } from '../model/ledger.js';
import type { Clock } from './clock.js';
import type { JobCodec } from './job-codec.js';
import type { Logger } from './logger.js';
import type { EpochMs } from './trigger.js';

/** An answer that may be there at once. A store in memory never makes its caller wait. */
export type MaybePromise<T> = T | Promise<T>;

/** Version of one stored record. Never used twice for one id, not even after a delete and a new insert. */
export type Revision = string | number;

export interface StoredJob {
  readonly record: JobRecord;
  readonly revision: Revision;
}

/**
 * A linearizable map from job id to one record, with an index on `wakeAt(record)`, and a ledger beside it.
 *
 * A store keeps no policy. Misfires, coalescing, concurrency, retries and crash recovery are decided by the
 * planner and arrive as "the next record, if the revision is still this one". The promise everything rests on
 * is {@link JobStore.commit}: of several writers with one revision, exactly one wins. One key at a time is enough.
 *
 * Records are immutable: a store neither changes what it was given nor answers what it will change later.
 * `jobStoreContract` in `punctual/testing` is this text as tests.
 */
export interface JobStore {
  /** Whether records outlive the process. Then a job needs an explicit id and a registered task, and runs are held under leases. */
  readonly durable: boolean;
  /** Whether several schedulers may use the stored jobs at the same time. Then, too, runs are held under leases. */
  readonly shared: boolean;

  /**
   * Most records to be claimed at a time, where the store has its reasons. A store that answers at once holds up the
   * event loop meanwhile: of it so many are claimed to begin with, and more as long as that takes no more than moments.
   */
  readonly batchSize?: number | undefined;

  /**
   * Most records to be claimed at a time while more are due than are asked for, of a store whose answers have to be waited
   * for. Left out: never more than `batchSize`.
   */
  readonly backlogBatchSize?: number | undefined;

  /** Called once before anything else. @throws when the store cannot be used; nothing was changed then. */
  open(context: StoreContext): MaybePromise<void>;
  /** Called once, last. Closes what `open` opened, and nothing the user brought. */
  close(): MaybePromise<void>;

  /**
   * Adds records whose id is free. Answers per record the stored job, or `undefined` when the id is taken. To be sent
   * once: a driver that repeats it after a lost answer adds a job again that may have run and gone in between.
   */
  insert(records: readonly JobRecord[]): MaybePromise<readonly (StoredJob | undefined)[]>;
  get(id: string): MaybePromise<StoredJob | undefined>;

  /**
   * The same writes inside a transaction that the user began on a connection of the user's: there once that commits, and not
   * before. Watchers are told at the commit, those of this store included; a store that cannot promise that is looked at again from
   * time to time. A store without it takes part in no transactions.
   *
   * @throws InvalidOptionError when `client` is no such connection; the writes themselves do when it has no transaction.
   */
  within?(client: unknown): JobWriter;

  /** One page in ascending order of id: by UTF-16 code unit or by code point, always the same. */
  list(query: JobQuery): MaybePromise<JobPage>;

  /**
   * Records with `wakeAt <= now` that this node can serve, the highest priority first, then the earliest, at
   * most `limit`, and of each executor at most its `free`. May hide what it answers from other claimers for
   * `reserveMs`; a commit of the record ends that. Correctness never rests on the hiding: only `commit` decides.
   */
  claimDue(request: ClaimRequest): MaybePromise<readonly StoredJob[]>;

  /**
   * Replaces each record that still has the `expected` revision (`next: null` deletes it) and writes its ledger
   * entries with it, both or neither. Answers per change the new revision, or `undefined` where somebody else was
   * first. After a delete the answer is some revision that is never used again. Changes are independent of one
   * another and name different ids.
   */
  commit(changes: readonly JobChange[]): MaybePromise<readonly (Revision | undefined)[]>;

  /** The earliest `wakeAt` of the records this node can serve, hidden ones included from when they reappear. */
  nextWakeAt(scope: ClaimScope): MaybePromise<EpochMs | null>;

  /** The store's own clock, where it has one: leases and due decisions then use it, and skewed hosts are safe. */
  now?(): MaybePromise<EpochMs>;

  /** Calls back when something may have changed. A hint: it may be late, lost or doubled. Answers how to stop. */
  watch?(onChange: () => void): MaybePromise<() => MaybePromise<void>>;

  /** Names of the tasks that stored jobs refer to, where that can be told without looking at every job. */
  tasks?(): MaybePromise<readonly string[]>;

  /**
   * What stored jobs that want attention ask of a node, each once, and from when on. For a store that can tell without
   * looking at every job: it is asked every few minutes, to find work that no node can do.
   */
  demands?(): MaybePromise<readonly JobDemand[]>;

  /**
   * How the store stands with what jobs are expected to do (`alarmAt`). Small, and asked by each node every ten seconds or so
   * while there are such jobs. A store without it takes no jobs with `expect`.
   */
  alarms?(): MaybePromise<JobAlarms>;

  /**
   * Called after each batch that was claimed and written, in a turn of the event loop of its own: for what a store that
   * answers at once had better not do within a commit. Answers whether it took time, so that everything else has its turn
   * before the next batch.
   */
  betweenBatches?(): boolean;

  /**
   * Does one small piece of housekeeping (drops old history, expired results), short enough not to hold up what is due.
   * Called from time to time while a scheduler runs. Answers whether there is more to do at once.
   */
  maintain?(now: EpochMs): MaybePromise<boolean>;

  readonly ledger: Ledger;
  readonly leases: Leases;
  /** The nodes that use the store, where several may. */
  readonly members?: Members | undefined;
}

/** The writes of a store that add a job, or put it in the place of another. */
export type JobWriter = Pick<JobStore, 'insert' | 'get' | 'commit'>;

export interface StoreContext {
  readonly clock: Clock;
  readonly logger: Logger;
  /** For stores that write records: definitions hold live triggers, the codec makes them plain data and back. */
  readonly codec: JobCodec;
  /** Name of this scheduler among those that share the store. */
  readonly node: string;
}

/** What this node can do. */
export interface ClaimScope {
  /** Executors with room, by alias, and how many runs each still takes. */
  readonly executors: ReadonlyMap<string, number>;
  /**
   * Tasks defined here, and the version of each. A record is within reach when its task is here in its `taskVersion` or
   * a later one; one with a bare function always is.
   */
  readonly tasks: ReadonlyMap<string, number>;
}

export interface ClaimRequest extends ClaimScope {
  readonly now: EpochMs;
  readonly limit: number;
  readonly reserveMs: number;
}

/** What there is to be said of jobs that are overdue. */
export interface JobAlarms {
  /** The earliest `alarmAt` of those of which it was not said yet; `null` where there is none. */
  readonly nextAt: EpochMs | null;
  /** Jobs of which it was said, and still holds: `alarmAt` is `RAISED`. */
  readonly overdue: number;
}

/** What a node must have to serve some job. */
export interface JobDemand {
  readonly task: string;
  /** The task is needed in this version or a later one. */
  readonly taskVersion: number;
  readonly executor: string;
  /** The earliest `wakeAt` of the jobs that ask for this. */
  readonly wakeAt: EpochMs;
}

export interface JobChange {
  readonly id: string;
  readonly expected: Revision;
  readonly next: JobRecord | null;
  readonly ledger: readonly LedgerEntry[];
}

/** Selects jobs. Everything given must hold. */
export interface JobQuery {
  /** Has all of these tags. */
  readonly tags?: readonly string[] | undefined;
  readonly task?: string | undefined;
  /** Kind of the trigger. A store of many jobs keeps an index on it: it is asked at each start. */
  readonly triggerKind?: string | undefined;
  readonly statuses?: readonly JobStatus[] | undefined;
  /** Belongs to this set of definitions. */
  readonly owner?: string | undefined;
  /** Has a run that some node holds. A durable store keeps an index on it: it is asked at each start. */
  readonly running?: true | undefined;
  /** Is overdue, and that was said: `alarmAt` is `RAISED`. A store with `alarms` keeps an index on it. */
  readonly overdue?: true | undefined;
  /** Is overdue at this instant, and that was not said yet: `alarmAt` is no later, and not `RAISED`. A store with `alarms` keeps an index on it. */
  readonly alarmBy?: EpochMs | undefined;
  /** Occurs in the id, the name or the task, whatever the case. */
  readonly text?: string | undefined;
  /** Ids after this one. */
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface JobPage {
  readonly jobs: readonly StoredJob[];
  /** Pass as `after` for the next page; `null` on the last. */
  readonly nextCursor: string | null;
}

/** The history of a store. Written by `commit` alone. */
export interface Ledger {
  /** One page, in the order in which the verdicts fell (`newestFirst` turns it round). */
  list(query: LedgerQuery & LedgerPageRequest): MaybePromise<LedgerPage>;
  /**
   * The greatest fire time of the job whose entry has been dropped to keep the ledger small, `null` when
   * everything is there. What lies after it is complete.
   */
  prunedThrough(jobId: string): MaybePromise<EpochMs | null>;
}

export interface LedgerPageRequest {
  readonly after?: string | undefined;
  readonly limit: number;
  readonly newestFirst?: boolean | undefined;
}

export interface LedgerPage {
  readonly entries: readonly LedgerEntry[];
  readonly nextCursor: string | null;
}

/** Rights that expire by themselves: the distributed lock of a store. One key at a time is linearizable. */
export interface Leases {
  /**
   * Takes or renews a lease: when it is free, has run out, is the holder's own, or `force` says so. The token grows each
   * time the lease changes hands. Answers the lease, or `undefined` when another has it. A renewal never makes it end
   * sooner: one that was held up on its way must not undo a later one, which its holder relies on.
   */
  acquire(request: LeaseRequest): MaybePromise<Lease | undefined>;
  /** The lease as it stands, even if it has run out; `undefined` when nobody ever had it, or it was released. */
  get(key: string): MaybePromise<Lease | undefined>;
  /** Gives it back, if it is the holder's. A released key keeps its token, so that the next holder's is greater. */
  release(key: string, holder: string): MaybePromise<void>;
  /** Calls back when the lease may have been released. A hint, as `JobStore.watch`. Answers how to stop. */
  watch?(key: string, onRelease: () => void): MaybePromise<() => MaybePromise<void>>;
}

export interface LeaseRequest {
  readonly key: string;
  readonly holder: string;
  /** By the store's clock where it has one. */
  readonly now: EpochMs;
  readonly ttlMs: number;
  /** Take it from whoever has it. */
  readonly force?: boolean | undefined;
}

export interface Lease {
  readonly key: string;
  readonly holder: string;
  /** Fencing token: greater than that of every earlier holder. */
  readonly token: number;
  readonly expiresAt: EpochMs;
}

/**
 * The nodes that use a store, as each tells of itself. For people and for `getNodes`; nothing that has to be right rests
 * on it. What a node last said is forgotten once its time is up, so that one that died needs nobody to clear it away.
 */
export interface Members {
  /**
   * Says that a node is there, in place of what it said before. It is said every few seconds by each node: it wakes nobody
   * who watches the store for changes, and costs one small write.
   */
  announce(request: AnnounceRequest): MaybePromise<void>;
  /** Nodes whose time is not up at `now` (by the store's clock where it has one), in order of their names. */
  list(now: EpochMs): MaybePromise<readonly Member[]>;
  /** The node leaves. Unknown names are fine. */
  withdraw(node: string): MaybePromise<void>;
}

export interface AnnounceRequest {
  /** Unique among those that share the store. Any text. */
  readonly node: string;
  /** What it has to say, as text. Some hundred characters; a store must take 64 kB. */
  readonly about: string;
  /** By the store's clock where it has one. */
  readonly now: EpochMs;
  readonly ttlMs: number;
}

export interface Member {
  readonly node: string;
  readonly about: string;
  /** When it was last heard of. By the store's clock where it has one. */
  readonly seenAt: EpochMs;
  readonly expiresAt: EpochMs;
}

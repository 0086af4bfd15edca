import { isPunctualError } from '../errors/base.js';
import { InvalidOptionError } from '../errors/errors.js';
import { StoreFailedError } from '../errors/scheduler-errors.js';
import type { JobRecord } from '../model/job.js';
import type { LedgerQuery } from '../model/ledger.js';
import type { Clock } from '../ports/clock.js';
import type { AnnounceRequest, ClaimRequest, ClaimScope, JobAlarms, JobChange, JobDemand, JobPage, JobQuery, JobStore, JobWriter, Lease, LeaseRequest, LedgerPage, LedgerPageRequest, MaybePromise, Member, Revision, StoreContext, StoredJob } from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';
import { isThenable } from '../time/thenable.js';

/**
 * A job store as the scheduler sees it: opened once, closed once, its errors wrapped, and no answer waited for longer
 * than `timeoutMs`, so that a store which hangs looks like one which fails. A call that ran out of time may still have
 * been carried out; callers read again before they rely on either.
 */
export class StoreAccess {
  readonly alias: string;
  readonly store: JobStore;
  readonly #clock: Clock;
  /** Told of each record that is about to be written and of which something is expected. */
  onExpecting: (record: JobRecord) => void = () => undefined;
  /** How long an answer is waited for. */
  readonly timeoutMs: number;
  #opened: Promise<void> | undefined;
  #ready = false;
  #closed = false;

  /** Whether jobs are of plain data, so that their arguments are copied for each run, and functions are the task's. */
  readonly isPlain: boolean;

  /** @param leaseMs - a call that hangs longer than a third of it would keep the renewals behind it from the store. */
  constructor(alias: string, store: JobStore, clock: Clock, timeoutMs: number, leaseMs: number, isPlain = store.durable) {
    this.isPlain = isPlain;
    this.alias = alias;
    this.store = store;
    this.#clock = clock;
    this.timeoutMs = this.leased ? Math.min(timeoutMs, Math.ceil(leaseMs / 3)) : timeoutMs;
  }

  /**
   * Whether runs are held under leases: another node may have to take them over, or, where records outlive the
   * process, the next start of this one.
   */
  get leased(): boolean {
    return this.store.shared || this.store.durable;
  }

  /** Opens it the first time; a failed opening can be tried again. */
  open(context: StoreContext): MaybePromise<void> {
    if (this.#ready) return undefined;
    this.#opened ??= this.#open(context).catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #open(context: StoreContext): Promise<void> {
    await this.store.open(context);
    this.#ready = true;
    this.#closed = false;
  }

  async close(): Promise<void> {
    // What is still opening would be open for good afterwards. That it failed, its caller hears.
    await this.#opened?.catch(() => undefined);
    if (!this.#ready || this.#closed) return;
    this.#closed = true;
    this.#ready = false;
    this.#opened = undefined;
    await this.#call('close', () => this.store.close());
  }

  insert(records: readonly JobRecord[]): MaybePromise<readonly (StoredJob | undefined)[]> {
    for (const record of records) if (record.definition.policy.expect != null) this.onExpecting(record);
    return this.#call('insert', () => this.store.insert(records));
  }

  get(id: string): MaybePromise<StoredJob | undefined> {
    return this.#call('read', () => this.store.get(id));
  }

  /** Writes inside a transaction of the user's. @throws InvalidOptionError when the store takes part in none, or the client is not one. */
  within(client: unknown): JobWriter {
    const { store, alias } = this;
    if (store.within === undefined) {
      const hint = `The job store "${alias}" takes part in no transactions of yours; a PostgresJobStore does.`;
      throw new InvalidOptionError('client', typeof client, 'nothing', hint);
    }
    const writer = store.within(client);
    return {
      insert: (records) => this.#call('insert', () => writer.insert(records)),
      get: (id) => this.#call('read', () => writer.get(id)),
      commit: (changes) => this.#call('commit', () => writer.commit(changes)),
    };
  }

  list(query: JobQuery): MaybePromise<JobPage> {
    return this.#call('list jobs', () => this.store.list(query));
  }

  claimDue(request: ClaimRequest): MaybePromise<readonly StoredJob[]> {
    return this.#call('claim', () => this.store.claimDue(request));
  }

  commit(changes: readonly JobChange[]): MaybePromise<readonly (Revision | undefined)[]> {
    for (const { next } of changes) if (next?.definition.policy.expect != null) this.onExpecting(next);
    return this.#call('commit', () => this.store.commit(changes));
  }

  nextWakeAt(scope: ClaimScope): MaybePromise<EpochMs | null> {
    return this.#call('find the next wake-up', () => this.store.nextWakeAt(scope));
  }

  /** Answers how to stop; `undefined` where the store has nothing to tell. */
  async watch(onChange: () => void): Promise<(() => MaybePromise<void>) | undefined> {
    if (this.store.watch === undefined) return undefined;
    let isGivenUp = false;
    try {
      const stop = await this.#call('watch for changes', () => {
        const answer = this.store.watch?.(onChange);
        // Nobody has waited for it: it would be told of changes for good.
        if (isThenable(answer)) void answer.then((late) => isGivenUp && this.#call('stop watching', late)).then(undefined, () => undefined);
        return answer;
      });
      return stop && (() => this.#call('stop watching', stop));
    } catch (error) {
      isGivenUp = true;
      throw error;
    }
  }

  listLedger(query: LedgerQuery & LedgerPageRequest): MaybePromise<LedgerPage> {
    return this.#call('read the ledger', () => this.store.ledger.list(query));
  }

  prunedThrough(jobId: string): MaybePromise<EpochMs | null> {
    return this.#call('read the ledger', () => this.store.ledger.prunedThrough(jobId));
  }

  /** Tasks in use, as far as the store can tell. */
  tasks(): MaybePromise<readonly string[]> {
    return this.#call('list tasks', () => this.store.tasks?.() ?? []);
  }

  /** What stored jobs ask of a node, as far as the store can tell. */
  demands(): MaybePromise<readonly JobDemand[]> {
    return this.#call('list what jobs need', () => this.store.demands?.() ?? []);
  }

  /** How it stands with what jobs are expected to do. To be asked only of a store that can tell. */
  alarms(): MaybePromise<JobAlarms> {
    return this.#call('look for overdue jobs', () => this.store.alarms?.() ?? { nextAt: null, overdue: 0 });
  }

  announce(request: AnnounceRequest): MaybePromise<void> {
    return this.#call('tell of this node', () => this.store.members?.announce(request));
  }

  listMembers(now: EpochMs): MaybePromise<readonly Member[]> {
    return this.#call('list nodes', () => this.store.members?.list(now) ?? []);
  }

  withdraw(node: string): MaybePromise<void> {
    return this.#call('take leave', () => this.store.members?.withdraw(node));
  }

  betweenBatches(): boolean {
    return this.#call('tidy up', () => this.store.betweenBatches?.() ?? false) === true;
  }

  maintain(now: EpochMs): MaybePromise<boolean> {
    return this.#call('keep house', () => this.store.maintain?.(now) ?? false);
  }

  lease(key: string): MaybePromise<Lease | undefined> {
    return this.#call('read a lease', () => this.store.leases.get(key));
  }

  acquireLease(request: LeaseRequest): MaybePromise<Lease | undefined> {
    return this.#call('take a lease', () => this.store.leases.acquire(request));
  }

  releaseLease(key: string, holder: string): MaybePromise<void> {
    return this.#call('give back a lease', () => this.store.leases.release(key, holder));
  }

  /** The store's own time. To be asked only of a store that has one. */
  now(): MaybePromise<EpochMs> {
    return this.#call('tell the time', () => this.store.now?.() ?? this.#clock.now());
  }

  #call<T>(operation: string, call: () => MaybePromise<T>): MaybePromise<T> {
    let answer: MaybePromise<T>;
    try {
      answer = call();
    } catch (error) {
      throw this.#failure(operation, error);
    }
    return isThenable(answer) ? this.#inTime(operation, answer) : answer;
  }

  #inTime<T>(operation: string, answer: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(
        this.timeoutMs,
        () => {
          reject(new StoreFailedError(operation, this.alias, new Error(`no answer within ${this.timeoutMs} ms`)));
        },
        false,
      );
      answer.then(
        (value) => {
          timer.cancel();
          resolve(value);
        },
        (error: unknown) => {
          timer.cancel();
          reject(this.#failure(operation, error));
        },
      );
    });
  }

  /** A record that cannot be stored is the caller's mistake; everything else is the store's. */
  #failure(operation: string, error: unknown): Error {
    // What the caller gave is at fault, not the store.
    const isCallers = isPunctualError(error, 'JOB_UNSTORABLE') || isPunctualError(error, 'INVALID_OPTION');
    return isCallers ? error : new StoreFailedError(operation, this.alias, error);
  }
}

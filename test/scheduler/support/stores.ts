import {
  MemoryJobStore,
  type Clock,
  type ClaimRequest,
  type ClaimScope,
  type EncodedJob,
  type JobChange,
  type JobCodec,
  type JobPage,
  type JobQuery,
  type JobRecord,
  type JobStore,
  type Leases,
  type Ledger,
  type LedgerPage,
  type MaybePromise,
  type Revision,
  type StoreContext,
  type StoredJob,
  type TimerHandle,
} from 'punctual';

/** A store that outlives its scheduler, as far as a test can tell: what it holds has been through the codec. */
export class DurableStore extends MemoryJobStore {
  override readonly durable = true;
  #codec: JobCodec | undefined;

  override open(context: StoreContext): void {
    super.open(context);
    this.#codec = context.codec;
  }

  override insert(records: readonly JobRecord[]): (StoredJob | undefined)[] {
    return super.insert(records.map((record) => this.#stored(record)));
  }

  override commit(changes: readonly JobChange[]): (Revision | undefined)[] {
    return super.commit(
      changes.map((change) => (change.next === null ? change : { ...change, next: this.#stored(change.next) })),
    );
  }

  #stored(record: JobRecord): JobRecord {
    if (this.#codec === undefined) throw new Error('used before it was opened');
    return this.#codec.decode(JSON.parse(JSON.stringify(this.#codec.encode(record))) as EncodedJob);
  }
}

export type Operation = 'open' | 'close' | 'insert' | 'get' | 'list' | 'claimDue' | 'commit' | 'nextWakeAt' | 'ledger' | 'watch';

/** How an operation misbehaves: `fail` throws, `hang` never answers, `lose` does it and then throws, `delay` answers later. */
type Fault = 'fail' | 'hang' | 'lose' | 'delay';

/** A memory store between which and its scheduler something can be wrong. */
export class FaultyStore implements JobStore {
  readonly durable = false;
  readonly shared: boolean;
  readonly inner: MemoryJobStore;
  readonly faults = new Map<Operation, Fault>();
  readonly calls: Operation[] = [];
  readonly ledger: Ledger;
  readonly leases: Leases;
  readonly watch?: (onChange: () => void) => MaybePromise<() => MaybePromise<void>>;
  /** Opens one answer that `delay` holds back. */
  readonly held: (() => void)[] = [];

  constructor(inner: MemoryJobStore = new MemoryJobStore(), { watches = false } = {}) {
    this.inner = inner;
    this.shared = inner.shared;
    this.leases = inner.leases;
    this.ledger = {
      list: (query): MaybePromise<LedgerPage> => this.#through('ledger', () => inner.ledger.list(query)),
      prunedThrough: (id): MaybePromise<number | null> => this.#through('ledger', () => inner.ledger.prunedThrough(id)),
    };
    if (watches) this.watch = (onChange): MaybePromise<() => void> => this.#through('watch', () => inner.watch(onChange));
  }

  count(operation: Operation): number {
    return this.calls.filter((call) => call === operation).length;
  }

  /** Everything fails, until `recover`. */
  breakDown(fault: Fault = 'fail'): void {
    for (const operation of ['insert', 'get', 'list', 'claimDue', 'commit', 'nextWakeAt', 'ledger'] as const) {
      this.faults.set(operation, fault);
    }
  }

  recover(): void {
    this.faults.clear();
    for (const release of this.held.splice(0)) release();
  }

  open(context: StoreContext): MaybePromise<void> {
    return this.#through('open', () => { this.inner.open(context); });
  }
  close(): MaybePromise<void> {
    return this.#through('close', () => { this.inner.close(); });
  }
  insert(records: readonly JobRecord[]): MaybePromise<readonly (StoredJob | undefined)[]> {
    return this.#through('insert', () => this.inner.insert(records));
  }
  get(id: string): MaybePromise<StoredJob | undefined> {
    return this.#through('get', () => this.inner.get(id));
  }
  list(query: JobQuery): MaybePromise<JobPage> {
    return this.#through('list', () => this.inner.list(query));
  }
  claimDue(request: ClaimRequest): MaybePromise<readonly StoredJob[]> {
    return this.#through('claimDue', () => this.inner.claimDue(request));
  }
  commit(changes: readonly JobChange[]): MaybePromise<readonly (Revision | undefined)[]> {
    return this.#through('commit', () => this.inner.commit(changes));
  }
  nextWakeAt(scope: ClaimScope): MaybePromise<number | null> {
    return this.#through('nextWakeAt', () => this.inner.nextWakeAt(scope));
  }

  #through<T>(operation: Operation, call: () => MaybePromise<T>): MaybePromise<T> {
    this.calls.push(operation);
    const fault = this.faults.get(operation);
    switch (fault) {
      case undefined:
        return call();
      case 'fail':
        throw new Error(`${operation} is broken`);
      case 'hang':
        return new Promise<never>(() => undefined);
      case 'lose':
        void call();
        return Promise.reject(new Error(`the answer to ${operation} got lost`));
      case 'delay':
        return new Promise<T>((resolve) => {
          this.held.push(() => { resolve(call()); });
        });
      default:
        return fault satisfies never;
    }
  }
}

/** A clock like the system's: nobody tells it that its wall time was set. Counts the timers that are set and that go off. */
export class PlainClock implements Clock {
  readonly #inner: Clock;
  /** Delay of each timer that was set. */
  readonly delays: number[] = [];
  readonly keptAlive: boolean[] = [];
  fired = 0;
  pending = 0;

  constructor(inner: Clock) {
    this.#inner = inner;
  }

  now(): number {
    return this.#inner.now();
  }
  monotonic(): number {
    return this.#inner.monotonic();
  }
  defer(callback: () => void): void {
    this.#inner.defer(callback);
  }
  setTimer(delayMs: number, callback: () => void, keepAlive = true): TimerHandle {
    this.delays.push(delayMs);
    this.keptAlive.push(keepAlive);
    this.pending += 1;
    let over = false;
    const settle = (): boolean => {
      if (over) return false;
      over = true;
      this.pending -= 1;
      return true;
    };
    const timer = this.#inner.setTimer(
      delayMs,
      () => {
        if (settle()) this.fired += 1;
        callback();
      },
      keepAlive,
    );
    return {
      cancel: (): void => {
        settle();
        timer.cancel();
      },
    };
  }
}

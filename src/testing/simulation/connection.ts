import type { JobRecord } from '../../model/job.js';
import type {
  ClaimRequest,
  ClaimScope,
  JobAlarms,
  JobChange,
  JobPage,
  JobQuery,
  JobStore,
  Ledger,
  Lease,
  Leases,
  MaybePromise,
  Revision,
  StoredJob,
} from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { Host } from './host.js';
import type { Random } from './random.js';
import type { Report } from './report.js';
import type { SharedStore } from './shared-store.js';

/** How bad the way to the store is. Probabilities are per call. */
export interface NetworkFaults {
  /** The store answers at once, without a promise; nothing gets lost on the way. */
  readonly synchronous: boolean;
  readonly latencyMs: number;
  /** An answer takes up to a second and a half. */
  readonly slow: number;
  readonly lostRequest: number;
  readonly lostAnswer: number;
  /** A write arrives twice, and the second answer may be the one that comes back. */
  readonly doubled: number;
  /** The node dies with its commit on the way, or done and not answered. */
  readonly crashAtCommit: number;
}

export interface ConnectionParts {
  readonly host: Host;
  readonly node: string;
  readonly server: SharedStore;
  readonly random: Random;
  readonly report: Report;
  readonly faults: NetworkFaults;
  readonly shared: boolean;
  readonly ownClock: boolean;
  /** How long the node waits for an answer. */
  readonly patienceMs: number;
  /** Asked before a crash at a commit: whether the world can spare the node. */
  readonly mayCrash: () => boolean;
  readonly crash: () => void;
  /** An answer to a commit has reached the node. */
  delivered(changes: readonly JobChange[], answers: readonly (Revision | undefined)[]): void;
}

/** One node's way to the shared store, with everything that happens on such ways. */
export class Connection implements JobStore {
  readonly durable: boolean;
  readonly shared: boolean;
  readonly now?: () => MaybePromise<EpochMs>;
  readonly ledger: Ledger;
  readonly leases: Leases;
  /** Cut off until this world time. */
  cutOffUntil = 0;
  /** Faults are over: from now on the network is as good as networks get. */
  healed = false;
  readonly #parts: ConnectionParts;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.durable = parts.server.durable;
    this.shared = parts.shared;
    const { memory } = parts.server;
    this.ledger = {
      list: (query) => this.#call(() => memory.ledger.list(query) as Awaited<ReturnType<Ledger['list']>>),
      prunedThrough: (jobId) => this.#call(() => memory.ledger.prunedThrough(jobId) as number | null),
    };
    this.leases = {
      acquire: (request) => this.#call(() => memory.leases.acquire(request) as Lease | undefined),
      get: (key) => this.#call(() => memory.leases.get(key) as Lease | undefined),
      release: (key, holder) => this.#call(() => memory.leases.release(key, holder) as undefined),
    };
    if (parts.ownClock) this.now = () => this.#call(() => parts.server.now());
  }

  open(): void {
    // the server is always there to be opened; whether it answers is another question
  }

  close(): void {
    // nothing to close
  }

  insert(records: readonly JobRecord[]): MaybePromise<readonly (StoredJob | undefined)[]> {
    const { server } = this.#parts;
    // No driver may send an insert twice: the job may have run and gone in between.
    return this.#call(() => server.insert(records));
  }

  get(id: string): MaybePromise<StoredJob | undefined> {
    const { server } = this.#parts;
    return this.#call(() => {
      const stored = server.memory.get(id);
      return stored && server.answer(stored);
    });
  }

  list(query: JobQuery): MaybePromise<JobPage> {
    return this.#call(() => this.#parts.server.memory.list(query));
  }

  claimDue(request: ClaimRequest): MaybePromise<readonly StoredJob[]> {
    const { server } = this.#parts;
    return this.#call(() => server.memory.claimDue(request).map((stored) => server.answer(stored)));
  }

  commit(changes: readonly JobChange[]): MaybePromise<readonly (Revision | undefined)[]> {
    const { random, faults, server, node } = this.#parts;
    const write = (): (Revision | undefined)[] => server.commit(changes, node);
    const { host, patienceMs } = this.#parts;
    const sentAt = host.monotonic();
    const arrived = (answers: (Revision | undefined)[]): void => {
      // Nobody listens any more to an answer that comes too late.
      if (host.monotonic() - sentAt < patienceMs) this.#parts.delivered(changes, answers);
    };
    if (!faults.synchronous && !this.healed && random.chance(faults.crashAtCommit) && this.#parts.mayCrash()) {
      return this.#crashAround(write);
    }
    return this.#call(write, true, arrived);
  }

  nextWakeAt(scope: ClaimScope): MaybePromise<EpochMs | null> {
    return this.#call(() => this.#parts.server.memory.nextWakeAt(scope));
  }

  alarms(): MaybePromise<JobAlarms> {
    return this.#call(() => this.#parts.server.memory.alarms());
  }

  watch(onChange: () => void): () => void {
    const { server, host, random, faults } = this.#parts;
    return server.memory.watch(() => {
      if (faults.synchronous) {
        host.defer(onChange);
        return;
      }
      if (!this.healed && random.chance(faults.lostAnswer)) return; // a hint may be lost
      host.world.after(random.next() * faults.latencyMs, () => { host.deliver(onChange); });
    });
  }

  #call<T>(act: () => T, isWrite = false, arrived: (answer: T) => void = () => undefined): MaybePromise<T> {
    const { faults, host } = this.#parts;
    if (!faults.synchronous) return this.#send(act, isWrite, arrived);
    if (!host.alive) return new Promise(() => undefined);
    this.#refuse();
    const answer = act();
    arrived(answer);
    return answer;
  }

  #refuse(): void {
    const { server, host } = this.#parts;
    if (server.isDown) throw new Error('the store is down');
    if (host.world.time < this.cutOffUntil) throw new Error('the store cannot be reached');
  }

  #send<T>(act: () => T, isWrite: boolean, arrived: (answer: T) => void): Promise<T> {
    const { host, random, faults, report } = this.#parts;
    const { world } = host;
    const bad = this.healed ? 0 : 1;
    return new Promise((resolve, reject) => {
      if (!host.alive || random.chance(faults.lostRequest * bad)) return; // no answer will ever come
      world.after(this.#delay(bad), () => {
        let answer: T;
        try {
          this.#refuse();
          answer = act();
        } catch (error) {
          const refusal = error instanceof Error ? error : new Error(String(error));
          world.after(this.#delay(bad), () => { host.deliver(() => { reject(refusal); }); });
          return;
        }
        let second = false;
        if (isWrite && random.chance(faults.doubled * bad)) {
          report.totals.doubledWrites += 1;
          second = random.chance(0.5);
          const wait = random.next() * 400;
          world.after(wait, () => {
            const again = act();
            if (second) world.after(this.#delay(bad), () => { host.deliver(() => { resolve(again); }); });
          });
        }
        if (second) return;
        if (random.chance(faults.lostAnswer * bad)) {
          report.totals.lostAnswers += 1;
          if (random.chance(0.5)) world.after(this.#delay(bad), () => { host.deliver(() => { reject(new Error('connection reset')); }); });
          return;
        }
        world.after(this.#delay(bad), () => {
          host.deliver(() => {
            arrived(answer);
            resolve(answer);
          });
        });
      });
    });
  }

  #delay(bad: number): number {
    const { random, faults } = this.#parts;
    return random.chance(faults.slow * bad) ? random.next() * 750 : random.next() * faults.latencyMs;
  }

  /** The node dies, with its commit never sent, still on the way, or done. */
  #crashAround(write: () => unknown): Promise<never> {
    const { host, random, server, crash } = this.#parts;
    if (random.chance(0.6)) {
      host.world.after(random.next() * 50, () => {
        if (!server.isDown) write();
      });
    }
    crash();
    return new Promise(() => undefined);
  }
}

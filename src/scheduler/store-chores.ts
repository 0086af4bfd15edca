import type { MaybePromise } from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';
import { isThenable } from '../time/thenable.js';
import { NodeName } from './node-name.js';
import { fireStartupJobs } from './startup-jobs.js';
import { endStrayLeases } from './stray-leases.js';
import type { LoopDeps } from './loop-deps.js';
import type { StoreLoop } from './store-loop.js';

/** How often a store is given time for housekeeping, in ms of elapsed time. */
const MAINTAIN_EVERY_MS = 60_000;
/** The same for a store in which this node has had nothing to do since. */
const MAINTAIN_IDLE_MS = 300_000;

/** What a loop does for its store besides firing: once when it has started, and from time to time. */
export class StoreChores {
  readonly #loop: StoreLoop;
  readonly #deps: LoopDeps;
  readonly #name: NodeName | null;
  readonly #saidUnknown = new Set<string>();
  /** A start whose chores are not done yet. */
  #startedAt: EpochMs | null = null;
  /** A start by which the name was not taken yet. */
  #nameWanted = false;
  /** The clock may have been ahead, before this start or until it was set. */
  #leasesMayStray = false;
  #maintainedAt = Number.NEGATIVE_INFINITY;
  /** Jobs this node had claimed by then. */
  #claimed = 0;

  constructor(loop: StoreLoop, deps: LoopDeps) {
    this.#loop = loop;
    this.#deps = deps;
    this.#name = deps.process !== undefined && loop.access.leased ? new NodeName(loop, deps, deps.process) : null;
  }

  /** Jobs that fire when a scheduler starts get this start for a fire time, as soon as the store can be asked for them. */
  announceStart(): void {
    this.#startedAt = this.#loop.now();
    this.#nameWanted = this.#name !== null;
    this.clockWasSet();
  }

  /** Leases are counted by this machine's clock where the store has none of its own. */
  clockWasSet(): void {
    const { access } = this.#loop;
    this.#leasesMayStray = access.leased && access.store.now === undefined;
  }

  /** Before anything is claimed: sees to leases that would last too long, and takes back what the last process of this name left. `undefined` when there is nothing to do. */
  takeOver(): Promise<void> | undefined {
    return this.#nameWanted || this.#leasesMayStray ? this.#takeOver() : undefined;
  }

  async #takeOver(): Promise<void> {
    if (this.#nameWanted) await this.#name?.takeOver();
    this.#nameWanted = false;
    if (this.#leasesMayStray) await endStrayLeases(this.#loop, this.#deps.leaseMs);
    this.#leasesMayStray = false;
  }

  /** Once nothing is due. Answers whether there is more to do soon. Mostly there is nothing, and then it costs no turn. */
  run(): MaybePromise<boolean> {
    const everyMs = this.#loop.claims.won === this.#claimed ? MAINTAIN_IDLE_MS : MAINTAIN_EVERY_MS;
    const isDue = this.#loop.access.store.maintain !== undefined && this.#deps.clock.monotonic() - this.#maintainedAt >= everyMs;
    if (this.#startedAt === null) return isDue ? this.#maintain() : false;
    const firing = fireStartupJobs(this.#loop, this.#deps.clock, this.#deps.node, this.#startedAt);
    if (!isThenable(firing) && !isDue && this.#loop.access.store.tasks === undefined) {
      this.#startedAt = null;
      return false;
    }
    return this.#finishStart(firing, isDue);
  }

  /** The scheduler is stopping, and its runs are off its hands. */
  close(): void {
    if (this.#loop.runner.size === 0) this.#name?.leave();
  }

  async #finishStart(firing: MaybePromise<void>, isDue: boolean): Promise<boolean> {
    await firing;
    await this.#sayUnknownTasks();
    this.#startedAt = null;
    return isDue && this.#maintain();
  }

  /** A job whose task was renamed or removed waits, and somebody should know what for. */
  async #sayUnknownTasks(): Promise<void> {
    const { tasks, reporter } = this.#deps;
    const inUse = await this.#loop.access.tasks();
    const unknown = inUse.filter((name) => tasks.get(name) === undefined && !this.#saidUnknown.has(name));
    for (const name of unknown) this.#saidUnknown.add(name);
    if (unknown.length > 0) reporter.scheduler({ type: 'tasksUnknown', jobStore: this.#loop.access.alias, tasks: unknown });
  }

  async #maintain(): Promise<boolean> {
    const { clock, logger } = this.#deps;
    try {
      if (await this.#loop.access.maintain(this.#loop.now())) return true;
    } catch (error) {
      logger.warn('the housekeeping of a job store failed; it is tried again', { error, jobStore: this.#loop.access.alias });
    }
    this.#maintainedAt = clock.monotonic();
    this.#claimed = this.#loop.claims.won;
    return false;
  }
}

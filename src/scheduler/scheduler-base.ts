import { EventFace } from './event-face.js';
import { Lifecycle, type SchedulerState } from '../core/lifecycle.js';
import { EventHub } from '../events/event-hub.js';
import { InvalidOptionError } from '../errors/errors.js';
import { InvalidStateError } from '../errors/scheduler-errors.js';
import type { Clock, TimerHandle } from '../ports/clock.js';
import type { Executor, ExecutorHealth } from '../ports/executor.js';
import type { JobCodec } from '../ports/job-codec.js';
import type { JobDemand, JobStore, StoreContext } from '../ports/job-store.js';
import { toMs, type DurationInput } from '../time/duration.js';
import type { BindContext } from './active-run.js';
import { ClockWatch } from './clock-watch.js';
import { ExecutorPool } from './executor-pool.js';
import { JobDirectory } from './job-directory.js';
import { JobFactory } from './job-factory.js';
import { LagWatch } from './lag-watch.js';
import { describeNode } from './node-card.js';
import { checkExecutor, checkStore, resolveOptions, type ResolvedOptions, type SchedulerOptions, type Wiring } from './options.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { LimitReport } from './limits/admission.js';
import { LimitRules } from './limits/limit-rules.js';
import type { LockHolder } from '../locks/lock-options.js';
import type { NodeRole } from './leadership.js';
import { flag, nonEmpty } from './policy.js';
import { Reporter } from './reporter.js';
import { RunHandles } from './run-handles.js';
import { patience, settledWithin, ShutdownTime, unfinishedWithin, windDown } from './shutdown.js';
import { SignalWatch } from './signals.js';
import { StartWatch } from './start-watch.js';
import { StoreAccess } from './store-access.js';
import type { LoopDeps } from './loop-deps.js';
import { StoreLoop } from './store-loop.js';
import { TaskRegistry, type TaskMap } from './tasks.js';

/** How a shutdown goes about it. */
export interface ShutdownOptions {
  /** Let running tasks come to their end. Default `true`; `false` aborts them at once. */
  readonly wait?: boolean | undefined;
  /**
   * How long to let them, before they are aborted. Those that do not stop then are handed back, and stores and executors
   * are closed, which takes five seconds at most: what does not answer by then is left, and a warning says what. Default
   * 25 s, so that all is over within the 30 s that orchestrators allow; `Infinity` for as long as the tasks take.
   */
  readonly timeout?: DurationInput | undefined;
}

/** What `health()` tells. */
export interface SchedulerHealth {
  /** It runs (or is paused on purpose), every job store answers, and every executor can work. */
  readonly ok: boolean;
  readonly state: SchedulerState;
  readonly node: string;
  readonly jobStores: Readonly<Record<string, StoreHealthReport>>;
  /**
   * By alias: whether it can work, or why not. A broker that cannot be reached or refuses the login is told of here. Before
   * the start and after a shutdown it means nothing.
   */
  readonly executors: Readonly<Record<string, ExecutorHealth>>;
}

/** How a job store is, as this node sees it. */
export interface StoreHealthReport {
  readonly ok: boolean;
  /** Whether this node takes on what is due in the store, as it does (`active`) where no leader is chosen. */
  readonly role: NodeRole;
  /** Runs of this node whose verdict is not recorded yet. */
  readonly activeRuns: number;
  /** Jobs claimed by this node so far, and claims that came to nothing because another node was first: contention. */
  readonly claims: { readonly won: number; readonly lost: number };
  /** What active jobs ask for and no live node has, as it was found within the last minutes. These jobs wait. */
  readonly unserved: readonly JobDemand[];
  /** Jobs that are overdue (`expect`), as of this node's last look within the last half a minute, or so. */
  readonly overdue: number;
  /** The limits that hold in it, as far as they are in use or of a task: why something that is due does not start. */
  readonly limits: readonly LimitReport[];
}

/** @throws InvalidOptionError */
function shutdownTime(options: ShutdownOptions, clock: Clock): ShutdownTime {
  refuseUnknownKeys(options, '', ['wait', 'timeout']);
  const { wait = true, timeout = DRAIN_MS } = options;
  if (!flag(wait, 'wait')) return new ShutdownTime(0, clock);
  return new ShutdownTime(timeout === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : toMs(timeout, 'timeout'), clock);
}

const DRAIN_MS = 25_000;

/** As good as for ever: a hundred years. */
const MAX_PAUSE_MS = 100 * 366 * 86_400_000;

/** A scheduler's life and its parts. What it does with jobs is in {@link Scheduler}. */
export abstract class SchedulerBase extends EventFace implements AsyncDisposable {
  /** @internal */
  protected readonly options: ResolvedOptions;
  /** @internal */
  protected override readonly hub: EventHub;
  /** @internal */
  protected readonly reporter: Reporter;
  /** @internal */
  protected readonly lifecycle = new Lifecycle();
  /** @internal */
  protected readonly tasks: TaskRegistry;
  /** @internal */
  protected readonly limits: LimitRules;
  /** @internal */
  protected readonly executors = new ExecutorPool();
  /** @internal */
  protected readonly directory = new JobDirectory();
  /** @internal */
  protected readonly factory: JobFactory;
  /** @internal */
  protected readonly codec: JobCodec;
  /** @internal */
  protected readonly handles: RunHandles;
  readonly #bindContext: BindContext;
  readonly #createJobStore: () => JobStore;
  readonly #clockWatch: ClockWatch;
  readonly #lag: LagWatch;
  readonly #startWatch: StartWatch;
  #aliveTimer: TimerHandle | undefined;
  #startedAt = 0;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #draining: ShutdownTime | undefined;
  /** Starts so far: one that was given up must not go on. */
  #starts = 0;
  readonly #signals: SignalWatch | undefined;

  /** @internal */
  protected constructor(options: SchedulerOptions<TaskMap>, wiring: Wiring) {
    super();
    const resolved = resolveOptions(options, wiring);
    this.#bindContext = wiring.bindContext;
    this.#createJobStore = () => wiring.createJobStore();
    this.options = resolved;
    this.hub = new EventHub(resolved.logger);
    this.reporter = new Reporter(resolved.node, this.hub, resolved.clock, resolved.logger);
    this.#startWatch = new StartWatch(resolved.clock, this.reporter, async () => {
      const alone = this.directory.loops.filter(({ access }) => !access.store.shared);
      const due = (await Promise.all(alone.map(async ({ access }) => access.nextWakeAt({ executors: this.executors.withRoom(), tasks: this.tasks.versions })))).filter((at) => at !== null);
      return due.length === 0 ? null : Math.min(...due);
    });
    this.handles = new RunHandles(() => { this.#startWatch.awaited(); });
    const loops = (): readonly StoreLoop[] => (this.lifecycle.state === 'stopped' ? [] : this.directory.loops.flatMap(({ all }) => all));
    this.#clockWatch = new ClockWatch(resolved.clock, (byMs) => {
      // It may have slept, and others have its runs by now.
      if (byMs > 0) for (const { runner } of loops()) runner.renewAll();
      this.reporter.scheduler({ type: 'clockJump', byMs });
    });
    this.#lag = new LagWatch(resolved.clock, this.#clockWatch, resolved.blockedAfterMs, resolved.leaseMs, this.reporter, loops);
    this.limits = new LimitRules(resolved.limits.tasks, resolved.limits.tags);
    this.tasks = new TaskRegistry(resolved.policy, resolved.timezone, wiring.loadTask, this.limits);
    for (const [name, fn] of Object.entries(resolved.tasks)) this.tasks.define(name, fn, undefined, `tasks.${name}`);
    for (const [alias, executor] of resolved.executors) this.executors.add(alias, executor);
    this.executors.require(resolved.policy.executor);
    this.codec = wiring.createCodec(resolved.triggers, resolved.serializer);
    for (const [alias, store] of resolved.stores) this.directory.add(this.#newLoop(alias, store));
    this.factory = new JobFactory(resolved, wiring, this.tasks, this.executors);
    if (resolved.signals.length > 0) {
      this.#signals = new SignalWatch(resolved.signals, resolved.clock, (force) => this.shutdown({ wait: !force }));
    }
  }

  get state(): SchedulerState {
    return this.lifecycle.state;
  }

  /** Name of this scheduler in leases, events and the ledger. */
  get node(): string {
    return this.options.node;
  }

  /**
   * Opens the job stores and begins to fire. Does nothing when it runs already.
   *
   * @param options - `paused`: fire nothing until `resume()`.
   * @throws what a job store throws when it cannot be opened; the scheduler is then stopped, and can be started again.
   */
  async start(options: { readonly paused?: boolean | undefined } = {}): Promise<void> {
    refuseUnknownKeys(options, '', ['paused']);
    const paused = flag(options.paused, 'paused');
    if (this.#stopping !== undefined) await this.#stopping;
    if (this.lifecycle.state === 'stopped') this.#starting = this.#start(paused);
    await this.#starting;
  }

  async #start(paused: boolean): Promise<void> {
    this.lifecycle.to('starting');
    this.#startWatch.end();
    this.#starts += 1;
    const start = this.#starts;
    this.#signals?.open();
    try {
      for (const loop of this.directory.loops) {
        await loop.open(this.context());
        if (start !== this.#starts) throw new InvalidStateError('The scheduler was shut down while it started.');
      }
      this.executors.open(this.options);
      for (const loop of this.directory.loops) loop.announceStart(this.context());
    } catch (error) {
      if (start !== this.#starts) throw error;
      this.lifecycle.to('stopping');
      this.lifecycle.to('stopped');
      this.#signals?.close();
      throw error;
    }
    this.lifecycle.to(paused ? 'paused' : 'running');
    this.#startedAt = this.options.clock.now();
    this.warnOfLimits([...this.limits.tasks.keys()].filter((name) => this.tasks.get(name) === undefined));
    for (const { membership, alarms } of this.directory.loops) {
      membership.start();
      alarms.start();
    }
    if (paused) this.#stayAlive();
    this.reporter.scheduler({ type: 'schedulerStarted' });
    if (!paused) await this.#startLoops();
  }

  /** Fires nothing more until `resume()`; what runs goes on. @throws InvalidStateError unless it runs. */
  async pause(): Promise<void> {
    this.#move('paused', 'pause');
    this.#stayAlive();
    this.#cardChanged();
    await Promise.all(this.directory.loops.map((loop) => loop.pause()));
    this.reporter.scheduler({ type: 'schedulerPaused' });
  }

  /** Fires again; what came up in the meantime is dealt with by each job's policies. @throws InvalidStateError unless paused. */
  async resume(): Promise<void> {
    this.#move('running', 'resume');
    this.#aliveTimer?.cancel();
    this.#cardChanged();
    await this.#startLoops();
    this.reporter.scheduler({ type: 'schedulerResumed' });
  }

  /**
   * Claims nothing more, lets running tasks end, aborts those that take too long, hands back what does not stop, and
   * closes what it opened. Never rejects because of a task. Repeated calls wait for the same shutdown; one with
   * `wait: false` ends the time it gives to running tasks.
   */
  async shutdown(options: ShutdownOptions = {}): Promise<void> {
    const time = shutdownTime(options, this.options.clock);
    if (this.#stopping === undefined) {
      this.#draining = time;
      this.#stopping = this.#shutdown(time).finally(() => {
        this.#stopping = undefined;
        this.#signals?.close();
      });
    } else if (time.ms === 0) {
      this.#draining?.end();
    }
    await this.#stopping;
  }

  async #shutdown(time: ShutdownTime): Promise<void> {
    const { clock, logger } = this.options;
    const starting = this.#starting?.catch(() => undefined);
    if (starting !== undefined) await settledWithin(starting, patience(time), clock);
    this.#startWatch.end();
    this.#starts += 1;
    const wasStarted = this.lifecycle.canBecome('stopping');
    if (wasStarted) this.lifecycle.to('stopping');
    this.#cardChanged();
    this.#aliveTimer?.cancel();
    const { loops } = this.directory;
    const handedBack = await windDown(loops.flatMap(({ all }) => all), clock, time, logger);
    const closing: Record<string, Promise<void>> = {};
    for (const loop of loops) closing[`job store ${loop.access.alias}`] = loop.close(time.leftMs);
    for (const [alias, executor] of this.executors.entries()) closing[`executor ${alias}`] = (async () => executor.close?.())();
    for (const work of Object.values(closing)) {
      work.catch((error: unknown) => { logger.error('a job store or executor could not be closed', { error }); });
    }
    const unfinished = await unfinishedWithin(closing, time.leftMs, clock);
    if (unfinished.length > 0) logger.warn('the shutdown did not wait any longer for what did not close', { unfinished });
    this.handles.shutdown();
    if (wasStarted) {
      this.lifecycle.to('stopped');
      this.reporter.scheduler({ type: 'schedulerShutdown', handedBack });
    }
    this.hub.endStreams();
  }

  /** `await using scheduler = …` shuts it down at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** How it is, at once and without asking stores or brokers. */
  health(): SchedulerHealth {
    const { state } = this.lifecycle;
    const jobStores: Record<string, StoreHealthReport> = {};
    for (const { access, health, all, admission, membership, claims, role } of this.directory.loops) {
      jobStores[access.alias] = { ok: health.ok, role, activeRuns: all.reduce((sum, { runner }) => sum + runner.size, 0), claims, unserved: membership.unserved, limits: admission.report(), overdue: all.reduce((sum, { alarms }) => sum + alarms.overdue, 0) };
    }
    const alive = state === 'running' || state === 'paused';
    const executors = this.executors.health();
    const ok = alive && [...Object.values(jobStores), ...Object.values(executors)].every((part) => part.ok);
    return { ok, state, node: this.node, jobStores, executors };
  }

  /**
   * With `ha: { mode: 'leader' }`: whether this node runs and is the leader in each of its shared job stores. Else `false`, for
   * there is no leader. For work of your own that one node at a time may do, listen to `leaderElected` and `leaderLost`, or
   * use a `LeaderElection`, whose `signal` ends it in time.
   */
  get isLeader(): boolean {
    if (this.options.ha.mode !== 'leader' || this.lifecycle.state !== 'running') return false;
    return this.directory.loops.every(({ role }) => role !== 'standby');
  }

  /**
   * The leader in a job store (default: `'default'`): its node, fencing token, and until when. `undefined` while there is none.
   *
   * @throws UnknownStoreError, and what the store throws.
   */
  async leader(options: { readonly jobStore?: string | undefined } = {}): Promise<LockHolder | undefined> {
    refuseUnknownKeys(options, '', ['jobStore']);
    const loop = this.directory.require(options.jobStore ?? 'default');
    await loop.open(this.context());
    return loop.leadership?.leader();
  }

  // ── parts ──

  /** Adds a job store under an alias, while running or before. @throws InvalidOptionError when the alias is taken; InvalidStateError while it stops. */
  async addJobStore(alias: string, store: JobStore): Promise<void> {
    if (this.directory.has(nonEmpty(alias, 'alias'))) throw new InvalidOptionError('alias', alias, 'an alias no other job store has');
    checkStore(store, 'store');
    const loop = this.#newLoop(alias, store);
    await loop.open(this.context());
    const isTaken = this.directory.has(alias);
    if (isTaken || this.#stopping !== undefined) {
      await loop.close();
      if (isTaken) throw new InvalidOptionError('alias', alias, 'an alias no other job store has');
      throw new InvalidStateError('Cannot add a job store to a scheduler that is stopping.');
    }
    this.directory.add(loop);
    this.reporter.scheduler({ type: 'jobStoreAdded', jobStore: alias });
    loop.announceStart(this.context());
    const { state } = this.lifecycle;
    if (state === 'running' || state === 'paused') {
      loop.membership.start();
      loop.alarms.start();
    }
    if (state === 'running') await loop.start();
  }

  /** Takes a job store out, after its runs have come to an end as in `shutdown`. Its jobs stay in it. @throws UnknownStoreError */
  async removeJobStore(alias: string, options: ShutdownOptions = {}): Promise<void> {
    const time = shutdownTime(options, this.options.clock);
    const loop = this.directory.require(alias);
    await windDown(loop.all, this.options.clock, time, this.options.logger);
    this.directory.delete(alias);
    await loop.close(time.leftMs);
    this.reporter.scheduler({ type: 'jobStoreRemoved', jobStore: alias });
  }

  /** Adds an executor under an alias, while running or before. @throws InvalidOptionError when the alias is taken. */
  addExecutor(alias: string, executor: Executor): void {
    if (this.executors.has(nonEmpty(alias, 'alias'))) throw new InvalidOptionError('alias', alias, 'an alias no other executor has');
    checkExecutor(executor, 'executor');
    if (this.lifecycle.state !== 'stopped') this.executors.openOne(executor, this.options);
    this.executors.add(alias, executor);
    this.reporter.scheduler({ type: 'executorAdded', executor: alias });
    this.grown();
  }

  /** Takes an executor out and closes it. Jobs that name it wait until it is there again. @throws UnknownExecutorError */
  async removeExecutor(alias: string): Promise<void> {
    const executor = this.executors.require(alias);
    this.executors.delete(alias);
    this.#cardChanged();
    await executor.close?.();
    this.reporter.scheduler({ type: 'executorRemoved', executor: alias });
  }

  // ── inside ──

  #newLoop(alias: string, store: JobStore): StoreLoop {
    const { clock, logger, node, process, leaseMs, batchSize, maxSleepMs, keepAlive, storeTimeoutMs, maxResultSize, heartbeatMs, ha, onError } = this.options;
    const deps: LoopDeps = {
      clock,
      clockWatch: this.#clockWatch,
      logger,
      node,
      process,
      leaseMs,
      ha,
      batchSize,
      maxResultSize,
      codec: this.codec,
      maxSleepMs,
      keepAlive,
      reporter: this.reporter,
      tasks: this.tasks,
      executors: this.executors,
      bindContext: this.#bindContext,
      onError,
      heartbeatMs,
      limits: this.limits,
      sharedLimits: undefined,
      lag: this.#lag,
      describe: (skew) => describeNode(this.lifecycle.state, this.#startedAt, this.tasks.versions, this.executors, skew),
      unstarted: (at) => { if (!store.shared) this.#startWatch.expect(at); },
      settled: (runId, end) => { this.handles.settle(runId, end); },
      nodeLoop: (shared) => {
        const own = this.#createJobStore();
        // The same instants on all nodes, whatever their machines say.
        if (store.now !== undefined) own.now = () => shared.now();
        return new StoreLoop(new StoreAccess(alias, own, clock, storeTimeoutMs, leaseMs, store.durable), { ...deps, nodeLoop: undefined, sharedLimits: shared.limits });
      },
    };
    return new StoreLoop(new StoreAccess(alias, store, clock, storeTimeoutMs, leaseMs), deps);
  }

  /** @internal */
  protected context(): StoreContext {
    const { clock, logger, node } = this.options;
    return { clock, logger, node, codec: this.codec };
  }

  /** While it is paused no loop has a timer, and the process must not end for that. */
  #stayAlive(): void {
    if (this.options.keepAlive) this.#aliveTimer = this.options.clock.setTimer(MAX_PAUSE_MS, () => undefined);
  }

  /** Tasks that have a limit and are not defined here may be those of other nodes, or misspelt. @internal */
  protected warnOfLimits(tasks: readonly string[]): void {
    if (tasks.length === 0) return;
    this.reporter.warn('limits of tasks that this node does not define count for nothing on it', { tasks, defined: [...this.tasks.versions.keys()] });
  }

  /** This node can do more than before. @internal */
  protected grown(): void {
    this.#cardChanged();
    for (const { all } of this.directory.loops) for (const loop of all) loop.wake();
  }

  #cardChanged(): void {
    for (const { membership } of this.directory.loops) membership.changed();
  }

  /** All in one turn, so that a pause that comes right after finds each of them started. */
  async #startLoops(): Promise<void> {
    await Promise.all(this.directory.loops.map((loop) => loop.start()));
  }

  #move(next: 'running' | 'paused', verb: string): void {
    if (!this.lifecycle.canBecome(next) || this.lifecycle.state === 'starting') {
      throw new InvalidStateError(`Cannot ${verb} a scheduler that is ${this.lifecycle.state}.`);
    }
    this.lifecycle.to(next);
  }
}

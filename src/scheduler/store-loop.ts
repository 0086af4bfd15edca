import type { PlanContext } from '../core/decide.js';
import type { Decision } from '../core/draft.js';
import { wakeAt, type JobRecord } from '../model/job.js';
import type { RunningRun } from '../model/run.js';
import type { ClaimScope, MaybePromise, StoreContext, StoredJob } from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';
import { isThenable } from '../time/thenable.js';
import { AlarmWatch } from './alarm-watch.js';
import { AbortNotes } from './abort-notes.js';
import { BatchSize } from './batch-size.js';
import { ClaimWriter } from './claim-writer.js';
import { CommitWatch } from './commit-watch.js';
import type { HighAvailability } from './high-availability.js';
import { Leadership, type NodeRole } from './leadership.js';
import type { Admission } from './limits/admission.js';
import type { Permit } from './limits/permit.js';
import type { StoreLimits } from './limits/store-limits.js';
import { admissionOf, limitsOf } from './limits/wiring.js';
import type { LoopDeps } from './loop-deps.js';
import { Courier } from './links/courier.js';
import { Membership } from './membership.js';
import type { ClockSkew } from './node-card.js';
import { settleLost } from './run-handles.js';
import { Runner } from './runner.js';
import { leaveStore } from './shutdown.js';
import type { StoreAccess } from './store-access.js';
import { NodeJobs } from './node-jobs.js';
import { StoreClock } from './store-clock.js';
import { StoreChores } from './store-chores.js';
import { StoreHealth } from './store-health.js';
import { StoreWatch } from './store-watch.js';
import { WakeTimer } from './wake-timer.js';

/**
 * How long a claim hides records from other nodes, and no longer than a lease. If the claimer dies, they are late by this
 * much at worst.
 */
const RESERVE_MS = 5_000;
/** Pause after a batch of which every single claim was lost to others, so that nodes in step fall out of it. */
const LOST_BATCH_PAUSE_MS = 20;
/** Longest pause before what is due, and could not be claimed, is asked for again. */
const LONGEST_OVERLOOKED_PAUSE_MS = 200;
/** Pause of a leader that does not know whether it still is one. */
const UNSURE_PAUSE_MS = 100;
/** Pause between two pieces of a store's housekeeping, for everything else that wants its turn. */
const CHORES_PAUSE_MS = 20;

/** A process that begins a batch within so long claims the next before that one is written: up to a hundred jobs, and a larger one. */
const quickMs = (jobs: number): number => 10 * Math.max(1, jobs / 100);

/** A batch that is asked for. */
interface Claim {
  readonly size: number;
  /** Monotonic. */
  readonly begunAt: number;
  readonly answer: MaybePromise<readonly StoredJob[]>;
}

/**
 * Claims what is due, commits what the planner decided, starts what was won, and sleeps until the next wake-up.
 * One per store, so that a slow store delays nobody else. It never dies: what fails is reported and tried again.
 */
export class StoreLoop {
  readonly access: StoreAccess;
  readonly health: StoreHealth;
  readonly runner: Runner;
  readonly membership: Membership;
  readonly alarms: AlarmWatch;
  readonly #deps: LoopDeps;
  /** Of the jobs in the store. */
  readonly limits: StoreLimits;
  readonly admission: Admission;
  readonly #writer: ClaimWriter;
  /** Jumps of the clock that the store's clock knows of. */
  #jumps = 0;
  readonly #executes: PlanContext['executes'];
  /** `claiming`: takes on what is due. `standby`: sees to its chores, while another node does. `idle`: finishes what runs. */
  #mode: 'idle' | 'standby' | 'claiming' = 'idle';
  /** Where one node at a time is to claim. */
  readonly leadership: Leadership | undefined;
  #ticking: Promise<void> | undefined;
  #wakeAgain = false;
  /** Claims in a row that came back empty while something was due. */
  #overlooked = 0;
  readonly #chores: StoreChores;
  /** The jobs that each node of a shared store runs. */
  readonly nodeJobs: NodeJobs | undefined;
  readonly #batch: BatchSize;
  readonly #aborts: AbortNotes;
  readonly courier: Courier;
  readonly #timer: WakeTimer;
  /** When something is due that was written during this tick: what the tick asks the store may be from before that. */
  #expectedAt = Number.POSITIVE_INFINITY;
  /** A clock that tells of jumps needs no looking; records nobody else can change need no polling. */
  readonly #maxSleepMs: number;
  readonly #storeClock: StoreClock;
  readonly #wakeUp = (): void => { this.wake(); };
  readonly #commits: CommitWatch;
  readonly #watch: StoreWatch;
  #unwatchClock: (() => void) | undefined;

  constructor(access: StoreAccess, deps: LoopDeps) {
    this.access = access;
    this.#deps = deps;
    this.health = new StoreHealth(access.alias, deps.clock, deps.reporter);
    this.#storeClock = new StoreClock(access, deps.clock, deps.leaseMs);
    this.limits = deps.sharedLimits ?? limitsOf(this, deps);
    this.admission = admissionOf(this, deps);
    this.#writer = new ClaimWriter(this, deps, this.admission);
    this.runner = new Runner(this, deps);
    this.#chores = new StoreChores(this, deps);
    this.#aborts = new AbortNotes(this, deps);
    this.courier = new Courier(this, deps);
    this.membership = new Membership(this, deps);
    this.alarms = new AlarmWatch(this, deps);
    this.#watch = new StoreWatch(access, deps.logger, () => {
      this.wake();
      this.#aborts.look();
      this.nodeJobs?.changed();
    });
    this.#batch = new BatchSize(access.store.batchSize ?? deps.batchSize, deps.batchSize, access.store.backlogBatchSize);
    this.#executes = (jobId, run) => this.runner.executes(jobId, run);
    this.leadership = deps.ha.mode === 'leader' && access.store.shared ? this.#newLeadership(deps.ha) : undefined;
    const { nodeLoop } = deps;
    if (access.store.shared && nodeLoop !== undefined) this.nodeJobs = new NodeJobs(this, deps, () => nodeLoop(this));
    const canSleepOn = deps.clock.onJump !== undefined && !access.store.shared;
    this.#maxSleepMs = canSleepOn ? Number.POSITIVE_INFINITY : deps.maxSleepMs;
    this.#commits = new CommitWatch(deps.clock, this.#maxSleepMs, this.#wakeUp);
    this.#timer = new WakeTimer(deps, this.#maxSleepMs, () => this.now(), this.#wakeUp);
  }

  #newLeadership(ha: Extract<HighAvailability, { mode: 'leader' }>): Leadership {
    const { clock, logger, node, keepAlive, reporter } = this.#deps;
    const lead = (): void => {
      if (this.#mode === 'standby') this.#mode = 'claiming';
      this.membership.changed();
      this.wake();
    };
    const standBy = (): void => {
      if (this.#mode === 'claiming') this.#mode = 'standby';
      this.membership.changed();
    };
    return new Leadership({ access: this.access, clock, logger, node, keepAlive, reporter, lead, standBy }, ha);
  }

  /** Opens the store. @throws what the store throws; it can be tried again. */
  open(context: StoreContext): void | Promise<void> {
    const opening = this.access.open(context);
    return this.#storeClock.isSet ? opening : this.#setClock(opening);
  }

  /** Before anything is written: a job added by the clock of a machine that is wrong would begin at the wrong time. */
  async #setClock(opening: void | Promise<void>): Promise<void> {
    await opening;
    try {
      await this.#storeClock.sync();
    } catch (error) {
      this.#deps.logger.warn('the job store does not tell the time; it is asked again', { error, jobStore: this.access.alias });
    }
  }

  /** See {@link ClaimWriter.claims}. */
  get claims(): ClaimWriter['claims'] {
    return this.#writer.claims;
  }

  /** The store's time: its own clock where it has one, else this machine's. */
  now(): EpochMs {
    return this.#storeClock.now();
  }
  syncClock(): Promise<void> { return this.#storeClock.sync(); }

  /** How far this machine's clock is from the store's; `undefined` where that is not known. */
  skew(): ClockSkew | undefined {
    return this.#storeClock.skew();
  }

  /** Begins (or goes on) to take on what is due. */
  async start(): Promise<void> {
    this.#mode = this.leadership === undefined ? 'claiming' : 'standby';
    this.runner.resume();
    this.leadership?.stand();
    this.#unwatchClock ??= this.#deps.clock.onJump?.(this.#wakeUp);
    this.nodeJobs?.start();
    this.alarms.start();
    await this.#watch.open();
    this.wake();
  }

  /** Takes on nothing more, and resolves once nothing more can start. What runs goes on. */
  async pause(): Promise<void> {
    this.#mode = 'idle';
    this.#commits.stop();
    this.#timer.clear();
    const pausing = this.nodeJobs?.pause();
    await this.#ticking;
    await pausing;
    // What was claimed is written: another node may claim from here.
    await this.leadership?.stepDown();
  }

  /** What this node does for the store. */
  get role(): NodeRole {
    if (this.leadership === undefined) return 'active';
    return this.leadership.isLeader ? 'leader' : 'standby';
  }

  /**
   * Ends for good, once the runner is done. What a store that hangs does not answer in time is left, and its late answers are
   * dealt with as they come.
   *
   * @throws what the store throws when it is closed.
   */
  async close(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    const { clock, logger } = this.#deps;
    this.#mode = 'idle';
    this.#chores.close();
    this.runner.stop();
    this.#unwatchClock?.();
    this.#unwatchClock = undefined;
    const leaving = {
      'what was claimed': this.pause(),
      leadership: this.leadership?.stepDown() ?? Promise.resolve(),
      'what followers are told': this.courier.close(),
      'jobs of each node': this.nodeJobs?.close(withinMs) ?? Promise.resolve(),
      'look-out for overdue jobs': this.alarms.close(),
      'place among the nodes': this.membership.close(),
      'watch for changes': this.#watch.close(),
      limits: this.#deps.sharedLimits === undefined ? this.limits.close() : Promise.resolve(),
    };
    await leaveStore(this.access, leaving, withinMs, clock, logger);
  }

  /** This loop, and that of the jobs that each node runs, if there are any. */
  get all(): readonly StoreLoop[] {
    const { loop } = this.nodeJobs ?? {};
    return loop === undefined ? [this] : [this, loop];
  }

  /** In which changes of this node are planned. */
  planContext(): PlanContext {
    const { node, leaseMs } = this.#deps;
    const now = this.now();
    const leaseUntil = this.access.leased ? now + leaseMs : null;
    return { now, node, leaseUntil, process: this.#deps.process?.id ?? null, slots: 0, executes: this.#executes };
  }

  /** Something may be due. Any number of calls during a tick cause exactly one more. */
  wake(): void {
    if (this.#mode === 'idle') return;
    if (this.#ticking !== undefined) {
      this.#wakeAgain = true;
      return;
    }
    this.#timer.clear();
    this.#ticking = this.#tick().finally(() => {
      this.#ticking = undefined;
      const isWanted = this.#wakeAgain;
      this.#wakeAgain = false;
      if (isWanted) this.wake();
      else this.expect(this.#expectedAt); // written when the tick had settled when to look again, and was not over yet
    });
  }

  /** A record was written that wants attention at `at`. */
  expect(at: EpochMs | null): void {
    if (at === null) return;
    if (!this.#isClaiming()) this.#deps.unstarted(at);
    else if (this.#ticking !== undefined) this.#expectedAt = Math.min(this.#expectedAt, at);
    else if (at <= this.now()) this.wake();
    else if (at < this.#timer.plannedAt) this.#sleepUntil(at);
  }

  /**
   * A record was written in a transaction of the user's, who commits it some time. The store tells of that where it can;
   * where it cannot, this looks for it, less and less often, until polling comes round.
   */
  expectCommit(): void {
    if (this.#mode === 'claiming') this.#commits.start();
  }

  /** Jobs that fire when a scheduler starts get this start for a fire time, as soon as the store can be asked for them. */
  announceStart(context: StoreContext): void {
    this.#chores.announceStart();
    this.nodeJobs?.announceStart(context);
  }

  async #tick(): Promise<void> {
    const jumps = this.#deps.clockWatch.check();
    if (jumps !== this.#jumps) {
      this.#storeClock.forget();
      this.#chores.clockWasSet();
      this.alarms.clockWasSet();
    }
    this.#jumps = jumps;
    const isPoll = this.#timer.takePoll() && this.#isClaiming();
    this.#expectedAt = Number.POSITIVE_INFINITY;
    try {
      await this.#storeClock.sync();
      const takingOver = this.#chores.takeOver();
      if (takingOver !== undefined) await takingOver;
      if (!this.admission.isOff && this.#isClaiming()) await this.#takeUp();
      // A poll mostly finds nothing, and one question has to do then.
      const polled = isPoll && this.admission.isIdle ? await this.access.nextWakeAt(this.#scope()) : undefined;
      const isQuiet = polled !== undefined && (polled === null || polled > this.now());
      const claimed = isQuiet ? 0 : await this.#workOff();
      if (claimed === undefined) {
        this.health.succeeded();
        this.#sleepUntil(this.now() + LOST_BATCH_PAUSE_MS);
        return;
      }
      const doing = this.#chores.run();
      const goesOn = isThenable(doing) ? await doing : doing;
      const looking = isQuiet ? polled : null;
      const wake = !isQuiet && this.#isClaiming() ? this.access.nextWakeAt(this.#scope()) : looking;
      const next = isThenable(wake) ? await wake : wake;
      const roomAt = this.admission.isOff ? Number.POSITIVE_INFINITY : this.admission.lookAgainAt();
      // Who is a leader no longer takes up nothing.
      const room = this.#isClaiming() ? roomAt : Number.POSITIVE_INFINITY;
      this.health.succeeded();
      const chores = goesOn ? this.now() + CHORES_PAUSE_MS : Number.POSITIVE_INFINITY;
      const unsure = this.#mode === 'claiming' && !this.#isClaiming() ? this.now() + UNSURE_PAUSE_MS : Number.POSITIVE_INFINITY;
      const at = Math.min(this.#wakeTime(next, claimed), this.#expectedAt, room, chores, unsure);
      // Something came up while this tick was going on. No timer: a clock in a test may stand still.
      if (at <= this.now()) this.#wakeAgain = true;
      else this.#sleepUntil(at);
    } catch (error) {
      this.#sleepUntil(this.now() + this.health.failed('tick', error));
    }
  }

  /** Jobs that were put off, and that a limit has room for by now. */
  async #takeUp(): Promise<void> {
    const { executors, tasks } = this.#deps;
    const isInReach = ({ definition: { fn, task, taskVersion, policy } }: JobRecord): boolean =>
      executors.has(policy.executor) && (fn !== null || (tasks.versions.get(task) ?? 0) >= taskVersion);
    const due = await this.admission.takeUp(this.#batch.size, (executor) => executors.free(executor), isInReach, (id) => this.access.get(id));
    if (due.length > 0) await this.#writer.act(due);
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#deps.clock.defer(resolve);
    });
  }

  /**
   * Claims, commits and starts what is due, batch by batch. A store that takes its time has two batches to write and a claim
   * to answer at a time, where there is much to do and this process is quick to begin it: else the rest is for other nodes.
   * Nothing is claimed once an answer was not full: what is still due then, if anything, is for `nextWakeAt` to say, which
   * is asked anyway. Answers how many were claimed, or `undefined` when a whole batch of them was lost to others.
   */
  async #workOff(): Promise<number | undefined> {
    const { clock } = this.#deps;
    let claimed = 0;
    let isLost = false;
    let isQuick = false;
    let asked: Claim | undefined;
    let writing: Promise<number> | undefined;
    try {
      while (this.#isClaiming() && !isLost) {
        const { size, begunAt, answer } = asked ?? this.#claim();
        asked = undefined;
        const due = isThenable(answer) ? await answer : answer;
        if (due.length === 0) {
          if (isThenable(answer)) this.#batch.came(size, 0, 0);
          break;
        }
        if (!this.#isClaiming()) {
          await this.#writer.leave(due);
          break;
        }
        claimed += due.length;
        this.#writer.heldMs = 0;
        const { lost } = this.#writer.claims;
        const isLast = isThenable(answer) && due.length < size;
        const acted = this.#writer.act(due);
        if (isThenable(acted)) {
          // What limits have room for is known once this batch is written.
          if (isQuick && !isLast && this.admission.isOff) asked = this.#claim();
          const before = writing;
          writing = acted;
          // It may fail while something else is waited for, and is asked after that.
          acted.catch(() => undefined);
          if (before !== undefined) isLost = (await before) === 0;
          if (asked === undefined) {
            isLost = (await acted) === 0 || isLost;
            writing = undefined;
          }
        } else isLost = acted === 0;
        isQuick = isThenable(answer) && this.#writer.heldMs <= quickMs(due.length);
        if (isThenable(answer)) this.#batch.came(size, isQuick ? due.length : 0, this.#writer.claims.lost > lost ? 0 : due.length);
        if (isLast) break;
        // Let timers and I/O have their turn between batches, however much is due.
        await this.#turn();
        if (!isThenable(answer)) this.#batch.took(due.length, clock.monotonic() - begunAt);
        if (this.#isClaiming() && this.access.betweenBatches()) await this.#turn();
      }
      if (writing !== undefined && (await writing) === 0) isLost = true;
    } catch (error) {
      void this.#leaveAsked(asked);
      // Nothing may start once the tick is over.
      await writing?.catch(() => undefined);
      throw error;
    }
    await this.#leaveAsked(asked);
    return isLost ? undefined : claimed;
  }

  #claim(): Claim {
    const { size } = this.#batch;
    const begunAt = this.#deps.clock.monotonic();
    const answer = this.access.claimDue({ ...this.#scope(), now: this.now(), limit: size, reserveMs: Math.min(RESERVE_MS, this.#deps.leaseMs) });
    // Whoever waits for it hears of a failure; it may be that nobody does any more.
    if (isThenable(answer)) answer.then(undefined, () => undefined);
    return { size, begunAt, answer };
  }

  /** What was claimed in advance is not wanted after all. */
  async #leaveAsked(asked: Claim | undefined): Promise<void> {
    if (asked === undefined) return;
    try {
      const due = await asked.answer;
      if (due.length > 0) await this.#writer.leave(due);
    } catch (error) {
      this.#deps.logger.debug('nothing was claimed in advance', { error, jobStore: this.access.alias });
    }
  }

  /** When to look again. What is due and was not answered, somebody else has (a user's transaction, maybe): at once, then less and less often. */
  #wakeTime(next: EpochMs | null, claimed: number): EpochMs {
    if (next === null) return Number.POSITIVE_INFINITY;
    const now = this.now();
    this.#overlooked = claimed === 0 && next <= now ? this.#overlooked + 1 : 0;
    if (this.#overlooked < 2) return next;
    return now + Math.min(LONGEST_OVERLOOKED_PAUSE_MS, 2 ** Math.min(this.#overlooked, 10));
  }

  /** Carries out a decision whose record has been written: events, aborts, starts. */
  apply(before: JobRecord, decision: Decision, revision: StoredJob['revision'], askedAt: number, permits?: readonly Permit[]): void {
    const { next, start } = decision;
    this.courier.claimed(before, next);
    this.publish(next ?? before, decision, before);
    if (next === null) return;
    if (before.state.runs.length > 0) {
      this.runner.noteRecord(before, next, revision, askedAt);
      if (this.access.store.shared) this.#aborts.leave(before, next);
    }
    for (let i = 0; i < start.length; i++) this.#launch(next, start[i]!, revision, askedAt, permits?.[i]);
  }

  /** Publishes what the planner had to say about a decision that has been written; with the record `before` a change also what that lost. */
  publish(record: JobRecord, decision: Decision, before?: JobRecord): void {
    this.courier.published(record, decision.next);
    const { reporter, settled } = this.#deps;
    // Mostly there are none, and to go through a frozen list, as an empty one is, costs an iterator.
    if (decision.notices.length > 0) for (const notice of decision.notices) {
      reporter.job(record, this.access.alias, notice);
      if (notice.type === 'jobCompleted') reporter.job(record, this.access.alias, { type: 'jobRemoved', reason: 'completed' });
      else if (notice.type === 'jobOverdue' || notice.type === 'jobRecovered') this.alarms.told();
    }
    // Of a fire time that was passed over there is no run, but somebody may wait for the one it would have had.
    if (decision.ledger.length > 0) for (const { jobId, runId, scheduledFor, verdict, reason } of decision.ledger) {
      if (verdict !== 'succeeded' && verdict !== 'failed') settled(runId ?? `${jobId}@${scheduledFor}`, { verdict, reason });
    }
    if (before !== undefined) settleLost(settled, before, decision);
  }

  #launch(record: JobRecord, run: RunningRun, revision: StoredJob['revision'], askedAt: number, permit: Permit | undefined): void {
    const task = this.#deps.tasks.of(record.definition);
    const fn = record.definition.fn ?? task?.fn;
    // The claim asked for known tasks only; a task is never undefined again.
    if (fn === undefined) throw new Error(`task "${record.definition.task}" was claimed without being defined here`);
    this.runner.start(record, run, fn, task, revision, askedAt, permit);
  }

  /** A run has ended or was recorded: there may be room, and the record may want attention. */
  runEnded(next: JobRecord | null): void {
    this.#deps.executors.roomMade();
    if (next !== null) this.courier.wrote(next);
    this.expect(next === null ? null : wakeAt(next));
  }

  /** A leader that was frozen first has to hear that it still is one. */
  #isClaiming(): boolean {
    return this.#mode === 'claiming' && this.leadership?.isLeader !== false;
  }

  #scope(): ClaimScope {
    const executors = this.#deps.executors.withRoom();
    if (executors.size < this.#deps.executors.size) this.#deps.executors.onRoom(this.#wakeUp);
    return { executors, tasks: this.#deps.tasks.versions };
  }

  #sleepUntil(at: EpochMs): void {
    this.#expectedAt = Number.POSITIVE_INFINITY;
    if (this.#mode !== 'idle') this.#timer.set(at);
  }
}

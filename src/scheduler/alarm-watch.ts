import { hashFraction } from '../core/hash.js';
import { raiseAlarm } from '../core/raise-alarm.js';
import { alarmAt, RAISED } from '../model/alarm.js';
import type { JobRecord } from '../model/job.js';
import type { TimerHandle } from '../ports/clock.js';
import type { StoredJob } from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';
import { isThenable } from '../time/thenable.js';
import type { LoopDeps } from './loop-deps.js';
import type { StoreLoop } from './store-loop.js';

/** Least time between two questions to a store that others use as well. What is overdue is told of within this, and the spread. */
const LOOK_EVERY_MS = 10_000;
/** The same where only this scheduler is asked. */
const LOOK_EVERY_ALONE_MS = 1_000;
/** How long to wait with the next question when one has failed. */
const LOOK_AGAIN_MS = 60_000;
/** Longest time without a look while a job is overdue, so that `health` soon tells that it recovered elsewhere. */
const LOOK_OVERDUE_MS = 30_000;
/** The same while none is: another node may have added one of which something is expected, and died. */
const LOOK_AT_LEAST_MS = 300_000;
/** Nodes that wait for the same deadline ask one after the other, and those that come later find it said. */
const SPREAD_MS = 1_000;
/** Jobs of which it is said at a time. */
const PAGE = 100;

/**
 * Sees to it that somebody hears of jobs that are overdue. Claims are the wrong way to find them: a job may be overdue just
 * because nobody claims it, no node having its task, or room. So each node asks the store itself, also one that is paused or
 * no leader; whoever is first to write a record after its deadline has raised the alarm. It asks no more often than it has
 * to: when the earliest alarm is due, and hardly ever while nothing is expected of any job.
 */
export class AlarmWatch {
  readonly #loop: StoreLoop;
  readonly #deps: LoopDeps;
  #isRunning = false;
  #timer: TimerHandle | undefined;
  /** When the timer goes off, monotonic. */
  #plannedAt = Number.POSITIVE_INFINITY;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  /** A look that was asked for during one, monotonic. */
  #wantedAt = Number.POSITIVE_INFINITY;
  #hasFailed = false;
  /** There may be jobs of which something is expected. */
  #mayExpect: boolean;
  #overdue = 0;
  #unwatchClock: (() => void) | undefined;
  /** Nobody else writes to the store, and the clock tells when it was set: then nothing happens that is not told. */
  readonly #isAlone: boolean;

  constructor(loop: StoreLoop, deps: LoopDeps) {
    this.#loop = loop;
    this.#deps = deps;
    // What only this scheduler writes to, and what dies with it, has none but those it is told of.
    this.#mayExpect = loop.access.leased;
    this.#isAlone = !loop.access.store.shared && deps.clock.onJump !== undefined;
    // Without `alarms` a store is given no such job.
    if (loop.access.store.alarms !== undefined) loop.access.onExpecting = (record) => { this.#expect(record); };
  }

  /** Jobs that were overdue when this was last looked into. */
  get overdue(): number {
    return this.#overdue;
  }

  /** The scheduler runs, or is paused. Does nothing when it was told before. */
  start(): void {
    if (this.#isRunning || this.#loop.access.store.alarms === undefined) return;
    this.#isRunning = true;
    this.#unwatchClock = this.#deps.clock.onJump?.(() => { this.clockWasSet(); });
    if (!this.#mayExpect) this.#mayExpect = this.#hasSome();
    // What can start does so first.
    if (this.#mayExpect) this.#lookIn(this.#everyMs);
  }

  /** What was far away may be due. */
  clockWasSet(): void {
    if (this.#mayExpect) this.#lookIn(0);
  }

  /** It was told that a job is overdue, or is so no longer. */
  told(): void {
    this.#lookIn(0);
  }

  async close(): Promise<void> {
    this.#isRunning = false;
    this.#unwatchClock?.();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#plannedAt = Number.POSITIVE_INFINITY;
    await this.#looking;
  }

  /** Of a store in memory, in which another scheduler may have left jobs: it answers at once. */
  #hasSome(): boolean {
    try {
      const alarms = this.#loop.access.alarms();
      return isThenable(alarms) || alarms.nextAt !== null || alarms.overdue > 0;
    } catch {
      return true; // it is asked again, and heard then
    }
  }

  get #everyMs(): number {
    return this.#loop.access.leased ? LOOK_EVERY_MS : LOOK_EVERY_ALONE_MS;
  }

  /** A record is about to be written. */
  #expect(record: JobRecord): void {
    this.#mayExpect = true;
    const at = alarmAt(record);
    if (at !== null && at !== RAISED) this.#lookIn(at - this.#loop.now());
  }

  /** @param ms - from now; no sooner than may be. A look that is planned for earlier stays. */
  #lookIn(ms: number): void {
    if (!this.#isRunning) return;
    const { clock, node } = this.#deps;
    const now = clock.monotonic();
    if (this.#looking !== undefined) {
      this.#wantedAt = Math.min(this.#wantedAt, now + ms);
      return;
    }
    const { access } = this.#loop;
    const spreadMs = access.store.shared ? Math.round(SPREAD_MS * hashFraction(`${node}/${access.alias}`, 0)) : 0;
    const soonest = this.#lookedAt + this.#everyMs;
    const at = Math.max(now + (this.#isAlone ? ms : Math.min(ms, LOOK_AT_LEAST_MS)) + spreadMs, soonest);
    if (at >= this.#plannedAt) return;
    this.#timer?.cancel();
    this.#plannedAt = at;
    this.#timer = clock.setTimer(
      at - now,
      () => {
        this.#timer = undefined;
        this.#plannedAt = Number.POSITIVE_INFINITY;
        this.#look();
      },
      false,
    );
  }

  #look(): void {
    let next = LOOK_AT_LEAST_MS;
    this.#looking = this.#ask()
      .then((ms) => {
        next = ms;
        this.#hasFailed = false;
      })
      .catch((error: unknown) => {
        if (!this.#hasFailed) this.#deps.logger.warn('a job store could not be asked for overdue jobs; it is asked again', { error, jobStore: this.#loop.access.alias });
        this.#hasFailed = true;
        next = LOOK_AGAIN_MS;
      })
      .finally(() => {
        this.#looking = undefined;
        const now = this.#deps.clock.monotonic();
        this.#lookedAt = now;
        const ms = Math.max(0, Math.min(next, this.#wantedAt - now));
        this.#wantedAt = Number.POSITIVE_INFINITY;
        if (ms !== Number.POSITIVE_INFINITY) this.#lookIn(ms);
      });
  }

  /** Answers how long nothing more is to be done. */
  async #ask(): Promise<number> {
    const { access } = this.#loop;
    // What is overdue by the clock of this machine may not be by the store's, which could not be read so far.
    await this.#loop.syncClock();
    let alarms = await access.alarms();
    if (alarms.nextAt !== null && alarms.nextAt <= this.#loop.now()) {
      await this.#raiseAll(this.#loop.now());
      alarms = await access.alarms();
    }
    this.#overdue = alarms.overdue;
    const untilNext = alarms.nextAt === null ? Number.POSITIVE_INFINITY : Math.max(0, alarms.nextAt - this.#loop.now());
    // Whoever writes to a store of its own need not ask it whether somebody did.
    const isNone = alarms.nextAt === null && alarms.overdue === 0;
    if (this.#isAlone || (isNone && !access.store.shared)) return untilNext;
    return Math.min(alarms.overdue > 0 ? LOOK_OVERDUE_MS : LOOK_AT_LEAST_MS, untilNext);
  }

  async #raiseAll(now: EpochMs): Promise<void> {
    for (let after: string | undefined; this.#isRunning; ) {
      const { jobs, nextCursor } = await this.#loop.access.list({ alarmBy: now, limit: PAGE, after });
      await this.#raise(jobs);
      if (nextCursor === null) return;
      after = nextCursor;
    }
  }

  /** One that somebody else writes in the meantime is either said by that write, or found again. */
  async #raise(jobs: readonly StoredJob[]): Promise<void> {
    const { clock, node } = this.#deps;
    const askedAt = clock.monotonic();
    const context = { now: this.#loop.now(), node };
    const decisions = jobs.map(({ record }) => raiseAlarm(record, context));
    const revisions = await this.#loop.access.commit(
      jobs.map(({ record, revision }, i) => ({ id: record.id, expected: revision, next: decisions[i]?.next ?? record, ledger: [] })),
    );
    jobs.forEach(({ record }, i) => {
      const [decision, revision] = [decisions[i], revisions[i]];
      if (decision !== undefined && revision !== undefined) this.#loop.apply(record, decision, revision, askedAt);
    });
  }
}

import { renewRun } from '../core/finish.js';
import type { Decision } from '../core/draft.js';
import type { JobRecord } from '../model/job.js';
import type { Clock, TimerHandle } from '../ports/clock.js';
import type { ActiveRun } from './active-run.js';
import type { PendingWrite } from './job-draft.js';
import type { RunWriter } from './run-writer.js';

export interface HeartbeatHost {
  readonly clock: Clock;
  readonly keepAlive: boolean;
  readonly leaseMs: number;
  readonly writer: RunWriter;
  activeRuns(): Iterable<ActiveRun>;
  /** The run is no longer this node's. */
  lost(active: ActiveRun): void;
  /** The record as somebody wrote it, which may ask for runs to be aborted. */
  seen(record: JobRecord): void;
}

/** Leases are renewed when a third of them is over, so that two renewals may fail. */
const RENEWALS_PER_LEASE = 3;
/** Fraction of the lease from which on a timer that is late says that the process was blocked or frozen. */
const BLINK = 0.01;
/** Fraction of the lease by which we stop trusting it early: clocks drift, and an abort takes time to be heard. */
const MARGIN = 0.1;
/** Fraction of the lease for which the store is asked, after a block, whose a run is by now. */
const ASK = 0.02;
/** And no longer than this: another node may be at the run already. */
const LONGEST_ASK_MS = 250;

/**
 * Keeps the leases of the runs on this node, and tells a run whose lease cannot be kept to stop before anybody else
 * may take it over. Trust is counted on the monotonic clock from before the lease was asked for, as in the lease
 * protocol of Gray and Cheriton (1989): the holder must give up no later than the grantor.
 */
export class Heartbeat {
  readonly #host: HeartbeatHost;
  #renewal: TimerHandle | undefined;
  #deadline: TimerHandle | undefined;
  #deadlineAt = Number.POSITIVE_INFINITY;
  #isStopped = false;
  /** Until when a run was trusted for longer after a block: where that is still so, nothing has been heard of its lease. */
  readonly #asked = new WeakMap<ActiveRun, number>();

  constructor(host: HeartbeatHost) {
    this.#host = host;
  }

  /** How long a lease asked for now may be trusted. */
  trustedUntil(askedAtMonotonic: number): number {
    return askedAtMonotonic + this.#host.leaseMs * (1 - MARGIN);
  }

  /** To be called when a run was taken on. */
  added(active: ActiveRun): void {
    this.#isStopped = false;
    this.#renewal ??= this.#host.clock.setTimer(
      this.#host.leaseMs / RENEWALS_PER_LEASE,
      () => {
        this.#renewal = undefined;
        this.wokeUp();
        this.renewAll();
      },
      this.#host.keepAlive,
    );
    this.#expectBy(active.trustedUntil);
  }

  stop(): void {
    this.#isStopped = true;
    this.#renewal?.cancel();
    this.#deadline?.cancel();
    this.#renewal = this.#deadline = undefined;
    this.#deadlineAt = Number.POSITIVE_INFINITY;
  }

  /** Asks for all of them at once. */
  renewAll(): void {
    for (const active of this.#host.activeRuns()) {
      if (active.phase !== 'running') continue;
      this.added(active);
      this.#host.writer.push(this.#renewalOf(active));
    }
  }

  #renewalOf(active: ActiveRun): PendingWrite {
    const host = this.#host;
    const asked = host.clock.monotonic();
    return {
      held: active.held,
      apply: (record, { now }): Decision | undefined => {
        host.seen(record);
        const next = renewRun(record, active.run, now + host.leaseMs);
        return next && { next, start: [], ledger: [], notices: [] };
      },
      written: () => {
        // A write that was retried may have been asked for long ago; trust counts from then.
        active.trustedUntil = Math.max(active.trustedUntil, this.trustedUntil(asked));
      },
      refused: () => {
        if (active.phase === 'running') host.lost(active);
      },
    };
  }

  #expectBy(trustedUntil: number): void {
    if (trustedUntil >= this.#deadlineAt) return;
    this.#deadline?.cancel();
    this.#deadlineAt = trustedUntil;
    const { clock, keepAlive } = this.#host;
    this.#deadline = clock.setTimer(Math.max(0, trustedUntil - clock.monotonic()), () => { this.#check(); }, keepAlive);
  }

  /**
   * To be called whenever the process may have stood still. Of the timers that are due then, this one's own may come last,
   * and with each of the others the runs go on.
   */
  wokeUp(): void {
    if (this.#host.clock.monotonic() - this.#deadlineAt > this.#host.leaseMs * BLINK) this.#check();
  }

  #check(): void {
    const { clock, leaseMs } = this.#host;
    const lateMs = clock.monotonic() - this.#deadlineAt;
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.#deadlineAt = Number.POSITIVE_INFINITY;
    this.#judge(lateMs > leaseMs * BLINK);
  }

  /** @param wasBlocked - the deadline came late: this process was blocked or frozen, and could not renew. */
  #judge(wasBlocked: boolean): void {
    const now = this.#host.clock.monotonic();
    const unheard: ActiveRun[] = [];
    for (const active of this.#host.activeRuns()) {
      if (active.phase !== 'running') continue;
      if (active.trustedUntil <= now) {
        if (this.#asked.get(active) === active.trustedUntil) {
          unheard.push(active);
          continue;
        }
        if (!wasBlocked) {
          this.#host.lost(active);
          continue;
        }
        this.#ask(active, now);
      }
      this.#expectBy(active.trustedUntil);
    }
    // To be blocked once more before there is an answer earns no more time. But timers go off before what has arrived is read.
    if (unheard.length > 0) this.#host.clock.defer(() => { this.#giveUp(unheard); });
  }

  /**
   * Nobody may have noticed the block, so the store is asked before a run is given up, and says so if somebody has. Where the
   * lease itself is over, another node may be at the run, so no longer than for a moment.
   */
  #ask(active: ActiveRun, now: number): void {
    const { leaseMs } = this.#host;
    const stillOurs = active.trustedUntil + (leaseMs * MARGIN) / 2;
    active.trustedUntil = Math.max(stillOurs, now + Math.min(leaseMs * ASK, LONGEST_ASK_MS));
    this.#asked.set(active, active.trustedUntil);
    this.#host.writer.push(this.#renewalOf(active));
  }

  #giveUp(unheard: readonly ActiveRun[]): void {
    for (const active of unheard) {
      if (active.phase !== 'running' || this.#isStopped) continue;
      if (this.#asked.get(active) === active.trustedUntil) this.#host.lost(active);
      else this.#expectBy(active.trustedUntil);
    }
  }
}

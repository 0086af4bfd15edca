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
  readonly #benefits = new WeakMap<ActiveRun, number>();

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
        this.#renewAll();
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

  #renewAll(): void {
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
      apply: (record, now): Decision | undefined => {
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

  #check(): void {
    const { clock, leaseMs } = this.#host;
    const lateMs = clock.monotonic() - this.#deadlineAt;
    this.#deadline = undefined;
    this.#deadlineAt = Number.POSITIVE_INFINITY;
    // What was renewed before the block has its answer waiting: timers go off before it is read.
    if (lateMs > leaseMs * BLINK) clock.defer(() => { if (!this.#isStopped) this.#giveUp(lateMs); });
    else this.#giveUp(lateMs);
  }

  #giveUp(lateMs: number): void {
    const { clock, leaseMs } = this.#host;
    const now = clock.monotonic();
    // This process was blocked or frozen, and could not renew. Nobody may have noticed, so ask once before giving up; if
    // somebody has, the answer says so. Where the lease itself still lasts, not beyond that. To be blocked once more before
    // there is an answer earns no more time.
    const wasBlocked = lateMs > leaseMs * BLINK;
    for (const active of this.#host.activeRuns()) {
      if (active.phase !== 'running') continue;
      if (active.trustedUntil <= now) {
        if (!wasBlocked || this.#benefits.get(active) === active.trustedUntil) {
          this.#host.lost(active);
          continue;
        }
        active.trustedUntil = now + leaseMs * (lateMs < (leaseMs * MARGIN) / 2 ? MARGIN / 2 : MARGIN);
        this.#benefits.set(active, active.trustedUntil);
        this.#host.writer.push(this.#renewalOf(active));
      }
      this.#expectBy(active.trustedUntil);
    }
  }
}

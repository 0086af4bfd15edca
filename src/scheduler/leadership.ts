import { LeaderElection } from '../locks/leader-election.js';
import type { LockHolder } from '../locks/lock-options.js';
import { pause } from '../locks/pause.js';
import { StoreLocks } from '../locks/store-locks.js';
import type { Clock } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { HighAvailability } from './high-availability.js';
import type { Reporter } from './reporter.js';
import type { StoreAccess } from './store-access.js';

/** What a node does for a job store: `active` where nobody is chosen. */
export type NodeRole = 'leader' | 'standby' | 'active';

export interface LeadershipHost {
  readonly access: StoreAccess;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly node: string;
  readonly keepAlive: boolean;
  readonly reporter: Reporter;
  /** Begins to take on what is due. */
  lead(): void;
  /** Takes on nothing more, from this turn on. */
  standBy(): void;
}

/** How long to wait for the store when a leader goes. */
const STEP_DOWN_MS = 2_000;

/** Which of the schedulers on a job store takes on what is due there: one at a time. */
export class Leadership {
  readonly #election: LeaderElection;
  readonly #clock: Clock;
  #isStopping = false;
  #wanted = false;
  #stopped: Promise<void> = Promise.resolve();
  /** The same, no longer than it is waited for. */
  #leaving: Promise<void> = Promise.resolve();

  constructor(host: LeadershipHost, { group, leaseMs }: Extract<HighAvailability, { mode: 'leader' }>) {
    const { access, logger, node, reporter } = host;
    // A lease that a store does not take back runs out by itself: nobody has to live on for that.
    const clock = idleClock(host.clock, () => host.keepAlive && !this.#isStopping);
    this.#clock = clock;
    const locks = new StoreLocks({ store: access.store, opened: () => ({ clock, logger }) });
    const jobStore = access.alias;
    this.#election = new LeaderElection(
      { lock: (name, options) => locks.lock(name, options), lockHolder: (name) => locks.holder(name) },
      {
        name: nameOf(group),
        ttl: leaseMs,
        node,
        clock,
        logger,
        onElected: ({ token, signal }) => {
          signal.addEventListener('abort', () => {
            host.standBy();
            reporter.scheduler({ type: 'leaderLost', jobStore, token, reason: this.#isStopping ? 'stopped' : 'lost' });
          }, { once: true });
          reporter.scheduler({ type: 'leaderElected', jobStore, token });
          host.lead();
        },
      },
    );
  }

  get isLeader(): boolean {
    return this.#election.isLeader;
  }

  /** The leader on this store, whichever node it is. */
  leader(): Promise<LockHolder | undefined> {
    return this.#election.leader();
  }

  stand(): void {
    this.#wanted = true;
    // A release that the store has not answered yet comes first.
    void this.#stopped.then(() => {
      if (!this.#wanted) return;
      this.#isStopping = false;
      this.#election.start();
    });
  }

  /** To be called once nothing more is taken on: another does so from then on. Repeated calls wait for the same. */
  stepDown(): Promise<void> {
    if (this.#wanted) this.#leaving = this.#leave();
    return this.#leaving;
  }

  async #leave(): Promise<void> {
    this.#wanted = false;
    this.#isStopping = true;
    const stopped = this.#election.stop();
    this.#stopped = stopped;
    // A store that does not answer holds nobody up for long: then the lease runs out by itself.
    await pause(this.#clock, STEP_DOWN_MS, (wake) => {
      void stopped.then(wake);
      return () => undefined;
    });
  }
}

/** Apart from elections of the user's. */
function nameOf(group: string): string {
  return `scheduler:${group}`;
}

/** Timers that keep the process running only as long as they should. */
function idleClock(clock: Clock, keepsAlive: () => boolean): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimer: (delayMs, callback, keepAlive = true) => clock.setTimer(delayMs, callback, keepAlive && keepsAlive()),
    defer: (callback) => { clock.defer(callback); },
  };
}

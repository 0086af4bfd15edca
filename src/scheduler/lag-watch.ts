import type { Clock } from '../ports/clock.js';
import type { ActiveRun } from './active-run.js';
import type { ClockWatch } from './clock-watch.js';
import type { Reporter } from './reporter.js';

/** Looks per threshold: a block is measured too short by one look at most. */
const LOOKS = 4;
/** Part of the lease from which on a block has cost a renewal. */
const RISKY = 1 / 3;
/** Runs that are named. */
const MOST_NAMED = 10;

/** What the watch needs of a store's runner. */
export interface RunsOfStore {
  readonly access: { readonly alias: string };
  readonly runner: { activeRuns(): readonly ActiveRun[]; readonly size: number; wokeUp(): void };
}

/**
 * Notices that the event loop was held up while runs were going on, and names them: who blocks it keeps every other run,
 * timer and lease of the process waiting. It looks only while something runs, by how late a timer of the clock is; a
 * histogram of the delay would tell how long, but not when, and so not who.
 */
export class LagWatch {
  /** How long the event loop must be held up to be worth an event. */
  readonly thresholdMs: number;
  readonly #clock: Clock;
  readonly #clockWatch: ClockWatch;
  readonly #leaseMs: number;
  readonly #reporter: Reporter;
  readonly #stores: () => readonly RunsOfStore[];
  #isLooking = false;
  /** Runs that took as long as a block does, and ended since the last look. */
  #ended: { readonly active: ActiveRun; readonly jobStore: string }[] = [];

  constructor(clock: Clock, clockWatch: ClockWatch, thresholdMs: number, leaseMs: number, reporter: Reporter, stores: () => readonly RunsOfStore[]) {
    this.#clock = clock;
    this.#clockWatch = clockWatch;
    this.thresholdMs = thresholdMs;
    this.#leaseMs = leaseMs;
    this.#reporter = reporter;
    this.#stores = stores;
  }

  /** A run begins. */
  begun(): void {
    if (!this.#isLooking) this.#look();
  }

  #look(): void {
    if (this.#clock.measureLag === undefined) return;
    this.#isLooking = true;
    this.#clock.measureLag(this.thresholdMs / LOOKS, (lateMs) => this.#looked(lateMs));
  }

  /** A run ended that had taken `thresholdMs` or longer: it may be the one that held everything up. */
  ended(active: ActiveRun, jobStore: string): void {
    if (this.#isLooking) this.#ended.push({ active, jobStore });
  }

  #looked(lateMs: number): boolean {
    const ended = this.#ended;
    this.#ended = [];
    // First of all: what stood still for longer than its leases has lost its runs.
    for (const { runner } of this.#stores()) runner.wokeUp();
    // A machine that slept has nothing that is late, but its wall clock is ahead.
    this.#clockWatch.check();
    if (lateMs >= this.thresholdMs) this.#report(lateMs, ended);
    this.#isLooking = this.#stores().some(({ runner }) => runner.size > 0);
    return this.#isLooking;
  }

  #report(lateMs: number, ended: readonly { readonly active: ActiveRun; readonly jobStore: string }[]): void {
    const going = this.#stores().flatMap(({ access, runner }) =>
      runner.activeRuns().flatMap((active) => (active.phase === 'running' ? { active, jobStore: access.alias } : [])),
    );
    const runs = [...ended, ...going];
    this.#reporter.scheduler({
      type: 'eventLoopBlocked',
      blockedMs: Math.round(lateMs),
      risksLeases: lateMs >= this.#leaseMs * RISKY,
      runs: runs.slice(0, MOST_NAMED).map(({ active: { jobId, runId, task }, jobStore }) => ({ jobId, runId, task, jobStore })),
      runCount: runs.length,
    });
  }
}

import type { World } from './world.js';

/** A promise that was not kept. */
export interface Breach {
  /** Which promise (G1 to G10), or what else went wrong. */
  readonly promise: string;
  readonly what: string;
  /** When, in ms since the beginning. */
  readonly at: number;
}

/** What happened in one simulated world. */
export type Totals = Record<
  | 'jobs' | 'commits' | 'lostCommits' | 'starts' | 'retries' | 'takeovers' | 'verdicts' | 'crashes' | 'freezes' | 'shutdowns'
  | 'outages' | 'partitions' | 'lostAnswers' | 'doubledWrites' | 'jumps' | 'calls' | 'refusedCalls' | 'events' | 'steps'
  | 'limitedStarts' | 'holds' | 'follows' | 'waitsMet' | 'calledOff' | 'alarms' | 'suspensions',
  number
>;

/** Collects what the observers see. The first breach ends the simulation: what follows would only be its consequences. */
export class Report {
  readonly totals: Totals = {
    jobs: 0, commits: 0, lostCommits: 0, starts: 0, retries: 0, takeovers: 0, verdicts: 0, crashes: 0, freezes: 0, shutdowns: 0,
    outages: 0, partitions: 0, lostAnswers: 0, doubledWrites: 0, jumps: 0, calls: 0, refusedCalls: 0, events: 0, steps: 0,
    limitedStarts: 0, holds: 0, follows: 0, waitsMet: 0, calledOff: 0, alarms: 0, suspensions: 0,
  };
  readonly #world: World;
  readonly #trace: ((line: string) => void) | undefined;
  breach: Breach | undefined;

  constructor(world: World, trace: ((line: string) => void) | undefined) {
    this.#world = world;
    this.#trace = trace;
  }

  broken(promise: string, what: string): void {
    this.trace(() => `BREACH ${promise}: ${what}`);
    this.breach ??= { promise, what, at: this.#world.time };
  }

  /** Only a traced simulation pays for its words. */
  trace(line: () => string): void {
    this.#trace?.(`${(this.#world.time / 1000).toFixed(3).padStart(8)}  ${line()}`);
  }
}

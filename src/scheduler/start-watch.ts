import type { Clock, TimerHandle } from '../ports/clock.js';
import type { EpochMs } from '../ports/trigger.js';
import type { Reporter } from './reporter.js';

/** Who adds jobs first and starts then has so long after the first of them is due. */
const GRACE_MS = 10_000;

/**
 * Tells, once, that a scheduler was not started and has work that nobody else can do: a forgotten `start()` is silent otherwise.
 * It keeps no process running, and is over with the first start.
 */
export class StartWatch {
  readonly #clock: Clock;
  readonly #reporter: Reporter;
  readonly #nextDueAt: () => Promise<EpochMs | null>;
  #timer: TimerHandle | undefined;
  #plannedAt = Number.POSITIVE_INFINITY;
  #isOver = false;

  /** @param nextDueAt - when something is due in the stores that are this scheduler's alone. */
  constructor(clock: Clock, reporter: Reporter, nextDueAt: () => Promise<EpochMs | null>) {
    this.#clock = clock;
    this.#reporter = reporter;
    this.#nextDueAt = nextDueAt;
  }

  /** It is started, or shut down. */
  end(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  /** Something will be due that only this scheduler can run. */
  expect(at: EpochMs): void {
    if (this.#isOver || at >= this.#plannedAt) return;
    this.#timer?.cancel();
    this.#plannedAt = at;
    this.#timer = this.#clock.setTimer(Math.max(0, at - this.#clock.now()) + GRACE_MS, () => void this.#look(), false);
  }

  /** Somebody waits for a run that only this scheduler can make. Who starts it in the same turn has nothing to be told. */
  awaited(): void {
    if (this.#isOver) return;
    this.#clock.defer(() => { this.#say('the result of a run is waited for', {}); });
  }

  async #look(): Promise<void> {
    this.#plannedAt = Number.POSITIVE_INFINITY;
    const at = await this.#nextDueAt().catch(() => null);
    if (at === null) return;
    // What was due may have been removed, or put off.
    if (at + GRACE_MS > this.#clock.now()) this.expect(at);
    else this.#say('a job is due', { dueAt: new Date(at) });
  }

  #say(what: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.#isOver) return;
    this.end();
    this.#reporter.warn(`${what}, and this scheduler has not been started: it runs nothing before start()`, fields);
  }
}

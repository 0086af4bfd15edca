import type { Clock } from '../ports/clock.js';
import { BackOff } from './back-off.js';
import { toErrorInfo } from './error-info.js';
import type { Reporter } from './reporter.js';

/** Whether a store answers, told by what its loop meets. One event when it stops, one when it is back. */
export class StoreHealth {
  readonly #alias: string;
  readonly #clock: Clock;
  readonly #reporter: Reporter;
  readonly #backOff: BackOff;
  #downSince: number | null = null;

  constructor(alias: string, clock: Clock, reporter: Reporter) {
    this.#alias = alias;
    this.#clock = clock;
    this.#reporter = reporter;
    this.#backOff = new BackOff(`${reporter.node}/${alias}`);
  }

  get ok(): boolean {
    return this.#downSince === null;
  }

  /** Answers after how long to try again. */
  failed(operation: string, error: unknown): number {
    const retryInMs = this.#backOff.next();
    if (this.#downSince === null) {
      this.#downSince = this.#clock.monotonic();
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      this.#reporter.scheduler({
        type: 'storeUnavailable',
        jobStore: this.#alias,
        operation,
        error: toErrorInfo(cause),
        retryInMs,
      });
    }
    return retryInMs;
  }

  succeeded(): void {
    if (this.#downSince === null) return;
    const downMs = Math.round(this.#clock.monotonic() - this.#downSince);
    this.#downSince = null;
    this.#backOff.reset();
    this.#reporter.scheduler({ type: 'storeRecovered', jobStore: this.#alias, downMs });
  }
}

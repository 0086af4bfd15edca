import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import type { Executor, RunRequest } from '../../ports/executor.js';
import { isThenable } from '../../time/thenable.js';
import { runStorage } from '../shared/run-storage.js';

export interface AsyncExecutorOptions {
  /** Runs at one time. Default: no limit. */
  readonly concurrency?: number | undefined;
}

/**
 * Runs tasks on the event loop of this process: the executor for everything that waits more than it computes.
 *
 * @example
 * ```ts
 * new AsyncScheduler({ executors: { default: new AsyncExecutor(), reports: new AsyncExecutor({ concurrency: 2 }) } });
 * ```
 */
export class AsyncExecutor implements Executor {
  readonly #concurrency: number;
  #running = 0;

  /** @throws InvalidOptionError when `concurrency` is not a whole number of 1 or more. */
  constructor(options: AsyncExecutorOptions = {}) {
    refuseUnknownKeys(options, '', ['concurrency']);
    const { concurrency = Number.POSITIVE_INFINITY } = options;
    if (concurrency !== Number.POSITIVE_INFINITY && !(Number.isInteger(concurrency) && concurrency >= 1)) {
      throw new InvalidOptionError('concurrency', concurrency, 'a whole number of 1 or more, or Infinity');
    }
    this.#concurrency = concurrency;
  }

  get capacity(): number {
    return this.#concurrency;
  }

  get free(): number {
    return this.#concurrency - this.#running;
  }

  execute(run: RunRequest): unknown {
    // Without a limit there is nothing to count, and a promise less to wait for.
    if (this.#concurrency === Number.POSITIVE_INFINITY) return runStorage.run(run.context, run.fn, ...run.args);
    this.#running += 1;
    let answer: unknown;
    try {
      answer = runStorage.run(run.context, run.fn, ...run.args);
    } catch (error) {
      this.#running -= 1;
      throw error;
    }
    if (!isThenable(answer)) {
      this.#running -= 1;
      return answer;
    }
    return Promise.resolve(answer).then(
      (value) => {
        this.#running -= 1;
        return value;
      },
      (error: unknown) => {
        this.#running -= 1;
        throw error;
      },
    );
  }
}

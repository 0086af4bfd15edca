import { InvalidOptionError } from '../errors/errors.js';
import type { Decision } from '../core/draft.js';
import type { Logger } from '../ports/logger.js';
import { isThenable } from '../time/thenable.js';
import type { ActiveRun } from './active-run.js';

/** A failed attempt at a run, as `onError` is told of it. */
export interface FailedAttempt {
  readonly jobId: string;
  readonly jobName: string | null;
  /** Alias of the store that has the job. */
  readonly jobStore: string;
  readonly task: string;
  /** As the task was called with them. */
  readonly args: readonly unknown[];
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The same for all attempts at one run. */
  readonly runId: string;
  readonly scheduledFor: Date;
  /** 1 for the first. */
  readonly attempt: number;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly timedOut: boolean;
  readonly isManual: boolean;
  readonly isCatchUp: boolean;
  /** The node that ran it: this one. */
  readonly node: string;
  /** Whether another attempt follows. Without one, the verdict on the run is `failed`. */
  readonly willRetry: boolean;
  /** When; `null` without another attempt. */
  readonly retryAt: Date | null;
}

/**
 * Told of a failed attempt: the error as it was thrown, and whose it is. What it throws is logged, and harms nothing. A
 * shutdown waits for it as it does for tasks.
 */
export type OnError = (error: unknown, attempt: FailedAttempt) => void | Promise<void>;

/** @throws InvalidOptionError */
export function checkOnError(given: unknown, option: string): OnError | null {
  if (given === undefined || given === null) return null;
  if (typeof given !== 'function') throw new InvalidOptionError(option, given, 'a function (error, attempt) => void, or null');
  return given as OnError;
}

/** What came of an attempt besides that it failed. */
export interface Failure {
  readonly error: unknown;
  readonly durationMs: number;
  readonly timedOut: boolean;
  readonly retryAt: number | null;
}

/** Calls `onError` of tasks and of the scheduler, and remembers which calls still go on. */
export class ErrorCallbacks {
  readonly #logger: Logger;
  readonly #node: string;
  readonly #jobStore: string;
  readonly #pending = new Set<Promise<void>>();

  constructor(logger: Logger, node: string, jobStore: string) {
    this.#logger = logger;
    this.#node = node;
    this.#jobStore = jobStore;
  }

  /** Calls that have not come to their end. */
  get size(): number {
    return this.#pending.size;
  }

  /** Once for each callback there is. */
  tell(callbacks: readonly (OnError | null | undefined)[], active: ActiveRun, { error, durationMs, timedOut, retryAt }: Failure): void {
    if (callbacks.every((callback) => callback == null)) return;
    const { jobId, jobName, task, args, tags, metadata, runId, scheduledFor, attempt, startedAt, isManual, isCatchUp } = active;
    const willRetry = retryAt !== null;
    const failed: FailedAttempt = Object.freeze({
      jobId, jobName, jobStore: this.#jobStore, task, args, tags, metadata, runId, scheduledFor, attempt, startedAt, durationMs, timedOut,
      isManual, isCatchUp, node: this.#node, willRetry, retryAt: retryAt === null ? null : new Date(retryAt),
    });
    for (const callback of callbacks) if (callback != null) this.#call(callback, error, failed);
  }

  /** Resolves when every call has come to its end. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  #call(callback: OnError, error: unknown, failed: FailedAttempt): void {
    try {
      const answer: unknown = callback(error, failed);
      if (!isThenable(answer)) return;
      const call = Promise.resolve(answer).then(
        () => undefined,
        (failure: unknown) => { this.#report(failure, failed); },
      ).finally(() => this.#pending.delete(call));
      this.#pending.add(call);
    } catch (failure) {
      this.#report(failure, failed);
    }
  }

  #report(error: unknown, { jobId, runId, task, attempt }: FailedAttempt): void {
    try {
      this.#logger.error('onError failed; what it was told is not told again', { error, jobId, runId, task, attempt });
    } catch {
      // the logger fails as well: there is nobody left to tell
    }
  }
}

/** When another attempt at the run is made, by what was decided; `null` where none is. */
export function retryTime(active: ActiveRun, { notices }: Decision): number | null {
  for (const notice of notices) if (notice.type === 'jobRetry' && notice.runId === active.runId) return notice.retryAt;
  return null;
}

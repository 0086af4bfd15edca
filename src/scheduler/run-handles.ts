import { RunNotSucceededError } from '../errors/job-errors.js';
import { SchedulerShutdownError } from '../errors/scheduler-errors.js';
import type { LedgerEntry } from '../model/ledger.js';
import type { ErrorInfo } from '../model/run.js';
import type { Clock } from '../ports/clock.js';
import type { JobCodec } from '../ports/job-codec.js';
import type { EpochMs } from '../ports/trigger.js';
import { readResult } from './ledger-view.js';
import type { RunEnd } from './runner.js';
import type { StoreLoop } from './store-loop.js';

/** A run that was asked for. */
export interface RunHandle {
  readonly runId: string;
  readonly jobId: string;
  /**
   * Resolves with the task's value, rejects with the task's error once no attempt follows, or with
   * `RunNotSucceededError` when the run ended without having failed (cancelled, abandoned). Of a run that another node
   * executed, the value is the one the history keeps (`resultTtl`, `maxResultSize`); `undefined` where it keeps none.
   */
  result(): Promise<unknown>;
}

interface Waiter {
  readonly promise: Promise<unknown>;
  /** Calls that hope for this run. */
  askers: number;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Runs somebody may wait for, until they end. */
export class RunHandles {
  readonly #waiters = new Map<string, Waiter>();

  create(jobId: string, runId: string): RunHandle {
    // Two calls that meet try the same id: one of them gets it, the other discards it.
    const waiter = this.#waiters.get(runId) ?? newWaiter();
    waiter.askers += 1;
    this.#waiters.set(runId, waiter);
    return { runId, jobId, result: () => waiter.promise };
  }

  /** The run was not asked for after all. */
  discard(runId: string): void {
    const waiter = this.#waiters.get(runId);
    if (waiter === undefined) return;
    waiter.askers -= 1;
    if (waiter.askers === 0) this.#waiters.delete(runId);
  }

  isPending(runId: string): boolean {
    return this.#waiters.has(runId);
  }

  settle(runId: string, end: RunEnd): void {
    const waiter = this.#waiters.get(runId);
    if (waiter === undefined) return;
    this.#waiters.delete(runId);
    if (end.verdict === 'succeeded') waiter.resolve(end.result);
    else if (end.verdict === 'failed') waiter.reject(end.error);
    else waiter.reject(new RunNotSucceededError(runId, end.verdict, end.reason ?? null));
  }

  shutdown(): void {
    for (const [runId, waiter] of this.#waiters) waiter.reject(new SchedulerShutdownError(`Waiting for run "${runId}"`));
    this.#waiters.clear();
  }
}

function newWaiter(): Waiter {
  let resolve: (value: unknown) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<unknown>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  // Whoever never asks for the result must not see an unhandled rejection; the failure has its event.
  promise.catch(() => undefined);
  return { promise, askers: 0, resolve, reject };
}

const POLL_MS = 1_000;

/** Looks into the ledger from time to time: in a shared store another node may be the one that executes the run. */
export function awaitElsewhere(handles: RunHandles, loop: StoreLoop, clock: Clock, codec: JobCodec, runId: string): void {
  const look = async (): Promise<void> => {
    if (!handles.isPending(runId)) return;
    try {
      const page = await loop.access.listLedger({ runId, limit: 1 });
      const [entry] = page.entries;
      if (entry !== undefined) handles.settle(runId, endOf(entry, codec, loop.now()));
    } catch {
      // the store is away: the loop says so, and the next look may find it back
    }
    if (handles.isPending(runId)) clock.setTimer(POLL_MS, () => { void look(); }, false);
  };
  clock.setTimer(POLL_MS, () => { void look(); }, false);
}

/** How a run ended, as the history tells it. */
export function endOf(entry: LedgerEntry, codec: JobCodec, now: EpochMs): RunEnd {
  const { verdict, reason, error } = entry;
  const { result } = readResult(entry.result, codec, now);
  return { verdict, reason, result, error: error === null ? undefined : fromErrorInfo(error) };
}

function fromErrorInfo({ name, message, code, stack }: ErrorInfo): Error {
  return Object.assign(new Error(message), { name, stack: stack ?? undefined, ...(code === null ? undefined : { code }) });
}

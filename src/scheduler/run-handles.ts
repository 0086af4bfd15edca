import type { Decision } from '../core/draft.js';
import { RunNotSucceededError } from '../errors/job-errors.js';
import { SchedulerShutdownError } from '../errors/scheduler-errors.js';
import type { JobRecord } from '../model/job.js';
import type { LedgerEntry, Verdict } from '../model/ledger.js';
import type { ErrorInfo } from '../model/run.js';
import type { Clock, TimerHandle } from '../ports/clock.js';
import type { JobCodec } from '../ports/job-codec.js';
import type { EpochMs } from '../ports/trigger.js';
import { isGone } from './job-directory.js';
import { readResult } from './ledger-view.js';
import { jobIdOf } from './run-ids.js';
import type { StoreLoop } from './store-loop.js';

/**
 * A run that was asked for.
 *
 * @typeParam R - what the task answers, where that is known.
 */
export interface RunHandle<R = unknown> {
  readonly runId: string;
  readonly jobId: string;
  /**
   * Resolves with the task's value, rejects with the task's error once no attempt follows, or with
   * `RunNotSucceededError` when the run ended without having failed (cancelled, abandoned), or never comes because its fire
   * time was passed over (missed, skipped), or its job removed or given another schedule. Of a run that another node executed, the value is the one the history keeps (`resultTtl`,
   * `maxResultSize`); `undefined` where it keeps none. Where the history has nothing of the run itself (`ledger.perJob` is 0), it
   * rejects with `RunNotSucceededError` and the verdict `unknown`.
   *
   * It waits for as long as nobody runs it: on a scheduler that is not started, whose store is its own, until `start()`.
   * That is said in the log, once.
   */
  result(): Promise<R>;
}

/** How a run ended, for whoever waits for its result. */
export interface RunEnd {
  readonly verdict: Verdict | 'unknown';
  readonly reason?: string | null;
  readonly result?: unknown;
  readonly error?: unknown;
}

export type RunSettled = (runId: string, end: RunEnd) => void;

interface Waiter {
  readonly promise: Promise<unknown>;
  /** Calls that hope for this run. */
  askers: number;
  poll: Poll | undefined;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Looks for a run in the history. */
interface Poll {
  /** Somebody waits for the result from now on. */
  hurry(): void;
  /** The job is in the store: when it is found gone from now on, it has been there. */
  written(): void;
  stop(): void;
}

/** Runs somebody may wait for, until they end. */
export class RunHandles {
  readonly #waiters = new Map<string, Waiter>();
  readonly #awaited: () => void;

  /** @param awaited - told that somebody waits for a run of which only this scheduler can know. */
  constructor(awaited: () => void) {
    this.#awaited = awaited;
  }

  create(jobId: string, runId: string): RunHandle {
    // Two calls that meet try the same id: one of them gets it, the other discards it.
    const waiter = this.#waiters.get(runId) ?? newWaiter();
    waiter.askers += 1;
    this.#waiters.set(runId, waiter);
    const result = (): Promise<unknown> => {
      if (waiter.poll !== undefined) waiter.poll.hurry();
      else if (this.isPending(runId)) this.#awaited();
      return waiter.promise;
    };
    return { runId, jobId, result };
  }

  /** The run was not asked for after all. */
  discard(runId: string): void {
    const waiter = this.#waiters.get(runId);
    if (waiter === undefined) return;
    waiter.askers -= 1;
    if (waiter.askers > 0) return;
    this.#waiters.delete(runId);
    waiter.poll?.stop();
  }

  isPending(runId: string): boolean {
    return this.#waiters.has(runId);
  }

  /** Looks for the run from now on until it has ended, unless somebody does so already. */
  poll(runId: string, begin: () => Poll): void {
    const waiter = this.#waiters.get(runId);
    if (waiter !== undefined) waiter.poll ??= begin();
  }

  /** What was asked for is in the store, for all to see. */
  written(runId: string): void {
    this.#waiters.get(runId)?.poll?.written();
  }

  settle(runId: string, end: RunEnd): void {
    if (this.#waiters.size === 0) return; // to look for an id that was just put together costs more than the rest of it
    const waiter = this.#waiters.get(runId);
    if (waiter === undefined) return;
    this.#waiters.delete(runId);
    waiter.poll?.stop();
    if (end.verdict === 'succeeded') waiter.resolve(end.result);
    else if (end.verdict === 'failed') waiter.reject(end.error);
    else waiter.reject(new RunNotSucceededError(runId, end.verdict, end.reason ?? null));
  }

  shutdown(): void {
    for (const [runId, waiter] of this.#waiters) {
      waiter.poll?.stop();
      waiter.reject(new SchedulerShutdownError(`Waiting for run "${runId}"`));
    }
    this.#waiters.clear();
  }
}

/** Settles the run of a fire time that a change has taken from a job before it came, and that has no verdict for that reason. */
export function settleLost(settled: RunSettled, { id, state }: JobRecord, { next, start, ledger }: Decision): void {
  if (start.length > 0 || state.nextFireTime === null || (!isGone(next) && next.state.nextFireTime === state.nextFireTime)) return;
  const runId = `${id}@${state.nextFireTime}`;
  if (next?.state.runs.some((run) => run.id === runId) === true || ledger.some((entry) => entry.runId === runId)) return;
  settled(runId, { verdict: 'cancelled', reason: isGone(next) ? 'removed' : 'rescheduled' });
}

/** Whether a run is there, or may still come. */
export function isToCome(record: JobRecord | undefined, runId: string): boolean {
  if (record === undefined) return false;
  const { status, nextFireTime, runs } = record.state;
  return runs.some(({ id }) => id === runId) || (status !== 'removed' && runId === `${record.id}@${nextFireTime}`);
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
  return { promise, askers: 0, poll: undefined, resolve, reject };
}

/** Pause between two looks for a run, at first. */
const POLL_MS = 1_000;
/** Then as a part of the time it has been waited for: who waits for long learns of the end later by no more than this part. */
const PATIENCE = 0.1;
const LONGEST_POLL_MS = 30_000;
/** The same as long as nobody has asked for the result: it is enough to know in the end that there is nothing to wait for. */
const LONGEST_IDLE_POLL_MS = 300_000;

/**
 * Looks into the ledger from time to time: in a shared store another node may be the one that executes the run, or removes its job.
 *
 * @param dueAt - when the run begins at the earliest, by the store's clock.
 * @param isWritten - whether the job is in the store by now; else `RunHandles.written` tells, or a look finds it there.
 */
export function awaitElsewhere(
  handles: RunHandles,
  loop: StoreLoop,
  clock: Clock,
  codec: JobCodec,
  runId: string,
  dueAt: EpochMs,
  isWritten: boolean,
): void {
  handles.poll(runId, () => {
    let since = clock.monotonic();
    let isAwaited = false;
    let wasThere = isWritten;
    /** Looks in a row that found neither the run nor its verdict. One may fall between the two. */
    let missing = 0;
    let timer: TimerHandle | undefined;
    const pauseMs = (): number => {
      const untilDue = dueAt - loop.now();
      // Nobody waits, and it has not begun: of many that were enqueued for later, each would ask some seventy times in an hour.
      if (untilDue > 0 && !isAwaited) return Math.min(untilDue + POLL_MS, LONGEST_IDLE_POLL_MS);
      const waited = Math.min(clock.monotonic() - since, untilDue > 0 ? Number.POSITIVE_INFINITY : -untilDue);
      const longest = isAwaited ? LONGEST_POLL_MS : LONGEST_IDLE_POLL_MS;
      const ms = Math.max(POLL_MS, Math.min(waited * PATIENCE, longest));
      return untilDue > 0 ? Math.min(ms, untilDue + POLL_MS) : ms;
    };
    const look = async (): Promise<void> => {
      timer = undefined;
      try {
        const page = await loop.access.listLedger({ runId, limit: 1 });
        const [entry] = page.entries;
        if (entry !== undefined) handles.settle(runId, endOf(entry, codec, loop.now()));
        else if (isToCome((await loop.access.get(jobIdOf(runId) ?? ''))?.record, runId)) [wasThere, missing] = [true, 0];
        else if (wasThere && ++missing > 1) handles.settle(runId, await endWithoutRun(loop, runId));
      } catch {
        // the store is away: the loop says so, and the next look may find it back
      }
      if (handles.isPending(runId)) sleep();
    };
    // Who waits for a result would otherwise see the process end without one, where nothing else keeps it running.
    const sleep = (): void => { timer = clock.setTimer(pauseMs(), () => void look(), isAwaited); };
    sleep();
    return {
      hurry: () => {
        if (isAwaited) return;
        isAwaited = true;
        since = clock.monotonic();
        // One that is under way goes on by itself.
        if (timer === undefined) return;
        timer.cancel();
        sleep();
      },
      written: () => { wasThere = true; },
      stop: () => { timer?.cancel(); },
    };
  });
}

/** How it ended with a fire time of which no run was made: the history has it under no run. */
async function endWithoutRun(loop: StoreLoop, runId: string): Promise<RunEnd> {
  const fireTime = Number(/@(-?\d+)$/.exec(runId)?.[1]);
  if (Number.isNaN(fireTime)) return { verdict: 'unknown' };
  const { entries } = await loop.access.listLedger({ jobId: jobIdOf(runId), verdicts: ['missed', 'coalesced', 'skipped'], from: fireTime, to: fireTime, newestFirst: true, limit: 1 });
  const [entry] = entries;
  return entry === undefined ? { verdict: 'unknown' } : { verdict: entry.verdict, reason: entry.reason };
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

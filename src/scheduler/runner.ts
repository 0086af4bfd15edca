import type { Decision } from '../core/draft.js';
import { finishRun, releaseRun } from '../core/finish.js';
import { JobAbortedError, JobTimeoutError, LeaseLostError } from '../errors/job-errors.js';
import type { JobRecord, TaskFunction } from '../model/job.js';
import type { Verdict } from '../model/ledger.js';
import type { RunningRun, RunOutcome } from '../model/run.js';
import type { StoredJob } from '../ports/job-store.js';
import { ActiveRun } from './active-run.js';
import { toErrorInfo } from './error-info.js';
import { Heartbeat } from './heartbeat.js';
import { isThenable } from './maybe-promise.js';
import { RunWriter, type PendingWrite } from './run-writer.js';
import type { LoopDeps, StoreLoop } from './store-loop.js';

/** How a run ended, for whoever waits for its result. */
export interface RunEnd {
  readonly verdict: Verdict;
  readonly reason?: string | null;
  readonly result?: unknown;
  readonly error?: unknown;
}

export type RunSettled = (runId: string, end: RunEnd) => void;

/** Executes the runs this node holds in one store, and records what became of them. */
export class Runner {
  readonly #loop: StoreLoop;
  readonly #deps: LoopDeps;
  readonly #writer: RunWriter;
  readonly #heartbeat: Heartbeat;
  readonly #active = new Set<ActiveRun>();
  /** By run id, the latest start of each. */
  readonly #byRunId = new Map<string, ActiveRun>();
  /** Records of jobs with active runs as last seen, and how many runs each has. */
  readonly #seen = new Map<string, StoredJob>();
  readonly #runsPerJob = new Map<string, number>();
  #drained: (() => void)[] = [];

  constructor(loop: StoreLoop, deps: LoopDeps) {
    this.#loop = loop;
    this.#deps = deps;
    this.#writer = new RunWriter(loop.access, deps.clock, loop.health, this.#seen);
    this.#heartbeat = new Heartbeat({
      clock: deps.clock,
      keepAlive: deps.keepAlive,
      leaseMs: deps.leaseMs,
      writer: this.#writer,
      storeNow: () => loop.now(),
      activeRuns: () => this.#active,
      lost: (active) => { this.#lose(active); },
      seen: (record) => { this.#obeyAborts(record); },
    });
  }

  /** Runs whose verdict is not recorded yet. */
  get size(): number {
    return this.#active.size;
  }

  executes(run: RunningRun): boolean {
    return this.#byRunId.get(run.id)?.run.token === run.token;
  }

  start(record: JobRecord, run: RunningRun, fn: TaskFunction, revision: StoredJob['revision'], askedAt: number): void {
    const { clock, logger, reporter, executors } = this.#deps;
    const { alias, store } = this.#loop.access;
    const { policy } = record.definition;
    const active = new ActiveRun(record, run, fn, logger, clock.monotonic(), this.#heartbeat.trustedUntil(askedAt));
    this.#active.add(active);
    this.#byRunId.set(run.id, active);
    this.#seen.set(record.id, { record, revision });
    this.#runsPerJob.set(record.id, (this.#runsPerJob.get(record.id) ?? 0) + 1);
    if (store.shared) this.#heartbeat.added(active);
    reporter.run(record, alias, run, 'jobSubmitted', { latenessMs: run.startedAt - run.scheduledFor });
    if (policy.timeoutMs !== null) this.#armTimeout(active, policy.timeoutMs);
    reporter.run(record, alias, run, 'jobStarted', {});
    let answer: unknown;
    try {
      answer = executors.require(policy.executor).execute(active);
    } catch (error) {
      this.#failed(active, error);
      return;
    }
    if (!isThenable(answer)) {
      this.#succeeded(active, answer);
      return;
    }
    answer.then(
      (value) => { this.#succeeded(active, value); },
      (error: unknown) => { this.#failed(active, error); },
    );
  }

  /** A record with runs of this node was written by this node outside the writer. */
  noteRecord(record: JobRecord, revision: StoredJob['revision'], askedAt: number): void {
    if (!this.#runsPerJob.has(record.id)) return;
    this.#seen.set(record.id, { record, revision });
    this.#obeyAborts(record);
    const leaseUntil = this.#loop.now() + this.#deps.leaseMs;
    for (const run of record.state.runs) {
      // The planner has renewed a lease of ours that had run out unnoticed.
      if (run.state !== 'running' || run.leaseUntil === null || run.leaseUntil < leaseUntil - 1_000) continue;
      const active = this.#byRunId.get(run.id);
      if (active?.run.token === run.token) active.trustedUntil = this.#heartbeat.trustedUntil(askedAt);
    }
  }

  /** Resolves when every run's verdict is recorded. */
  drain(): Promise<void> {
    if (this.#active.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  abortAll(reason: string): void {
    for (const active of this.#active) if (active.phase === 'running') active.abort(new JobAbortedError(reason));
  }

  /** Gives back the runs that still go on, so that others may take them at once. Answers how many. */
  release(reason: string): number {
    let count = 0;
    for (const active of this.#active) {
      if (active.phase !== 'running') continue;
      count += 1;
      active.phase = 'ended';
      active.timeoutTimer?.cancel();
      this.#write(active, (record) => releaseRun(record, active.run, reason, this.#context()), () => undefined);
    }
    return count;
  }

  /** Records again after a `stop`, first what could not be recorded then: if a run is still ours, its end counts. */
  resume(): void {
    this.#writer.start();
  }

  /** Gives up on what could not be recorded. Its leases run out, and other nodes deal with it. */
  stop(): void {
    this.#heartbeat.stop();
    this.#writer.stop();
  }

  #armTimeout(active: ActiveRun, timeoutMs: number): void {
    const { clock, keepAlive, reporter } = this.#deps;
    active.timeoutTimer = clock.setTimer(
      timeoutMs,
      () => {
        if (active.phase !== 'running') return;
        active.timedOut = true;
        reporter.run(active.record, this.#loop.access.alias, active.run, 'jobTimeout', { timeoutMs });
        active.abort(new JobTimeoutError(timeoutMs));
      },
      keepAlive,
    );
  }

  #succeeded(active: ActiveRun, result: unknown): void {
    if (active.timedOut) {
      this.#failed(active, active.abortReason);
      return;
    }
    const { reporter, clock, settled } = this.#deps;
    const durationMs = clock.monotonic() - active.startedMonotonic;
    this.#end(active, { kind: 'succeeded' }, () => {
      reporter.run(active.record, this.#loop.access.alias, active.run, 'jobExecuted', { durationMs, result });
      if (active.isManual) settled(active.runId, { verdict: 'succeeded', result });
    });
  }

  #failed(active: ActiveRun, thrown: unknown): void {
    const { reporter, clock, settled } = this.#deps;
    const durationMs = clock.monotonic() - active.startedMonotonic;
    const { abortReason } = active;
    // A task that was told to stop may answer with whatever error the signal made of it.
    const error = active.timedOut ? abortReason : thrown;
    if (abortReason instanceof JobAbortedError) {
      this.#end(active, { kind: 'cancelled', reason: abortReason.reason, error: toErrorInfo(thrown) }, () => undefined);
      return;
    }
    const info = toErrorInfo(error);
    const outcome: RunOutcome = {
      kind: 'failed',
      error: info,
      retryable: this.#isRetryable(active, error),
      timedOut: active.timedOut,
    };
    this.#end(active, outcome, (decision) => {
      if (decision.notices.some((notice) => notice.type === 'jobRetry')) return;
      reporter.run(active.record, this.#loop.access.alias, active.run, 'jobError', { durationMs, error: info, cause: error });
      if (active.isManual) settled(active.runId, { verdict: 'failed', error });
    });
  }

  #isRetryable(active: ActiveRun, error: unknown): boolean {
    const { retry } = active.record.definition.policy;
    if (retry === null) return false;
    const retryIf = retry.retryIf ?? this.#deps.tasks.get(active.task)?.policy.retry?.retryIf;
    if (retryIf == null) return true;
    try {
      return retryIf(error, active.attempt);
    } catch (failure) {
      this.#deps.logger.error('retryIf threw; the run is not tried again', { jobId: active.jobId, error: failure });
      return false;
    }
  }

  #end(active: ActiveRun, outcome: RunOutcome, recorded: (decision: Decision) => void): void {
    active.timeoutTimer?.cancel();
    if (active.phase !== 'running') {
      // Given back, or lost: whatever it did is no longer ours to record. Its executor has room again.
      this.#loop.wake();
      return;
    }
    active.phase = 'ended';
    this.#write(active, (record) => finishRun(record, active.run, outcome, this.#context()), recorded);
  }

  #write(
    active: ActiveRun,
    apply: (record: JobRecord) => Decision | undefined,
    recorded: (decision: Decision) => void,
  ): void {
    const write: PendingWrite = {
      jobId: active.jobId,
      apply,
      written: (decision) => {
        active.phase = 'recorded';
        this.#forget(active);
        recorded(decision);
        this.#loop.publish(decision.next ?? active.record, decision);
        this.#loop.runEnded(decision.next);
      },
      refused: (current) => {
        void this.#explainRefusal(active, current, recorded);
      },
    };
    this.#writer.push(write);
  }

  /**
   * The record says the run is not ours. Either its lease was lost, or an earlier write of ours did arrive and only
   * the answer got lost; the ledger (or the retry that waits) tells which.
   */
  async #explainRefusal(
    active: ActiveRun,
    current: JobRecord | undefined,
    recorded: (decision: Decision) => void,
  ): Promise<void> {
    const { node, logger } = this.#deps;
    const waits = current?.state.runs.some(
      (run) => run.state === 'waiting' && run.id === active.runId && run.attempt === active.attempt && run.cause === 'retry',
    );
    let ours = waits === true;
    try {
      if (!ours) {
        const page = await this.#loop.access.listLedger({ jobId: active.jobId, runId: active.runId, limit: 10 });
        ours = page.entries.some((entry) => entry.node === node && entry.attempt === active.attempt);
      }
    } catch (error) {
      logger.warn('could not tell whether the result of a run was recorded', { runId: active.runId, error });
    }
    if (!ours) {
      this.#lose(active);
      return;
    }
    active.phase = 'recorded';
    this.#forget(active);
    if (!waits) recorded({ next: current ?? null, start: [], ledger: [], notices: [] });
    this.#loop.runEnded(current ?? null);
  }

  #lose(active: ActiveRun): void {
    if (active.phase === 'lost' || active.phase === 'recorded') return;
    active.phase = 'lost';
    active.timeoutTimer?.cancel();
    active.abort(new LeaseLostError(active.runId));
    this.#deps.reporter.run(active.record, this.#loop.access.alias, active.run, 'leaseLost', {});
    this.#forget(active);
  }

  #forget(active: ActiveRun): void {
    if (!this.#active.delete(active)) return;
    if (this.#byRunId.get(active.runId) === active) this.#byRunId.delete(active.runId);
    const others = (this.#runsPerJob.get(active.jobId) ?? 1) - 1;
    if (others > 0) {
      this.#runsPerJob.set(active.jobId, others);
    } else {
      this.#runsPerJob.delete(active.jobId);
      this.#seen.delete(active.jobId);
    }
    if (this.#active.size > 0) return;
    if (this.#loop.access.store.shared) this.#heartbeat.stop();
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  #obeyAborts(record: JobRecord): void {
    for (const run of record.state.runs) {
      if (run.state !== 'running' || run.abort === null) continue;
      const active = this.#byRunId.get(run.id);
      if (active?.run.token === run.token) active.abort(new JobAbortedError(run.abort));
    }
  }

  #context(): { readonly now: number; readonly node: string } {
    return { now: this.#loop.now(), node: this.#deps.node };
  }
}

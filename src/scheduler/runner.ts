import type { Decision } from '../core/draft.js';
import { JobAbortedError, JobTimeoutError, LeaseLostError } from '../errors/job-errors.js';
import type { JobRecord, TaskFunction } from '../model/job.js';
import type { StoredResult } from '../model/ledger.js';
import type { RunningRun, RunOutcome } from '../model/run.js';
import type { MaybePromise, Revision } from '../ports/job-store.js';
import { isThenable } from '../time/thenable.js';
import { ActiveRun } from './active-run.js';
import { toErrorInfo } from './error-info.js';
import { FinishWrite, isFailure, type FinishWriteHost } from './finish-write.js';
import { Heartbeat } from './heartbeat.js';
import type { HeldJob } from './held-job.js';
import type { Permit } from './limits/permit.js';
import { toStoredResult } from './run-result.js';
import { RunWriter } from './run-writer.js';
import { ErrorCallbacks, retryTime } from './on-error.js';
import { prepareArguments, takesAsStored } from './task-arguments.js';
import type { Task } from './tasks.js';
import type { LoopDeps } from './loop-deps.js';
import type { StoreLoop } from './store-loop.js';

const NONE: readonly ActiveRun[] = Object.freeze([]);
const SUCCEEDED: RunOutcome = Object.freeze({ kind: 'succeeded', result: null });

/** Executes the runs this node holds in one store, and records what became of them. */
export class Runner implements FinishWriteHost {
  readonly #loop: StoreLoop;
  readonly #deps: LoopDeps;
  readonly #alias: string;
  readonly #leased: boolean;
  readonly #writer: RunWriter;
  readonly #heartbeat: Heartbeat;
  readonly #callbacks: ErrorCallbacks;
  /** Jobs with active runs, by id. */
  readonly #held = new Map<string, HeldJob>();
  #size = 0;
  #drained: (() => void)[] = [];
  /** Why runs that are taken on are given back at once: an answer of the store came when all of them had been aborted. */
  #refuses: string | null = null;

  constructor(loop: StoreLoop, deps: LoopDeps) {
    this.#loop = loop;
    this.#deps = deps;
    this.#alias = loop.access.alias;
    this.#leased = loop.access.leased;
    this.#callbacks = new ErrorCallbacks(deps.logger, deps.node, loop.access.alias);
    this.#writer = new RunWriter(loop.access, deps.clock, loop.health, () => loop.planContext(), deps.node, deps.batchSize);
    this.#heartbeat = new Heartbeat({
      clock: deps.clock,
      keepAlive: deps.keepAlive,
      leaseMs: deps.leaseMs,
      writer: this.#writer,
      activeRuns: () => this.activeRuns(),
      lost: (active) => {
        this.#lose(active);
      },
      seen: (record) => {
        this.#obeyAborts(record);
      },
    });
  }

  /** Runs whose verdict is not recorded yet. */
  get size(): number {
    return this.#size;
  }

  /** Calls of `onError` that still go on. */
  get callbacks(): number {
    return this.#callbacks.size;
  }

  /** Whether this node executes that start of a job's run. */
  executes(jobId: string, run: RunningRun): boolean {
    return this.#find(jobId, run) !== undefined;
  }

  /** @param task - what `fn` was defined as; `undefined` for a bare function. */
  start(record: JobRecord, run: RunningRun, fn: TaskFunction, task: Task | undefined, revision: Revision, askedAt: number, permit?: Permit): void {
    const { policy } = record.definition;
    const startedAt = this.#deps.clock.monotonic();
    const trustedUntil = this.#heartbeat.trustedUntil(askedAt);
    if (this.#leased && startedAt >= trustedUntil) {
      // The store's answer took as long as the lease: somebody else may have the run already.
      this.#deps.reporter.run(record, this.#alias, run, 'leaseLost', {});
      permit?.release();
      return;
    }
    const active = this.#hold(record, run, fn, revision, startedAt, trustedUntil);
    active.module = task?.module ?? null;
    if (permit !== undefined) this.#begin(active, permit);
    if (this.#refuses !== null) {
      this.#release(active, this.#refuses);
      return;
    }
    if (this.#leased) this.#heartbeat.added(active);
    if (policy.timeoutMs !== null) this.#armTimeout(active, policy.timeoutMs);
    try {
      if (this.#loop.access.isPlain && active.args.length > 0 && active.args.some(isObject)) active.prepared = this.#copied(active.args);
    } catch (error) {
      this.#refuse(active, error);
      return;
    }
    if (task === undefined || takesAsStored(task, active.argsVersion)) this.#execute(active);
    else this.#prepare(active, task);
  }

  #begin(active: ActiveRun, permit: Permit): void {
    active.permit = permit;
    permit.begin(() => { this.#loseSlot(active); });
  }

  /** What a task does to its arguments is nothing to the record, which a store may keep in memory and write again. */
  #copied(args: readonly unknown[]): readonly unknown[] {
    const { codec } = this.#deps;
    return codec.deserialize(codec.serialize(args)) as readonly unknown[];
  }

  /** Makes the arguments of a run, then begins it. Until then its room in the executor is kept, and its lease renewed. */
  #prepare(active: ActiveRun, task: Task): void {
    let args: MaybePromise<readonly unknown[]>;
    try {
      args = prepareArguments(task, active.args, active.argsVersion);
    } catch (error) {
      this.#refuse(active, error);
      return;
    }
    if (!isThenable(args)) {
      active.prepared = args;
      this.#execute(active);
      return;
    }
    const { executors } = this.#deps;
    const { executor } = active.record.definition.policy;
    executors.promise(executor, 1);
    let waits = true;
    const goOn = (next: () => void): void => {
      if (!waits) return;
      waits = false;
      active.onEarlyAbort = null;
      executors.promise(executor, -1);
      if (active.phase === 'running') next();
      else executors.roomMade();
    };
    // Nobody can stop a schema: whoever wants the run to end need not wait for it.
    active.onEarlyAbort = () => {
      goOn(() => {
        this.#failed(active, active.abortReason);
      });
    };
    args.then(
      (prepared) => {
        goOn(() => {
          active.prepared = prepared;
          this.#execute(active);
        });
      },
      (error: unknown) => {
        goOn(() => {
          this.#refuse(active, error);
        });
      },
    );
  }

  #execute(active: ActiveRun): void {
    const { reporter, executors } = this.#deps;
    const { record, run } = active;
    if (reporter.wants('jobSubmitted')) {
      reporter.run(record, this.#alias, run, 'jobSubmitted', { latenessMs: run.startedAt - run.scheduledFor });
    }
    if (reporter.wants('jobStarted')) reporter.run(record, this.#alias, run, 'jobStarted', {});
    let answer: unknown;
    try {
      answer = executors.require(record.definition.policy.executor).execute(active);
    } catch (error) {
      this.#failed(active, error);
      return;
    }
    if (!isThenable(answer)) {
      this.#succeeded(active, answer);
      return;
    }
    answer.then(
      (value) => {
        this.#succeeded(active, value);
      },
      (error: unknown) => {
        this.#failed(active, error);
      },
    );
  }

  /** A record with runs of this node was written by this node outside the writer. */
  noteRecord(before: JobRecord, record: JobRecord, revision: Revision, askedAt: number): void {
    const held = this.#held.get(record.id);
    if (held === undefined) return;
    held.record = record;
    held.revision = revision;
    this.#obeyAborts(record);
    for (const run of record.state.runs) {
      if (run.state !== 'running' || run.leaseUntil === null) continue;
      // Any other write of the record leaves our leases as they were, and says nothing about how long to trust them.
      const old = before.state.runs.find(({ id }) => id === run.id);
      if (old?.state !== 'running' || old.token !== run.token || old.leaseUntil === run.leaseUntil) continue;
      // The planner has renewed a lease of ours that had run out unnoticed.
      const active = this.#find(record.id, run);
      if (active !== undefined) active.trustedUntil = this.#heartbeat.trustedUntil(askedAt);
    }
  }

  /** Resolves when every run's verdict is recorded, and who asked to be told of errors has been. */
  async drain(): Promise<void> {
    if (this.#size > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
    await this.#callbacks.settled();
  }

  /** Somebody may have asked for runs of this node to be stopped. */
  async lookForAborts(): Promise<void> {
    for (const id of [...this.#held.keys()]) {
      const answer = this.#loop.access.get(id);
      const stored = isThenable(answer) ? await answer : answer;
      if (stored !== undefined) this.#obeyAborts(stored.record);
    }
  }

  /** The process may have stood still for longer than its leases. */
  wokeUp(): void {
    this.#heartbeat.wokeUp();
  }

  /** Hears of each run whether it still is this node's. */
  renewAll(): void {
    if (this.#leased) this.#heartbeat.renewAll();
  }

  /** Also of what is taken on until the runner goes on. */
  abortAll(reason: string): void {
    this.#refuses = reason;
    for (const active of this.activeRuns()) if (active.phase === 'running') active.abort(new JobAbortedError(reason));
  }

  /** Gives back the runs that still go on, so that others may take them at once. Answers how many. */
  release(reason: string): number {
    let count = 0;
    for (const active of this.activeRuns()) {
      if (active.phase !== 'running') continue;
      count += 1;
      this.#release(active, reason);
    }
    return count;
  }

  #release(active: ActiveRun, reason: string): void {
    active.permit?.release();
    this.#giveBack(active, reason);
  }

  #giveBack(active: ActiveRun, reason: string): void {
    active.phase = 'ended';
    active.timeoutTimer?.cancel();
    active.onEarlyAbort?.();
    this.#writer.push(new FinishWrite(this, active, { kind: 'released', reason }, undefined, 0));
  }

  /** Records again after a `stop`, first what could not be recorded then: if a run is still ours, its end counts. */
  resume(): void {
    this.#refuses = null;
    this.#writer.start();
  }

  /** Gives up on what could not be recorded. Its leases run out, and other nodes deal with it. */
  stop(): void {
    this.#heartbeat.stop();
    this.#writer.stop();
  }

  // ── what the writer asks ──────────────────────────────────────────────────

  recorded(end: FinishWrite, decision: Decision): void {
    const { active } = end;
    active.phase = 'recorded';
    if (isFailure(end.outcome, active)) this.#tellOfError(end, retryTime(active, decision));
    this.#forget(active);
    this.#reportEnd(end, decision);
    this.#loop.publish(decision.next ?? active.record, decision);
    this.#loop.runEnded(decision.next);
  }

  refused(end: FinishWrite, current: JobRecord | undefined): void {
    void this.#explainRefusal(end, current);
  }

  /**
   * The record says the run is not ours. Either its lease was lost, or an earlier write of ours did arrive and only
   * the answer got lost; the ledger (or the retry that waits) tells which.
   */
  async #explainRefusal(end: FinishWrite, current: JobRecord | undefined): Promise<void> {
    const { node, logger } = this.#deps;
    const { active } = end;
    const waiting = current?.state.runs.find((run) => {
      if (run.state !== 'waiting' || run.id !== active.runId) return false;
      // For another attempt, or for the same one, which was refused before it began.
      return run.attempt === active.attempt ? run.cause === 'retry' : run.attempt === active.attempt - 1;
    });
    let ours = waiting !== undefined;
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
    if (isFailure(end.outcome, active)) this.#tellOfError(end, waiting?.state === 'waiting' ? waiting.readyAt : null);
    this.#forget(active);
    if (waiting === undefined) this.#reportEnd(end, { next: current ?? null, start: [], ledger: [], notices: [] });
    this.#loop.runEnded(current ?? null);
  }

  // ── the end of a run ──────────────────────────────────────────────────────

  #succeeded(active: ActiveRun, result: unknown): void {
    if (active.timedOut) this.#failed(active, active.abortReason);
    else this.#end(active, result === undefined ? SUCCEEDED : { kind: 'succeeded', result: this.#toKeep(active, result) }, result);
  }

  #toKeep(active: ActiveRun, value: unknown): StoredResult | null {
    const { resultTtlMs } = active.record.definition.policy;
    if (resultTtlMs === null) return null;
    return toStoredResult(value, this.#deps.codec, this.#deps.maxResultSize, this.#loop.now() + resultTtlMs);
  }

  #failed(active: ActiveRun, thrown: unknown): void {
    const { abortReason } = active;
    if (abortReason instanceof JobAbortedError) {
      // Where the record outlives this process, a run that a shutdown cut short is another's to take up.
      if (abortReason.reason === 'shutdown' && this.#loop.access.leased && active.phase === 'running') {
        this.#release(active, 'shutdown');
        return;
      }
      this.#end(active, { kind: 'cancelled', reason: abortReason.reason, error: toErrorInfo(thrown) }, thrown);
      return;
    }
    // A task that was told to stop may answer with whatever error the signal made of it.
    const error = active.timedOut ? abortReason : thrown;
    const retryable = this.#isRetryable(active, error);
    this.#end(active, { kind: 'failed', error: toErrorInfo(error), retryable, timedOut: active.timedOut }, error);
  }

  /** Its task cannot take its arguments. */
  #refuse(active: ActiveRun, thrown: unknown): void {
    this.#end(active, { kind: 'refused', args: active.record.definition.args, error: toErrorInfo(thrown) }, thrown);
  }

  #end(active: ActiveRun, outcome: RunOutcome, value: unknown): void {
    active.timeoutTimer?.cancel();
    active.permit?.release();
    // Now, not once it is recorded: that may take as long as its store is away, and other stores share the executor.
    this.#deps.executors.roomMade();
    if (active.phase !== 'running') {
      // Given back, or lost: whatever it did is no longer ours to record.
      this.#loop.wake();
      return;
    }
    active.phase = 'ended';
    const { clock, lag } = this.#deps;
    const durationMs = clock.monotonic() - active.startedMonotonic;
    if (durationMs >= lag.thresholdMs) lag.ended(active, this.#alias);
    this.#writer.push(new FinishWrite(this, active, outcome, value, durationMs));
  }

  #reportEnd({ active, outcome, value, durationMs }: FinishWrite, decision: Decision): void {
    const { reporter, settled } = this.#deps;
    if (outcome.kind === 'succeeded') {
      if (reporter.wants('jobExecuted')) {
        reporter.run(active.record, this.#alias, active.run, 'jobExecuted', { durationMs, result: value });
      }
      settled(active.runId, { verdict: 'succeeded', result: value });
    } else if (isFailure(outcome, active) && !decision.notices.some(({ type }) => type === 'jobRetry' || type === 'jobCancelled')) {
      reporter.run(active.record, this.#alias, active.run, 'jobError', { durationMs, error: outcome.error, cause: value });
      settled(active.runId, { verdict: 'failed', error: value });
    }
  }

  /** Once for each attempt that failed and was recorded here. Before a shutdown is told that nothing goes on any more. */
  #tellOfError({ active, value: error, durationMs }: FinishWrite, retryAt: number | null): void {
    const { tasks, onError } = this.#deps;
    const failure = { error, durationMs, timedOut: active.timedOut, retryAt };
    this.#callbacks.tell([tasks.of(active.record.definition)?.onError, onError], active, failure);
  }

  #isRetryable(active: ActiveRun, error: unknown): boolean {
    const { retry } = active.record.definition.policy;
    if (retry === null) return false;
    // A durable store keeps no functions: there it is the task's. `null` of a job means that nobody is asked.
    const retryIf = this.#loop.access.isPlain ? this.#deps.tasks.get(active.task)?.policy.retry?.retryIf : retry.retryIf;
    if (retryIf == null) return true;
    try {
      return retryIf(error, active.attempt);
    } catch (failure) {
      this.#deps.logger.error('retryIf threw; the run is not tried again', { jobId: active.jobId, error: failure });
      return false;
    }
  }

  #armTimeout(active: ActiveRun, timeoutMs: number): void {
    const { clock, keepAlive, reporter } = this.#deps;
    active.timeoutTimer = clock.setTimer(
      timeoutMs,
      () => {
        if (active.phase !== 'running') return;
        active.timedOut = true;
        reporter.run(active.record, this.#alias, active.run, 'jobTimeout', { timeoutMs });
        active.abort(new JobTimeoutError(timeoutMs));
      },
      keepAlive,
    );
  }

  #lose(active: ActiveRun): void {
    if (active.phase === 'lost' || active.phase === 'recorded') return;
    active.phase = 'lost';
    active.timeoutTimer?.cancel();
    active.permit?.forsake();
    active.abort(new LeaseLostError(active.runId));
    this.#deps.reporter.run(active.record, this.#alias, active.run, 'leaseLost', {});
    this.#forget(active);
  }

  /** What it had of a limit is another's. Where a run has no lease that could run out, it is given back, lest nobody ever does. */
  #loseSlot(active: ActiveRun): void {
    if (this.#leased) {
      this.#lose(active);
      return;
    }
    if (active.phase !== 'running') return;
    active.permit?.forsake();
    this.#deps.reporter.run(active.record, this.#alias, active.run, 'leaseLost', {});
    this.#giveBack(active, 'lease-lost');
    active.abort(new LeaseLostError(active.runId));
  }

  // ── what is held ──────────────────────────────────────────────────────────

  #hold(record: JobRecord, run: RunningRun, fn: TaskFunction, revision: Revision, startedAt: number, trustedUntil: number): ActiveRun {
    const { logger, bindContext } = this.#deps;
    const known = this.#held.get(record.id);
    const held: HeldJob = known ?? { id: record.id, record, revision, active: NONE, draft: null };
    held.record = record;
    held.revision = revision;
    const active = new ActiveRun(held, record, run, fn, logger, bindContext, startedAt, trustedUntil);
    held.active = held.active.length === 0 ? [active] : [...held.active, active];
    if (known === undefined) this.#held.set(record.id, held);
    this.#size += 1;
    this.#deps.lag.begun();
    return active;
  }

  #forget(active: ActiveRun): void {
    const { held } = active;
    if (!held.active.includes(active)) return;
    held.active = held.active.length === 1 ? NONE : without(held.active, active);
    if (held.active.length === 0) this.#held.delete(held.id);
    this.#size -= 1;
    if (this.#size > 0) return;
    if (this.#leased) this.#heartbeat.stop();
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  #find(jobId: string, run: RunningRun): ActiveRun | undefined {
    return this.#held.get(jobId)?.active.find((active) => active.run.token === run.token && active.runId === run.id);
  }

  /** A copy, because what is done with them may end them. */
  activeRuns(): ActiveRun[] {
    return [...this.#held.values()].flatMap((held) => held.active);
  }

  #obeyAborts(record: JobRecord): void {
    for (const run of record.state.runs) {
      if (run.state === 'running' && run.abort !== null) this.#find(record.id, run)?.abort(new JobAbortedError(run.abort));
    }
  }
}

function without(list: readonly ActiveRun[], active: ActiveRun): readonly ActiveRun[] {
  return list.filter((other) => other !== active);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

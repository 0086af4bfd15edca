import type { JobRecord, TaskFunction, TaskModule } from '../model/job.js';
import type { RunCause } from '../model/links.js';
import type { RunningRun } from '../model/run.js';
import type { TimerHandle } from '../ports/clock.js';
import type { RunContext, RunPolicy, RunRequest } from '../ports/executor.js';
import type { Logger } from '../ports/logger.js';
import type { HeldJob } from './held-job.js';
import type { Permit } from './limits/permit.js';
import { childLogger } from './logging.js';

/** A function that will run in the asynchronous context in which it is bound, whoever calls it. */
export type BindContext = <F extends (reason: Error) => void>(fn: F) => F;

const NO_CAUSES: readonly RunCause[] = Object.freeze([]);
const NO_METADATA: Readonly<Record<string, unknown>> = Object.freeze({});

/**
 * `running`: its function has not settled. `ended`: it has, and the result is not recorded yet.
 * `recorded`: its verdict (or its retry) is in the store. `lost`: it is no longer this node's.
 */
export type ActiveRunPhase = 'running' | 'ended' | 'recorded' | 'lost';

/**
 * A run this node executes. It is the request the executor gets and the context the task sees, and makes what costs
 * something (an abort controller, dates, a logger) only when it is asked for: most tasks never ask.
 */
export class ActiveRun implements RunRequest, RunContext {
  readonly held: HeldJob;
  /** As it was when the run started. */
  readonly record: JobRecord;
  readonly run: RunningRun;
  readonly fn: TaskFunction;
  /** Monotonic. When the function was called. */
  readonly startedMonotonic: number;
  module: TaskModule | null = null;
  /** What it has of the limits it is under, if it is under any. */
  permit: Permit | undefined;
  phase: ActiveRunPhase = 'running';
  timedOut = false;
  timeoutTimer: TimerHandle | undefined;
  /** Its arguments as the task takes them, where that is not as they are stored. */
  prepared: readonly unknown[] | null = null;
  /** Called once, when it is asked to stop, or given back, before its function was called. */
  onEarlyAbort: (() => void) | null = null;
  onAbort: (() => void) | null = null;
  /** Monotonic. Past it another node may have the run, even if the store cannot be asked. */
  trustedUntil: number;
  readonly #logger: Logger;
  readonly #bind: BindContext;
  #controller: AbortController | undefined;
  #fire: ((reason: Error) => void) | undefined;
  #abortReason: Error | undefined;

  constructor(
    held: HeldJob,
    record: JobRecord,
    run: RunningRun,
    fn: TaskFunction,
    logger: Logger,
    bind: BindContext,
    startedMonotonic: number,
    trustedUntil: number,
  ) {
    this.held = held;
    this.record = record;
    this.run = run;
    this.fn = fn;
    this.#logger = logger;
    this.#bind = bind;
    this.startedMonotonic = startedMonotonic;
    this.trustedUntil = trustedUntil;
  }

  get context(): RunContext {
    return this;
  }
  get policy(): RunPolicy {
    return this.record.definition.policy;
  }
  get runId(): string {
    return this.run.id;
  }
  get jobId(): string {
    return this.record.id;
  }
  get jobName(): string | null {
    return this.record.definition.name;
  }
  get task(): string {
    return this.record.definition.task;
  }
  get args(): readonly unknown[] {
    return this.prepared ?? this.run.args ?? this.record.definition.args;
  }
  /** Version of the task its stored arguments are for. */
  get argsVersion(): number {
    return this.run.args === null ? this.record.definition.taskVersion : (this.run.argsVersion ?? 1);
  }
  get scheduledFor(): Date {
    return new Date(this.run.scheduledFor);
  }
  get startedAt(): Date {
    return new Date(this.run.startedAt);
  }
  get attempt(): number {
    return this.run.attempt;
  }
  get isCatchUp(): boolean {
    return this.run.catchUp;
  }
  get isManual(): boolean {
    return this.run.manual;
  }
  get follows(): readonly RunCause[] {
    return this.run.follows ?? NO_CAUSES;
  }
  get nextRunTime(): Date | null {
    const { nextFireTime } = this.record.state;
    return nextFireTime === null ? null : new Date(nextFireTime);
  }
  get tags(): readonly string[] {
    return this.record.definition.tags;
  }
  get metadata(): Readonly<Record<string, unknown>> {
    return this.record.definition.metadata ?? NO_METADATA;
  }
  get logger(): Logger {
    return childLogger(this.#logger, { jobId: this.jobId, runId: this.runId, attempt: this.attempt });
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      // Asked for inside the task, so listeners for its abort find themselves in the task's run.
      this.#fire = this.#bind((reason: Error) => {
        controller.abort(reason);
      });
      if (this.#abortReason !== undefined) controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** Why the run was asked to stop, if it was. */
  get abortReason(): Error | undefined {
    return this.#abortReason;
  }

  /** The first reason counts. */
  abort(reason: Error): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.#fire?.(reason);
    try {
      this.onAbort?.();
    } catch (error) {
      // Others are to be told after this one.
      this.logger.error('an executor failed to stop a run', { error });
    }
    this.onEarlyAbort?.();
  }
}

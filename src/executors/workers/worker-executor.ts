import { isPunctualError } from '../../errors/base.js';
import { NotCloneableError, UnsuitableTaskError } from '../../errors/executor-errors.js';
import { InvalidStateError } from '../../errors/scheduler-errors.js';
import type { TaskModule } from '../../model/job.js';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { Executor, ExecutorContext, RunRequest } from '../../ports/executor.js';
import type { LogFields, Logger } from '../../ports/logger.js';
import { fromPlain, toPlain } from '../shared/plain-value.js';
import { closeError, crashError, killError } from './crash.js';
import { runMessage, TAG, type FromWorker } from './messages.js';
import type { PoolLimits } from './options.js';
import type { Worker, WorkerExit, WorkerKind } from './worker.js';

/** Less than the time a shutdown gives aborted tasks, so that a run is over before it is handed back. */
const SHUTDOWN_KILL_MS = 500;
/** For a worker with nothing to do to end by itself, and for one that is terminated to be gone. */
const LAST_MOMENTS_MS = 2_000;

/** A run in a worker. */
interface Work {
  readonly run: RunRequest;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  member: Member;
  /** Its worker was made for it. */
  isFirst: boolean;
  /** Ends the worker of a task that was told to stop. */
  timer: TimerHandle | undefined;
  /** Why its worker was ended. */
  killed: Error | undefined;
}

interface Member {
  readonly worker: Worker;
  work: Work | undefined;
  runs: number;
  /** For when it has had nothing to do for too long, or has to be gone. */
  timer: TimerHandle | undefined;
  /** Since when it has nothing to do, on the monotonic clock. */
  idleSince: number;
  /** What was thrown where nobody catches it. */
  crash: unknown;
  /** It takes no more runs. */
  leaving: boolean;
  readonly gone: Promise<void>;
  readonly setGone: () => void;
}

/**
 * Executes runs in workers, one at a time in each. There is no queue: what finds no worker stays in the store, where
 * another node may take it.
 */
export abstract class WorkerExecutor implements Executor {
  readonly needsModule = true;
  readonly #kind: WorkerKind;
  readonly #limits: PoolLimits;
  readonly #members = new Set<Member>();
  /** The last one is used first, so that the others may go. */
  readonly #idle: Member[] = [];
  #context: ExecutorContext | undefined;
  #busy = 0;
  #drained: (() => void)[] = [];

  /** @internal */
  protected constructor(kind: WorkerKind, limits: PoolLimits) {
    this.#kind = kind;
    this.#limits = limits;
  }

  get capacity(): number {
    return this.#limits.max;
  }

  get free(): number {
    return this.#limits.max - this.#busy;
  }

  open(context: ExecutorContext): void {
    this.#context = context;
    while (this.#staff < this.#limits.min) {
      try {
        const member = this.#hire();
        member.worker.keepAlive(false);
        this.#idle.push(member);
      } catch (error) {
        // The first run will say so as well, and fail with it.
        context.logger.error(`a ${this.#kind.name} for tasks could not be started`, { error });
        return;
      }
    }
  }

  execute(run: RunRequest): Promise<unknown> {
    const { module } = run;
    if (this.#context === undefined) throw notOpened();
    if (module === null) throw new UnsuitableTaskError(run.task, this.constructor.name);
    const { member, isFirst } = this.#give(run, module);
    this.#busy += 1;
    return new Promise((resolve, reject) => {
      const work: Work = { run, resolve, reject, member, isFirst, timer: undefined, killed: undefined };
      member.work = work;
      if (run.abortReason !== undefined) this.#abort(member, work);
      else run.onAbort = () => { this.#abort(work.member, work); };
    });
  }

  #give(run: RunRequest, module: TaskModule): { readonly member: Member; readonly isFirst: boolean } {
    const waiting = this.#idle.pop();
    const member = waiting ?? this.#hire();
    try {
      member.worker.post(runMessage(run, module));
    } catch (error) {
      this.#release(member);
      throw this.#uncloneable(run, error);
    }
    member.worker.keepAlive(true);
    member.runs += 1;
    return { member, isFirst: waiting === undefined };
  }

  /** Its worker, which had nothing to do before, ended before it had the run: it goes to another. Answers whether it does. */
  #passOn(work: Work): boolean {
    const { run, member } = work;
    if (work.isFirst || member.worker.begun >= member.runs || run.abortReason !== undefined || run.module === null) return false;
    try {
      Object.assign(work, this.#give(run, run.module));
    } catch (error) {
      this.#logger.error(`a run could not be given to another ${this.#kind.name}`, { error, jobId: run.jobId, runId: run.runId });
      return false;
    }
    work.member.work = work;
    return true;
  }

  /** Waits for runs that nobody told to stop, ends the others, and ends the workers. */
  async close(): Promise<void> {
    for (const { work, worker } of this.#members) {
      if (work?.run.abortReason === undefined) continue;
      work.killed ??= closeError(this.#kind.name, work.run.abortReason);
      worker.terminate();
    }
    if (this.#busy > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
    const members = [...this.#members];
    for (const member of this.#idle.splice(0)) this.#dismiss(member);
    await this.#seenOut(members);
  }

  /** What no one can interrupt (a native module, a synchronous child process) must not hold up a shutdown for ever. */
  async #seenOut(members: readonly Member[]): Promise<void> {
    if (members.length === 0) return;
    await new Promise<void>((resolve) => {
      // It keeps this process running as well: those with nothing to do don't.
      const timer = this.#clock.setTimer(2 * LAST_MOMENTS_MS, () => {
        this.#logger.error(`some ${this.#kind.name} does not end; it is left behind`);
        resolve();
      });
      void Promise.all(members.map(({ gone }) => gone)).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  // ── runs ──

  #abort(member: Member, work: Work): void {
    const { killMs } = this.#limits;
    const reason = work.run.abortReason;
    const isShutdown = isPunctualError(reason, 'JOB_ABORTED') && reason.reason === 'shutdown';
    const graceMs = isShutdown ? Math.min(killMs, SHUTDOWN_KILL_MS) : killMs;
    const { runId, context } = work.run;
    member.worker.post([TAG, 'abort', runId, context.attempt, toPlain(reason)]);
    work.timer = this.#clock.setTimer(graceMs, () => {
      work.killed = killError(this.#kind.name, graceMs, reason);
      member.leaving = true;
      member.worker.terminate();
      // Code that no one can interrupt (of a native module) must not hold up the schedule as well.
      work.timer = this.#clock.setTimer(LAST_MOMENTS_MS, () => {
        this.#logger.error(`a ${this.#kind.name} does not end`, { jobId: work.run.jobId, runId });
        this.#settle(member);
        work.reject(work.killed);
      });
    });
  }

  #heard(member: Member, message: FromWorker): void {
    const { work } = member;
    switch (message[1]) {
      case 'log': {
        const [, , level, text, fields] = message;
        const logger = work?.run.context.logger ?? this.#logger;
        logger[level](text, fields === undefined ? undefined : (fromPlain(fields) as LogFields));
        return;
      }
      case 'crash':
        member.crash = fromPlain(message[2]);
        member.leaving = true;
        // It lives for a moment yet: no other run may find it.
        this.#unlist(member);
        return;
      case 'done':
      case 'failed':
        if (work === undefined) return;
        this.#settle(member);
        this.#release(member);
        if (message[1] === 'done') work.resolve(message[2]);
        else work.reject(fromPlain(message[2]));
    }
  }

  #exited(member: Member, exit: WorkerExit): void {
    const { work, crash } = member;
    this.#members.delete(member);
    member.timer?.cancel();
    this.#unlist(member);
    const error = crashError(this.#kind.name, crash === undefined ? exit : { ...exit, reason: 'uncaughtException', cause: crash });
    if (work !== undefined && this.#passOn(work)) {
      this.#logger.warn(`a ${this.#kind.name} ended before it began its run, which another has now`, { error, jobId: work.run.jobId, runId: work.run.runId });
    } else if (work !== undefined) {
      this.#settle(member);
      work.reject(work.killed ?? error);
    } else if (!member.leaving || crash !== undefined) {
      this.#logger.warn(`a ${this.#kind.name} ended that had nothing to do`, { error });
    }
    member.setGone();
  }

  /** Its run is over. */
  #settle(member: Member): void {
    const { work } = member;
    if (work === undefined) return;
    work.timer?.cancel();
    work.run.onAbort = null;
    member.work = undefined;
    this.#busy -= 1;
    if (this.#busy === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** @returns what is the matter, by the name of what cannot be cloned. */
  #uncloneable({ args, context }: RunRequest, error: unknown): NotCloneableError {
    const parts: [string, unknown][] = [...args.map((arg, i): [string, unknown] => [`args[${i}]`, arg]), ['metadata', context.metadata]];
    for (const [what, part] of parts) {
      try {
        this.#kind.clone(part);
      } catch (reason) {
        return new NotCloneableError(what, messageOf(reason));
      }
    }
    return new NotCloneableError('args', messageOf(error));
  }

  // ── workers ──

  #hire(): Member {
    let setGone!: () => void;
    const gone = new Promise<void>((resolve) => { setGone = resolve; });
    const worker = this.#kind.start({
      message: (message) => { this.#heard(member, message); },
      exited: (exit) => { this.#exited(member, exit); },
    });
    const member: Member = { worker, work: undefined, runs: 0, timer: undefined, idleSince: 0, crash: undefined, leaving: false, gone, setGone };
    this.#members.add(member);
    return member;
  }

  /** It has nothing to do. */
  #release(member: Member): void {
    member.worker.keepAlive(false);
    if (member.leaving || member.runs >= this.#limits.runsPerWorker) {
      this.#dismiss(member);
      return;
    }
    this.#idle.push(member);
    member.idleSince = this.#clock.monotonic();
    // It is left alone by the runs that come until it fires: a timer for each pause between two would cost more than they do.
    if (this.#staff > this.#limits.min) member.timer ??= this.#expiry(member, this.#limits.idleMs);
  }

  #expiry(member: Member, afterMs: number): TimerHandle {
    return this.#clock.setTimer(afterMs, () => { this.#expire(member); }, false);
  }

  #expire(member: Member): void {
    member.timer = undefined;
    if (member.work !== undefined || this.#staff <= this.#limits.min) return;
    const leftMs = member.idleSince + this.#limits.idleMs - this.#clock.monotonic();
    if (leftMs > 0) {
      member.timer = this.#expiry(member, leftMs);
      return;
    }
    this.#unlist(member);
    this.#dismiss(member);
  }

  #unlist(member: Member): void {
    const index = this.#idle.indexOf(member);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  #dismiss(member: Member): void {
    member.timer?.cancel();
    member.leaving = true;
    member.worker.dismiss();
    member.timer = this.#clock.setTimer(LAST_MOMENTS_MS, () => { member.worker.terminate(); }, false);
  }

  /** Those that are not on their way out. */
  get #staff(): number {
    return this.#idle.length + this.#busy;
  }

  get #clock(): Clock {
    return this.#required.clock;
  }

  get #logger(): Logger {
    return this.#required.logger;
  }

  get #required(): ExecutorContext {
    if (this.#context !== undefined) return this.#context;
    throw notOpened();
  }
}

function notOpened(): InvalidStateError {
  return new InvalidStateError('This executor was not opened: give it to a scheduler, as one of its `executors`.');
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.endsWith('.') ? message : `${message}.`;
}

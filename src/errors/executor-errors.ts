import { inspectValue, PunctualError } from './base.js';

/**
 * An executor cannot run a task of this kind: the task is a function of this process and the executor needs a `module`, or a
 * task that has been `named` with `defineTask`; or the task is a remote one, and the executor runs tasks `here`.
 */
export class UnsuitableTaskError extends PunctualError {
  readonly task: string;
  readonly executor: string;

  constructor(task: string, executor: string, needs: 'module' | 'named' | 'here' = 'module') {
    super('UNSUITABLE_TASK', WHY_UNSUITABLE[needs](inspectValue(task), inspectValue(executor)));
    this.task = task;
    this.executor = executor;
  }
}

const WHY_UNSUITABLE = {
  module: (task: string, executor: string): string =>
    `Executor ${executor} runs tasks outside of this thread, where the function ${task} is not known. ` +
    `Export it from a module, and say where: defineTask(${task}, { module: new URL('./my-task.js', import.meta.url), export: 'run' }).`,
  named: (task: string, executor: string): string =>
    `Executor ${executor} hands runs to workers that find tasks by their names, and the function ${task} has none that they know. ` +
    `Define it here, with the name it has there: defineTask(${task}, { remote: true }).`,
  here: (task: string, executor: string): string =>
    `Executor ${executor} runs tasks itself, and of the task ${task} only the name is known here: it is remote. ` +
    "Give the job (or the task) an `executor` that hands runs to workers elsewhere, such as an AmqpExecutor, or define the task as a function or a module.",
};

/** The module of a task could not be loaded, or has no such export. The error of the run; `cause` has what the module threw. */
export class TaskLoadError extends PunctualError {
  /** The `file:` URL of the module. */
  readonly module: string;
  readonly export: string;

  constructor(task: string, module: string, exportName: string, problem: string, options?: ErrorOptions) {
    super('TASK_NOT_LOADED', `Could not load ${inspectValue(exportName)}, the task ${inspectValue(task)}, from ${module}: ${problem}`, options);
    this.module = module;
    this.export = exportName;
  }
}

/** What goes to a worker, or comes back from it, cannot be copied: a function, a promise, a socket for instance. The error of the run. */
export class NotCloneableError extends PunctualError {
  /** `args[0]`, `metadata` or `result`, for instance. */
  readonly what: string;

  constructor(what: string, detail: string) {
    super(
      'NOT_CLONEABLE',
      `\`${what}\` cannot be copied to another thread or process: ${detail} ` +
        'Give plain data, dates, maps, sets and buffers; functions, promises and sockets stay where they are.',
    );
    this.what = what;
  }
}

/**
 * How a worker came to its end: its task threw outside of its promise (`uncaughtException`), its memory was full, it
 * called `process.exit`, a signal ended it, it was ended for not stopping when it was told to (`terminated`), or it could
 * not be started (`notStarted`). A worker behind a broker was gone, and the run of a job that is not to be run again came
 * back (`lost`).
 */
export type WorkerEnd = 'uncaughtException' | 'outOfMemory' | 'exit' | 'signal' | 'terminated' | 'notStarted' | 'lost';

/** The worker (thread or process) that executed a run ended before the run did. The error of that run. */
export class WorkerCrashedError extends PunctualError {
  readonly reason: WorkerEnd;
  /** `null` where it has none, such as after a signal. */
  readonly exitCode: number | null;
  /** The signal that ended a child process. */
  readonly signal: string | null;

  constructor(reason: WorkerEnd, message: string, exitCode: number | null = null, signal: string | null = null, options?: ErrorOptions) {
    super('WORKER_CRASHED', message, options);
    this.reason = reason;
    this.exitCode = exitCode;
    this.signal = signal;
  }
}

/**
 * Why a broker could not do what was asked of it. `unreachable`: there is no connection. `bad-login`: it refuses user or
 * password. `no-access`: the user may not do that. `missing`: an exchange, a queue or a stream is not there. `mismatch`: it is
 * there, and was declared otherwise. `unroutable`: no queue takes the message. `rejected`: the broker does not take it, since a
 * queue is full for instance. `unconfirmed`: it did not say in time that it has the message. `blocked`: it takes no messages
 * for now, short of memory or disk. `too-large`: the message is. `no-answer`: no worker answered after the run was told to stop.
 * `closed`: the executor or the connection was closed. `no-driver`: its package is not installed.
 */
export type BrokerProblem =
  | 'unreachable'
  | 'bad-login'
  | 'no-access'
  | 'missing'
  | 'mismatch'
  | 'unroutable'
  | 'rejected'
  | 'unconfirmed'
  | 'blocked'
  | 'too-large'
  | 'no-answer'
  | 'closed'
  | 'no-driver';

/** A broker (RabbitMQ, NATS, Redis) could not take a run, or its executor or worker has no connection. The error of that run. */
export class BrokerError extends PunctualError {
  readonly reason: BrokerProblem;

  constructor(reason: BrokerProblem, message: string, options?: ErrorOptions) {
    super('BROKER_FAILED', message, options);
    this.reason = reason;
  }
}

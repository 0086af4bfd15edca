import { inspectValue, PunctualError } from './base.js';

/** A task is a function of this process, and its executor runs tasks elsewhere. */
export class UnsuitableTaskError extends PunctualError {
  readonly task: string;
  readonly executor: string;

  constructor(task: string, executor: string) {
    super(
      'UNSUITABLE_TASK',
      `Executor ${inspectValue(executor)} runs tasks outside of this thread, where the function ${inspectValue(task)} is not known. ` +
        `Export it from a module, and say where: defineTask(${inspectValue(task)}, { module: new URL('./my-task.js', import.meta.url), export: 'run' }).`,
    );
    this.task = task;
    this.executor = executor;
  }
}

/** The module of a task could not be loaded, or has no such export. The error of the run; `cause` has what the module threw. */
export class TaskLoadError extends PunctualError {
  /** The `file:` URL of the module. */
  readonly module: string;
  readonly export: string;

  constructor(module: string, exportName: string, problem: string, options?: ErrorOptions) {
    super('TASK_NOT_LOADED', `Could not load the task ${inspectValue(exportName)} from ${module}: ${problem}`, options);
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
 * not be started.
 */
export type WorkerEnd = 'uncaughtException' | 'outOfMemory' | 'exit' | 'signal' | 'terminated' | 'notStarted';

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

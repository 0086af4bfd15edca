import { children } from './child.js';
import { poolLimits, type WorkerOptions } from './options.js';
import { WorkerExecutor } from './worker-executor.js';

/**
 * Runs tasks in child processes: for what may take its process with it (native modules, memory, `process.exit`), or needs
 * one of its own. Tasks are given as a module and the name of an export.
 *
 * Arguments and results are copied as between threads. A task that does not stop when its signal fires is killed with its
 * process. Processes end with their parent, also when that is killed; SIGINT and SIGTERM they leave to it.
 *
 * @example
 * ```ts
 * const scheduler = new AsyncScheduler({ executors: { children: new ChildProcessExecutor({ maxWorkers: 2, memoryLimitMb: 512 }) } });
 * ```
 */
export class ChildProcessExecutor extends WorkerExecutor {
  /** @throws InvalidOptionError */
  constructor(options: WorkerOptions = {}) {
    const limits = poolLimits(options);
    super(children(options), limits);
  }
}

import { poolLimits, type WorkerOptions } from './options.js';
import { threads } from './thread.js';
import { WorkerExecutor } from './worker-executor.js';

/**
 * Runs tasks in worker threads: for what computes, so that the scheduler's own thread stays free. Tasks are given as a
 * module and the name of an export.
 *
 * Arguments and results are copied (structured clone): classes become plain objects, and functions are refused. A task
 * that does not stop when its signal fires is ended with its thread, as is one that fills its memory; the others go on.
 * What a native module does to the process it does to all of them: for that there are child processes.
 *
 * @example
 * ```ts
 * const scheduler = new AsyncScheduler({ executors: { threads: new WorkerThreadExecutor({ maxWorkers: 4 }) } });
 * scheduler.defineTask('thumbs', { module: new URL('./thumbs.js', import.meta.url), export: 'make' }, { executor: 'threads' });
 * await scheduler.addJob('thumbs', '0 3 * * *', { args: ['/photos'], timeout: { minutes: 10 } });
 * ```
 */
export class WorkerThreadExecutor extends WorkerExecutor {
  /** @throws InvalidOptionError */
  constructor(options: WorkerOptions = {}) {
    const limits = poolLimits(options);
    super(threads(options), limits);
  }
}

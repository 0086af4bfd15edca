/**
 * Executors whose tasks run in worker threads or child processes.
 *
 * @module
 */
export { WorkerThreadExecutor } from './worker-thread-executor.js';
export { ChildProcessExecutor } from './child-process-executor.js';
export type { WorkerExecutor } from './worker-executor.js';
export type { WorkerOptions } from './options.js';

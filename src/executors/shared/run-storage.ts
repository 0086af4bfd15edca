import { AsyncLocalStorage } from 'node:async_hooks';
import { InvalidStateError } from '../../errors/scheduler-errors.js';
import type { RunContext } from '../../ports/executor.js';

/** One storage a process, even where the package is loaded twice (ESM beside CommonJS). */
const KEY = Symbol.for('punctual.currentRun.v1');
const shared = globalThis as { [KEY]?: AsyncLocalStorage<RunContext> };

export const runStorage: AsyncLocalStorage<RunContext> = (shared[KEY] ??= new AsyncLocalStorage<RunContext>());

/**
 * The run in which the calling code executes: ids, fire time, attempt, abort signal, logger, metadata. Works in
 * everything the task awaits or calls.
 *
 * @throws InvalidStateError when the caller is not inside a task.
 * @example
 * ```ts
 * scheduler.defineTask('sync', async () => {
 *   const { signal, scheduledFor, attempt } = currentRun();
 *   await fetch(`https://example.com/changes?since=${scheduledFor.toISOString()}`, { signal });
 * });
 * ```
 */
export function currentRun(): RunContext {
  const run = runStorage.getStore();
  if (run === undefined) {
    throw new InvalidStateError('currentRun() was called outside a run. Call it inside a task, or in what the task calls.');
  }
  return run;
}

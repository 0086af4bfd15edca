/** A task whose function is elsewhere, with the workers of a broker: what `defineTask` and `tasks` take for one. */
export interface RemoteTask<F extends (...args: never[]) => unknown = (...args: unknown[]) => unknown> {
  readonly remote: true;
  /** Never there. Only for the type of its arguments. */
  readonly fn?: F;
}

/**
 * A task of which only the name is known here. Its jobs need an executor that hands runs to workers elsewhere, which find the
 * task by its name: an `AmqpExecutor` for instance. Others refuse it when the job is added. The same as `{ remote: true }`,
 * with the type of the function.
 *
 * @typeParam F - the function there, for the type of its arguments: `typeof import('./worker-tasks.js').thumbs`.
 * @example
 * ```ts
 * const thumbs = scheduler.defineTask('thumbs', remoteTask<(folder: string) => number>(), { executor: 'rabbit' });
 * await scheduler.addJob(thumbs, '0 3 * * *', { args: ['/photos'] });
 * ```
 */
export function remoteTask<F extends (...args: never[]) => unknown = (...args: unknown[]) => unknown>(): RemoteTask<F> {
  return { remote: true };
}

import type { MaybePromise } from '../ports/job-store.js';

/** Whether an answer has to be waited for. */
export function isThenable<T>(value: MaybePromise<T> | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

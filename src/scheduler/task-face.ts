import { inspectValue } from '../errors/base.js';
import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys, requireObject } from '../errors/options.js';
import type { TaskKind } from './executor-pool.js';
import { checkTagName, LIMIT_OPTIONS, readLimit, type LimitOptions } from './limits/limit-options.js';
import { NodeFace } from './node-face.js';
import { nonEmpty } from './policy.js';
import type { RemoteTask } from './remote-task.js';
import type { TaskModuleInput } from './task-module.js';
import type { ArgumentsSchema, SchemaInput, SchemaOutput, TaskOptions } from './task-options.js';
import type { TaskRef, TaskShapes } from './tasks.js';

/** The arguments of a task; any, of one that is given as a module. */
export type ArgsOf<F> = F extends (...args: infer A) => unknown
  ? A
  : F extends { readonly remote: true; readonly fn?: (...args: infer A) => unknown }
    ? A
    : F extends TaskModuleInput
      ? unknown[]
      : never;

/** What a run of a task answers; unknown, of one that is given as a module. */
export type ResultOf<F> = F extends (...args: never[]) => infer R
  ? Awaited<R>
  : F extends { readonly remote: true; readonly fn?: (...args: never[]) => infer R }
    ? Awaited<R>
    : unknown;

/** The arguments of a task as `addJob` and `enqueue` take it: a name in `tasks`, what `defineTask` answered, or a function. Any, where the types say nothing of it (`any`, `never`). */
export type TaskArguments<K, T extends TaskShapes> = 0 extends 1 & K ? unknown[] : [K] extends [never] ? unknown[] : K extends keyof T ? ArgsOf<T[K]> : K extends TaskRef<infer A> ? A : ArgsOf<K>;

/** What a run of such a task answers. */
export type TaskResult<K, T extends TaskShapes> = K extends keyof T ? ResultOf<T[K]> : K extends TaskRef<readonly unknown[], infer R> ? R : ResultOf<K>;

/** What a scheduler does with tasks. */
export abstract class TaskFace extends NodeFace {
  /**
   * Registers a task under a name that jobs refer to, in this process and in the next.
   *
   * A task is a function, or a module and the name of an export, which any executor can run: worker threads and child
   * processes load it there, the inline executor when it runs first. That it can be loaded shows then: until it can, its
   * runs fail with a `TaskLoadError`. Or it is {@link remoteTask}: then workers elsewhere have it, and the job needs an executor
   * that hands runs to them. The type of its arguments may be given: `defineTask<typeof import('./thumbs.js').make>(…)`.
   *
   * @param options - policies of its jobs that say nothing themselves; a schema of its arguments (`args`), their `version`
   * and the `upgrades` of those stored for an earlier one.
   * @returns a reference that `addJob` takes in place of the name, and that knows the types of the arguments.
   * @throws InvalidOptionError on a bad name, module or option, and when another task has the name; UnknownExecutorError;
   * UnsuitableTaskError when `executor` takes only modules, and this is a function, or runs tasks itself, and this is remote.
   * @example
   * ```ts
   * const add = scheduler.defineTask('add', (a: number, b: number) => a + b);
   * const thumbs = scheduler.defineTask<typeof import('./thumbs.js').make>('thumbs', {
   *   module: new URL('./thumbs.js', import.meta.url),
   *   export: 'make',
   * });
   * ```
   */
  defineTask<S extends ArgumentsSchema, R>(
    name: string,
    fn: ((...args: SchemaOutput<S>) => R) | TaskModuleInput | RemoteTask<(...args: never[]) => R>,
    options: TaskOptions & { readonly args: S },
  ): TaskRef<SchemaInput<S>, Awaited<R>>;
  defineTask<A extends unknown[], R>(name: string, fn: (...args: A) => R, options?: TaskOptions & { readonly args?: undefined }): TaskRef<A, Awaited<R>>;
  defineTask<F extends (...args: never[]) => unknown = (...args: unknown[]) => unknown>(
    name: string,
    module: TaskModuleInput,
    options?: TaskOptions & { readonly args?: undefined },
  ): TaskRef<ArgsOf<F>, ResultOf<F>>;
  defineTask<F extends (...args: never[]) => unknown = (...args: unknown[]) => unknown>(
    name: string,
    task: RemoteTask<F>,
    options?: TaskOptions & { readonly args?: undefined },
  ): TaskRef<ArgsOf<F>, ResultOf<F>>;
  defineTask(name: string, given: ((...args: never[]) => unknown) | TaskModuleInput | RemoteTask<(...args: never[]) => unknown>, options?: TaskOptions): TaskRef {
    if (options?.executor !== undefined) this.executors.requireFor(options.executor, name, kindOf(given));
    const task = this.tasks.define(name, given, options);
    this.grown();
    return { name: task.name };
  }

  /**
   * Sets the limit of a task or a tag, in place of the one it has, while the scheduler runs or before; `null` takes it away.
   * It counts from the next start on, on this node: nodes that share a store have to be told the same. What was started and
   * counted before goes on counting. A task that this node does not define may be one of other nodes: its limit counts for
   * nothing here, and a warning in the log says so, at the start of the scheduler or, while it runs, at once.
   *
   * @param of - `{ task: name }`, or `{ tag: name }`, where a name that ends in `*` stands for each tag that begins so.
   * @throws InvalidOptionError
   * @example
   * ```ts
   * scheduler.setLimit({ tag: 'api:acme' }, { concurrency: 4, rateLimit: { max: 100, per: { seconds: 1 } } });
   * scheduler.setLimit({ task: 'thumbs' }, null);
   * ```
   */
  setLimit(of: { readonly task: string } | { readonly tag: string }, limit: LimitOptions | null): void {
    if (typeof of !== 'object' || of === null || Array.isArray(of)) throw notLimited(of);
    refuseUnknownKeys(of, '', ['task', 'tag']);
    const names = Object.entries(of);
    const [[subject, name] = ['', '']] = names;
    if (names.length !== 1 || (subject !== 'task' && subject !== 'tag')) throw notLimited(of);
    nonEmpty(name, subject);
    if (subject === 'tag') checkTagName(name, subject);
    if (limit !== null) requireObject(limit, 'limit');
    if (limit !== null) refuseUnknownKeys(limit, '', LIMIT_OPTIONS);
    const spec = limit === null ? undefined : readLimit(limit, '');
    if (limit !== null && spec === undefined) throw new InvalidOptionError('limit', limit, 'concurrency, rateLimit or both, or null for no limit');
    // Of one that has a limit, it was told before.
    const isNews = subject === 'task' && this.tasks.get(name) === undefined && this.limits.ofTask(name) === undefined;
    this.limits.set(subject, name, spec);
    if (isNews && this.lifecycle.state !== 'stopped') this.warnOfLimits([name]);
    this.grown();
  }
}

/** Of the first argument, which callers know by no name. */
function notLimited(of: unknown): InvalidOptionError {
  const expected = "{ task: 'report' } or { tag: 'name' }";
  return new InvalidOptionError('of', of, expected, undefined, `setLimit() expects ${expected} as its first argument, got ${inspectValue(of)}.`);
}

function kindOf(given: unknown): TaskKind {
  if (typeof given === 'function') return 'function';
  return typeof given === 'object' && given !== null && 'remote' in given ? 'remote' : 'module';
}

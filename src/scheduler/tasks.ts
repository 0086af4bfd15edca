import { InvalidOptionError } from '../errors/errors.js';
import { UnsuitableTaskError } from '../errors/executor-errors.js';
import { UnknownTaskError } from '../errors/job-errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { JobDefinition, JobPolicy, TaskFunction, TaskModule } from '../model/job.js';
import type { MaybePromise } from '../ports/job-store.js';
import type { TaskKind } from './executor-pool.js';
import { readLimit } from './limits/limit-options.js';
import type { LimitRules } from './limits/limit-rules.js';
import { checkOnError, type OnError } from './on-error.js';
import { nonEmpty, resolvePolicy } from './policy.js';
import type { RemoteTask } from './remote-task.js';
import { checkArguments, type ArgumentRules } from './task-arguments.js';
import { moduleFunction, readTaskModule, type LoadTask, type TaskModuleInput } from './task-module.js';
import { argumentRules, type TaskOptions } from './task-options.js';

/** Tasks by name, as given to `new AsyncScheduler({ tasks })`. */
export type TaskMap = Readonly<Record<string, TaskFunction>>;

/**
 * What `tasks` may be: by name, functions of any arguments, each with their types written down; modules with their exports,
 * of whose arguments nothing is known (`defineTask` can be told); tasks that are elsewhere (`remoteTask()`).
 */
export type TaskShapes = Readonly<Record<string, ((...args: never[]) => unknown) | TaskModuleInput | RemoteTask<(...args: never[]) => unknown>>>;

/**
 * Tasks of which nothing is known. Where a scheduler is asked for that may have any tasks, any scheduler will do.
 *
 * @privateRemarks What a scheduler takes and answers depends on its tasks in both directions, so that only `any` fits all.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyTasks = any;

/** A task that was defined: its name, and the types of its arguments and of what it answers. */
export interface TaskRef<A extends readonly unknown[] = readonly unknown[], R = unknown> {
  readonly name: string;
  /** Never there. Only for its type, as the next. */
  readonly args?: A;
  readonly result?: R;
  /** Never there: a function has a name as well, and must not be taken for a reference that knows no arguments. */
  readonly bind?: never;
}

export interface Task extends ArgumentRules {
  readonly fn: TaskFunction;
  readonly kind: TaskKind;
  /** Where it is found, if it was given as a module. */
  readonly module: TaskModule | null;
  /** The policy of its jobs that say nothing. */
  readonly policy: JobPolicy;
  readonly onError: OnError | null;
}

/** The tasks this scheduler can run. */
export class TaskRegistry {
  readonly #tasks = new Map<string, Task>();
  readonly #versions = new Map<string, number>();
  readonly #defaults: JobPolicy;
  readonly #timezone: string;
  readonly #load: LoadTask;
  readonly #limits: LimitRules;

  constructor(defaults: JobPolicy, timezone: string, load: LoadTask, limits: LimitRules) {
    this.#limits = limits;
    this.#defaults = defaults;
    this.#timezone = timezone;
    this.#load = load;
  }

  /**
   * @param given - the function, or the module and the export where it is found, or that it is elsewhere.
   * @throws InvalidOptionError on a bad name, function, module or option, and when the name is taken by another task.
   */
  define(name: unknown, given: unknown, options: TaskOptions = {}, option = 'fn'): Task {
    const valid = nonEmpty(name, 'name');
    const known = this.#tasks.get(valid);
    const { fn, kind, module } = this.#read(valid, given, known, option);
    if (known !== undefined && known.fn !== fn) {
      throw new InvalidOptionError('name', name, 'a name no other task has', 'Two tasks under one name would run whichever came last.');
    }
    const rules = argumentRules(valid, options);
    const policy = resolvePolicy(this.#defaults, options, this.#timezone);
    const limit = readLimit(options, '');
    const task: Task = { ...rules, fn, kind, module, policy, onError: checkOnError(options.onError, 'onError') };
    if (limit !== undefined) this.#limits.set('task', valid, limit);
    this.#tasks.set(valid, task);
    this.#versions.set(valid, task.version);
    return task;
  }

  /** A module that the task of this name is loaded from already is the same task. */
  #read(name: string, given: unknown, known: Task | undefined, option: string): Pick<Task, 'fn' | 'kind' | 'module'> {
    if (typeof given === 'function') return { fn: given as TaskFunction, kind: 'function', module: null };
    if (isRemote(given)) return known?.kind === 'remote' ? known : { fn: remoteFunction(name), kind: 'remote', module: null };
    if (typeof given !== 'object' || given === null || !('module' in given)) {
      throw new InvalidOptionError(option, given, 'the function that is the task, or { module, export }, or { remote: true }');
    }
    const module = readTaskModule(given);
    if (known?.module?.url === module.url && known.module.export === module.export) return known;
    return { fn: moduleFunction(name, module, this.#load), kind: 'module', module };
  }

  /** @throws UnknownTaskError */
  require(name: string): Task {
    const task = this.#tasks.get(name);
    if (task === undefined) throw new UnknownTaskError(name, this.#versions.keys());
    return task;
  }

  get(name: string): Task | undefined {
    return this.#tasks.get(name);
  }

  /** The task of a job; `undefined` for a bare function, and for a task that is not defined here. */
  of({ fn, task }: JobDefinition): Task | undefined {
    return fn === null ? this.#tasks.get(task) : undefined;
  }

  /** The version that arguments given here are for. */
  versionOf(definition: JobDefinition): number {
    return this.of(definition)?.version ?? definition.taskVersion;
  }

  /**
   * Refuses arguments that the task of a job would refuse. A promise where the schema has to wait.
   *
   * @param args - new ones for it, of the present version. Default: those it has.
   * @throws InvalidArgumentsError, or a promise that rejects with it.
   */
  check(definition: JobDefinition, args?: readonly unknown[]): MaybePromise<void> {
    const task = this.of(definition);
    if (task === undefined) return undefined;
    return args === undefined ? checkArguments(task, definition.args, definition.taskVersion) : checkArguments(task, args, task.version);
  }

  /** The version of each task by name. A live view. */
  get versions(): ReadonlyMap<string, number> {
    return this.#versions;
  }
}

/** @throws InvalidOptionError */
function isRemote(given: unknown): boolean {
  if (typeof given !== 'object' || given === null || !('remote' in given)) return false;
  refuseUnknownKeys(given, 'task', ['remote', 'fn']);
  if (given.remote !== true) throw new InvalidOptionError('task.remote', given.remote, 'true');
  return true;
}

/** Jobs of a remote task are refused by executors that would call this; one that was stored by another process may get here. */
function remoteFunction(name: string): TaskFunction {
  return () => { throw new UnsuitableTaskError(name, 'of this job', 'here'); };
}

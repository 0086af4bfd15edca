import { InvalidOptionError } from '../errors/errors.js';
import { UnknownTaskError } from '../errors/job-errors.js';
import type { JobPolicy, TaskFunction } from '../model/job.js';
import type { JobPolicyOptions } from './job-options.js';
import { refuseUnknownKeys } from '../errors/options.js';
import { nonEmpty, POLICY_OPTIONS, resolvePolicy } from './policy.js';

/** Tasks by name, as given to `new AsyncScheduler({ tasks })`. */
export type TaskMap = Readonly<Record<string, TaskFunction>>;

/** What `tasks` may be: functions by name, of any arguments, each with their types written down. */
export type TaskShapes = Readonly<Record<string, (...args: never[]) => unknown>>;

/** A task that was defined: its name, and the type of its arguments. */
export interface TaskRef<A extends readonly unknown[] = readonly unknown[]> {
  readonly name: string;
  /** Only there for its type. */
  readonly args?: A;
  /** Never there: a function has a name as well, and must not be taken for a reference that knows no arguments. */
  readonly bind?: never;
}

export interface Task {
  readonly name: string;
  readonly fn: TaskFunction;
  /** The policy of its jobs that say nothing. */
  readonly policy: JobPolicy;
}

/** The tasks this scheduler can run. */
export class TaskRegistry {
  readonly #tasks = new Map<string, Task>();
  readonly #names = new Set<string>();
  readonly #defaults: JobPolicy;
  readonly #timezone: string;

  constructor(defaults: JobPolicy, timezone: string) {
    this.#defaults = defaults;
    this.#timezone = timezone;
  }

  /** @throws InvalidOptionError on a bad name, function, or default, and when the name is taken by another function. */
  define(name: unknown, fn: unknown, defaults: JobPolicyOptions | undefined, option = 'fn'): Task {
    const valid = nonEmpty(name, 'name');
    if (typeof fn !== 'function') throw new InvalidOptionError(option, fn, 'the function that is the task');
    const known = this.#tasks.get(valid);
    if (known !== undefined && known.fn !== fn) {
      throw new InvalidOptionError('name', name, 'a name no other task has', 'Two tasks under one name would run whichever came last.');
    }
    if (defaults !== undefined) refuseUnknownKeys(defaults, 'defaults', POLICY_OPTIONS);
    const policy = resolvePolicy(this.#defaults, defaults ?? {}, this.#timezone, 'defaults.');
    const task: Task = { name: valid, fn: fn as TaskFunction, policy };
    this.#tasks.set(valid, task);
    this.#names.add(valid);
    return task;
  }

  /** @throws UnknownTaskError */
  require(name: string): Task {
    const task = this.#tasks.get(name);
    if (task === undefined) throw new UnknownTaskError(name, this.#names);
    return task;
  }

  get(name: string): Task | undefined {
    return this.#tasks.get(name);
  }

  /** A live view. */
  get names(): ReadonlySet<string> {
    return this.#names;
  }
}

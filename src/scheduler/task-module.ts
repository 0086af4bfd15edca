import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { TaskFunction, TaskModule } from '../model/job.js';
import { nonEmpty } from './policy.js';

/** A task by its place: what `defineTask` takes where a task may run in another thread or process. */
export interface TaskModuleInput {
  /** The module: a `file:` URL, as `new URL('./thumbs.js', import.meta.url)`, or an absolute path. */
  readonly module: URL | string;
  /** Name of the export that is the task. Default `'default'`. */
  readonly export?: string | undefined;
}

/** Loads the task called `name` that a module exports. @throws TaskLoadError */
export type LoadTask = (module: TaskModule, name: string) => Promise<TaskFunction>;

const ALLOWED = 'a `file:` URL or an absolute path';
const HINT = "Write `new URL('./my-task.js', import.meta.url)`, or in CommonJS `require.resolve('./my-task.js')`.";

/** @throws InvalidOptionError */
export function readTaskModule(given: object): TaskModule {
  refuseUnknownKeys(given, 'task', ['module', 'export']);
  const { module, export: exported = 'default' } = given as TaskModuleInput;
  return Object.freeze({ url: fileUrl(module), export: nonEmpty(exported, 'task.export') });
}

function fileUrl(module: unknown): string {
  if (typeof module === 'string' && isAbsolute(module)) return pathToFileURL(module).href;
  const url = module instanceof URL || (typeof module === 'string' && URL.canParse(module)) ? new URL(module) : undefined;
  if (url?.protocol !== 'file:') throw new InvalidOptionError('task.module', module instanceof URL ? module.href : module, ALLOWED, HINT);
  return url.href;
}

/** The task as a function of this thread, which loads its module when it is called first. */
export function moduleFunction(name: string, module: TaskModule, load: LoadTask): TaskFunction {
  let loaded: TaskFunction | undefined;
  const loadAndRun = async (args: unknown[]): Promise<unknown> => {
    loaded = await load(module, name);
    return loaded(...args);
  };
  return (...args: unknown[]) => (loaded === undefined ? loadAndRun(args) : loaded(...args));
}

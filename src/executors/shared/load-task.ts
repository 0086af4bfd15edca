import { TaskLoadError } from '../../errors/executor-errors.js';
import type { TaskFunction, TaskModule } from '../../model/job.js';

/** The function that a module exports as the task called `name`. Modules are loaded once a thread or process, as ever. @throws TaskLoadError */
export async function loadTask(module: TaskModule, name: string): Promise<TaskFunction> {
  let found: Readonly<Record<string, unknown>>;
  try {
    found = (await import(module.url)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw new TaskLoadError(name, module.url, module.export, problemOf(error), { cause: error });
  }
  const task = pick(found, module.export);
  if (typeof task === 'function') return task as TaskFunction;
  const problem = task === undefined ? `it exports ${names(found)}.` : `that export is no function but ${typeof task}.`;
  throw new TaskLoadError(name, module.url, module.export, problem);
}

/** Of a CommonJS module, `import` gives all it exports as `default`, and some of it by name as well. */
function pick(found: Readonly<Record<string, unknown>>, name: string): unknown {
  const { default: whole } = found;
  const parts = typeof whole === 'object' && whole !== null ? (whole as Readonly<Record<string, unknown>>) : undefined;
  if (name === 'default') return parts?.['__esModule'] === true ? parts['default'] : whole;
  return found[name] ?? parts?.[name];
}

function names(found: object): string {
  const exported = Object.keys(found);
  return exported.length === 0 ? 'nothing' : exported.join(', ');
}

function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const unknown = (error as NodeJS.ErrnoException).code === 'ERR_UNKNOWN_FILE_EXTENSION';
  const hint = ' Node 22.18 and later load TypeScript. Earlier ones need a loader, in the worker as well: see `execArgv` of the executor.';
  return `${error.message}.${unknown ? hint : ''}`;
}

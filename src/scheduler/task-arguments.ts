import { InvalidArgumentsError, type ArgumentIssue } from '../errors/job-errors.js';
import type { MaybePromise } from '../ports/job-store.js';
import type { StandardSchemaIssue, StandardSchemaResult, StandardSchemaV1 } from '../ports/standard-schema.js';
import { isThenable } from '../time/thenable.js';
import type { TaskUpgrade } from './task-options.js';

/** What of a task has a say in its arguments. */
export interface ArgumentRules {
  readonly name: string;
  /** Of the array of all arguments. */
  readonly schema: StandardSchemaV1 | null;
  /** Version of the arguments it takes. */
  readonly version: number;
  /** By the version whose arguments they take, to those of the next. */
  readonly upgrades: ReadonlyMap<number, TaskUpgrade>;
}

/** Whether the task takes arguments just as they are stored. */
export function takesAsStored(task: ArgumentRules, version: number): boolean {
  return task.schema === null && version === task.version;
}

/**
 * Arguments as the task takes them: brought up to its version step by step, then what its schema makes of them. They are
 * made anew for each run, so that no run sees what another did to them, and "now" as a default is the time of the run.
 *
 * @param args - as they are stored; left as they are.
 * @param version - the version they are for.
 * @throws InvalidArgumentsError, or a promise that rejects with it, whatever step or schema threw.
 */
export function prepareArguments(task: ArgumentRules, args: readonly unknown[], version: number): MaybePromise<readonly unknown[]> {
  if (version === task.version) return validate(task, args);
  const upgraded = upgrade(task, args, version);
  return isThenable(upgraded) ? Promise.resolve(upgraded).then((current) => validate(task, current)) : validate(task, upgraded);
}

/** Refuses arguments the task would refuse, but for those of a later version, which wait for it. @throws as `prepareArguments`. */
export function checkArguments(task: ArgumentRules, args: readonly unknown[], version: number): MaybePromise<void> {
  if (takesAsStored(task, version) || version > task.version) return undefined;
  const output = prepareArguments(task, args, version);
  return isThenable(output) ? Promise.resolve(output).then(() => undefined) : undefined;
}

function upgrade(task: ArgumentRules, args: readonly unknown[], from: number): MaybePromise<readonly unknown[]> {
  if (from > task.version) {
    throw refusal(task, `they are for version ${from} of the task, and here it has version ${task.version}`);
  }
  let current: unknown = [...args];
  for (let version = from; version < task.version; version++) {
    const step = task.upgrades.get(version);
    if (step === undefined) {
      throw refusal(task, `they are for version ${version} of the task, and \`upgrades\` has no step from there to version ${version + 1}`);
    }
    try {
      current = step(current as unknown[]);
    } catch (error) {
      throw failedStep(task, version, error);
    }
    if (isThenable(current)) return upgradeLater(task, current, version);
    current = checkStep(task, version, current);
  }
  return current as unknown[];
}

/** The rest of the steps, once this one has answered. */
async function upgradeLater(task: ArgumentRules, answer: PromiseLike<unknown>, version: number): Promise<readonly unknown[]> {
  let current: unknown;
  try {
    current = await answer;
  } catch (error) {
    throw failedStep(task, version, error);
  }
  return upgrade(task, checkStep(task, version, current), version + 1);
}

function checkStep(task: ArgumentRules, version: number, answer: unknown): unknown[] {
  if (Array.isArray(answer)) return answer as unknown[];
  throw refusal(task, `the step of \`upgrades\` from version ${version} answered no array of arguments`);
}

function failedStep(task: ArgumentRules, version: number, error: unknown): InvalidArgumentsError {
  return refusal(task, `the step of \`upgrades\` from version ${version} threw: ${messageOf(error)}`, error);
}

function validate(task: ArgumentRules, args: readonly unknown[]): MaybePromise<readonly unknown[]> {
  const { schema } = task;
  if (schema === null) return args;
  let result: StandardSchemaResult<unknown> | PromiseLike<StandardSchemaResult<unknown>>;
  try {
    result = schema['~standard'].validate([...args]);
  } catch (error) {
    throw failedSchema(task, error);
  }
  return isThenable(result) ? outputLater(task, result) : outputOf(task, result);
}

async function outputLater(task: ArgumentRules, answer: PromiseLike<StandardSchemaResult<unknown>>): Promise<readonly unknown[]> {
  let result: StandardSchemaResult<unknown>;
  try {
    result = await answer;
  } catch (error) {
    throw failedSchema(task, error);
  }
  return outputOf(task, result);
}

function outputOf(task: ArgumentRules, result: StandardSchemaResult<unknown>): readonly unknown[] {
  if (result.issues !== undefined) throw new InvalidArgumentsError(task.name, result.issues.map(toIssue));
  if (Array.isArray(result.value)) return result.value as unknown[];
  throw refusal(task, 'their schema made something else of them than an array of arguments');
}

function failedSchema(task: ArgumentRules, error: unknown): InvalidArgumentsError {
  return refusal(task, `their schema threw: ${messageOf(error)}`, error);
}

function toIssue({ message, path }: StandardSchemaIssue): ArgumentIssue {
  return { path: (path ?? []).map((part) => (typeof part === 'object' ? part.key : part)), message };
}

function refusal(task: ArgumentRules, message: string, cause?: unknown): InvalidArgumentsError {
  return new InvalidArgumentsError(task.name, [{ path: [], message }], cause === undefined ? undefined : { cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { StandardSchemaV1 } from '../ports/standard-schema.js';
import type { JobPolicyOptions } from './job-options.js';
import type { ArgumentRules } from './task-arguments.js';
import { LIMIT_OPTIONS, type LimitOptions } from './limits/limit-options.js';
import type { OnError } from './on-error.js';
import { POLICY_OPTIONS, whole } from './policy.js';

/** A schema of the arguments of a task, all of them in one array: `z.tuple([z.string(), z.number()])` for instance. */
export type ArgumentsSchema = StandardSchemaV1<readonly unknown[], readonly unknown[]>;

/** The arguments a schema takes: those a job is given. */
export type SchemaInput<S extends ArgumentsSchema> = [...NonNullable<S['~standard']['types']>['input']];

/** The arguments a schema makes of them: those the task is called with. */
export type SchemaOutput<S extends ArgumentsSchema> = [...NonNullable<S['~standard']['types']>['output']];

/** Makes arguments for the next version of a task of those for one version. */
export type TaskUpgrade = (args: unknown[]) => readonly unknown[] | Promise<readonly unknown[]>;

/**
 * Options of `defineTask`: the policies of its jobs that say nothing themselves, what goes for their arguments, and how much
 * of the task may go on over all of its jobs.
 */
export interface TaskOptions extends JobPolicyOptions, LimitOptions {
  /**
   * What the arguments have to be: a schema of the whole array, from any library that implements
   * [Standard Schema](https://standardschema.dev), such as `z.tuple([z.email(), z.coerce.date()])` of Zod.
   *
   * Arguments are checked when they are given (`INVALID_ARGUMENTS` then, and nothing was changed), and stored as they
   * were given. They are checked again when a run starts, and the task gets what the schema makes of them: defaults
   * filled in, dates read. A job whose stored arguments no longer pass goes into quarantine; a run by hand fails.
   */
  readonly args?: ArgumentsSchema | undefined;
  /**
   * Version of the arguments. Count it up when they change so that what is stored has to be brought up to date; jobs of
   * a later version than this process knows wait for one that knows it. Default 1.
   */
  readonly version?: number | undefined;
  /**
   * How stored arguments are brought up to `version`: by the version they are for, the step to the next one. Applied
   * when a run starts, before the schema; what is stored stays as it is, for processes that have the earlier version
   * still. From the earliest version that is given there must be a step from each to the next. A job that is stored for
   * a version without a step goes into quarantine, as does one whose step throws.
   */
  readonly upgrades?: Readonly<Record<number, TaskUpgrade>> | undefined;
  /**
   * Told of each attempt at a run of the task that failed, on the node that ran it, after it was recorded. At most once. The
   * scheduler's own `onError` is called after it. A shutdown waits for what it answers.
   *
   * @example
   * ```ts
   * scheduler.defineTask('import', run, {
   *   retry: 3,
   *   onError: (error, { jobId, attempt, willRetry }) => { if (!willRetry) Sentry.captureException(error, { tags: { jobId }, extra: { attempt } }); },
   * });
   * ```
   */
  readonly onError?: OnError | null | undefined;
}

const TASK_OPTIONS: readonly string[] = ['args', 'version', 'upgrades', 'onError', ...LIMIT_OPTIONS, ...POLICY_OPTIONS];
const NO_UPGRADES: ReadonlyMap<number, TaskUpgrade> = new Map();

/** What holds for the arguments of a task. @throws InvalidOptionError, also for a key that is no option of a task. */
export function argumentRules(name: string, options: TaskOptions): ArgumentRules {
  refuseUnknownKeys(options, '', TASK_OPTIONS);
  const { args, version = 1, upgrades } = options;
  const checked = whole(version, 'version', 1);
  return {
    name,
    schema: args === undefined ? null : checkSchema(args),
    version: checked,
    upgrades: upgrades === undefined ? NO_UPGRADES : checkUpgrades(upgrades, checked),
  };
}

function checkSchema(schema: unknown): StandardSchemaV1 {
  // Some libraries make functions of their schemas.
  const holds = (typeof schema === 'object' && schema !== null) || typeof schema === 'function';
  const standard: unknown = holds ? (schema as Partial<StandardSchemaV1>)['~standard'] : undefined;
  if (typeof standard === 'object' && standard !== null && typeof (standard as { validate?: unknown }).validate === 'function') {
    return schema as StandardSchemaV1;
  }
  const hint = Array.isArray(schema) ? 'The arguments themselves are given with the job.' : undefined;
  throw new InvalidOptionError('args', schema, 'a schema of the array of arguments that implements Standard Schema', hint);
}

function checkUpgrades(upgrades: unknown, version: number): ReadonlyMap<number, TaskUpgrade> {
  if (typeof upgrades !== 'object' || upgrades === null || Array.isArray(upgrades)) {
    throw new InvalidOptionError('upgrades', upgrades, 'an object with a step for each version');
  }
  const steps = new Map<number, TaskUpgrade>();
  for (const [key, step] of Object.entries(upgrades)) {
    const from = Number(key);
    if (!Number.isInteger(from) || from < 1 || from >= version) {
      throw new InvalidOptionError(`upgrades.${key}`, step, `no step but from versions before \`version\`, which is ${version}`);
    }
    if (typeof step !== 'function') throw new InvalidOptionError(`upgrades.${key}`, step, 'a function that makes new arguments of the old');
    steps.set(from, step as TaskUpgrade);
  }
  for (let from = Math.min(...steps.keys()); from < version; from++) {
    if (steps.has(from)) continue;
    throw new InvalidOptionError(`upgrades.${from}`, undefined, `a step from version ${from} to ${from + 1}, as there is one from an earlier version`);
  }
  return steps;
}

import { InvalidOptionError } from '../../errors/errors.js';
import { oneOf } from '../policy.js';

/** A job or a run that another depends on: the id of either, a `Job`, or a `RunHandle`. */
export type DependencyInput = string | { readonly id: string } | { readonly runId: string; readonly jobId: string };

/** What a job has to wait for before it begins. */
export interface DependencyOptions {
  /**
   * Jobs or runs of the same store that have to succeed before this job begins. A job stands for the run of it that goes on,
   * or else for the next one; a job that is over, for its last. One whose fire time has passed by then starts at once.
   * It says when a job begins: one that has begun goes on when it is added again (`replaceExisting`). Default: none.
   */
  readonly dependsOn?: DependencyInput | readonly DependencyInput[] | undefined;
  /**
   * What becomes of it when one of them fails, is cancelled or abandoned, or is removed before it had its run. `'cancel'`
   * (default): it is called off, with the verdict `cancelled` and the reason `dependency-failed`, and so are those that depend
   * on it. `'run'`: it begins all the same. `'wait'`: it waits until a later run of that job succeeds.
   */
  readonly onDependencyFailure?: 'cancel' | 'run' | 'wait' | undefined;
}

export const DEPENDENCY_OPTIONS: readonly (keyof DependencyOptions)[] = ['dependsOn', 'onDependencyFailure'];

export type Dependency =
  /** An id as it was given: of a job or, if there is none, of a run. */
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'job'; readonly id: string }
  | { readonly kind: 'run'; readonly id: string; readonly runId: string };

/** What a job about to be added waits for. */
export interface Dependencies {
  readonly on: readonly Dependency[];
  readonly onFailure: 'cancel' | 'run' | 'wait';
}

/** One record has to hold all of them. */
const MOST_DEPENDENCIES = 1_000;
const ALLOWED = 'the id of a job or of a run, a job, a run handle, or a list of these';

/** `undefined` when there are none. @throws InvalidOptionError */
export function readDependencies({ dependsOn, onDependencyFailure }: DependencyOptions): Dependencies | undefined {
  const onFailure = onDependencyFailure === undefined ? 'cancel' : oneOf(onDependencyFailure, 'onDependencyFailure', ['cancel', 'run', 'wait'] as const);
  if (dependsOn === undefined) {
    if (onDependencyFailure !== undefined) throw new InvalidOptionError('onDependencyFailure', onDependencyFailure, 'nothing without `dependsOn`');
    return undefined;
  }
  const list: readonly unknown[] = Array.isArray(dependsOn) ? (dependsOn as readonly unknown[]) : [dependsOn];
  if (list.length > MOST_DEPENDENCIES) throw new InvalidOptionError('dependsOn', dependsOn, `at most ${MOST_DEPENDENCIES} jobs or runs`);
  const seen = new Map<string, Dependency>();
  list.forEach((item, index) => {
    const one = readOne(item, Array.isArray(dependsOn) ? `dependsOn[${index}]` : 'dependsOn');
    seen.set(one.kind === 'run' ? one.runId : one.id, one);
  });
  return seen.size === 0 ? undefined : { on: [...seen.values()], onFailure };
}

function readOne(item: unknown, option: string): Dependency {
  const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
  if (isText(item)) return { kind: 'id', id: item };
  if (typeof item === 'object' && item !== null) {
    const { id, runId, jobId } = item as Readonly<Record<string, unknown>>;
    if (isText(runId) && isText(jobId)) return { kind: 'run', id: jobId, runId };
    if (isText(id)) return { kind: 'job', id };
  }
  throw new InvalidOptionError(option, item, ALLOWED);
}

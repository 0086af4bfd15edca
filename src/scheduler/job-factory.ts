import { nodeDefinition } from '../core/each-node.js';
import { InvalidOptionError } from '../errors/errors.js';
import { JobUnstorableError } from '../errors/job-errors.js';
import type { JobDefinition, JobPolicy, JobRecord, TaskFunction } from '../model/job.js';
import type { JobStore, MaybePromise } from '../ports/job-store.js';
import type { EpochMs, Trigger } from '../ports/trigger.js';
import type { ExecutorPool, TaskKind } from './executor-pool.js';
import type { TriggerInput } from './job.js';
import type { JobChanges, JobOptions, JobPolicyOptions } from './job-options.js';
import type { ResolvedOptions, Wiring } from './options.js';
import { refuseUnknownKeys, requireObject, type Hints } from '../errors/options.js';
import { DEPENDENCY_OPTIONS } from './links/dependencies.js';
import { JOB_HINTS, SPEC_HINTS, TASK_HINTS } from './option-hints.js';
import { nonEmpty, POLICY_OPTIONS, resolvePolicy } from './policy.js';
import type { TaskRef, TaskRegistry } from './tasks.js';

export type TaskInput = string | TaskFunction | TaskRef;

/** A job about to be added, checked and with every default filled in. */
export interface NewJob {
  readonly id: string;
  readonly definition: JobDefinition;
}

/** A task as a job needs it. */
interface Resolved {
  readonly name: string;
  /** A bare function. */
  readonly fn: TaskFunction | null;
  readonly kind: TaskKind;
  readonly version: number;
  readonly policy: JobPolicy;
}

const TASK_INPUT = 'a function, the name of a task, or what defineTask() answered';
const JOB_KEYS = ['id', 'args', 'name', 'tags', 'metadata', 'jobStore', 'paused', 'replaceExisting', ...DEPENDENCY_OPTIONS];
/** Options of `addJob`. */
export const ADD_KEYS: readonly string[] = [...JOB_KEYS, ...POLICY_OPTIONS];
/** Of `addJobs` and `sync`, whose jobs have all of it in one object. */
export const SPEC_KEYS: readonly string[] = ['task', 'trigger', ...ADD_KEYS];
const MODIFY_KEYS: readonly string[] = ['args', 'name', 'tags', 'metadata', ...POLICY_OPTIONS];
const NO_ARGS: readonly unknown[] = Object.freeze([]);
const NO_TAGS: readonly string[] = Object.freeze([]);

/** What it depends on whether a job can be stored, and how. */
export type StoreKind = Pick<JobStore, 'durable' | 'shared' | 'alarms'>;

/** Turns what callers give into definitions. Nothing has been changed anywhere when it throws. */
export class JobFactory {
  readonly #options: ResolvedOptions;
  readonly #wiring: Wiring;
  readonly #tasks: TaskRegistry;
  readonly #executors: ExecutorPool;
  /** Policy of a bare function that says nothing: the scheduler's own. */
  readonly #policy: JobPolicy;

  constructor(options: ResolvedOptions, wiring: Wiring, tasks: TaskRegistry, executors: ExecutorPool) {
    this.#options = options;
    this.#wiring = wiring;
    this.#tasks = tasks;
    this.#executors = executors;
    this.#policy = options.policy;
  }

  create(task: TaskInput, trigger: TriggerInput, options: JobOptions & { readonly args?: readonly unknown[] | undefined }, store: StoreKind, now: EpochMs): NewJob {
    const { durable, shared } = store;
    checkKeys(options, ADD_KEYS);
    const id = options.id === undefined ? this.#newId(durable) : nonEmpty(options.id, 'id');
    const swapped = !this.#isTask(task) && this.#isTask(trigger);
    if (swapped) throw new InvalidOptionError('task', task, TASK_INPUT, 'The task comes first, then the trigger.');
    const { name, fn, kind, version, policy: taskPolicy } = this.#resolveTask(task, durable);
    const made = this.#trigger(trigger, now, id);
    if (durable) refuseRetryIf(id, name, options);
    const policy = this.#policyFor(taskPolicy, made, options);
    this.#executors.requireFor(policy.executor, name, kind);
    requireAlarms(policy, store);
    return {
      id,
      definition: {
        task: name,
        fn,
        args: options.args === undefined ? NO_ARGS : checkArgs(options.args),
        taskVersion: version,
        trigger: shared && !policy.exclusive ? this.#onEachNode(made) : made,
        anchor: now,
        policy,
        name: options.name === undefined ? null : nonEmpty(options.name, 'name'),
        tags: options.tags === undefined ? NO_TAGS : checkTags(options.tags),
        metadata: options.metadata === undefined ? null : checkMetadata(options.metadata),
        owner: null,
      },
    };
  }

  /** The definition with some of it changed. Answers also the names of what was given. */
  modify({ id, definition }: JobRecord, changes: JobChanges, store: StoreKind): { definition: JobDefinition; changed: string[] } {
    requireObject(changes, 'changes');
    checkKeys(changes, MODIFY_KEYS);
    const { durable, shared } = store;
    if (durable) refuseRetryIf(id, definition.task, changes);
    const policy = resolvePolicy(definition.policy, changes, this.#options.timezone);
    if (changes.executor === undefined) this.#executors.require(policy.executor);
    else this.#checkExecutor(policy.executor, definition);
    requireAlarms(policy, store);
    const { args, name, tags, metadata } = changes;
    return {
      definition: {
        ...this.placed(definition, policy.exclusive || !shared),
        policy,
        args: args === undefined ? definition.args : checkArgs(args),
        taskVersion: args === undefined ? definition.taskVersion : this.#tasks.versionOf(definition),
        name: name === undefined ? definition.name : name === null ? null : nonEmpty(name, 'name'),
        tags: tags === undefined ? definition.tags : checkTags(tags),
        metadata: metadata === undefined ? definition.metadata : metadata === null ? null : checkMetadata(metadata),
      },
      changed: Object.entries(changes).flatMap(([key, value]) => (value === undefined ? [] : [key])),
    };
  }

  /** The definition with the trigger as it stands in a store: of a job that each node of a shared one runs, it stands for it. */
  placed(definition: JobDefinition, exclusive: boolean): JobDefinition {
    const own = nodeDefinition(definition);
    if (exclusive === (own === undefined)) return definition;
    return own ?? { ...definition, trigger: this.#onEachNode(definition.trigger) };
  }

  /** Refuses changes whose arguments the task would refuse. @throws as `TaskRegistry.check`. */
  checkChanges({ definition }: JobRecord, changes: JobChanges): MaybePromise<void> {
    requireObject(changes, 'changes');
    return changes.args === undefined ? undefined : this.#tasks.check(definition, checkArgs(changes.args));
  }

  /** The definition on another trigger, whose jitter counts unless the job has one of its own. */
  reschedule({ id, definition }: JobRecord, trigger: TriggerInput, now: EpochMs): JobDefinition {
    const made = this.#trigger(trigger, now, id);
    const { fn, task, policy } = definition;
    const base = (fn === null ? this.#tasks.get(task)?.policy : undefined) ?? this.#policy;
    const hasOwnJitter = policy.jitterMs !== this.#policyFor(base, definition.trigger, {}).jitterMs;
    const { jitterMs } = hasOwnJitter ? policy : this.#policyFor(base, made, {});
    const placed = nodeDefinition(definition) === undefined ? made : this.#onEachNode(made);
    return { ...definition, trigger: placed, anchor: now, policy: jitterMs === policy.jitterMs ? policy : Object.freeze({ ...policy, jitterMs }) };
  }

  /** A trigger with nothing left open. `anchor`: what an interval without a start counts from; `seed`: what spreads an `H`. */
  #trigger(input: TriggerInput, anchor: EpochMs, seed: string): Trigger {
    const { timezone } = this.#options;
    const trigger = this.#wiring.toTrigger(input);
    return trigger.withDefaults?.({ timezone, anchor, seed }) ?? trigger;
  }

  #onEachNode(trigger: Trigger): Trigger {
    if (trigger.follows === undefined) return this.#wiring.onEachNode(trigger);
    throw new InvalidOptionError('exclusive', false, 'true for a job that follows others', 'What ends once can start one run, and not one on each node.');
  }

  /** A task that is not defined here may be suitable where it is. */
  #checkExecutor(alias: string, definition: JobDefinition): void {
    const task = this.#tasks.of(definition);
    if (task === undefined && definition.fn === null) this.#executors.require(alias);
    else this.#executors.requireFor(alias, definition.task, task?.kind ?? 'bare');
  }

  #newId(durable: boolean): string {
    if (!durable) return globalThis.crypto.randomUUID();
    throw new JobUnstorableError(
      'A job in a durable job store needs an explicit id: otherwise each start of the program would add it once more. ' +
        "Write addJob(task, trigger, { id: 'daily-report', replaceExisting: true }).",
    );
  }

  #isTask(value: unknown): boolean {
    const name = typeof value === 'string' ? value : (value as Partial<TaskRef> | null | undefined)?.name;
    return typeof value === 'function' || (name !== undefined && this.#tasks.get(name) !== undefined);
  }

  #resolveTask(task: TaskInput, durable: boolean): Resolved {
    if (typeof task === 'function') {
      if (durable) {
        throw new JobUnstorableError(
          `A durable job store cannot keep ${task.name === '' ? 'a function' : `the function "${task.name}"`}. Give it a name that ` +
            `the next start of the program knows too: scheduler.defineTask('${task.name === '' ? 'my-task' : task.name}', fn), then ` +
            `addJob('${task.name === '' ? 'my-task' : task.name}', trigger, { id }).`,
        );
      }
      return { name: task.name === '' ? 'anonymous' : task.name, fn: task, kind: 'bare', version: 1, policy: this.#policy };
    }
    const name = typeof task === 'string' ? task : (task as Partial<TaskRef> | null)?.name;
    if (typeof name !== 'string') {
      throw new InvalidOptionError('task', task, TASK_INPUT);
    }
    const { kind, version, policy } = this.#tasks.require(name);
    return { name, fn: null, kind, version, policy };
  }

  #policyFor(base: JobPolicy, trigger: Trigger, options: JobOptions): JobPolicy {
    const fromTrigger = trigger.jitter === undefined || trigger.jitter === 0 ? base : resolvePolicy(base, { jitter: trigger.jitter }, this.#options.timezone);
    return resolvePolicy(fromTrigger, options, this.#options.timezone);
  }
}

/** Where nobody could find out that a job is overdue, nobody is promised to hear of it. */
export function requireAlarms({ expect }: JobPolicy, { alarms }: StoreKind): void {
  if (expect === null || alarms !== undefined) return;
  throw new InvalidOptionError('expect', expect, 'null in this job store', 'It cannot tell which jobs are overdue: its class has no method `alarms`.');
}

/** @throws InvalidOptionError, which for an option of a task tells where that is given. */
export function checkKeys(options: object, allowed: readonly string[]): void {
  for (const key in options) {
    if (allowed.includes(key)) continue;
    refuseUnknownKeys(options, '', allowed, HINTS.get(allowed) ?? TASK_HINTS);
  }
}

/** A function of a job would be lost with the process, without a word. */
function refuseRetryIf(id: string, task: string, { retry }: JobPolicyOptions): void {
  if (retry == null || typeof retry !== 'object' || retry.retryIf == null) return;
  throw new JobUnstorableError(
    `Job "${id}": \`retry.retryIf\` is a function, and a durable job store cannot keep it. Give it to the task: ` +
      `defineTask("${task}", fn, { retry: { retryIf } }).`,
  );
}

const MODIFY_HINTS: Hints = {
  ...TASK_HINTS,
  timezone: 'The time zone belongs to the trigger: rescheduleJob(id, new CronTrigger(expression, { timezone })).',
  trigger: 'To change the schedule, call rescheduleJob(id, trigger).',
  id: 'The id of a job never changes: remove it and add another.',
  task: 'The task of a job never changes: add a job with the same id and `replaceExisting: true`.',
  jobStore: 'A job stays in its store: remove it and add it to the other.',
  paused: 'Call pauseJob(id) or resumeJob(id).',
  nextRunTime: 'To run it now, call runJob(id); to change the schedule, rescheduleJob(id, trigger).',
};

/** By options that are allowed. */
const HINTS = new Map<readonly string[], Hints>([[ADD_KEYS, JOB_HINTS], [SPEC_KEYS, SPEC_HINTS], [MODIFY_KEYS, MODIFY_HINTS]]);

function checkArgs(args: unknown): readonly unknown[] {
  if (!Array.isArray(args)) throw new InvalidOptionError('args', args, 'an array of the arguments the task is called with');
  return Object.freeze([...(args as unknown[])]);
}

/** @throws InvalidOptionError */
export function checkTags(tags: unknown): readonly string[] {
  if (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string' && tag !== '')) return Object.freeze([...new Set(tags as string[])]);
  throw new InvalidOptionError('tags', tags, 'an array of strings that are not empty');
}

function checkMetadata(metadata: unknown): Readonly<Record<string, unknown>> {
  if (typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)) return Object.freeze({ ...metadata });
  throw new InvalidOptionError('metadata', metadata, 'an object');
}

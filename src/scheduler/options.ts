import { InvalidOptionError, UnknownTimeZoneError } from '../errors/errors.js';
import type { JobPolicy } from '../model/job.js';
import type { Clock } from '../ports/clock.js';
import type { Executor } from '../ports/executor.js';
import type { JobCodec } from '../ports/job-codec.js';
import type { JobStore } from '../ports/job-store.js';
import type { Logger } from '../ports/logger.js';
import type { Serializer } from '../ports/serializer.js';
import type { Trigger, TriggerReader } from '../ports/trigger.js';
import { toMs, type DurationInput } from '../time/duration.js';
import type { BindContext } from './active-run.js';
import type { JobPolicyOptions } from './job-options.js';
import { resolveHighAvailability, type HighAvailability, type HighAvailabilityOptions } from './high-availability.js';
import { readLimits, type LimitsOptions } from './limits/limit-options.js';
import { checkOnError, type OnError } from './on-error.js';
import { isLogger, toLogger, type FieldsFirstLogger } from './logging.js';
import { refuseUnknownKeys } from '../errors/options.js';
import { DEFAULTS_HINTS, SCHEDULER_HINTS } from './option-hints.js';
import { resolveSignals } from './signals.js';
import type { ProcessIdentity } from './process-identity.js';
import { BUILT_IN_POLICY, nonEmpty, POLICY_OPTIONS, resolvePolicy, whole } from './policy.js';
import type { LoadTask } from './task-module.js';
import type { AnyTasks, TaskMap, TaskShapes } from './tasks.js';

/** Options of a scheduler. All have defaults. */
export interface SchedulerOptions<T extends TaskShapes = AnyTasks> {
  /** Job stores by alias. Without a `default`, that is a `MemoryJobStore`. */
  readonly jobStores?: Readonly<Record<string, JobStore>> | undefined;
  /** Executors by alias. Without a `default`, that is an `AsyncExecutor` without limit. */
  readonly executors?: Readonly<Record<string, Executor>> | undefined;
  /** Tasks by name; the same as `defineTask` for each, and the source of argument types. */
  readonly tasks?: T | undefined;
  /** Policies of jobs that say nothing, and whose task says nothing. */
  readonly jobDefaults?: JobPolicyOptions | undefined;
  /**
   * How much may go on at one time, and how often something may start, by task and by tag: over all nodes that share a job
   * store, and for each store on its own. Nodes should have the same ones; while they do not, the most generous holds.
   */
  readonly limits?: LimitsOptions | undefined;
  /** Reads stored triggers; a `TriggerRegistry` that knows your own kinds. Default: punctual's own kinds. */
  readonly triggers?: TriggerReader | undefined;
  /**
   * Writes arguments, metadata and results of jobs in durable stores, to encrypt them for instance. What other
   * serializers wrote before is still read. Default: `TaggedSerializer`.
   */
  readonly serializer?: Serializer | undefined;
  /** Longest return value, in characters of its serialized form, that the history keeps. Default 16,384. */
  readonly maxResultSize?: number | undefined;
  /** IANA zone of cron strings and of triggers made without one. Default: the system's. */
  readonly timezone?: string | undefined;
  /** Where time comes from. Default: the system's clocks. */
  readonly clock?: Clock | undefined;
  /** Where to write what an operator should see. Default: warnings and errors to `console`. */
  readonly logger?: Logger | FieldsFirstLogger | undefined;
  /**
   * Name of this scheduler in leases, events and the ledger; unique among those that share a store. Give one that the
   * next process has too, and it takes up at once what was running when this one died, instead of waiting for the leases
   * to run out. Default: host, process id, random.
   */
  readonly node?: string | undefined;
  /** Without a sign of life for this long, other nodes take over a run. Default 15 s, at least 1 s. Shared stores only. */
  readonly leaseDuration?: DurationInput | undefined;
  /**
   * How often this node tells the others of a shared store that it is there, for `getNodes()`. After two and a half times
   * that it counts as gone. Who runs what does not depend on it. Default 30 s, at least 1 s.
   */
  readonly heartbeatInterval?: DurationInput | undefined;
  /**
   * How long the event loop must be held up while tasks run for `eventLoopBlocked` to tell of it. From a third of
   * `leaseDuration` on it is also a warning in the log. Default 1 s, at least 10 ms.
   */
  readonly blockedAfter?: DurationInput | undefined;
  /** Most jobs claimed at a time. Default 500; fewer where a store asks for fewer (SQLite begins with 32). */
  readonly batchSize?: number | undefined;
  /** Longest sleep, so that a clock that was set, or a hint that was lost, is noticed. Default and maximum 30 s. */
  readonly maxSleep?: DurationInput | undefined;
  /**
   * How long to wait for a store's answer before it counts as failed. Default 15 s; where runs are held under leases
   * never more than a third of `leaseDuration`, so that one lost answer costs no lease.
   */
  readonly storeTimeout?: DurationInput | undefined;
  /**
   * Told of each attempt that failed on this node, of whatever task, after it was recorded: to report it to Sentry or the
   * like. At most once: what is lost with the process, or throws, is not told again. `onError` of the task is called, too.
   */
  readonly onError?: OnError | null | undefined;
  /** Whether a started scheduler keeps the process running. Default `true`. */
  readonly keepAlive?: boolean | undefined;
  /** How several schedulers on one store divide the work. Default: all of them work. */
  readonly ha?: HighAvailabilityOptions | undefined;
  /**
   * Signals that shut the scheduler down while it runs: `true` for SIGTERM and SIGINT, or their names. The first one
   * lets running tasks come to their end, as `shutdown()` does; one more aborts them. Then the process ends by the signal,
   * unless somebody else listens for it. Default `false`: no handler is installed.
   */
  readonly signals?: boolean | readonly NodeJS.Signals[] | undefined;
}

/** What the core is put together with. The composition root supplies it, so that the core depends on no adapter. */
export interface Wiring {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly node: string;
  readonly timezone: string;
  identify(): ProcessIdentity;
  /** Reads stored triggers through `triggers`, or knows punctual's own. */
  createCodec(triggers: TriggerReader | undefined, serializer: Serializer | undefined): JobCodec;
  bindContext: BindContext;
  createJobStore(): JobStore;
  createExecutor(): Executor;
  loadTask: LoadTask;
  /** A trigger from what `addJob` takes. @throws InvalidTriggerError, InvalidOptionError */
  toTrigger(input: unknown): Trigger;
  /** What stands in a shared store for a trigger that each node follows by itself. */
  onEachNode(trigger: Trigger): Trigger;
}

export interface ResolvedOptions {
  readonly stores: ReadonlyMap<string, JobStore>;
  readonly executors: ReadonlyMap<string, Executor>;
  readonly tasks: TaskMap;
  readonly policy: JobPolicy;
  readonly limits: ReturnType<typeof readLimits>;
  readonly triggers: TriggerReader | undefined;
  readonly serializer: Serializer | undefined;
  readonly maxResultSize: number;
  readonly timezone: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly node: string;
  /** The process behind `node`, if that name was given. */
  readonly process: ProcessIdentity | undefined;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly blockedAfterMs: number;
  readonly batchSize: number;
  readonly maxSleepMs: number;
  readonly storeTimeoutMs: number;
  readonly keepAlive: boolean;
  readonly onError: OnError | null;
  readonly ha: HighAvailability;
  readonly signals: readonly NodeJS.Signals[];
}

const OPTIONS: readonly (keyof SchedulerOptions)[] = [
  'jobStores',
  'executors',
  'tasks',
  'jobDefaults',
  'limits',
  'triggers',
  'serializer',
  'maxResultSize',
  'timezone',
  'clock',
  'logger',
  'node',
  'leaseDuration',
  'heartbeatInterval',
  'blockedAfter',
  'batchSize',
  'maxSleep',
  'storeTimeout',
  'keepAlive',
  'onError',
  'signals',
  'ha',
];

const MAX_SLEEP_MS = 30_000;

/** Checks every option and fills in the rest. The caller's object is not touched. @throws InvalidOptionError, UnknownTimeZoneError */
export function resolveOptions(options: SchedulerOptions<TaskMap>, wiring: Wiring): ResolvedOptions {
  refuseUnknownKeys(options, '', OPTIONS, SCHEDULER_HINTS);
  const { keepAlive = true, jobDefaults = {}, logger, clock = wiring.clock } = options;
  const timezone = options.timezone === undefined ? wiring.timezone : checkTimezone(options.timezone);
  if (typeof keepAlive !== 'boolean') throw new InvalidOptionError('keepAlive', keepAlive, 'true or false');
  if (logger !== undefined && !isLogger(logger)) {
    throw new InvalidOptionError('logger', logger, 'an object with the methods debug, info, warn and error, such as console or pino');
  }
  if (options.triggers !== undefined) requireMethods(options.triggers, 'triggers', ['read']);
  requireMethods(clock, 'clock', ['now', 'monotonic', 'setTimer', 'defer']);
  refuseUnknownKeys(jobDefaults, 'jobDefaults', POLICY_OPTIONS, DEFAULTS_HINTS);
  if (options.jobStores !== undefined && 'claimDue' in options.jobStores) {
    throw new InvalidOptionError('jobStores', options.jobStores, 'job stores by alias, such as { default: store }');
  }
  const stores = new Map(Object.entries(options.jobStores ?? {}));
  for (const [alias, store] of stores) checkStore(store, `jobStores.${alias}`);
  if (!stores.has('default')) stores.set('default', wiring.createJobStore());
  if (options.executors !== undefined && 'execute' in options.executors) {
    throw new InvalidOptionError('executors', options.executors, 'executors by alias, such as { default: executor }');
  }
  const executors = new Map(Object.entries(options.executors ?? {}));
  for (const [alias, executor] of executors) checkExecutor(executor, `executors.${alias}`);
  if (!executors.has('default')) executors.set('default', wiring.createExecutor());
  const maxSleepMs = toMs(options.maxSleep ?? MAX_SLEEP_MS, 'maxSleep', 1);
  if (maxSleepMs > MAX_SLEEP_MS) throw new InvalidOptionError('maxSleep', options.maxSleep, 'a duration of at most 30 s');
  const leaseMs = toMs(options.leaseDuration ?? 15_000, 'leaseDuration', 1_000);
  return {
    stores,
    executors,
    tasks: readTasks(options.tasks),
    policy: resolvePolicy(BUILT_IN_POLICY, jobDefaults, timezone, 'jobDefaults.'),
    limits: readLimits(options.limits ?? {}),
    triggers: options.triggers,
    serializer: options.serializer === undefined ? undefined : checkSerializer(options.serializer),
    maxResultSize: whole(options.maxResultSize ?? 16_384, 'maxResultSize', 0),
    timezone,
    clock,
    logger: logger === undefined ? wiring.logger : toLogger(logger),
    node: options.node === undefined ? wiring.node : nonEmpty(options.node, 'node'),
    process: options.node === undefined ? undefined : wiring.identify(),
    leaseMs,
    ha: resolveHighAvailability(options.ha, leaseMs),
    heartbeatMs: toMs(options.heartbeatInterval ?? 30_000, 'heartbeatInterval', 1_000),
    blockedAfterMs: toMs(options.blockedAfter ?? 1_000, 'blockedAfter', 10),
    batchSize: whole(options.batchSize ?? 500, 'batchSize', 1, 100_000),
    maxSleepMs,
    storeTimeoutMs: toMs(options.storeTimeout ?? 15_000, 'storeTimeout', 1),
    keepAlive,
    onError: checkOnError(options.onError, 'onError'),
    signals: resolveSignals(options.signals),
  };
}

function readTasks(tasks: TaskMap | undefined = {}): TaskMap {
  if (Array.isArray(tasks)) throw new InvalidOptionError('tasks', tasks, 'functions by name, such as { report: sendReport }');
  return tasks;
}

/** @throws InvalidOptionError when it is no job store. */
export function checkStore(store: unknown, option: string): asserts store is JobStore {
  if (typeof store === 'string') throw new InvalidOptionError(option, store, 'a job store, such as `new SQLiteJobStore(path)`');
  requireMethods(store, option, ['open', 'close', 'insert', 'get', 'list', 'claimDue', 'commit', 'nextWakeAt']);
}

/** @throws InvalidOptionError when it is no executor. */
export function checkExecutor(executor: unknown, option: string): asserts executor is Executor {
  requireMethods(executor, option, ['execute']);
  const { free } = executor as { readonly free?: unknown };
  if (typeof free !== 'number') throw new InvalidOptionError(`${option}.free`, free, 'the number of runs it still takes');
}

function checkSerializer(serializer: unknown): Serializer {
  requireMethods(serializer, 'serializer', ['serialize', 'deserialize']);
  nonEmpty((serializer as Serializer).name, 'serializer.name');
  return serializer as Serializer;
}

function requireMethods(value: unknown, option: string, methods: readonly string[]): void {
  const ok =
    typeof value === 'object' &&
    value !== null &&
    methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function');
  if (!ok) throw new InvalidOptionError(option, value, `an object with the methods ${methods.join(', ')}`);
}

function checkTimezone(timezone: unknown): string {
  try {
    if (typeof timezone === 'string' && timezone !== '') {
      new Intl.DateTimeFormat('en-US', { timeZone: timezone });
      return timezone;
    }
  } catch {
    // not a zone: said below
  }
  throw new UnknownTimeZoneError(timezone);
}

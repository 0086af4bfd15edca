import { InvalidOptionError } from '../../errors/errors.js';
import { consoleLogger } from '../../loggers/console-logger.js';
import type { Logger } from '../../ports/logger.js';
import type { Serializer } from '../../ports/serializer.js';
import { toMs, type DurationInput } from '../../time/duration.js';

/** What executors that hand runs to a broker have in common. */
export interface BrokerExecutorOptions {
  /**
   * Whether a run waits for the worker's answer, and has its value or its error; else it has succeeded once the broker has
   * confirmed the message, and the worker keeps to the job's `timeout` and `retry`. Default `false`.
   */
  readonly awaitResult?: boolean | undefined;
  /** Runs at one time: messages the broker has not confirmed, or, with `awaitResult`, that are not answered. Default 256. */
  readonly concurrency?: number | undefined;
  /**
   * How long a message may go unconfirmed, lost connections included, before its run fails with a `BrokerError`. Until then
   * it is sent again under the same id, each time the connection is back. Default 30 s.
   */
  readonly publishTimeout?: DurationInput | undefined;
  /**
   * With `awaitResult`: how long a worker has to answer once a run was told to stop; then the run ends without it. In a
   * shutdown it is less than a second. Default 5 s.
   */
  readonly cancelTimeout?: DurationInput | undefined;
  /** How long a connection, or a single answer of the broker, is waited for before the connection counts as broken; up to a day. Default 10 s. */
  readonly timeout?: DurationInput | undefined;
  /** Writes arguments and metadata, and reads results; the workers need the same. Default: `TaggedSerializer`. */
  readonly serializer?: Serializer | undefined;
}

const MOST_TIMEOUT_MS = 86_400_000;

/** The names of those options. */
export const EXECUTOR_OPTIONS = ['awaitResult', 'concurrency', 'publishTimeout', 'cancelTimeout', 'timeout', 'serializer'] as const;

export interface ExecutorLimits {
  readonly awaitResult: boolean;
  readonly concurrency: number;
  readonly publishMs: number;
  readonly cancelMs: number;
  readonly timeoutMs: number;
  readonly serializer: Serializer | undefined;
}

/** @throws InvalidOptionError */
export function executorLimits(options: BrokerExecutorOptions): ExecutorLimits {
  const { awaitResult = false, concurrency = 256, publishTimeout = 30_000, cancelTimeout = 5_000, timeout = 10_000, serializer } = options;
  if (typeof awaitResult !== 'boolean') throw new InvalidOptionError('awaitResult', awaitResult, 'true or false');
  return {
    awaitResult,
    concurrency: count(concurrency, 'concurrency'),
    publishMs: toMs(publishTimeout, 'publishTimeout', 1),
    cancelMs: toMs(cancelTimeout, 'cancelTimeout'),
    timeoutMs: timeoutOf(timeout),
    serializer: checkSerializer(serializer),
  };
}

/** Tasks of a worker, by name. */
export type WorkerTasks = Readonly<Record<string, (...args: never[]) => unknown>>;

/** What a worker tells of a run that has ended there. */
export interface WorkerRunReport {
  readonly runId: string;
  readonly jobId: string;
  readonly task: string;
  readonly attempt: number;
  /**
   * `succeeded`, `failed` for good; `retried`: failed, and goes back for another attempt; `handedBack`: cut short by the
   * worker's end, for another worker to begin anew.
   */
  readonly outcome: 'succeeded' | 'failed' | 'retried' | 'handedBack';
  readonly error?: unknown;
  readonly durationMs: number;
}

/** What workers of a broker have in common. */
export interface BrokerWorkerOptions {
  /** The functions, by the names of the tasks. */
  readonly tasks: WorkerTasks;
  /** Runs at one time, and messages taken from the broker at one time. Default 10. */
  readonly concurrency?: number | undefined;
  /** How often a run may come back because a worker died with it, before it is given up. Default: the job's `maxCrashes`. */
  readonly maxRedeliveries?: number | undefined;
  /** How long a task that was told to stop may go on before its message is settled without it. Default 5 s. */
  readonly killAfter?: DurationInput | undefined;
  /** How long a connection, or a single answer of the broker, is waited for before the connection counts as broken; up to a day. Default 10 s. */
  readonly timeout?: DurationInput | undefined;
  /** Reads arguments and metadata, and writes results. Default: `TaggedSerializer`. */
  readonly serializer?: Serializer | undefined;
  /** For what an operator should see, and for `currentRun().logger` of runs nobody waits for. Default: warnings and errors to `console`. */
  readonly logger?: Logger | undefined;
  /** Called when a run has ended here. What it throws is logged. */
  readonly onRunEnd?: ((report: WorkerRunReport) => void) | undefined;
}

/** The names of those options. */
export const WORKER_OPTIONS = ['tasks', 'concurrency', 'maxRedeliveries', 'killAfter', 'timeout', 'serializer', 'logger', 'onRunEnd'] as const;

export interface WorkerLimits {
  readonly tasks: ReadonlyMap<string, (...args: unknown[]) => unknown>;
  readonly concurrency: number;
  readonly maxRedeliveries: number | undefined;
  readonly killMs: number;
  readonly timeoutMs: number;
  readonly serializer: Serializer | undefined;
  readonly logger: Logger;
  readonly onRunEnd: ((report: WorkerRunReport) => void) | undefined;
}

/** @throws InvalidOptionError */
export function workerLimits(options: BrokerWorkerOptions): WorkerLimits {
  const { tasks, concurrency = 10, maxRedeliveries, killAfter = 5_000, timeout = 10_000, serializer, logger = consoleLogger, onRunEnd } = options;
  if (typeof tasks !== 'object' || tasks === null || Array.isArray(tasks)) throw new InvalidOptionError('tasks', tasks, 'an object of functions by the names of their tasks');
  const entries = Object.entries(tasks as Readonly<Record<string, unknown>>);
  for (const [name, fn] of entries) if (typeof fn !== 'function') throw new InvalidOptionError(`tasks.${name}`, fn, 'the function that is the task');
  if (entries.length === 0) throw new InvalidOptionError('tasks', tasks, 'at least one task');
  if (maxRedeliveries !== undefined && !(Number.isInteger(maxRedeliveries) && maxRedeliveries >= 0)) {
    throw new InvalidOptionError('maxRedeliveries', maxRedeliveries, 'a whole number of 0 or more');
  }
  for (const method of ['debug', 'info', 'warn', 'error'] as const) {
    if (typeof (logger as Partial<Logger> | null)?.[method] !== 'function') throw new InvalidOptionError('logger', logger, 'an object with the methods debug, info, warn and error');
  }
  if (onRunEnd !== undefined && typeof onRunEnd !== 'function') throw new InvalidOptionError('onRunEnd', onRunEnd, 'a function');
  return {
    tasks: new Map(entries as [string, (...args: unknown[]) => unknown][]),
    concurrency: count(concurrency, 'concurrency'),
    maxRedeliveries,
    killMs: toMs(killAfter, 'killAfter'),
    timeoutMs: timeoutOf(timeout),
    serializer: checkSerializer(serializer),
    logger,
    onRunEnd,
  };
}

/** @throws InvalidOptionError unless it is a text that is not empty. */
export function nonEmptyText(value: unknown, option: string): string {
  if (typeof value !== 'string' || value.trim() === '') throw new InvalidOptionError(option, value, 'a text that is not empty');
  return value;
}

/** Clients take it for their own timers, which fire at once when they are given more than 24 days. */
function timeoutOf(timeout: DurationInput): number {
  const ms = toMs(timeout, 'timeout', 1);
  if (ms > MOST_TIMEOUT_MS) throw new InvalidOptionError('timeout', timeout, 'a duration of at most a day');
  return ms;
}

function count(value: unknown, option: string): number {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535) return value as number;
  throw new InvalidOptionError(option, value, 'a whole number from 1 to 65,535');
}

function checkSerializer(serializer: unknown): Serializer | undefined {
  if (serializer === undefined) return undefined;
  const { name, serialize, deserialize } = (typeof serializer === 'object' && serializer !== null ? serializer : {}) as Partial<Serializer>;
  if (typeof name === 'string' && name !== '' && typeof serialize === 'function' && typeof deserialize === 'function') return serializer as Serializer;
  throw new InvalidOptionError('serializer', serializer, 'a Serializer: name, serialize(value) and deserialize(text)');
}

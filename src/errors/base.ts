import type { ErrorByCode } from './by-code.js';

/** Stable identifiers of every situation in which punctual refuses or fails. Compare these, not messages. */
export type ErrorCode =
  | 'BROKER_FAILED'
  | 'CONFLICTING_JOB_ID'
  | 'DEPENDENCY_CYCLE'
  | 'EVENT_OVERFLOW'
  | 'INVALID_ARGUMENTS'
  | 'INVALID_OPTION'
  | 'INVALID_STATE'
  | 'INVALID_TRIGGER'
  | 'JOB_ABORTED'
  | 'JOB_CHANGED'
  | 'JOB_NOT_FOUND'
  | 'JOB_OWNED'
  | 'JOB_TIMEOUT'
  | 'JOB_UNSTORABLE'
  | 'LEASE_LOST'
  | 'NEVER_FIRES'
  | 'NOT_CLONEABLE'
  | 'RUN_NOT_SUCCEEDED'
  | 'SCHEDULER_SHUTDOWN'
  | 'STORE_FAILED'
  | 'STORE_IN_USE'
  | 'STORE_UNUSABLE'
  | 'TASK_NOT_LOADED'
  | 'UNKNOWN_DEPENDENCY'
  | 'UNKNOWN_EXECUTOR'
  | 'UNKNOWN_FORMAT'
  | 'UNKNOWN_STORE'
  | 'UNKNOWN_TASK'
  | 'UNKNOWN_TIMEZONE'
  | 'UNKNOWN_TRIGGER'
  | 'UNSUITABLE_TASK'
  | 'WORKER_CRASHED';

/**
 * The base of every error punctual throws. `code` is stable across releases and across copies of the
 * package (ESM beside CommonJS, worker threads), where `instanceof` is not: prefer {@link isPunctualError}.
 */
export class PunctualError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }

  /** `JSON.stringify` leaves out the message of an error: it is no enumerable property. The stack and the cause stay out. */
  toJSON(): Record<string, unknown> {
    const { name, code, message } = this;
    return { name, code, message, ...Object.fromEntries(Object.entries(this)) };
  }
}

/**
 * Whether `error` came from punctual, and, if `code` is given, for that reason: then it has the fields of its class.
 *
 * @example
 * ```ts
 * try {
 *   await scheduler.pauseJob('report');
 * } catch (error) {
 *   if (isPunctualError(error, 'JOB_NOT_FOUND')) return;
 *   throw error;
 * }
 * ```
 */
export function isPunctualError<C extends ErrorCode>(error: unknown, code: C): error is ErrorByCode[C];
export function isPunctualError(error: unknown, code?: ErrorCode): error is PunctualError;
export function isPunctualError(error: unknown, code?: ErrorCode): error is PunctualError {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false;
  return code === undefined ? KNOWN_CODES.has(error.code) : error.code === code;
}

const CODES: Readonly<Record<ErrorCode, true>> = {
  BROKER_FAILED: true,
  CONFLICTING_JOB_ID: true,
  DEPENDENCY_CYCLE: true,
  EVENT_OVERFLOW: true,
  INVALID_ARGUMENTS: true,
  INVALID_OPTION: true,
  INVALID_STATE: true,
  INVALID_TRIGGER: true,
  JOB_ABORTED: true,
  JOB_CHANGED: true,
  JOB_NOT_FOUND: true,
  JOB_OWNED: true,
  JOB_TIMEOUT: true,
  JOB_UNSTORABLE: true,
  LEASE_LOST: true,
  NEVER_FIRES: true,
  NOT_CLONEABLE: true,
  RUN_NOT_SUCCEEDED: true,
  SCHEDULER_SHUTDOWN: true,
  STORE_FAILED: true,
  STORE_IN_USE: true,
  STORE_UNUSABLE: true,
  TASK_NOT_LOADED: true,
  UNKNOWN_DEPENDENCY: true,
  UNKNOWN_EXECUTOR: true,
  UNKNOWN_FORMAT: true,
  UNKNOWN_STORE: true,
  UNKNOWN_TASK: true,
  UNKNOWN_TIMEZONE: true,
  UNKNOWN_TRIGGER: true,
  UNSUITABLE_TASK: true,
  WORKER_CRASHED: true,
};
const KNOWN_CODES: ReadonlySet<string> = new Set(Object.keys(CODES));

/** How a value looks in a message: short, on one line, never throwing. */
export function inspectValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return value.name === '' ? 'a function' : `function ${value.name}`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (isPromise(value)) return 'a promise';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  try {
    const json = JSON.stringify(value);
    if (json !== undefined) return json.length > 80 ? `${json.slice(0, 77)}...` : json;
  } catch {
    // circular or with a throwing toJSON: its type says enough
  }
  return Object.prototype.toString.call(value);
}

/** Whether it is one that somebody may have forgotten to await. */
export function isPromise(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Promise]';
}

import { inspect, types } from 'node:util';
import { serialize } from 'node:v8';
import { NotCloneableError, TaskLoadError, WorkerCrashedError } from '../../errors/executor-errors.js';
import { JobAbortedError, JobTimeoutError, LeaseLostError, UnknownTaskError } from '../../errors/job-errors.js';

/** A property of an error: key, whether it is enumerable, value. */
type Property = readonly [key: string, enumerable: boolean, value: PlainValue];

/**
 * A value that any channel carries. The structured clone of an error keeps its name only if it is a built-in one, and none
 * of its own properties, so errors are taken apart, wherever they are in `cause`, `errors` and other lists.
 */
export type PlainValue =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'list'; readonly items: readonly PlainValue[] }
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, PlainValue])[] }
  | { readonly kind: 'error'; readonly base: string; readonly properties: readonly Property[] }
  | { readonly kind: 'domException'; readonly name: string; readonly message: string; readonly stack: string | undefined }
  /** An error met before: the how-manieth. */
  | { readonly kind: 'seen'; readonly index: number };

const BASES: Readonly<Record<string, () => Error>> = {
  Error: () => new Error(),
  EvalError: () => new EvalError(),
  RangeError: () => new RangeError(),
  ReferenceError: () => new ReferenceError(),
  SyntaxError: () => new SyntaxError(),
  TypeError: () => new TypeError(),
  URIError: () => new URIError(),
  AggregateError: () => new AggregateError([]),
};

/** Those of our own that cross: `instanceof` holds on the other side as well. */
const OURS: Readonly<Record<string, object>> = {
  JobAbortedError: JobAbortedError.prototype,
  JobTimeoutError: JobTimeoutError.prototype,
  LeaseLostError: LeaseLostError.prototype,
  NotCloneableError: NotCloneableError.prototype,
  TaskLoadError: TaskLoadError.prototype,
  UnknownTaskError: UnknownTaskError.prototype,
  WorkerCrashedError: WorkerCrashedError.prototype,
};

/** Whether a channel carries a value that holds no errors. */
export type Carries = (value: unknown) => boolean;

/**
 * Takes apart whatever was thrown, logged, or given as a reason. Never throws; what cannot be copied becomes its description.
 *
 * @param carries - what the channel copies. Default: what a structured clone does.
 */
export function toPlain(value: unknown, carries: Carries = isCloneable, seen = new Map<object, number>()): PlainValue {
  if (isError(value)) {
    const index = seen.get(value);
    if (index !== undefined) return { kind: 'seen', index };
    seen.set(value, seen.size);
    if (value instanceof DOMException) {
      const { name, message, stack } = value;
      return { kind: 'domException', name, message, stack };
    }
    return { kind: 'error', base: baseOf(value), properties: propertiesOf(value, carries, seen) };
  }
  if (Array.isArray(value) && value.some(isError)) return { kind: 'list', items: value.map((item) => toPlain(item, carries, seen)) };
  if (isPlainObject(value) && Object.values(value).some(isError)) {
    return { kind: 'object', entries: Object.entries(value).map(([key, item]) => [key, toPlain(item, carries, seen)]) };
  }
  return { kind: 'value', value: carries(value) ? value : describe(value) };
}

export function fromPlain(plain: PlainValue, seen: Error[] = []): unknown {
  switch (plain.kind) {
    case 'value':
      return plain.value;
    case 'seen':
      return seen[plain.index];
    case 'list':
      return plain.items.map((item) => fromPlain(item, seen));
    case 'object':
      return Object.fromEntries(plain.entries.map(([key, item]) => [key, fromPlain(item, seen)]));
    case 'domException': {
      const exception = new DOMException(plain.message, plain.name);
      seen.push(exception);
      Object.defineProperty(exception, 'stack', { value: plain.stack, writable: true, configurable: true });
      return exception;
    }
    case 'error':
      return makeError(plain.base, plain.properties, seen);
  }
}

function makeError(base: string, properties: readonly Property[], seen: Error[]): Error {
  const error = BASES[base]?.() ?? new Error();
  seen.push(error);
  for (const [key, enumerable, value] of properties) {
    Object.defineProperty(error, key, { value: fromPlain(value, seen), enumerable, writable: true, configurable: true });
  }
  const prototype = OURS[error.name];
  if (prototype !== undefined && 'code' in error) Object.setPrototypeOf(error, prototype);
  return error;
}

/** The built-in class an error is made from. */
function baseOf(error: Error): string {
  for (let at = Object.getPrototypeOf(error) as object | null; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const { constructor } = at as { readonly constructor?: { readonly name?: unknown } };
    const name = constructor?.name;
    if (typeof name === 'string' && Object.hasOwn(BASES, name)) return name;
  }
  return 'Error';
}

function propertiesOf(error: Error, carries: Carries, seen: Map<object, number>): Property[] {
  const properties: Property[] = [];
  const keys = Object.getOwnPropertyNames(error);
  // What a class gives its errors without their having it: a name on the prototype.
  if (!keys.includes('name') && error.name !== baseOf(error)) keys.push('name');
  if (!keys.includes('stack') && typeof error.stack === 'string') keys.push('stack');
  for (const key of keys) {
    try {
      const enumerable = Object.prototype.propertyIsEnumerable.call(error, key);
      properties.push([key, enumerable, toPlain((error as unknown as Record<string, unknown>)[key], carries, seen)]);
    } catch {
      // a getter that throws
    }
  }
  return properties;
}

function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function isCloneable(value: unknown): boolean {
  if (typeof value === 'function' || typeof value === 'symbol') return false;
  if (typeof value !== 'object' || value === null) return true;
  try {
    serialize(value);
    return true;
  } catch {
    return false;
  }
}

function describe(value: unknown): string {
  try {
    return inspect(value);
  } catch {
    return 'a value that cannot be read';
  }
}

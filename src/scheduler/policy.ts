import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { CoalesceMode, JobPolicy, OverlapMode, RetryPolicy } from '../model/job.js';
import type { ExpectPolicy } from '../model/watch.js';
import { toMs } from '../time/duration.js';
import { toInstant } from '../time/instant.js';
import type { ExpectOptions, JobPolicyOptions, RetryOptions } from './job-options.js';

/** What holds when nobody says otherwise. */
export const BUILT_IN_POLICY: JobPolicy = Object.freeze({
  misfireGraceMs: null,
  coalesce: 'latest',
  maxCatchUp: 100,
  maxInstances: 1,
  overlap: 'skip',
  queueLimit: 100,
  jitterMs: 0,
  retry: null,
  timeoutMs: null,
  maxRuns: null,
  startTime: null,
  endTime: null,
  onCrash: 'retry',
  maxCrashes: 3,
  priority: 0,
  exclusive: true,
  executor: 'default',
  resultTtlMs: 86_400_000,
  maxConsecutiveFailures: null,
  expect: null,
});

/** Most fire times one catch-up may keep in a record, and most that may wait in one. */
const MAX_LIST = 10_000;

const COALESCE: readonly CoalesceMode[] = ['latest', 'earliest', 'all'];
const OVERLAP: readonly OverlapMode[] = ['skip', 'queue', 'queueAll', 'replace', 'allow'];

type Rule = (value: unknown, path: string, timezone: string, base: JobPolicy) => Partial<JobPolicy>;

/** One rule per option: reads it, or refuses it. `satisfies` makes an option without a rule a compile error. */
const RULES = {
  misfireGraceTime: (v, path) => ({ misfireGraceMs: v === null ? null : toMs(v, path) }),
  coalesce: (v, path) => ({ coalesce: typeof v === 'boolean' ? (v ? 'latest' : 'all') : oneOf(v, path, COALESCE) }),
  maxCatchUp: (v, path) => ({ maxCatchUp: whole(v, path, 1, MAX_LIST) }),
  maxInstances: (v, path) => ({ maxInstances: whole(v, path, 1) }),
  overlap: (v, path) => ({ overlap: oneOf(v, path, OVERLAP) }),
  queueLimit: (v, path) => ({ queueLimit: whole(v, path, 1, MAX_LIST) }),
  jitter: (v, path) => ({ jitterMs: toMs(v, path) }),
  retry: (v, path, _timezone, base) => ({ retry: retryPolicy(v, path, base.retry) }),
  timeout: (v, path) => ({ timeoutMs: v === null ? null : toMs(v, path, 1) }),
  maxRuns: (v, path) => ({ maxRuns: v === null ? null : whole(v, path, 1) }),
  startTime: (v, path, timezone) => ({ startTime: v === null ? null : toInstant(v, path, timezone) }),
  endTime: (v, path, timezone) => ({ endTime: v === null ? null : toInstant(v, path, timezone) }),
  onCrash: (v, path) => ({ onCrash: oneOf(v, path, ['retry', 'drop'] as const) }),
  maxCrashes: (v, path) => ({ maxCrashes: whole(v, path, 0) }),
  priority: (v, path) => ({ priority: whole(v, path, Number.MIN_SAFE_INTEGER) }),
  exclusive: (v, path) => ({ exclusive: flag(v, path) }),
  executor: (v, path) => ({ executor: nonEmpty(v, path) }),
  resultTtl: (v, path) => ({ resultTtlMs: v === null ? null : toMs(v, path) || null }),
  maxConsecutiveFailures: (v, path) => ({ maxConsecutiveFailures: v === null ? null : whole(v, path, 1) }),
  expect: (v, path, _timezone, base) => ({ expect: expectPolicy(v, path, base.expect) }),
} satisfies Record<keyof JobPolicyOptions, Rule>;

export const POLICY_OPTIONS: readonly string[] = Object.keys(RULES);

/**
 * The policy that `options` make of `base`. The same object as `base` when they say nothing, so that a million jobs
 * with default policies share one.
 *
 * @throws InvalidOptionError for the first option that cannot be; keys that are no policy options are left alone.
 */
export function resolvePolicy(base: JobPolicy, options: object, timezone: string, prefix = ''): JobPolicy {
  let policy: JobPolicy | undefined;
  for (const key in options) {
    const rule: Rule | undefined = Object.hasOwn(RULES, key) ? RULES[key as keyof typeof RULES] : undefined;
    const value = (options as Record<string, unknown>)[key];
    if (rule === undefined || value === undefined) continue;
    policy = { ...(policy ?? base), ...rule(value, prefix + key, timezone, base) };
  }
  if (policy === undefined) return base;
  const { startTime, endTime } = policy;
  if (startTime !== null && endTime !== null && endTime < startTime) {
    throw new InvalidOptionError(`${prefix}endTime`, new Date(endTime), `an instant not before startTime (${new Date(startTime).toISOString()})`);
  }
  return Object.freeze(policy);
}

const RETRY_DEFAULTS: RetryPolicy = Object.freeze({
  maxAttempts: 3,
  delayMs: 1_000,
  backoff: 'exponential',
  maxDelayMs: 3_600_000,
  jitter: 0,
  retryIf: null,
});

const RETRY_KEYS: readonly (keyof RetryOptions)[] = ['maxAttempts', 'delay', 'backoff', 'maxDelay', 'jitter', 'retryIf'];

function retryPolicy(value: unknown, path: string, base: RetryPolicy | null): RetryPolicy | null {
  if (value === null) return null;
  const defaults = base ?? RETRY_DEFAULTS;
  if (typeof value === 'number') return Object.freeze({ ...defaults, maxAttempts: whole(value, path, 1) });
  if (typeof value !== 'object') {
    throw new InvalidOptionError(path, value, 'a number of attempts, an object such as { maxAttempts: 3 }, or null');
  }
  refuseUnknownKeys(value, path, RETRY_KEYS);
  const { maxAttempts, delay, backoff, maxDelay, jitter, retryIf } = value as RetryOptions;
  if (jitter !== undefined && !(typeof jitter === 'number' && jitter >= 0 && jitter <= 1)) {
    throw new InvalidOptionError(`${path}.jitter`, jitter, 'a fraction from 0 to 1');
  }
  if (retryIf !== undefined && retryIf !== null && typeof retryIf !== 'function') {
    throw new InvalidOptionError(`${path}.retryIf`, retryIf, 'a function (error, attempt) => boolean');
  }
  return Object.freeze({
    maxAttempts: maxAttempts === undefined ? defaults.maxAttempts : whole(maxAttempts, `${path}.maxAttempts`, 1),
    delayMs: delay === undefined ? defaults.delayMs : toMs(delay, `${path}.delay`),
    backoff: backoff === undefined ? defaults.backoff : oneOf(backoff, `${path}.backoff`, ['fixed', 'exponential'] as const),
    maxDelayMs: maxDelay === undefined ? defaults.maxDelayMs : toMs(maxDelay, `${path}.maxDelay`),
    jitter: jitter ?? defaults.jitter,
    retryIf: retryIf === undefined ? defaults.retryIf : retryIf,
  });
}

const EXPECT_KEYS: readonly (keyof ExpectOptions)[] = ['successWithin', 'maxLateness'];

/** One of the two may come from the task or the defaults. */
function expectPolicy(value: unknown, path: string, base: ExpectPolicy | null): ExpectPolicy | null {
  if (value === null) return null;
  const allowed = 'an object such as { successWithin: { hours: 25 }, maxLateness: { minutes: 10 } }, or null';
  if (typeof value !== 'object') throw new InvalidOptionError(path, value, allowed);
  refuseUnknownKeys(value, path, EXPECT_KEYS);
  const { successWithin, maxLateness } = value as ExpectOptions;
  if (successWithin === undefined && maxLateness === undefined) throw new InvalidOptionError(path, value, allowed);
  const limit = (given: ExpectOptions[keyof ExpectOptions], key: string, otherwise: number | null | undefined): number | null =>
    given === undefined ? (otherwise ?? null) : given === null ? null : toMs(given, `${path}.${key}`, 1);
  const successWithinMs = limit(successWithin, 'successWithin', base?.successWithinMs);
  const maxLatenessMs = limit(maxLateness, 'maxLateness', base?.maxLatenessMs);
  return successWithinMs === null && maxLatenessMs === null ? null : Object.freeze({ successWithinMs, maxLatenessMs });
}

export function whole(value: unknown, option: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  const range = min === Number.MIN_SAFE_INTEGER ? '' : max === Number.MAX_SAFE_INTEGER ? ` of ${min} or more` : ` from ${min} to ${max}`;
  throw new InvalidOptionError(option, value, `a whole number${range}`);
}

export function oneOf<T extends string>(value: unknown, option: string, allowed: readonly T[]): T {
  if (allowed.includes(value as T)) return value as T;
  throw new InvalidOptionError(option, value, allowed.map((item) => `'${item}'`).join(' or '));
}

export function nonEmpty(value: unknown, option: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new InvalidOptionError(option, value, 'a string that is not empty');
}

export function flag(value: unknown, option: string, otherwise = false): boolean {
  if (value === undefined) return otherwise;
  if (typeof value === 'boolean') return value;
  throw new InvalidOptionError(option, value, 'true or false');
}

/** Without making the items `any`, as the built-in guard does. */
export function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

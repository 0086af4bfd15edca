import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { toMs, type DurationInput } from '../../time/duration.js';

/** At most `max` starts in any stretch of time as long as `per`. */
export interface RateLimitOptions {
  /** Starts, from 1 to 10,000. Each is one lease in the store for as long as `per`. */
  readonly max: number;
  /** At least 1 ms. */
  readonly per: DurationInput;
}

/**
 * How much may go on at one time, and how often something may start, over all nodes that share a job store. What finds no
 * room waits, and is not lost. Attempts after an error, runs by hand and runs that make up for downtime count as any other.
 */
export interface LimitOptions {
  /** Runs at one time, from 1 to 10,000. Default: no limit. */
  readonly concurrency?: number | undefined;
  /** Starts in a stretch of time. Default: no limit. */
  readonly rateLimit?: RateLimitOptions | undefined;
}

/** Limits of a scheduler. */
export interface LimitsOptions {
  /**
   * By name of a task. Says the same as the options of `defineTask`, which win. Names that this node does not define when it
   * starts are a warning in the log.
   */
  readonly tasks?: Readonly<Record<string, LimitOptions>> | undefined;
  /**
   * By tag, over all jobs that have it. A name that ends in `*` gives each tag that begins so a limit of its own:
   * `{ 'customer:*': { concurrency: 2 } }`. There is no `*` anywhere else.
   */
  readonly tags?: Readonly<Record<string, LimitOptions>> | undefined;
}

/** A limit, checked. */
export interface LimitSpec {
  readonly concurrency: number | null;
  readonly rate: { readonly max: number; readonly perMs: number } | null;
}

export const LIMIT_OPTIONS: readonly string[] = ['concurrency', 'rateLimit'];

/** Each slot is a lease of its own: more of them would be looked through at each start. */
const MOST_SLOTS = 10_000;

/** A limit from what `defineTask` and `setLimit` take; `undefined` where nothing is limited. @throws InvalidOptionError */
export function readLimit({ concurrency, rateLimit }: LimitOptions, path: string): LimitSpec | undefined {
  if (concurrency === undefined && rateLimit === undefined) return undefined;
  const at = path === '' ? '' : `${path}.`;
  return {
    concurrency: concurrency === undefined ? null : slots(concurrency, `${at}concurrency`, 'To start nothing for a while, pause the jobs or the scheduler.'),
    rate: rateLimit === undefined ? null : readRate(rateLimit, `${at}rateLimit`),
  };
}

function readRate(rate: unknown, path: string): { readonly max: number; readonly perMs: number } {
  refuseUnknownKeys(rate, path, ['max', 'per']);
  const { max, per } = rate as RateLimitOptions;
  return {
    max: slots(max, `${path}.max`, 'For more, limit a shorter time: 60,000 an hour are 1,000 a minute.'),
    perMs: toMs(per, `${path}.per`, 1),
  };
}

function slots(value: unknown, option: string, hint: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MOST_SLOTS) return value;
  throw new InvalidOptionError(option, value, `a whole number from 1 to ${MOST_SLOTS}`, hint);
}

/** @throws InvalidOptionError */
export function readLimits(limits: LimitsOptions, path = 'limits'): { readonly tasks: ReadonlyMap<string, LimitSpec>; readonly tags: ReadonlyMap<string, LimitSpec> } {
  refuseUnknownKeys(limits, path, ['tasks', 'tags']);
  const tags = readNamed(limits.tags ?? {}, `${path}.tags`);
  for (const tag of tags.keys()) checkTagName(tag, `${path}.tags`);
  return { tasks: readNamed(limits.tasks ?? {}, `${path}.tasks`), tags };
}

/** A `*` anywhere else would stand for nothing. @throws InvalidOptionError */
export function checkTagName(name: string, option: string): void {
  const star = name.indexOf('*');
  if (star === -1 || star === name.length - 1) return;
  throw new InvalidOptionError(option, name, 'a tag, or how tags begin and one `*` at the end, such as "customer:*"');
}

function readNamed(limits: Readonly<Record<string, LimitOptions>>, path: string): Map<string, LimitSpec> {
  const read = new Map<string, LimitSpec>();
  if (typeof limits !== 'object' || limits === null || Array.isArray(limits)) throw new InvalidOptionError(path, limits, 'limits by name');
  for (const [name, limit] of Object.entries(limits)) {
    const at = `${path}[${JSON.stringify(name)}]`;
    refuseUnknownKeys(limit, at, LIMIT_OPTIONS);
    const spec = readLimit(limit, at);
    if (name === '') throw new InvalidOptionError(path, name, 'names that are not empty');
    if (spec === undefined) throw new InvalidOptionError(at, limit, 'concurrency, rateLimit or both');
    read.set(name, spec);
  }
  return read;
}

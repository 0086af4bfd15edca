import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { Clock } from '../ports/clock.js';
import { toMs, type DurationInput } from '../time/duration.js';

/** How a lock is taken. */
export interface LockOptions {
  /**
   * How long the lock outlives its holder, if that dies without releasing it. It is renewed while it is held, so this is no limit
   * to the work. Default 30 s, least 1 s.
   */
  readonly ttl?: DurationInput | undefined;
  /** How long to wait while another has it. Default 0: try once. `Infinity`: until it can be had. */
  readonly wait?: DurationInput | undefined;
  /** Ends the wait: `lock` rejects with its reason. It does not release a lock that is held. */
  readonly signal?: AbortSignal | undefined;
  /** What others are told of the holder (`lockHolder`). Default: host and process. */
  readonly owner?: string | undefined;
  /** Default: that of the scheduler that opened the store, else the machine's. */
  readonly clock?: Clock | undefined;
}

/** Who has a lock. */
export interface LockHolder {
  readonly owner: string;
  readonly token: number;
  /** By the clock of the store where it has one. */
  readonly expiresAt: Date;
}

export interface LockRequest {
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  readonly owner: string | undefined;
  readonly clock: Clock | undefined;
}

const TTL_MS = 30_000;
const LEAST_TTL_MS = 1_000;
const MOST_TTL_MS = 7 * 86_400_000;
const LONGEST_NAME = 200;

/** @throws InvalidOptionError */
export function readLockOptions(options: LockOptions): LockRequest {
  refuseUnknownKeys(options, '', ['ttl', 'wait', 'signal', 'owner', 'clock']);
  const { ttl, wait = 0, signal, owner, clock } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new InvalidOptionError('signal', signal, 'an AbortSignal');
  if (owner !== undefined && (typeof owner !== 'string' || owner === '')) throw new InvalidOptionError('owner', owner, 'a non-empty string');
  return {
    ttlMs: readTtl(ttl, TTL_MS),
    waitMs: wait === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : toMs(wait, 'wait'),
    signal,
    owner,
    clock,
  };
}

/** @throws InvalidOptionError */
export function readTtl(ttl: DurationInput | undefined, otherwise: number): number {
  const ms = toMs(ttl ?? otherwise, 'ttl', LEAST_TTL_MS);
  if (ms > MOST_TTL_MS) throw new InvalidOptionError('ttl', ttl, 'a duration of at most 7 days', 'A lock is renewed while it is held: `ttl` is how long others wait for one who died.');
  return ms;
}

/** @throws InvalidOptionError */
export function checkLockName(name: unknown): asserts name is string {
  if (typeof name === 'string' && name !== '' && name.length <= LONGEST_NAME) return;
  throw new InvalidOptionError('name', name, `a string of 1 to ${LONGEST_NAME} characters`);
}

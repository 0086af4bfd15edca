import type { EpochMs, Trigger } from '../ports/trigger.js';
import { DAY_MS, MAX_INSTANT } from '../time/civil.js';
import { IntervalTrigger } from './interval.js';
import { isExactly } from './search.js';

/**
 * Instants at equal distances, from a first to a last one, both of them members: what an interval is between its
 * bounds, and what intervals have in common.
 */
export class Progression {
  readonly first: EpochMs;
  readonly last: EpochMs;
  /** Milliseconds from one member to the next. Inexact beyond the safe integers: no third member fits in then. */
  readonly period: number;

  private constructor(first: EpochMs, last: EpochMs, period: number) {
    this.first = first;
    this.last = last;
    this.period = period;
  }

  /** The instants of an interval; `null` when its bounds leave none. */
  static ofInterval(trigger: IntervalTrigger): Progression | null {
    const { startTime, anchor, endTime } = trigger.toJSON() as IntervalBounds;
    const period = BigInt(trigger.every);
    const member = BigInt(startTime ?? anchor ?? 0);
    const low = startTime ?? (anchor === undefined ? -MAX_INSTANT : anchor + trigger.every);
    return Progression.#within(member, period, low, Math.min(endTime ?? MAX_INSTANT, MAX_INSTANT));
  }

  /** A time of each UTC day, in milliseconds since its midnight. */
  static ofDay(time: number): Progression {
    return new Progression(time - MAX_INSTANT, time + MAX_INSTANT - (time === 0 ? 0 : DAY_MS), DAY_MS);
  }

  /** The members between two bounds of what goes through `member`, or `null` when there is none. */
  static #within(member: bigint, period: bigint, low: EpochMs, high: EpochMs): Progression | null {
    if (low > high) return null;
    const first = BigInt(low) + modulo(member - BigInt(low), period);
    const last = BigInt(high) - modulo(BigInt(high) - member, period);
    return first > last ? null : new Progression(Number(first), Number(last), Number(period));
  }

  /** The first member after an instant, which may be a fraction. */
  next(after: EpochMs): EpochMs | null {
    const { first, last, period } = this;
    if (after < first) return first;
    if (!(after < last)) return null;
    if (period > Number.MAX_SAFE_INTEGER) return last;
    // Remainders of doubles are exact, differences of far-off instants are not.
    const from = Math.floor(after) + 1;
    return from + modulo(modulo(first, period) - modulo(from, period), period);
  }

  /** The last member before an instant, which may be a fraction. */
  previous(before: EpochMs): EpochMs | null {
    const { first, last, period } = this;
    if (before > last) return last;
    if (!(before > first)) return null;
    if (period > Number.MAX_SAFE_INTEGER) return first;
    const until = Math.ceil(before) - 1;
    return until - modulo(modulo(until, period) - modulo(first, period), period);
  }

  get #exactPeriod(): bigint {
    const { first, last, period } = this;
    return period > Number.MAX_SAFE_INTEGER && first < last ? BigInt(last) - BigInt(first) : BigInt(period);
  }

  /**
   * The members both have, again a progression: the Chinese remainder theorem for moduli that need not be relatively
   * prime (D. E. Knuth, The Art of Computer Programming, vol. 2, 4.3.2, theorem C and exercise 3). In integers
   * without bounds, as a product of two periods may have thirty digits.
   *
   * @returns `null` when they have none.
   */
  meet(other: Progression): Progression | null {
    const [a, b] = [BigInt(this.first), BigInt(other.first)];
    const [m, n] = [this.#exactPeriod, other.#exactPeriod];
    const { gcd, inverse } = euclid(m, n);
    if ((b - a) % gcd !== 0n) return null;
    const steps = modulo(((b - a) / gcd) * inverse, n / gcd);
    const low = Math.max(this.first, other.first);
    return Progression.#within(a + steps * m, (m / gcd) * n, low, Math.min(this.last, other.last));
  }
}

interface IntervalBounds {
  readonly startTime?: EpochMs;
  readonly anchor?: EpochMs;
  readonly endTime?: EpochMs;
}

/** What the intervals among some triggers have in common: `null` is nothing, undefined that there is no interval. */
export function meetOfIntervals(triggers: readonly Trigger[]): Progression | null | undefined {
  let met: Progression | undefined;
  for (const trigger of triggers) {
    if (!isExactly(trigger, IntervalTrigger)) continue;
    const progression = Progression.ofInterval(trigger);
    const both = progression === null ? null : (met?.meet(progression) ?? (met === undefined ? progression : null));
    if (both === null) return null;
    met = both;
  }
  return met;
}

/** The least common multiple of two whole numbers. */
export function lcm(a: bigint, b: bigint): bigint {
  return (a / euclid(a, b).gcd) * b;
}

/** The greatest common divisor of two whole numbers, and `inverse * m ≡ gcd (mod n)`. Extended Euclid (Knuth, 4.5.2, X). */
function euclid(m: bigint, n: bigint): { readonly gcd: bigint; readonly inverse: bigint } {
  let [gcd, rest, inverse, following] = [m, n, 1n, 0n];
  while (rest !== 0n) {
    const quotient = gcd / rest;
    [gcd, rest, inverse, following] = [rest, gcd - quotient * rest, following, inverse - quotient * following];
  }
  return { gcd, inverse };
}

/** The remainder that has the sign of the divisor. */
export function modulo(value: number, divisor: number): number;
export function modulo(value: bigint, divisor: bigint): bigint;
export function modulo(value: number | bigint, divisor: number | bigint): number | bigint {
  if (typeof value === 'bigint' && typeof divisor === 'bigint') return ((value % divisor) + divisor) % divisor;
  const rest = Number(value) % Number(divisor);
  return rest < 0 ? rest + Number(divisor) : rest + 0;
}

/**
 * Sets of small integers as bit masks. Sixty values (seconds, minutes, ISO weeks) take two numbers of thirty bits
 * each, which keeps every mask a positive small integer that engines do not box.
 */

/** A set of integers from 0 to 59: bit `i` of `low` is `i`, bit `i` of `high` is `30 + i`. */
export interface Bits60 {
  readonly low: number;
  readonly high: number;
}

/** The lowest member at or above `from`, or -1. `from` may be 60. */
export function nextBit60(low: number, high: number, from: number): number {
  if (from < 30) {
    const rest = low >>> from;
    if (rest !== 0) return from + lowestBit(rest);
    return high === 0 ? -1 : 30 + lowestBit(high);
  }
  const rest = from < 60 ? high >>> (from - 30) : 0;
  return rest === 0 ? -1 : from + lowestBit(rest);
}

/** The highest member at or below `from`, or -1. `from` may be -1. */
export function previousBit60(low: number, high: number, from: number): number {
  if (from >= 30) {
    const rest = high & (0x3fff_ffff >>> (59 - from));
    if (rest !== 0) return 30 + highestBit(rest);
    return low === 0 ? -1 : highestBit(low);
  }
  const rest = from < 0 ? 0 : low & (0x3fff_ffff >>> (29 - from));
  return rest === 0 ? -1 : highestBit(rest);
}

export function has60(low: number, high: number, value: number): boolean {
  return ((value < 30 ? low >>> value : high >>> (value - 30)) & 1) === 1;
}

/** The lowest member of a mask of up to 31 bits at or above `from`, or -1. `from` may be 31. */
export function nextBit(mask: number, from: number): number {
  const rest = from < 31 ? mask >>> from : 0;
  return rest === 0 ? -1 : from + lowestBit(rest);
}

/** The highest member of a mask of up to 31 bits at or below `from`, or -1. `from` may be -1. */
export function previousBit(mask: number, from: number): number {
  const rest = from < 0 ? 0 : mask & (0x7fff_ffff >>> (30 - from));
  return rest === 0 ? -1 : highestBit(rest);
}

/** Index of the lowest set bit of a mask that is not 0. */
export function lowestBit(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}

/** Index of the highest set bit of a mask that is not 0. */
export function highestBit(mask: number): number {
  return 31 - Math.clz32(mask);
}

/** A set from its members. */
export function bitsOf(values: Iterable<number>): Bits60 {
  let low = 0;
  let high = 0;
  for (const value of values) {
    if (value < 30) low |= 1 << value;
    else high |= 1 << (value - 30);
  }
  return { low, high };
}

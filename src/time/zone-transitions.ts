import { UnknownTimeZoneError } from '../errors/errors.js';
import { DAY_SECONDS } from './civil.js';

/** Seconds east of UTC that a zone's clocks show at an instant (epoch seconds). */
export type OffsetProbe = (epochSeconds: number) => number;

/** A change of offset: from `at` (epoch seconds) on, clocks run at `offset`; before, at `before`. */
export interface Transition {
  readonly at: number;
  readonly before: number;
  readonly offset: number;
}

/**
 * How far apart instants are probed. Two changes that undo each other within one step would be missed; the
 * closest such pair in the zone data is a week apart less an hour (Brazil, October 2000).
 */
const STEP_SECONDS = 5 * DAY_SECONDS;

/**
 * A probe through `Intl`: the only zone data every Node.js ships. About 2 µs a question, so it is asked only
 * while a table is filled.
 *
 * @throws UnknownTimeZoneError when the runtime does not know the zone.
 */
export function intlProbe(timezone: string): OffsetProbe {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: timezone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    throw new UnknownTimeZoneError(timezone);
  }
  return (epochSeconds) => {
    // Such as "3/29/2026, 02:59:59". Read by hand: formatToParts costs three times as much.
    const text = format.format(epochSeconds * 1000);
    const [, day, , hour, minute, second] = readNumbers(text);
    const utcDay = new Date(epochSeconds * 1000).getUTCDate();
    const utcSecond = ((epochSeconds % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
    // Local and UTC dates differ by one at most; across a month's end the difference of the numbers is large.
    let days = day - utcDay;
    if (days > 1) days = -1;
    else if (days < -1) days = 1;
    return days * DAY_SECONDS + hour * 3600 + minute * 60 + second - utcSecond;
  };
}

function readNumbers(text: string): [number, number, number, number, number, number] {
  const numbers: [number, number, number, number, number, number] = [0, 0, 0, 0, 0, 0];
  let index = 0;
  let inNumber = false;
  for (let i = 0; i < text.length; i += 1) {
    const digit = text.charCodeAt(i) - 48;
    if (digit >= 0 && digit <= 9) {
      numbers[index] = (numbers[index] ?? 0) * 10 + digit;
      inNumber = true;
    } else if (inNumber) {
      index += 1;
      inNumber = false;
    }
  }
  return numbers;
}

/** All transitions in `(from, to]`, oldest first. */
export function findTransitions(probe: OffsetProbe, from: number, to: number): Transition[] {
  const found: Transition[] = [];
  let low = from;
  let before = probe(low);
  while (low < to) {
    const high = Math.min(low + STEP_SECONDS, to);
    const after = probe(high);
    // More than one change may lie in a step; each search finds one of them and goes on from there.
    while (before !== after) {
      const at = firstChange(probe, low, high, before);
      const offset = probe(at);
      found.push({ at, before, offset });
      low = at;
      before = offset;
    }
    low = high;
  }
  return found;
}

/** Some instant in `(low, high]` at which the offset stops being `before`, to the second. */
function firstChange(probe: OffsetProbe, low: number, high: number, before: number): number {
  let same = low;
  let changed = high;
  while (changed - same > 1) {
    const middle = Math.floor((same + changed) / 2);
    if (probe(middle) === before) same = middle;
    else changed = middle;
  }
  return changed;
}

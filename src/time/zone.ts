import { InvalidOptionError, UnknownTimeZoneError } from '../errors/errors.js';
import type { EpochMs } from '../ports/trigger.js';
import { daysFromCivil, DAY_SECONDS, isLeapYear, monthOfDay, weekdayOfDay, yearOfMonth } from './civil.js';
import { findTransitions, intlProbe, type OffsetProbe } from './zone-transitions.js';

/** A stretch of time `[from, to)`, in epoch seconds, in which a zone keeps one offset (seconds east of UTC). */
export interface ZoneSegment {
  readonly from: number;
  readonly to: number;
  readonly offset: number;
  /** The offset just before `from`. Equal to `offset` when `from` is only the end of what has been looked up. */
  readonly before: number;
}

/** Seconds by which a year's table reaches into its neighbours; more than two offsets can ever differ. */
const MARGIN = 2 * DAY_SECONDS;

/** From here on every zone follows a yearly rule (the last explicit data, Morocco's, ends in 2087). */
const FIRST_RULED_YEAR = 2101;

/** Before this, no zone has a transition: the first in the zone data is Greenwich in 1847. */
const FIRST_YEAR = 1800;

/** Years kept per zone. Who walks through more of them at once pays for looking some up again. */
const MAX_TABLES = 512;

const UTC_NAMES: ReadonlySet<string> = new Set([
  'UTC',
  'Etc/UTC',
  'GMT',
  'Etc/GMT',
  'Etc/UCT',
  'UCT',
  'Etc/Universal',
  'Universal',
  'Etc/Zulu',
  'Zulu',
]);

const UTC_SEGMENT: ZoneSegment = { from: -Infinity, to: Infinity, offset: 0, before: 0 };

/** No segment contains anything: the state before the first question. */
const NOWHERE: ZoneSegment = { from: 1, to: 0, offset: 0, before: 0 };

const zones = new Map<string, Zone>();
let system: Zone | undefined;

/**
 * A time zone as a table of offsets, filled year by year from `Intl` as it is asked, and shared by everything
 * that uses the zone. Answers from a filled table allocate nothing.
 */
export class Zone {
  /** The IANA name as it was given. */
  readonly name: string;
  #probe: OffsetProbe | undefined;
  readonly #tables = new Map<number, readonly ZoneSegment[]>();
  /** The segment of the last answer: questions come in clusters. */
  #last: ZoneSegment;

  private constructor(name: string) {
    this.name = name;
    this.#last = UTC_NAMES.has(name) ? UTC_SEGMENT : NOWHERE;
    if (this.#last === NOWHERE) this.#probe = intlProbe(name);
  }

  /**
   * The zone of an IANA name, always the same object for the same name.
   *
   * @throws UnknownTimeZoneError when it is not a name this runtime knows. Offsets such as `+01:00` are refused:
   *   they say nothing about daylight saving.
   */
  static of(name: unknown): Zone {
    if (typeof name !== 'string' || !/^[A-Za-z]/.test(name)) throw new UnknownTimeZoneError(name);
    let zone = zones.get(name);
    if (zone === undefined) {
      zone = new Zone(name);
      zones.set(name, zone);
    }
    return zone;
  }

  /** The zone this process runs in, as it was when first asked. */
  static system(): Zone {
    return (system ??= Zone.of(systemTimezone()));
  }

  /** The segment that contains an instant (epoch seconds, whole or not). */
  segment(seconds: number): ZoneSegment {
    const last = this.#last;
    return seconds >= last.from && seconds < last.to ? last : (this.#last = this.#find(seconds));
  }

  /** Milliseconds east of UTC at an instant. */
  offsetAt(at: EpochMs): number {
    return this.segment(at / 1000).offset * 1000;
  }

  /** What the zone's clocks show at an instant, as the milliseconds at which UTC clocks would show the same. */
  toLocal(at: EpochMs): number {
    return at + this.offsetAt(at);
  }

  /**
   * The instant at which clocks show a local time (as ms, see {@link toLocal}).
   *
   * @param gap - what to answer when daylight saving skips that time: `'shift'` moves on by the length of the gap
   *   (Temporal's `compatible`), `'none'` answers `null`.
   * @returns in an overlap, the earlier of the two instants.
   */
  fromLocal(local: number, gap: 'shift'): EpochMs;
  fromLocal(local: number, gap: 'none'): EpochMs | null;
  fromLocal(local: number, gap: 'shift' | 'none'): EpochMs | null {
    // A day before is surely on the near side of any transition that could matter, a day after on the far side.
    const early = local - this.offsetAt(local - DAY_SECONDS * 1000);
    if (this.toLocal(early) === local) return early;
    const late = local - this.offsetAt(local + DAY_SECONDS * 1000);
    if (this.toLocal(late) === local) return late;
    return gap === 'shift' ? early : null;
  }

  /** Like {@link Zone.fromLocal}, but of a time that comes twice the later instant. */
  lastFromLocal(local: number): EpochMs {
    const late = local - this.offsetAt(local + DAY_SECONDS * 1000);
    return this.toLocal(late) === local ? late : this.fromLocal(local, 'shift');
  }

  #find(seconds: number): ZoneSegment {
    const table = this.#tableOf(seconds);
    for (let i = table.length - 1; i > 0; i -= 1) {
      const segment = table[i];
      if (segment !== undefined && segment.from <= seconds) return segment;
    }
    return table[0] ?? UTC_SEGMENT;
  }

  #tableOf(seconds: number): readonly ZoneSegment[] {
    const year = yearOfMonth(monthOfDay(Math.floor(seconds / DAY_SECONDS)));
    let table = this.#tables.get(year);
    if (table === undefined) {
      table = this.#buildTable(year);
      if (this.#tables.size >= MAX_TABLES) this.#tables.clear();
      this.#tables.set(year, table);
    }
    return table;
  }

  #buildTable(year: number): readonly ZoneSegment[] {
    const probe = this.#probe;
    if (probe === undefined) return [UTC_SEGMENT];
    if (year < FIRST_YEAR) {
      const first = yearStart(FIRST_YEAR);
      const offset = probe(first);
      return [{ from: -Infinity, to: first + MARGIN, offset, before: offset }];
    }
    if (year >= FIRST_RULED_YEAR + 28) return this.#repeatTable(year);
    const from = yearStart(year) - MARGIN;
    const to = yearStart(year + 1) + MARGIN;
    return segmentsOf(findTransitions(probe, from, to), from, to, probe(from));
  }

  /** Under a yearly rule, years that start on the same weekday and are equally long have the same transitions. */
  #repeatTable(year: number): readonly ZoneSegment[] {
    const start = yearStart(year);
    let model = FIRST_RULED_YEAR;
    while (!sameCalendar(model, year)) model += 1;
    const shift = start - yearStart(model);
    return this.#tableOf(yearStart(model)).map(({ from, to, offset, before }) => ({
      from: from + shift,
      to: to + shift,
      offset,
      before,
    }));
  }
}

function segmentsOf(
  transitions: readonly { at: number; before: number; offset: number }[],
  from: number,
  to: number,
  offset: number,
): ZoneSegment[] {
  const segments: ZoneSegment[] = [];
  let start = from;
  let current = offset;
  let before = offset;
  for (const transition of transitions) {
    segments.push({ from: start, to: transition.at, offset: current, before });
    start = transition.at;
    current = transition.offset;
    before = transition.before;
  }
  segments.push({ from: start, to, offset: current, before });
  return segments;
}

function yearStart(year: number): number {
  return daysFromCivil(year, 1, 1) * DAY_SECONDS;
}

function sameCalendar(a: number, b: number): boolean {
  return (
    isLeapYear(a) === isLeapYear(b) && weekdayOfDay(daysFromCivil(a, 1, 1)) === weekdayOfDay(daysFromCivil(b, 1, 1))
  );
}

/** The zone this process runs in. */
export function systemTimezone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/**
 * An optional time zone option.
 *
 * @throws InvalidOptionError when it is not a string, UnknownTimeZoneError when it is no zone.
 */
export function toZone(input: unknown, option: string): Zone | undefined {
  if (input === undefined) return undefined;
  if (typeof input !== 'string')
    throw new InvalidOptionError(option, input, "an IANA time zone name such as 'Europe/Berlin'");
  return Zone.of(input);
}

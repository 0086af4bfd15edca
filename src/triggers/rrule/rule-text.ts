import { InvalidTriggerError } from '../../errors/errors.js';
import { checkParts } from './check-parts.js';
import { Zone } from '../../time/zone.js';

/** A rule in which every time is local, and the zone it was local to, if the text said so. */
export interface LocalRule {
  /** The lines, with times as `20260301T090000Z`, where Z stands for the wall clock. */
  readonly lines: readonly string[];
  readonly zone: Zone | undefined;
}

/** Longest text read. */
const MAX_LENGTH = 10_000;

const PROPERTIES: ReadonlySet<string> = new Set(['DTSTART', 'RRULE', 'RDATE', 'EXRULE', 'EXDATE']);

/**
 * Takes zones out of the lines of a rule, so that the recurrence can be worked out on the wall clock alone, as RFC 5545
 * (3.3.10) has it: `DTSTART;TZID=…` names the zone; times with a `Z` or another zone are moved to it.
 *
 * @throws InvalidTriggerError when a part is not what it may be, or a line is not one of DTSTART, RRULE, RDATE, EXRULE, EXDATE.
 */
export function toLocalRule(text: unknown, option: Zone | undefined): LocalRule {
  if (typeof text !== 'string' || text.length === 0 || text.length > MAX_LENGTH) {
    throw new InvalidTriggerError('A recurrence rule is a text such as "FREQ=MONTHLY;BYDAY=-1FR".', text);
  }
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => (/^FREQ=/i.test(line) ? `RRULE:${line}` : line));
  if (!lines.some((line) => /^R(RULE|DATE)/i.test(line))) {
    throw new InvalidTriggerError('A recurrence rule needs an RRULE or an RDATE.', text);
  }
  for (const line of lines) {
    const rule = /^(?:RRULE|EXRULE):(.*)$/i.exec(line)?.[1];
    if (rule !== undefined) checkParts(rule);
  }
  const start = lines.filter((line) => /^DTSTART/i.test(line));
  const zone = [...start, ...lines].map(zoneOf).find((found) => found !== undefined) ?? option;
  return { lines: lines.map((line) => toLocalLine(line, zone)), zone };
}

function zoneOf(line: string): Zone | undefined {
  const start = line.search(/;TZID=/i);
  const colon = line.indexOf(':', start);
  if (start >= 0 && colon > start) return Zone.of(line.slice(start + ';TZID='.length, colon));
  // A start in UTC means a rule in UTC.
  return /^DTSTART/i.test(line) && line.endsWith('Z') ? Zone.of('UTC') : undefined;
}

function toLocalLine(line: string, zone: Zone | undefined): string {
  const colon = line.lastIndexOf(':');
  const [name = ''] = line.slice(0, colon).split(';');
  if (colon < 0 || !PROPERTIES.has(name.toUpperCase())) {
    throw new InvalidTriggerError(
      'A line of a recurrence rule starts with DTSTART, RRULE, RDATE, EXRULE or EXDATE.',
      line,
    );
  }
  const own = zoneOf(line) ?? zone;
  const value = line
    .slice(colon + 1)
    .replace(/\b(\d{8})(T\d{6})?(Z?)(?=$|[,;])/g, (_, date: string, time = 'T000000', z: string) => {
      return toLocalTime(`${date}${String(time)}`, z === 'Z' ? Zone.of('UTC') : own, zone);
    });
  return `${name.toUpperCase()}:${value}`;
}

/** `20260301T090000`, moved from one zone to another. */
function toLocalTime(text: string, from: Zone | undefined, to: Zone | undefined): string {
  const part = (start: number, end: number): number => Number(text.slice(start, end));
  const wall = Date.UTC(part(0, 4), part(4, 6) - 1, part(6, 8), part(9, 11), part(11, 13), part(13, 15));
  const stays = from === to || from === undefined || to === undefined;
  return localTimeText(stays ? wall : to.toLocal(from.fromLocal(wall, 'shift')));
}

/** A local time (ms) as `20260301T090000Z`. */
export function localTimeText(local: number): string {
  const whole = Math.floor(local / 1000) * 1000;
  return `${new Date(whole).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

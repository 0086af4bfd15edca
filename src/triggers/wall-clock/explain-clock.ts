import type { EpochMs } from '../../ports/trigger.js';
import { MAX_INSTANT } from '../../time/civil.js';
import { timeOfDayText } from '../../time/time-of-day.js';
import type { Zone, ZoneSegment } from '../../time/zone.js';
import { instantText } from '../words.js';
import type { DstRule } from './engine.js';

/** What a zone's clock shows at an instant, and what daylight saving has to do with it. */
export interface ClockExplanation {
  readonly local: string;
  readonly daylightSaving: string | undefined;
}

/** @param clockMatches - whether the time the clock shows is one of the trigger's. */
export function explainClock(dst: DstRule, zone: Zone, at: EpochMs, clockMatches: boolean, fires: boolean): ClockExplanation {
  const daylightSaving = explainChange(dst, zone.segment(at / 1000), at, clockMatches, fires);
  return { local: localText(zone.toLocal(at), at), daylightSaving };
}

/** What the change of the clock that began this stretch of constant offset does to this instant. */
function explainChange(
  dst: DstRule,
  { from, offset, before }: ZoneSegment,
  at: EpochMs,
  clockMatches: boolean,
  fires: boolean,
): string | undefined {
  const second = at / 1000;
  if (offset > before && second < from + offset - before) {
    const gap = `${clock(from + before)} to ${clock(from + offset)} was skipped at ${instantText(from * 1000)}`;
    if (fires && !clockMatches) return `The time ${gap}, and the rule '${dst}' makes up for it here.`;
    if (second === from) return `The time ${gap}.`;
  }
  if (offset < before && second < from + before - offset) {
    const overlap = `The time ${clock(from + offset)} to ${clock(from + before)} comes twice; this is the second pass`;
    return clockMatches && !fires ? `${overlap}, and the rule '${dst}' fires in the first only.` : `${overlap}.`;
  }
  return undefined;
}

function clock(localSecond: number): string {
  return timeOfDayText(((localSecond % 86_400) + 86_400) % 86_400);
}

function localText(local: number, at: EpochMs): string {
  if (Math.abs(local) > MAX_INSTANT) return instantText(at);
  const offset = Math.round((local - at) / 1000);
  const sign = offset < 0 ? '-' : '+';
  const text = new Date(local).toISOString().replace(/(\.000)?Z$/, '');
  return `${text}${sign}${timeOfDayText(Math.abs(offset))}`;
}

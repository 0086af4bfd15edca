import type { Trigger } from '../ports/trigger.js';
import { DAY_SECONDS } from '../time/civil.js';
import { toTimesOfDay } from '../time/time-of-day.js';
import { Zone } from '../time/zone.js';
import { compileExpression, compileFields } from './cron/compile.js';
import { CronTrigger } from './cron/cron-trigger.js';
import { DailyTrigger } from './daily.js';
import { MonthlyTrigger } from './monthly.js';
import { isExactly } from './search.js';
import { allDays, daysOfMonth, daysOfWeek, toWeekdays } from './wall-clock/days.js';
import { planOf, type DstPlan, type LocalMatcher } from './wall-clock/engine.js';
import { TimesMatcher } from './wall-clock/times-matcher.js';
import { WeeklyTrigger } from './weekly.js';

/** A wall-clock trigger whose times of day are the same on each of its days. */
export type OrdinaryClock = CronTrigger | DailyTrigger | WeeklyTrigger | MonthlyTrigger;

/** What such a trigger is made of, for searches that look at several at once. */
export interface WallClock {
  readonly zone: Zone;
  readonly plan: DstPlan;
  readonly matcher: LocalMatcher;
  /** Seconds of the local day, in order. On a day of its own the trigger has all of them, on any other none. */
  readonly times: readonly number[];
  /** Whether it is bound to years. */
  readonly years: boolean;
}

/** Only our own classes: of any other trigger nothing is known but its answers. */
export function ordinaryClock(trigger: Trigger): trigger is OrdinaryClock {
  return (
    isExactly(trigger, CronTrigger) ||
    isExactly(trigger, DailyTrigger) ||
    isExactly(trigger, WeeklyTrigger) ||
    isExactly(trigger, MonthlyTrigger)
  );
}

/** Takes a wall-clock trigger apart; undefined for any other, and for one that is not complete or never fires. */
export function wallClockOf(trigger: Trigger): WallClock | undefined {
  if (!ordinaryClock(trigger)) return undefined;
  const matcher = matcherOf(trigger);
  const times = matcher === undefined ? [] : timesOf(matcher);
  if (matcher === undefined || times.length === 0) return undefined;
  const fixedTime = !('fixedTime' in matcher) || matcher.fixedTime === true;
  const zone = trigger.timezone === undefined ? Zone.system() : Zone.of(trigger.timezone);
  return { zone, plan: planOf(trigger.dst, fixedTime), matcher, times, years: hasYears(trigger) };
}

/** Whether it is a cron trigger bound to years; with no field given at all, APScheduler's rule binds it to the first. */
export function hasYears(trigger: Trigger): boolean {
  if (!(trigger instanceof CronTrigger) || trigger.fields === undefined) return false;
  return trigger.fields.year !== undefined || Object.keys(trigger.fields).length === 0;
}

function matcherOf(trigger: OrdinaryClock): LocalMatcher | undefined {
  if (trigger instanceof CronTrigger) {
    // From the cache: the trigger itself has compiled the same text.
    const { expression, fields = {}, seed } = trigger;
    return (expression === undefined ? compileFields(fields, seed) : compileExpression(expression, seed)).matcher;
  }
  const times = toTimesOfDay(trigger.times, 'times');
  if (trigger instanceof DailyTrigger) return new TimesMatcher(allDays(), times);
  if (trigger instanceof WeeklyTrigger) return new TimesMatcher(daysOfWeek(toWeekdays(trigger.days, 'days')), times);
  return new TimesMatcher(daysOfMonth(trigger.days), times);
}

/** The times of the first day there is. */
function timesOf(matcher: LocalMatcher): number[] {
  const first = matcher.next(0);
  const times: number[] = [];
  if (first === Infinity) return times;
  const day = Math.floor(first / DAY_SECONDS) * DAY_SECONDS;
  for (let at = first; at < day + DAY_SECONDS; at = matcher.next(at + 1)) times.push(at - day);
  return times;
}

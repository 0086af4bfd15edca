import type { Trigger, TriggerJson } from '../ports/trigger.js';
import { AfterTrigger } from './after.js';
import { CalendarIntervalTrigger } from './calendar-interval.js';
import { AndTrigger, OrTrigger } from './combining.js';
import { CronTrigger } from './cron/cron-trigger.js';
import { DailyTrigger } from './daily.js';
import { DateTrigger } from './date.js';
import { EachNodeTrigger } from './each-node.js';
import { ExceptTrigger } from './except.js';
import { IntervalTrigger } from './interval.js';
import { MonthlyTrigger } from './monthly.js';
import { StartupTrigger } from './startup.js';
import { WeeklyTrigger } from './weekly.js';
import { WindowIntervalTrigger } from './window-interval.js';
import type { ReadTrigger, TriggerRegistry } from './registry.js';

/** How each of punctual's own triggers is read back from its stored form. */
export const BUILT_IN: ReadonlyMap<string, ReadTrigger> = new Map<string, ReadTrigger>([
  ['cron', (json: TriggerJson): Trigger => CronTrigger.read(json)],
  ['interval', (json: TriggerJson): Trigger => IntervalTrigger.read(json)],
  ['windowInterval', (json: TriggerJson): Trigger => WindowIntervalTrigger.read(json)],
  ['calendarInterval', (json: TriggerJson): Trigger => CalendarIntervalTrigger.read(json)],
  ['daily', (json: TriggerJson): Trigger => DailyTrigger.read(json)],
  ['weekly', (json: TriggerJson): Trigger => WeeklyTrigger.read(json)],
  ['monthly', (json: TriggerJson): Trigger => MonthlyTrigger.read(json)],
  ['after', (json: TriggerJson): Trigger => AfterTrigger.read(json)],
  ['date', (json: TriggerJson): Trigger => DateTrigger.read(json)],
  [
    'startup',
    (json: TriggerJson, registry: TriggerRegistry): Trigger =>
      json['onEachNode'] === undefined ? StartupTrigger.read(json) : EachNodeTrigger.read(json, registry),
  ],
  ['or', (json: TriggerJson, registry: TriggerRegistry): Trigger => OrTrigger.read(json, registry)],
  ['and', (json: TriggerJson, registry: TriggerRegistry): Trigger => AndTrigger.read(json, registry)],
  ['except', (json: TriggerJson, registry: TriggerRegistry): Trigger => ExceptTrigger.read(json, registry)],
]);

import { CalendarIntervalTrigger } from './calendar-interval.js';
import { AndTrigger, ExceptTrigger, OrTrigger } from './combining.js';
import { CronTrigger } from './cron/cron-trigger.js';
import { DateTrigger } from './date.js';
import { IntervalTrigger } from './interval.js';
import type { Trigger, TriggerJson, TriggerReader } from '../ports/trigger.js';
import type { ReadTrigger } from './registry.js';

/** How each of punctual's own triggers is read back from its stored form. */
export const BUILT_IN: ReadonlyMap<string, ReadTrigger> = new Map<string, ReadTrigger>([
  ['cron', (json: TriggerJson): Trigger => CronTrigger.read(json)],
  ['interval', (json: TriggerJson): Trigger => IntervalTrigger.read(json)],
  ['calendarInterval', (json: TriggerJson): Trigger => CalendarIntervalTrigger.read(json)],
  ['date', (json: TriggerJson): Trigger => DateTrigger.read(json)],
  ['or', (json: TriggerJson, reader: TriggerReader): Trigger => OrTrigger.read(json, reader)],
  ['and', (json: TriggerJson, reader: TriggerReader): Trigger => AndTrigger.read(json, reader)],
  ['except', (json: TriggerJson, reader: TriggerReader): Trigger => ExceptTrigger.read(json, reader)],
]);

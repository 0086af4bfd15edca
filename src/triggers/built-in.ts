import { CalendarIntervalTrigger } from './calendar-interval.js';
import { AndTrigger, ExceptTrigger, OrTrigger } from './combining.js';
import { CronTrigger } from './cron/cron-trigger.js';
import { DateTrigger } from './date.js';
import { IntervalTrigger } from './interval.js';
import type { ReadTrigger } from './registry.js';

/** How each of punctual's own triggers is read back from its stored form. */
export const BUILT_IN: readonly (readonly [kind: string, read: ReadTrigger])[] = [
  ['cron', (json) => CronTrigger.read(json)],
  ['interval', (json) => IntervalTrigger.read(json)],
  ['calendarInterval', (json) => CalendarIntervalTrigger.read(json)],
  ['date', (json) => DateTrigger.read(json)],
  ['or', (json, reader) => OrTrigger.read(json, reader)],
  ['and', (json, reader) => AndTrigger.read(json, reader)],
  ['except', (json, reader) => ExceptTrigger.read(json, reader)],
];

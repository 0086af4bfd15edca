/** The fields of a cron expression, and those that only the object form has. */
export type CronFieldName = 'second' | 'minute' | 'hour' | 'day' | 'month' | 'dayOfWeek' | 'week' | 'year';

/** What a field may hold. */
export interface FieldInfo {
  readonly name: CronFieldName;
  /** How the field is called in messages. */
  readonly label: string;
  readonly min: number;
  /** Largest value that may be written. */
  readonly max: number;
  /** How many different values there are. Fewer than `max - min + 1` for weekdays, where 7 is 0 again. */
  readonly size: number;
  /** Lower-case three-letter names and their values. */
  readonly names: ReadonlyMap<string, number>;
}

const NO_NAMES: ReadonlyMap<string, number> = new Map();

/** `jan` to `dec`. */
export const MONTH_NAMES: ReadonlyMap<string, number> = new Map(
  ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'].map((name, i) => [name, i + 1]),
);

/** `sun` to `sat`; 0 is Sunday, as in crontab(5). */
export const WEEKDAY_NAMES: ReadonlyMap<string, number> = new Map(
  ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'].map((name, i) => [name, i]),
);

/** The first and last year of a `year` field (APScheduler's). */
export const MIN_YEAR = 1970;
export const MAX_YEAR = 9999;

function field(
  name: CronFieldName,
  label: string,
  min: number,
  max: number,
  names = NO_NAMES,
  size = max - min + 1,
): FieldInfo {
  return { name, label, min, max, size, names };
}

/** All fields by name. */
export const FIELDS: Readonly<Record<CronFieldName, FieldInfo>> = {
  second: field('second', 'second', 0, 59),
  minute: field('minute', 'minute', 0, 59),
  hour: field('hour', 'hour', 0, 23),
  day: field('day', 'day of month', 1, 31),
  month: field('month', 'month', 1, 12, MONTH_NAMES),
  dayOfWeek: field('dayOfWeek', 'day of week', 0, 7, WEEKDAY_NAMES, 7),
  week: field('week', 'ISO week', 1, 53),
  year: field('year', 'year', MIN_YEAR, MAX_YEAR),
};

/** The fields of a string expression in their order, seconds first. */
export const STRING_FIELDS: readonly FieldInfo[] = [
  FIELDS.second,
  FIELDS.minute,
  FIELDS.hour,
  FIELDS.day,
  FIELDS.month,
  FIELDS.dayOfWeek,
];

/** What a field accepts, in words, for messages. */
export function allowedIn(info: FieldInfo): string {
  if (info.name === 'dayOfWeek') return '0-7 (0 and 7 are Sunday) or sun-sat';
  if (info.name === 'month') return '1-12 or jan-dec';
  return `${info.min}-${info.max}`;
}

/**
 * The proleptic Gregorian calendar in integers. A day is counted from 1970-01-01 (day 0), a month from
 * January of year 0 (`year * 12 + month - 1`), so that neither needs an object to be passed around.
 *
 * Algorithms: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days from civil, civil from days).
 */

/** Seconds in a day without a daylight-saving change. */
export const DAY_SECONDS = 86_400;

/** Milliseconds in a day without a daylight-saving change. */
export const DAY_MS = 86_400_000;

/** The largest instant a `Date` can hold, in ms either side of the epoch (ECMA-262, 21.4.1.1). */
export const MAX_INSTANT = 8.64e15;

/**
 * Day number of a date. `day` may lie outside the month and then counts on from its first day.
 *
 * @param year - astronomical (0 is 1 BC).
 * @param month - 1 to 12.
 */
export function daysFromCivil(year: number, month: number, day: number): number {
  // Years start in March, so that the leap day is the last of the year.
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** The month (counted from January of year 0) in which a day lies. */
export function monthOfDay(day: number): number {
  const z = day + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra =
    ((dayOfEra - ((dayOfEra / 1460) | 0) + ((dayOfEra / 36_524) | 0) - ((dayOfEra / 146_096) | 0)) / 365) | 0;
  const dayOfYear = dayOfEra - (365 * yearOfEra + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0));
  // 0 is March, 10 and 11 are January and February of the following year.
  const month = ((5 * dayOfYear + 2) / 153) | 0;
  return (yearOfEra + era * 400) * 12 + month + 2;
}

/** The first day of a month. */
export function monthStart(month: number): number {
  const year = Math.floor(month / 12);
  return daysFromCivil(year, month - year * 12 + 1, 1);
}

/** 28 to 31. */
export function monthLength(month: number): number {
  const year = Math.floor(month / 12);
  const index = month - year * 12;
  if (index !== 1) return index === 3 || index === 5 || index === 8 || index === 10 ? 30 : 31;
  return isLeapYear(year) ? 29 : 28;
}

export function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** Year of a month counted from January of year 0. */
export function yearOfMonth(month: number): number {
  return Math.floor(month / 12);
}

/** 0 is Sunday, 6 Saturday. Day 0, 1970-01-01, was a Thursday. */
export function weekdayOfDay(day: number): number {
  return (((day + 4) % 7) + 7) % 7;
}

/**
 * ISO 8601 week number, 1 to 53: weeks start on Monday, and week 1 is the one that holds 4 January.
 */
export function isoWeekOfDay(day: number): number {
  const mondayBased = (weekdayOfDay(day) + 6) % 7;
  // The Thursday of a week decides which year the week belongs to.
  const thursday = day - mondayBased + 3;
  const year = yearOfMonth(monthOfDay(thursday));
  return Math.floor((thursday - daysFromCivil(year, 1, 1)) / 7) + 1;
}

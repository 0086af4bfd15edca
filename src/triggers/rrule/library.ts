/** What is needed of a rule of the package `rrule`. */
export interface RecurrenceRule {
  readonly options: {
    readonly freq: number;
    readonly interval: number;
    readonly dtstart: Date | null;
    readonly count: number | null;
    readonly bymonth: unknown;
    readonly bymonthday: unknown;
    readonly byweekday: unknown;
    readonly byhour: readonly number[] | null;
    readonly byminute: readonly number[] | null;
    readonly bysecond: readonly number[] | null;
  };
  readonly origOptions: object;
  /** The rules of a set. */
  readonly _rrule?: RecurrenceRule[];
  readonly _exrule?: RecurrenceRule[];
  after(date: Date, inclusive?: boolean): Date | null;
  before(date: Date, inclusive?: boolean): Date | null;
  toText(): string;
}

/**
 * What is needed of the package `rrule`, version 2. It is yours to install and to hand over, so that nobody else has to
 * have it: `import rrule from 'rrule'`.
 */
export interface RRuleLibrary {
  rrulestr(text: string, options?: { cache?: boolean }): RecurrenceRule;
  readonly RRule: new (options: object, noCache?: boolean) => RecurrenceRule;
}

/** RFC 5545's frequencies as `rrule` numbers them. */
export const YEARLY = 0;
export const WEEKLY = 2;
export const DAILY = 3;
export const HOURLY = 4;
export const MINUTELY = 5;
export const SECONDLY = 6;

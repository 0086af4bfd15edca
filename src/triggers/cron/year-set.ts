import type { CronItem } from './scan.js';

type Range = Extract<CronItem, { type: 'range' }>;

/** The years a `year` field names. */
export class YearSet {
  readonly #ranges: readonly Range[];

  constructor(items: readonly CronItem[]) {
    this.#ranges = items.filter((item) => item.type === 'range');
  }

  has(year: number): boolean {
    return this.#ranges.some(({ from, to, step }) => year >= from && year <= to && (year - from) % step === 0);
  }

  /** The first of them at or after `year`, or NaN. */
  from(year: number): number {
    let first = Number.NaN;
    for (const { from, to, step } of this.#ranges) {
      const candidate = year <= from ? from : from + Math.ceil((year - from) / step) * step;
      if (candidate <= to && !(candidate >= first)) first = candidate;
    }
    return first;
  }

  /** The last of them at or before `year`, or NaN. */
  upTo(year: number): number {
    let last = Number.NaN;
    for (const { from, to, step } of this.#ranges) {
      if (year < from) continue;
      const candidate = from + Math.floor((Math.min(year, to) - from) / step) * step;
      if (!(candidate <= last)) last = candidate;
    }
    return last;
  }
}

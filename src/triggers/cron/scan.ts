import { allowedIn, WEEKDAY_NAMES, type FieldInfo } from './fields.js';
import { InvalidCronError, quote } from './invalid-cron-error.js';

/**
 * One item of a field's list, as it was written.
 *
 * - `range`: `5`, `1-5`, `1-10/3`, `*`, `*\/15`, `5/15`; `from > to` wraps around
 * - `last`: `L`, `L-3` (day of month, counted back from the last)
 * - `nearest`: `15W`; `lastWorkday`: `LW`
 * - `nth`: `5#2`, `2nd fri`; `lastOf`: `5L`, `last fri`
 * - `hash`: `H`, `H(0-29)`, `H/15`, `H(0-29)/10`
 */
export type CronItem =
  | { readonly type: 'range'; readonly from: number; readonly to: number; readonly step: number }
  | { readonly type: 'last'; readonly offset: number }
  | { readonly type: 'nearest'; readonly day: number }
  | { readonly type: 'lastWorkday' }
  | { readonly type: 'nth'; readonly weekday: number; readonly n: number }
  | { readonly type: 'lastOf'; readonly weekday: number }
  | { readonly type: 'hash'; readonly from: number; readonly to: number; readonly step: number };

/** A field's items, and what matters about how it was written. */
export interface ScannedField {
  readonly items: readonly CronItem[];
  /** Just `*` or `?`: the field leaves everything open, which decides how the two day fields combine. */
  readonly open: boolean;
  /** Has a `*`, `?` or `/`: not a fixed time, which decides what daylight saving does to it. */
  readonly recurring: boolean;
}

/** Which spellings a field takes besides numbers, names, ranges, steps and lists. */
export interface ScanOptions {
  /** Where the field stands in `text`. */
  readonly start: number;
  readonly end: number;
  /**
   * The object form: blanks between items, APScheduler's words in the `day` field (`2nd fri`, `last`, `last sun`), and
   * its limit on steps.
   */
  readonly words?: boolean | undefined;
}

const STAR = 42;
const COMMA = 44;
const DASH = 45;
const SLASH = 47;
const HASH = 35;
const QUESTION = 63;
const OPEN = 40;
const CLOSE = 41;
const SPACE = 32;

const ORDINALS: ReadonlyMap<string, number> = new Map([
  ['1st', 1],
  ['2nd', 2],
  ['3rd', 3],
  ['4th', 4],
  ['5th', 5],
]);

/**
 * Reads one field by hand, character by character: no regular expression that could backtrack, a position for every
 * fault, and none of the input left unread.
 *
 * @throws InvalidCronError at the first fault.
 */
export function scanField(text: string, info: FieldInfo, options: ScanOptions): ScannedField {
  return new Scanner(text, info, options).field();
}

class Scanner {
  readonly #text: string;
  readonly #info: FieldInfo;
  readonly #start: number;
  readonly #end: number;
  readonly #words: boolean;
  #at: number;
  #recurring = false;

  constructor(text: string, info: FieldInfo, { start, end, words = false }: ScanOptions) {
    this.#text = text;
    this.#info = info;
    this.#start = start;
    this.#end = end;
    this.#words = words;
    this.#at = start;
  }

  field(): ScannedField {
    const items: CronItem[] = [];
    for (;;) {
      this.#skipBlanks();
      const from = this.#at;
      if (from >= this.#end || this.#peek() === COMMA) {
        this.#fail(
          from,
          Math.max(from, Math.min(from + 1, this.#end)),
          `a value of the ${this.#info.label} field is missing here`,
          `a value (${allowedIn(this.#info)})`,
        );
      }
      items.push(this.#words && this.#info.name === 'day' ? this.#wordItem() : this.#item());
      this.#skipBlanks();
      if (this.#at >= this.#end) break;
      if (this.#peek() !== COMMA) {
        const rest = this.#restOfItem(from);
        this.#fail(
          from,
          rest,
          `${quote(this.#text.slice(from, rest))} is not a value of the ${this.#info.label} field`,
          this.#forms(),
        );
      }
      this.#at += 1;
    }
    const open =
      this.#end - this.#start === 1 &&
      (this.#text.charCodeAt(this.#start) === STAR || this.#text.charCodeAt(this.#start) === QUESTION);
    return { items, open, recurring: this.#recurring };
  }

  #item(): CronItem {
    const from = this.#at;
    const code = this.#peek();
    if (code === STAR || code === QUESTION) {
      this.#at += 1;
      this.#recurring = true;
      return this.#withStep(from, this.#info.min, this.#info.min + this.#info.size - 1, true);
    }
    if (isLetter(code)) {
      const word = this.#word();
      if (word === 'l') return this.#last(from);
      if (word === 'lw' && this.#info.name === 'day') return { type: 'lastWorkday' };
      if (word === 'h') return this.#hash(from);
      const weekday = word.length === 4 && word.endsWith('l') ? this.#info.names.get(word.slice(0, 3)) : undefined;
      if (weekday !== undefined && this.#info.name === 'dayOfWeek') return { type: 'lastOf', weekday };
      this.#at = from;
    }
    const value = this.#value();
    const next = this.#peek();
    if (this.#info.name === 'day' && (next === 87 || next === 119) && !isLetter(this.#peek(1))) {
      this.#at += 1;
      return { type: 'nearest', day: value };
    }
    if (this.#info.name === 'dayOfWeek') {
      if ((next === 76 || next === 108) && !isLetter(this.#peek(1))) {
        this.#at += 1;
        return { type: 'lastOf', weekday: value % 7 };
      }
      if (next === HASH) return this.#nth(value);
    }
    if (next === DASH) {
      this.#at += 1;
      if (!isLetter(this.#peek()) && !isDigit(this.#peek())) {
        this.#fail(
          from,
          this.#restOfItem(from),
          `${quote(this.#text.slice(from, this.#restOfItem(from)))} is not a range`,
          `a range such as ${this.#info.min}-${this.#info.max}`,
        );
      }
      const last = this.#value();
      if (last < value && this.#info.name === 'year') {
        this.#fail(from, this.#at, 'a range of years cannot go backwards', 'the earlier year first');
      }
      return this.#withStep(from, value, last, false);
    }
    // `5/15` starts at 5 and goes on to the end of the field, which for weekdays may be 7.
    if (next === SLASH) return this.#withStep(from, value, Math.max(value, this.#info.min + this.#info.size - 1), false);
    return { type: 'range', from: value, to: value, step: 1 };
  }

  /** An item of the `day` field in APScheduler's words, or any other item. */
  #wordItem(): CronItem {
    const from = this.#at;
    let end = from;
    while (end < this.#end && isWordCharacter(this.#text.charCodeAt(end))) end += 1;
    const word = this.#text.slice(from, end).toLowerCase();
    const n = ORDINALS.get(word);
    if (n === undefined && word !== 'last') return this.#item();
    this.#at = end;
    this.#skipBlanks();
    if (n === undefined && !isLetter(this.#peek())) return { type: 'last', offset: 0 };
    const dayStart = this.#at;
    const name = isLetter(this.#peek()) ? this.#word() : '';
    const weekday = WEEKDAY_NAMES.get(name);
    if (weekday === undefined) {
      this.#fail(
        dayStart,
        Math.max(this.#at, Math.min(dayStart + 1, this.#end)),
        `expected the name of a weekday after "${word}"`,
        'sun, mon, tue, wed, thu, fri or sat',
      );
    }
    return n === undefined ? { type: 'lastOf', weekday } : { type: 'nth', weekday, n };
  }

  #last(from: number): CronItem {
    if (this.#info.name !== 'day') {
      const hint = this.#info.name === 'dayOfWeek' ? ': write 5L for the last Friday' : '';
      this.#fail(from, this.#at, `L alone has no meaning in the ${this.#info.label} field${hint}`, this.#forms());
    }
    if (this.#peek() !== DASH) return { type: 'last', offset: 0 };
    this.#at += 1;
    const at = this.#at;
    const offset = this.#digits();
    if (offset === undefined || offset < 1 || offset > 30) {
      this.#fail(
        from,
        Math.max(this.#at, at),
        `L- needs a number of days before the last, got ${quote(this.#text.slice(at, this.#at))}`,
        'L-1 to L-30',
      );
    }
    return { type: 'last', offset };
  }

  #nth(weekday: number): CronItem {
    this.#at += 1;
    const from = this.#at;
    if (isLetter(this.#peek()) && this.#word() === 'l') return { type: 'lastOf', weekday: weekday % 7 };
    this.#at = from;
    const n = this.#digits();
    if (n === undefined || n < 1 || n > 5) {
      const end = Math.max(this.#at, this.#restOfItem(from));
      this.#fail(
        from,
        end,
        `# needs which of the month's weekdays is meant, got ${quote(this.#text.slice(from, end))}`,
        '#1 to #5, or #L',
      );
    }
    return { type: 'nth', weekday: weekday % 7, n };
  }

  #hash(from: number): CronItem {
    const { min, size, name } = this.#info;
    // Not every month has a 29th: a hash must not land where it would skip months.
    let low = min;
    let high = name === 'day' ? 28 : min + size - 1;
    const widest = `H(${min}-${high})`;
    if (this.#peek() === OPEN) {
      this.#at += 1;
      low = this.#value();
      if (this.#peek() !== DASH) this.#fail(from, this.#restOfItem(from), 'H( needs a range', widest);
      this.#at += 1;
      high = this.#value();
      if (this.#peek() !== CLOSE || high < low)
        this.#fail(from, this.#restOfItem(from), 'H( needs a range from low to high', widest);
      this.#at += 1;
    }
    const step = this.#peek() === SLASH ? this.#step(high - low) : 1;
    return { type: 'hash', from: low, to: high, step };
  }

  #withStep(from: number, low: number, high: number, star: boolean): CronItem {
    if (this.#peek() !== SLASH) return { type: 'range', from: low, to: high, step: 1 };
    // A step of 24 hours would only ever be hour 0: surely a mistake. In strings, explicit ranges with such steps are in
    // real use; the object form refuses them as APScheduler does.
    const { size } = this.#info;
    const step = this.#step(star ? size - 1 : this.#words && low < high ? high - low : size);
    if (this.#peek() === SLASH)
      this.#fail(from, this.#restOfItem(from), 'an item can have only one step', this.#forms());
    return { type: 'range', from: low, to: high, step };
  }

  #step(max: number): number {
    this.#recurring = true;
    this.#at += 1;
    const from = this.#at;
    const step = this.#digits();
    if (step === undefined || step < 1 || step > max) {
      const end = step === undefined ? this.#restOfItem(from) : this.#at;
      this.#fail(
        from,
        end,
        `step ${quote(this.#text.slice(from, end))} of the ${this.#info.label} field is not usable`,
        `a step from 1 to ${max}`,
      );
    }
    return step;
  }

  /** A number or a name, checked against the field's range. */
  #value(): number {
    const from = this.#at;
    if (isLetter(this.#peek())) {
      const word = this.#word();
      const value = this.#info.names.get(word.slice(0, 3));
      // A letter may follow a weekday's name only as the L of "friL", which was taken care of before.
      if (value === undefined || word.length !== 3) {
        const end = this.#at;
        this.#fail(
          from,
          end,
          `${quote(this.#text.slice(from, end))} is not a name the ${this.#info.label} field knows`,
          this.#forms(),
        );
      }
      return value;
    }
    const value = this.#digits();
    if (value === undefined) {
      const end = this.#restOfItem(from);
      this.#fail(
        from,
        end,
        `${quote(this.#text.slice(from, end))} is not a value of the ${this.#info.label} field`,
        this.#forms(),
      );
    }
    if (value < this.#info.min || value > this.#info.max) {
      this.#fail(
        from,
        this.#at,
        `${this.#info.label} ${quote(this.#text.slice(from, this.#at)).slice(1, -1)} is out of range`,
        allowedIn(this.#info),
      );
    }
    return value;
  }

  /** ASCII digits only. Undefined when there are none. */
  #digits(): number | undefined {
    const from = this.#at;
    let value = 0;
    while (isDigit(this.#peek())) {
      // Beyond any field's range a further digit changes nothing, and cannot overflow.
      if (value < 100_000) value = value * 10 + this.#peek() - 48;
      this.#at += 1;
    }
    return this.#at === from ? undefined : value;
  }

  #word(): string {
    const from = this.#at;
    while (isLetter(this.#peek())) this.#at += 1;
    return this.#text.slice(from, this.#at).toLowerCase();
  }

  #skipBlanks(): void {
    if (!this.#words) return;
    while (this.#at < this.#end && this.#text.charCodeAt(this.#at) === SPACE) this.#at += 1;
  }

  #peek(ahead = 0): number {
    const at = this.#at + ahead;
    return at < this.#end ? this.#text.charCodeAt(at) : -1;
  }

  #restOfItem(from: number): number {
    let end = from;
    while (end < this.#end && this.#text.charCodeAt(end) !== COMMA) end += 1;
    return end;
  }

  #forms(): string {
    const words = this.#words ? ", 'last', '2nd fri', 'last sun'" : '';
    const extra = this.#info.name === 'day' ? `, L, L-3, 15W, LW${words}` : this.#info.name === 'dayOfWeek' ? ', 5L, 5#2' : '';
    return `${allowedIn(this.#info)}, with * , - /${extra}`;
  }

  #fail(from: number, to: number, what: string, allowed: string): never {
    throw new InvalidCronError(this.#text, {
      field: this.#info.name,
      value: this.#text.slice(from, to),
      allowed,
      position: from,
      reason: `${what}, expected ${allowed}.`,
    });
  }
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isLetter(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}

function isWordCharacter(code: number): boolean {
  return isDigit(code) || isLetter(code);
}

import { InvalidOptionError, InvalidTriggerError } from '../../errors/errors.js';
import type { TriggerDefaults, TriggerJson } from '../../ports/trigger.js';
import { toInstant, type InstantInput } from '../../time/instant.js';
import { toZone, Zone } from '../../time/zone.js';
import { WALL_CLOCK_OPTIONS, checkOptions } from '../bounds.js';
import { JsonFields } from '../json-fields.js';
import type { TriggerRegistry } from '../registry.js';
import { readWallClockOptions } from '../wall-clock/read-options.js';
import { WallClockTrigger, type WallClockOptions } from '../wall-clock/wall-clock-trigger.js';
import { optionsText } from '../words.js';
import type { RecurrenceRule, RRuleLibrary } from './library.js';
import { firesEver, reachesItsTimes, RuleMatcher } from './rule-matcher.js';
import { localTimeText, toLocalRule, type LocalRule } from './rule-text.js';

const OPTIONS: readonly string[] = [...WALL_CLOCK_OPTIONS, 'library', 'dtstart'];

/** Options of an {@link RRuleTrigger}. */
export interface RRuleTriggerOptions extends WallClockOptions {
  /** The package `rrule`, which works out the recurrence: `import rrule from 'rrule'`. */
  readonly library: RRuleLibrary;
  /**
   * The start of the rule, where the text has no DTSTART. What the rule leaves open (the time of day, the weekday, …)
   * is taken from it, and COUNT and INTERVAL count from it. Default: when the job is added.
   */
  readonly dtstart?: InstantInput | undefined;
}

/**
 * Fires by an iCalendar recurrence rule (RFC 5545). The rule is worked out on the wall clock of its zone, by the
 * package `rrule`; the zone and daylight saving are punctual's. `dst` defaults to `'compatible'`, RFC 5545's own rule.
 *
 * @example
 * ```ts
 * import library from 'rrule';
 * import { RRuleTrigger } from 'punctual/rrule';
 *
 * new RRuleTrigger('DTSTART;TZID=Europe/Berlin:20260101T090000\nRRULE:FREQ=MONTHLY;BYDAY=-1FR', { library });
 * new RRuleTrigger('FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;BYHOUR=9', { library, dtstart: '2026-01-05T09:00:00Z' });
 * ```
 */
export class RRuleTrigger extends WallClockTrigger {
  /** The text of the rule, as it was given. */
  readonly rule: string;
  /** The start that was given or filled in beside the text, in epoch ms. */
  readonly dtstart: number | undefined;
  readonly #library: RRuleLibrary;

  /**
   * @param rule - an RRULE, with or without its name, or several lines: DTSTART, RRULE, RDATE, EXRULE, EXDATE.
   * @throws InvalidTriggerError when it is no rule, InvalidOptionError when an option is invalid, UnknownTimeZoneError.
   */
  constructor(rule: string, options: RRuleTriggerOptions) {
    checkOptions(options, OPTIONS);
    const library = toLibrary(options.library);
    if (library === undefined) {
      throw new InvalidOptionError(
        'library',
        options.library,
        "the package rrule: import library from 'rrule'",
        'Install it: npm install rrule',
      );
    }
    const given = toZone(options.timezone, 'timezone');
    const local = toLocalRule(rule, given);
    if (given !== undefined && local.zone !== undefined && local.zone !== given) {
      throw new InvalidOptionError('timezone', options.timezone, `the zone of the rule, ${local.zone.name}, or none`);
    }
    const dtstart = options.dtstart === undefined ? undefined : toInstant(options.dtstart, 'dtstart', local.zone?.name);
    const matcher = makeMatcher(library, rule, local, dtstart);
    super(matcher, true, local.zone, { ...options, dst: options.dst ?? 'compatible' });
    this.#library = library;
    this.rule = rule;
    this.dtstart = dtstart;
  }

  get kind(): 'rrule' {
    return 'rrule';
  }

  describe(): string {
    const words = this.#inWords();
    const start = words === undefined && this.dtstart === undefined ? '' : this.#startText();
    return `${words ?? `By the rule ${this.rule.replaceAll('\n', ' ')}`}${start}${optionsText(this)}`;
  }

  /** What the rule leaves open, its time of day first of all, comes from here. */
  #startText(): string {
    const lines = withStart(toLocalRule(this.rule, toZone(this.timezone, 'timezone')), this.dtstart);
    const start = /^DTSTART:(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)/.exec(lines.find((line) => line.startsWith('DTSTART')) ?? '');
    if (start === null) return '';
    const [, year, month, day, hour, minute, second] = start;
    return `, from ${year}-${month}-${day} at ${hour}:${minute}${second === '00' ? '' : `:${second}`}`;
  }

  #inWords(): string | undefined {
    const lines = toLocalRule(this.rule, undefined).lines.filter((line) => !line.startsWith('DTSTART'));
    if (lines.length !== 1 || !wordsCover(this.rule)) return undefined;
    try {
      const words = parse(this.#library, lines).toText();
      if (/error|approximate/.test(words)) return undefined;
      return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
    } catch {
      return undefined;
    }
  }

  withDefaults(defaults: TriggerDefaults): RRuleTrigger {
    if (this.timezone !== undefined && this.ready) return this;
    const filled = {
      ...this.toJSON(),
      timezone: this.timezone ?? defaults.timezone,
      ...(this.ready ? {} : { dtstart: defaults.anchor }),
    };
    return RRuleTrigger.read(filled, this.#library);
  }

  toJSON(): TriggerJson {
    const { dst, ...rest } = { dst: this.dst, ...this.optionsJson() };
    return {
      kind: 'rrule',
      v: 1,
      rule: this.rule,
      ...(this.dtstart === undefined ? {} : { dtstart: this.dtstart }),
      ...rest,
      ...(dst === 'compatible' ? {} : { dst: this.dst }),
    };
  }

  /** @internal */
  static read(json: TriggerJson, library: RRuleLibrary): RRuleTrigger {
    const fields = new JsonFields(json);
    return new RRuleTrigger(fields.string('rule'), {
      library,
      ...readWallClockOptions(fields),
      dtstart: fields.optionalNumber('dtstart'),
    });
  }

  /** @internal */
  protected override refuseUnready(): never {
    throw new InvalidTriggerError(
      `The rule "${this.rule}" has no start: give it a DTSTART or { dtstart }, or add it to a scheduler, which starts it then.`,
      this.rule,
    );
  }
}

/**
 * Lets a registry read stored `rrule` triggers.
 *
 * @param library - the package `rrule`.
 * @returns the registry.
 *
 * @example
 * ```ts
 * const triggers = registerRRule(new TriggerRegistry(), library);
 * ```
 */
export function registerRRule(registry: TriggerRegistry, library: RRuleLibrary): TriggerRegistry {
  return registry.register('rrule', (json: TriggerJson) => RRuleTrigger.read(json, library));
}

/** The package, also as `import * as rrule` has it. */
function toLibrary(value: unknown): RRuleLibrary | undefined {
  if (isLibrary(value)) return value;
  const inner: unknown = typeof value === 'object' && value !== null && 'default' in value ? value.default : undefined;
  return isLibrary(inner) ? inner : undefined;
}

function isLibrary(value: unknown): value is RRuleLibrary {
  return typeof value === 'object' && value !== null && 'rrulestr' in value && 'RRule' in value;
}

/** Undefined when there is nothing to start the rule from. */
function makeMatcher(
  library: RRuleLibrary,
  text: string,
  local: LocalRule,
  dtstart: number | undefined,
): RuleMatcher | undefined {
  const hasStart = local.lines.some((line) => line.startsWith('DTSTART'));
  if (hasStart && dtstart !== undefined)
    throw new InvalidOptionError('dtstart', dtstart, 'nothing, as the rule has a DTSTART');
  try {
    const rule = parse(library, withStart(local, dtstart));
    if (!hasStart && dtstart === undefined) return undefined;
    const rules = [...(rule._rrule ?? [rule]), ...(rule._exrule ?? [])];
    if (!rules.every(reachesItsTimes)) throw new Error('its INTERVAL never comes to the BYHOUR, BYMINUTE or BYSECOND.');
    // rrule looks for them up to the year 9999, at each question.
    for (const list of [rule._rrule, rule._exrule]) {
      list?.splice(0, Infinity, ...list.filter((part) => firesEver(library, part)));
    }
    return new RuleMatcher(library, rule);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidTriggerError(`Invalid recurrence rule: ${reason}`, text, { cause });
  }
}

/** The lines, with the start that was given beside them. */
function withStart({ lines, zone }: LocalRule, dtstart: number | undefined): readonly string[] {
  if (dtstart === undefined) return lines;
  return [`DTSTART:${localTimeText((zone ?? Zone.system()).toLocal(dtstart))}`, ...lines];
}

/** Whether rrule's words say all that a rule says: they leave a good deal out, each frequency something else. */
function wordsCover(rule: string): boolean {
  if (/(BY(SETPOS|HOUR|MINUTE|SECOND|YEARDAY|WEEKNO|EASTER)|WKST|UNTIL=\d{8}T|DTSTART=)/i.test(rule)) return false;
  const days = /BY(?:WEEK)?DAY=([^;\s]*)/i.exec(rule)?.[1]?.split(',') ?? [];
  const numbered = days.filter((day) => /\d/.test(day)).length;
  const months = /BYMONTH(DAY)?=/i.test(rule);
  if (/FREQ=(MONTHLY|YEARLY)/i.test(rule)) {
    return numbered === 0 || (numbered === days.length && days.length < 5 && !/BYMONTHDAY=/i.test(rule));
  }
  if (/FREQ=WEEKLY/i.test(rule)) return days.length === 0 || !months;
  if (/FREQ=DAILY/i.test(rule)) return days.length === 0 || (!months && !/INTERVAL=/i.test(rule));
  return days.length === 0 && !months;
}

function parse(library: RRuleLibrary, lines: readonly string[]): RecurrenceRule {
  return library.rrulestr(lines.join('\n'), { cache: false });
}

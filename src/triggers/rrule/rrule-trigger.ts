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
import { RuleMatcher } from './rule-matcher.js';
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
    const { library } = options;
    if (!isLibrary(library)) {
      throw new InvalidOptionError(
        'library',
        library,
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
    try {
      const words = parse(
        this.#library,
        toLocalRule(this.rule, undefined).lines.filter((line) => line.startsWith('RRULE')),
      ).toText();
      return `${words.charAt(0).toUpperCase()}${words.slice(1)}${optionsText(this)}`;
    } catch {
      return `By the rule ${this.rule.replaceAll('\n', ' ')}${optionsText(this)}`;
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

function isLibrary(value: unknown): value is RRuleLibrary {
  return typeof value === 'object' && value !== null && 'rrulestr' in value && 'RRule' in value;
}

/** Undefined when there is nothing to start the rule from. */
function makeMatcher(
  library: RRuleLibrary,
  text: string,
  { lines, zone }: LocalRule,
  dtstart: number | undefined,
): RuleMatcher | undefined {
  const hasStart = lines.some((line) => line.startsWith('DTSTART'));
  if (hasStart && dtstart !== undefined)
    throw new InvalidOptionError('dtstart', dtstart, 'nothing, as the rule has a DTSTART');
  const start = dtstart === undefined ? [] : [`DTSTART:${localTimeText((zone ?? Zone.system()).toLocal(dtstart))}`];
  try {
    const rule = parse(library, [...start, ...lines]);
    return hasStart || dtstart !== undefined ? new RuleMatcher(library, rule) : undefined;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidTriggerError(`Invalid recurrence rule: ${reason}`, text, { cause });
  }
}

function parse(library: RRuleLibrary, lines: readonly string[]): RecurrenceRule {
  return library.rrulestr(lines.join('\n'), { cache: false });
}

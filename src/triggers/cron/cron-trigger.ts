import { InvalidOptionError, InvalidTriggerError } from '../../errors/errors.js';
import type { EpochMs, Trigger, TriggerDefaults, TriggerJson } from '../../ports/trigger.js';
import { MAX_INSTANT } from '../../time/civil.js';
import { toZone, Zone } from '../../time/zone.js';
import { checkOptions, refuseNaN, toBound, toJitter, type BoundOptions } from '../bounds.js';
import { JsonFields } from '../json-fields.js';
import { nextFire, planOf, previousFire, type DstPlan, type DstRule } from './engine.js';
import { compileExpression, type CompiledCron } from './expression.js';
import type { CronMatcher } from './matcher.js';
import { compileFields, toFieldTexts, type CronFields, type CronFieldTexts } from './object-form.js';

/** Options of a {@link CronTrigger}. */
export interface CronTriggerOptions extends BoundOptions {
  /** IANA zone in which the fields are read. Default: the scheduler's. */
  readonly timezone?: string | undefined;
  /** What daylight saving does. Default `'vixie'`. */
  readonly dst?: DstRule | undefined;
  /** Stable text that spreads `H` fields. Default: the job's id. */
  readonly seed?: string | undefined;
}

const DST_RULES: readonly unknown[] = ['vixie', 'match', 'compatible', 'skipFirst'];

/**
 * Fires when the clock of a time zone shows a matching time.
 *
 * As a string, an expression has five fields, or six with seconds first; names, lists, ranges (also reversed ones,
 * which wrap around), steps, `L`, `W`, `#`, `?` and nicknames such as `@daily` are understood; 0 and 7 are Sunday; a
 * day matches if day of month *or* day of week does, when both are restricted. As an object, fields have
 * APScheduler's meaning, see {@link CronFields}.
 *
 * @example
 * ```ts
 * new CronTrigger('0 9 * * 1-5', { timezone: 'Europe/Berlin' });
 * new CronTrigger({ day: 'last fri', hour: 17 });
 * ```
 */
export class CronTrigger implements Trigger {
  /** The expression as it was given, or undefined for the object form. */
  readonly expression: string | undefined;
  /** The fields, as text, or undefined for a string expression. */
  readonly fields: CronFieldTexts | undefined;
  /** What daylight saving does. */
  readonly dst: DstRule;
  readonly jitter: number | undefined;
  readonly #matcher: CronMatcher | undefined;
  readonly #zone: Zone | undefined;
  readonly #plan: DstPlan;
  readonly #start: EpochMs | undefined;
  readonly #end: EpochMs | undefined;
  readonly #seed: string | undefined;

  /**
   * @throws InvalidCronError when the expression or a field is wrong, InvalidOptionError when an option is,
   *   UnknownTimeZoneError.
   */
  constructor(cron: string | CronFields, options: CronTriggerOptions = {}) {
    checkOptions(options);
    const { dst = 'vixie', seed } = options;
    if (!DST_RULES.includes(dst))
      throw new InvalidOptionError('dst', dst, "'vixie', 'match', 'compatible' or 'skipFirst'");
    if (seed !== undefined && typeof seed !== 'string') throw new InvalidOptionError('seed', seed, 'a string');
    let compiled: CompiledCron;
    if (typeof cron === 'string') {
      this.expression = cron;
      this.fields = undefined;
      compiled = compileExpression(cron, seed);
    } else {
      this.expression = undefined;
      this.fields = toFieldTexts(cron);
      compiled = compileFields(this.fields, seed);
    }
    this.#zone = chooseZone(compiled.timezone, options.timezone);
    this.#matcher = compiled.matcher;
    this.dst = dst;
    this.#plan = planOf(dst, compiled.matcher?.fixedTime ?? false);
    this.#start = toBound(options.startTime, 'startTime', this.#zone?.name);
    this.#end = toBound(options.endTime, 'endTime', this.#zone?.name);
    this.#seed = seed;
    this.jitter = toJitter(options.jitter);
  }

  get kind(): 'cron' {
    return 'cron';
  }

  /** IANA name, or undefined while the scheduler has not filled in its own. */
  get timezone(): string | undefined {
    return this.#zone?.name;
  }

  /** @throws InvalidTriggerError when the expression has an `H` and nothing to spread it by. */
  next(after: EpochMs): EpochMs | null {
    const start = this.#start;
    const from = start !== undefined && after < start ? start - 1 : after;
    if (!(from < MAX_INSTANT)) {
      refuseNaN(after, 'after');
      return null;
    }
    const seconds = Math.floor((from < -MAX_INSTANT ? -MAX_INSTANT - 1 : from) / 1000) + 1;
    const at =
      nextFire(this.#matcher ?? this.#refuseSeedless(), this.#zone ?? Zone.system(), this.#plan, seconds) * 1000;
    return at <= (this.#end ?? MAX_INSTANT) ? at : null;
  }

  /** @throws InvalidTriggerError when the expression has an `H` and nothing to spread it by. */
  previous(before: EpochMs): EpochMs | null {
    const end = this.#end;
    const until = end !== undefined && before > end ? end + 1 : before;
    if (!(until > -MAX_INSTANT)) {
      refuseNaN(before, 'before');
      return null;
    }
    const seconds = Math.ceil((until > MAX_INSTANT ? MAX_INSTANT + 1 : until) / 1000) - 1;
    const at =
      previousFire(this.#matcher ?? this.#refuseSeedless(), this.#zone ?? Zone.system(), this.#plan, seconds) * 1000;
    return at >= (this.#start ?? -MAX_INSTANT) ? at : null;
  }

  withDefaults(defaults: TriggerDefaults): CronTrigger {
    const needsSeed = this.#matcher === undefined && defaults.seed !== undefined;
    if (this.#zone !== undefined && !needsSeed) return this;
    return CronTrigger.read({
      ...this.toJSON(),
      timezone: this.#zone?.name ?? defaults.timezone,
      ...(needsSeed ? { seed: defaults.seed } : {}),
    });
  }

  toJSON(): TriggerJson {
    return {
      kind: 'cron',
      v: 1,
      ...(this.expression === undefined ? { fields: this.fields } : { expression: this.expression }),
      ...(this.#zone === undefined ? {} : { timezone: this.#zone.name }),
      ...(this.dst === 'vixie' ? {} : { dst: this.dst }),
      ...(this.#seed === undefined ? {} : { seed: this.#seed }),
      ...(this.#start === undefined ? {} : { startTime: this.#start }),
      ...(this.#end === undefined ? {} : { endTime: this.#end }),
      ...(this.jitter === undefined ? {} : { jitter: this.jitter }),
    };
  }

  /** @internal */
  static read(json: TriggerJson): CronTrigger {
    const fields = new JsonFields(json);
    return new CronTrigger(fields.optionalString('expression') ?? fields.object('fields'), {
      timezone: fields.optionalString('timezone'),
      dst: fields.optionalString('dst') as DstRule | undefined,
      seed: fields.optionalString('seed'),
      startTime: fields.optionalNumber('startTime'),
      endTime: fields.optionalNumber('endTime'),
      jitter: fields.optionalNumber('jitter'),
    });
  }

  #refuseSeedless(): never {
    throw new InvalidTriggerError(
      `Cron expression ${JSON.stringify(this.expression ?? this.fields)} has an H, which a seed spreads: add it to a scheduler, ` +
        'where the job id is the seed, or pass { seed }.',
      this.expression ?? this.fields,
    );
  }
}

function chooseZone(prefix: string | undefined, option: unknown): Zone | undefined {
  const zone = toZone(option, 'timezone');
  if (prefix === undefined) return zone;
  const named = Zone.of(prefix);
  // A stored trigger has both, and they agree.
  if (zone !== undefined && zone !== named) {
    throw new InvalidOptionError('timezone', option, `the zone of the expression's prefix, ${prefix}, or none`);
  }
  return named;
}

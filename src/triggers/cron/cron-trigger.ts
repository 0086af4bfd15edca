import { InvalidOptionError, InvalidTriggerError } from '../../errors/errors.js';
import type { TriggerDefaults, TriggerJson } from '../../ports/trigger.js';
import { toZone, Zone } from '../../time/zone.js';
import { WALL_CLOCK_OPTIONS, checkOptions } from '../bounds.js';
import { JsonFields } from '../json-fields.js';
import { readWallClockOptions } from '../wall-clock/read-options.js';
import { WallClockTrigger, type WallClockOptions } from '../wall-clock/wall-clock-trigger.js';
import { compileExpression, compileFields } from './compile.js';
import { describeCron } from './describe.js';
import { toFieldTexts, type CronFields, type CronFieldTexts } from './object-form.js';

const OPTIONS: readonly string[] = [...WALL_CLOCK_OPTIONS, 'seed'];

/** Options of a {@link CronTrigger}. */
export interface CronTriggerOptions extends WallClockOptions {
  /** Stable text that spreads `H` fields. Default: the job's id. */
  readonly seed?: string | undefined;
}

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
export class CronTrigger extends WallClockTrigger {
  /** The expression as it was given, or undefined for the object form. */
  readonly expression: string | undefined;
  /** The fields, as text, or undefined for a string expression. */
  readonly fields: CronFieldTexts | undefined;
  /** What spreads `H` fields, if it was given or filled in. */
  readonly seed: string | undefined;

  /**
   * @throws InvalidCronError when the expression or a field is wrong, InvalidOptionError when an option is,
   *   UnknownTimeZoneError.
   */
  constructor(cron: string | CronFields, options: CronTriggerOptions = {}) {
    checkOptions(options, OPTIONS);
    const { seed, timezone } = options;
    if (seed !== undefined && typeof seed !== 'string') throw new InvalidOptionError('seed', seed, 'a string');
    const expression = typeof cron === 'string' ? cron : undefined;
    const fields = typeof cron === 'string' ? undefined : toFieldTexts(cron);
    const compiled = fields === undefined ? compileExpression(expression, seed) : compileFields(fields, seed);
    const { matcher } = compiled;
    super(matcher, matcher?.fixedTime ?? false, chooseZone(compiled.timezone, timezone), options);
    this.expression = expression;
    this.fields = fields;
    this.seed = seed;
  }

  get kind(): 'cron' {
    return 'cron';
  }

  describe(): string {
    return describeCron(this);
  }

  withDefaults(defaults: TriggerDefaults): CronTrigger {
    const needsSeed = !this.ready && defaults.seed !== undefined;
    if (this.timezone !== undefined && !needsSeed) return this;
    return CronTrigger.read({
      ...this.toJSON(),
      timezone: this.timezone ?? defaults.timezone,
      ...(needsSeed ? { seed: defaults.seed } : {}),
    });
  }

  toJSON(): TriggerJson {
    return {
      kind: 'cron',
      v: 1,
      ...(this.expression === undefined ? { fields: this.fields } : { expression: this.expression }),
      ...this.optionsJson(),
      ...(this.seed === undefined ? {} : { seed: this.seed }),
    };
  }

  /** @internal */
  static read(json: TriggerJson): CronTrigger {
    const fields = new JsonFields(json);
    return new CronTrigger(fields.optionalString('expression') ?? fields.object('fields'), {
      ...readWallClockOptions(fields),
      seed: fields.optionalString('seed'),
    });
  }

  /** @internal */
  protected override refuseUnready(): never {
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

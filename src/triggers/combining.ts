import { InvalidTriggerError } from '../errors/errors.js';
import type { EpochMs, Trigger, TriggerDefaults, TriggerJson, TriggerReader } from '../ports/trigger.js';
import { TriggerBase } from './base.js';
import { JITTER_OPTION, checkOptions, refuseNaN, toJitter, type BoundOptions } from './bounds.js';
import { Conjunction, PARTS } from './conjunction.js';
import { CYCLE, joinCycles, type Cycle } from './cycle.js';
import { checkPart, isTrigger } from './is-trigger.js';
import { JsonFields } from './json-fields.js';
import { isExactly, previousOf } from './search.js';
import { firstOf } from './past-dates.js';
import { partText, optionsText } from './words.js';

export { ExceptTrigger } from './except.js';

/** Options of the combining triggers. A part's own jitter has no effect inside a combination, whose jitter counts. */
export type CombiningOptions = Pick<BoundOptions, 'jitter'>;

/**
 * Fires whenever one of its parts does; at an instant on which several fall, once.
 *
 * @example
 * ```ts
 * new OrTrigger([new CronTrigger('0 9 * * 1-5'), new CronTrigger('0 11 * * 6,0')]);
 * ```
 */
export class OrTrigger extends TriggerBase {
  readonly triggers: readonly Trigger[];
  readonly jitter: number | undefined;

  /** @throws InvalidTriggerError when the list is empty, or holds something that is no trigger or has no fire times of its own. */
  constructor(triggers: readonly Trigger[], options: CombiningOptions = {}) {
    super();
    this.triggers = checkParts('or', triggers);
    checkOptions(options, JITTER_OPTION);
    this.jitter = toJitter(options.jitter);
  }

  get kind(): 'or' {
    return 'or';
  }

  next(after: EpochMs): EpochMs | null {
    refuseNaN(after, 'after');
    let earliest: EpochMs | null = null;
    for (const trigger of this.triggers) {
      const at = trigger.next(after);
      if (at !== null && (earliest === null || at < earliest)) earliest = at;
    }
    return earliest;
  }

  previous(before: EpochMs): EpochMs | null {
    refuseNaN(before, 'before');
    let latest: EpochMs | null = null;
    for (const trigger of this.triggers) {
      const at = previousOf(trigger, before);
      if (at !== null && (latest === null || at > latest)) latest = at;
    }
    return latest;
  }

  /** Dates that have passed are still due, as far as no other part has had a fire time since. */
  first(now: EpochMs): EpochMs | null {
    const owed = this.triggers.map((part) => firstOf(part, now));
    if (owed.every((at) => at === null)) return null;
    let passed = -Infinity;
    this.triggers.forEach((part, i) => {
      passed = Math.max(passed, previousOf(part, owed[i] ?? now + 1) ?? -Infinity);
    });
    const from = passed === -Infinity ? Math.min(...owed.map((at) => at ?? Infinity)) - 1 : passed;
    const at = this.next(from);
    return at !== null && at <= now ? at : null;
  }

  withDefaults(defaults: TriggerDefaults): OrTrigger {
    const triggers = fillIn(this.triggers, defaults);
    return triggers === this.triggers ? this : new OrTrigger(triggers, { jitter: this.jitter });
  }

  /** @internal */
  [CYCLE](): Cycle | undefined {
    return isExactly(this, OrTrigger) ? joinCycles(this.triggers) : undefined;
  }

  describe(): string {
    return `${this.triggers.map(partText).join('; or ')}${optionsText({ jitter: this.jitter })}`;
  }

  toJSON(): TriggerJson {
    return toListJson(this);
  }

  /** @internal */
  static read(json: TriggerJson, reader: TriggerReader): OrTrigger {
    return new OrTrigger(readParts(json, reader), { jitter: new JsonFields(json).optionalNumber('jitter') });
  }
}

/**
 * Fires at the instants, to the millisecond, on which all of its parts do.
 *
 * @example Every second hour, but only on the hours that a third part names as well.
 * ```ts
 * new AndTrigger([new CronTrigger('0 *\/2 * * *'), new CronTrigger('0 *\/3 * * *')]); // 0, 6, 12, 18
 * ```
 */
export class AndTrigger extends TriggerBase {
  readonly triggers: readonly Trigger[];
  readonly jitter: number | undefined;
  /** Worked out when it is first needed: most triggers are made, filled in and stored, and only the copy is asked. */
  #conjunction: Conjunction | undefined;

  /** @throws InvalidTriggerError when the list is empty, or holds something that is no trigger or has no fire times of its own. */
  constructor(triggers: readonly Trigger[], options: CombiningOptions = {}) {
    super();
    this.triggers = checkParts('and', triggers);
    checkOptions(options, JITTER_OPTION);
    this.jitter = toJitter(options.jitter);
  }

  get kind(): 'and' {
    return 'and';
  }

  /**
   * `null` also where the parts can be seen never to agree again.
   *
   * @throws TriggerSearchError when that cannot be seen, and they do not agree within a bounded number of steps.
   */
  next(after: EpochMs): EpochMs | null {
    return (this.#conjunction ??= new Conjunction(this, this.triggers)).next(after);
  }

  /** @throws TriggerSearchError as {@link AndTrigger.next}. */
  previous(before: EpochMs): EpochMs | null {
    return (this.#conjunction ??= new Conjunction(this, this.triggers)).previous(before);
  }

  /** @internal */
  get [PARTS](): readonly Trigger[] | undefined {
    return isExactly(this, AndTrigger) ? this.triggers : undefined;
  }

  /** @internal */
  [CYCLE](): Cycle | undefined {
    return isExactly(this, AndTrigger) ? joinCycles(this.triggers) : undefined;
  }

  /** A date that has passed is still due if all parts fire on it. */
  first(now: EpochMs): EpochMs | null {
    const owed = Math.max(...this.triggers.map((part) => firstOf(part, now) ?? -Infinity));
    const at = owed === -Infinity ? null : this.next(owed - 1);
    return at !== null && at <= now ? at : null;
  }

  withDefaults(defaults: TriggerDefaults): AndTrigger {
    const triggers = fillIn(this.triggers, defaults);
    return triggers === this.triggers ? this : new AndTrigger(triggers, { jitter: this.jitter });
  }

  describe(): string {
    return `When all of these fall together: ${this.triggers.map(partText).join('; ')}${optionsText({ jitter: this.jitter })}`;
  }

  toJSON(): TriggerJson {
    return toListJson(this);
  }

  /** @internal */
  static read(json: TriggerJson, reader: TriggerReader): AndTrigger {
    return new AndTrigger(readParts(json, reader), { jitter: new JsonFields(json).optionalNumber('jitter') });
  }
}

function toListJson(trigger: OrTrigger | AndTrigger): TriggerJson {
  return {
    kind: trigger.kind,
    v: 1,
    triggers: trigger.triggers.map((part) => part.toJSON()),
    ...(trigger.jitter === undefined ? {} : { jitter: trigger.jitter }),
  };
}

function readParts(json: TriggerJson, reader: TriggerReader): Trigger[] {
  return new JsonFields(json).array('triggers').map((part) => reader.read(part as TriggerJson));
}

/** The same list when no part had anything to fill in. */
function fillIn(triggers: readonly Trigger[], defaults: TriggerDefaults): readonly Trigger[] {
  const filled = triggers.map((trigger) => trigger.withDefaults?.(defaults) ?? trigger);
  return filled.some((trigger, i) => trigger !== triggers[i]) ? filled : triggers;
}

function checkParts(kind: string, triggers: unknown): readonly Trigger[] {
  if (!Array.isArray(triggers) || triggers.length === 0) {
    throw new InvalidTriggerError(`An "${kind}" trigger needs a list of at least one trigger.`, triggers);
  }
  for (const trigger of triggers as readonly unknown[]) {
    if (!isTrigger(trigger)) {
      throw new InvalidTriggerError(
        `A part of an "${kind}" trigger is not a trigger (next, kind and toJSON are needed).`,
        trigger,
      );
    }
    checkPart(`an "${kind}" trigger`, trigger);
  }
  return [...(triggers as readonly Trigger[])];
}

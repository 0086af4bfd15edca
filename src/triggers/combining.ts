import { InvalidTriggerError } from '../errors/errors.js';
import type { EpochMs, Trigger, TriggerDefaults, TriggerJson, TriggerReader } from '../ports/trigger.js';
import { TriggerBase } from './base.js';
import { JITTER_OPTION, checkOptions, toJitter, type BoundOptions } from './bounds.js';
import { isTrigger } from './is-trigger.js';
import { JsonFields } from './json-fields.js';
import { MAX_ROUNDS, previousOf, TriggerSearchError } from './search.js';
import { describeTrigger } from './words.js';

export { ExceptTrigger } from './except.js';

/** Options of the combining triggers. A part's own jitter has no effect inside a combination. */
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

  /** @throws InvalidTriggerError when the list is empty or holds something that is no trigger. */
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
    let earliest: EpochMs | null = null;
    for (const trigger of this.triggers) {
      const at = trigger.next(after);
      if (at !== null && (earliest === null || at < earliest)) earliest = at;
    }
    return earliest;
  }

  previous(before: EpochMs): EpochMs | null {
    let latest: EpochMs | null = null;
    for (const trigger of this.triggers) {
      const at = previousOf(trigger, before);
      if (at !== null && (latest === null || at > latest)) latest = at;
    }
    return latest;
  }

  withDefaults(defaults: TriggerDefaults): OrTrigger {
    const triggers = fillIn(this.triggers, defaults);
    return triggers === this.triggers ? this : new OrTrigger(triggers, { jitter: this.jitter });
  }

  describe(): string {
    return this.triggers.map(describeTrigger).join('; or ');
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

  /** @throws InvalidTriggerError when the list is empty or holds something that is no trigger. */
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
   * Each round asks every part for its first instant from the latest candidate on, so the search leaps from
   * one part's instants to the other's instead of walking along the denser one.
   *
   * @throws TriggerSearchError when the parts do not agree within a bounded number of rounds.
   */
  next(after: EpochMs): EpochMs | null {
    let candidate = -Infinity;
    let agreed = 0;
    for (let round = 0; round < MAX_ROUNDS;) {
      for (const trigger of this.triggers) {
        const at = trigger.next(candidate === -Infinity ? after : candidate - 1);
        if (at === null) return null;
        if (at === candidate) agreed += 1;
        else {
          candidate = at;
          agreed = 1;
        }
        if (agreed >= this.triggers.length) return candidate;
        round += 1;
      }
    }
    throw new TriggerSearchError('and', after, candidate, this);
  }

  /** @throws TriggerSearchError when the parts do not agree within a bounded number of rounds. */
  previous(before: EpochMs): EpochMs | null {
    let candidate = Infinity;
    let agreed = 0;
    for (let round = 0; round < MAX_ROUNDS;) {
      for (const trigger of this.triggers) {
        const at = previousOf(trigger, candidate === Infinity ? before : candidate + 1);
        if (at === null) return null;
        if (at === candidate) agreed += 1;
        else {
          candidate = at;
          agreed = 1;
        }
        if (agreed >= this.triggers.length) return candidate;
        round += 1;
      }
    }
    throw new TriggerSearchError('and', candidate, before, this);
  }

  withDefaults(defaults: TriggerDefaults): AndTrigger {
    const triggers = fillIn(this.triggers, defaults);
    return triggers === this.triggers ? this : new AndTrigger(triggers, { jitter: this.jitter });
  }

  describe(): string {
    return `When all of these fall together: ${this.triggers.map(describeTrigger).join('; ')}`;
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
  }
  return [...(triggers as readonly Trigger[])];
}

import { InvalidTriggerError } from '../errors/errors.js';
import type { EpochMs, Trigger, TriggerDefaults, TriggerJson, TriggerReader } from '../ports/trigger.js';
import { checkOptions, toJitter, type BoundOptions } from './bounds.js';
import { JsonFields } from './json-fields.js';
import { firesAt, MAX_ROUNDS, previousOf, TriggerSearchError } from './search.js';

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
export class OrTrigger implements Trigger {
  readonly triggers: readonly Trigger[];
  readonly jitter: number | undefined;

  /** @throws InvalidTriggerError when the list is empty or holds something that is no trigger. */
  constructor(triggers: readonly Trigger[], options: CombiningOptions = {}) {
    this.triggers = checkParts('or', triggers);
    checkOptions(options);
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
export class AndTrigger implements Trigger {
  readonly triggers: readonly Trigger[];
  readonly jitter: number | undefined;

  /** @throws InvalidTriggerError when the list is empty or holds something that is no trigger. */
  constructor(triggers: readonly Trigger[], options: CombiningOptions = {}) {
    this.triggers = checkParts('and', triggers);
    checkOptions(options);
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

  toJSON(): TriggerJson {
    return toListJson(this);
  }

  /** @internal */
  static read(json: TriggerJson, reader: TriggerReader): AndTrigger {
    return new AndTrigger(readParts(json, reader), { jitter: new JsonFields(json).optionalNumber('jitter') });
  }
}

/**
 * Fires when `base` does, except at the instants of `excluded`.
 *
 * @example Every hour, but not at noon.
 * ```ts
 * new ExceptTrigger(new CronTrigger('0 * * * *'), new CronTrigger('0 12 * * *'));
 * ```
 */
export class ExceptTrigger implements Trigger {
  readonly base: Trigger;
  readonly excluded: Trigger;
  readonly jitter: number | undefined;

  /** @throws InvalidTriggerError when either is no trigger. */
  constructor(base: Trigger, excluded: Trigger, options: CombiningOptions = {}) {
    checkParts('except', [base, excluded]);
    checkOptions(options);
    this.base = base;
    this.excluded = excluded;
    this.jitter = toJitter(options.jitter);
  }

  get kind(): 'except' {
    return 'except';
  }

  /** @throws TriggerSearchError when too many instants in a row are excluded. */
  next(after: EpochMs): EpochMs | null {
    let at = this.base.next(after);
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (at === null || !firesAt(this.excluded, at)) return at;
      at = this.base.next(at);
    }
    throw new TriggerSearchError('except', after, at ?? after, this);
  }

  /** @throws TriggerSearchError when too many instants in a row are excluded. */
  previous(before: EpochMs): EpochMs | null {
    let at = previousOf(this.base, before);
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (at === null || !firesAt(this.excluded, at)) return at;
      at = previousOf(this.base, at);
    }
    throw new TriggerSearchError('except', at ?? before, before, this);
  }

  withDefaults(defaults: TriggerDefaults): ExceptTrigger {
    const base = this.base.withDefaults?.(defaults) ?? this.base;
    const excluded = this.excluded.withDefaults?.(defaults) ?? this.excluded;
    return base === this.base && excluded === this.excluded
      ? this
      : new ExceptTrigger(base, excluded, { jitter: this.jitter });
  }

  toJSON(): TriggerJson {
    return {
      kind: 'except',
      v: 1,
      base: this.base.toJSON(),
      excluded: this.excluded.toJSON(),
      ...(this.jitter === undefined ? {} : { jitter: this.jitter }),
    };
  }

  /** @internal */
  static read(json: TriggerJson, reader: TriggerReader): ExceptTrigger {
    const fields = new JsonFields(json);
    return new ExceptTrigger(
      reader.read(fields.object('base') as TriggerJson),
      reader.read(fields.object('excluded') as TriggerJson),
      {
        jitter: fields.optionalNumber('jitter'),
      },
    );
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

/** Structural, never `instanceof`: triggers may come from another copy of the package, or be the user's own. */
export function isTrigger(value: unknown): value is Trigger {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    typeof value.kind === 'string' &&
    'next' in value &&
    typeof value.next === 'function' &&
    'toJSON' in value &&
    typeof value.toJSON === 'function'
  );
}

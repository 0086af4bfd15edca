import { InvalidOptionError, InvalidTriggerError } from '../../errors/errors.js';
import type { EpochMs } from '../../ports/trigger.js';
import { MAX_INSTANT } from '../../time/civil.js';
import { Zone } from '../../time/zone.js';
import { TriggerBase } from '../base.js';
import { checkOrder, refuseNaN, toBound, toJitter, type BoundOptions } from '../bounds.js';
import { nextFire, planOf, previousFire, type DstPlan, type DstRule, type LocalMatcher } from './engine.js';

/** Options of every trigger that goes by the clock on the wall. */
export interface WallClockOptions extends BoundOptions {
  /** IANA zone whose clock counts. Default: the scheduler's. */
  readonly timezone?: string | undefined;
  /** What daylight saving does. Default `'vixie'`. */
  readonly dst?: DstRule | undefined;
}

const DST_RULES: readonly unknown[] = ['vixie', 'match', 'compatible', 'skipFirst'];

/** The part of its options that a wall-clock trigger stores. */
export type WallClockJson = Pick<WallClockOptions, 'timezone' | 'dst'> & {
  readonly startTime?: EpochMs;
  readonly endTime?: EpochMs;
  readonly jitter?: number;
};

/** A trigger whose fire times are local times, put on the time line by a zone and a daylight-saving rule. */
export abstract class WallClockTrigger extends TriggerBase {
  /** What daylight saving does. */
  readonly dst: DstRule;
  readonly jitter: number | undefined;
  readonly #matcher: LocalMatcher | undefined;
  readonly #zone: Zone | undefined;
  readonly #plan: DstPlan;
  readonly #start: EpochMs | undefined;
  readonly #end: EpochMs | undefined;

  /**
   * @param matcher - undefined when something that decides the times is still to be filled in.
   * @param fixedTime - whether the times of day are fixed in the sense of the `'vixie'` rule.
   */
  protected constructor(
    matcher: LocalMatcher | undefined,
    fixedTime: boolean,
    zone: Zone | undefined,
    { dst = 'vixie', startTime, endTime, jitter }: WallClockOptions,
  ) {
    super();
    if (!DST_RULES.includes(dst)) {
      throw new InvalidOptionError('dst', dst, "'vixie', 'match', 'compatible' or 'skipFirst'");
    }
    this.#matcher = matcher;
    this.#zone = zone;
    this.dst = dst;
    this.#plan = planOf(dst, fixedTime);
    this.#start = toBound(startTime, 'startTime', zone?.name);
    this.#end = toBound(endTime, 'endTime', zone?.name);
    checkOrder(this.#start, this.#end, 'endTime', endTime);
    this.jitter = toJitter(jitter);
  }

  /** IANA name, or undefined while the scheduler has not filled in its own. */
  get timezone(): string | undefined {
    return this.#zone?.name;
  }

  /** The first instant that may fire, if there is a bound. */
  get startTime(): EpochMs | undefined {
    return this.#start;
  }

  /** The last instant that may fire, if there is a bound. */
  get endTime(): EpochMs | undefined {
    return this.#end;
  }

  next(after: EpochMs): EpochMs | null {
    refuseNaN(after, 'after');
    const start = this.#start;
    const from = start !== undefined && after < start ? start - 1 : after;
    if (from >= MAX_INSTANT) return null;
    // Whole milliseconds first: a fraction tiny enough would be lost in the division.
    const seconds = Math.floor((from < -MAX_INSTANT ? -MAX_INSTANT - 1 : Math.floor(from)) / 1000) + 1;
    const at = nextFire(this.#matcher ?? this.refuseUnready(), this.#zone ?? Zone.system(), this.#plan, seconds) * 1000;
    return at <= (this.#end ?? MAX_INSTANT) ? at : null;
  }

  previous(before: EpochMs): EpochMs | null {
    refuseNaN(before, 'before');
    const end = this.#end;
    const until = end !== undefined && before > end ? end + 1 : before;
    if (until <= -MAX_INSTANT) return null;
    const seconds = Math.ceil((until > MAX_INSTANT ? MAX_INSTANT + 1 : Math.ceil(until)) / 1000) - 1;
    const zone = this.#zone ?? Zone.system();
    const at = previousFire(this.#matcher ?? this.refuseUnready(), zone, this.#plan, seconds) * 1000;
    return at >= (this.#start ?? -MAX_INSTANT) ? at : null;
  }

  /** @internal Whether a local time, in ms as of a clock at UTC, is one of the trigger's. */
  clockShows(local: EpochMs): boolean {
    const second = local / 1000;
    return Number.isInteger(second) && (this.#matcher ?? this.refuseUnready()).next(second) === second;
  }

  /** @internal Whether everything that decides the fire times, but for the zone, is there. */
  protected get ready(): boolean {
    return this.#matcher !== undefined;
  }

  /** @internal What to store of the options. */
  protected optionsJson(): WallClockJson {
    return {
      ...(this.#zone === undefined ? {} : { timezone: this.#zone.name }),
      ...(this.dst === 'vixie' ? {} : { dst: this.dst }),
      ...(this.#start === undefined ? {} : { startTime: this.#start }),
      ...(this.#end === undefined ? {} : { endTime: this.#end }),
      ...(this.jitter === undefined ? {} : { jitter: this.jitter }),
    };
  }

  /** @internal Says what is missing. */
  protected refuseUnready(): never {
    throw new InvalidTriggerError(`This ${this.kind} trigger is not complete.`, this.toJSON());
  }
}

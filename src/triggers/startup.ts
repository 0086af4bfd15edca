import type { EpochMs, TriggerJson } from '../ports/trigger.js';
import { MAX_INSTANT } from '../time/civil.js';
import { toMs, type DurationInput } from '../time/duration.js';
import { formatDuration } from '../time/duration-text.js';
import { TriggerBase } from './base.js';
import { JITTER_OPTION, checkOptions, refuseNaN, toJitter, type BoundOptions } from './bounds.js';
import { JsonFields } from './json-fields.js';
import { optionsText } from './words.js';

const OPTIONS: readonly string[] = [...JITTER_OPTION, 'delay'];

/** Options of a {@link StartupTrigger}. */
export interface StartupTriggerOptions extends Pick<BoundOptions, 'jitter'> {
  /** How long after the start. Default: at once. */
  readonly delay?: DurationInput | undefined;
}

/**
 * Fires once whenever a scheduler starts: warm a cache, announce the process, look for work left behind.
 *
 * When a scheduler will start is nothing a function of time can know, so, asked directly, this trigger has no fire
 * times; that keeps it lawful and the same on every machine. A scheduler that starts gives each job with a trigger of
 * this kind one fire time, {@link StartupTrigger.fireTimeFor | fireTimeFor(startedAt)}, and never counts the job as
 * completed. A job added while the scheduler runs waits for the next start.
 *
 * @example
 * ```ts
 * new StartupTrigger();
 * new StartupTrigger({ delay: { seconds: 30 } });
 * ```
 */
export class StartupTrigger extends TriggerBase {
  /** Milliseconds between the start and the fire time. */
  readonly delay: number;
  readonly jitter: number | undefined;

  /** @throws InvalidOptionError */
  constructor(options: StartupTriggerOptions = {}) {
    super();
    checkOptions(options, OPTIONS);
    this.delay = options.delay === undefined ? 0 : toMs(options.delay, 'delay');
    this.jitter = toJitter(options.jitter);
  }

  get kind(): 'startup' {
    return 'startup';
  }

  /** The fire time that a scheduler started at `startedAt` owes, or `null` beyond what a `Date` can hold. */
  fireTimeFor(startedAt: EpochMs): EpochMs | null {
    const at = startedAt + this.delay;
    return Math.abs(at) <= MAX_INSTANT ? at : null;
  }

  /** Always `null`: see the class. */
  next(after: EpochMs): null {
    refuseNaN(after, 'after');
    return null;
  }

  /** Always `null`: see the class. */
  previous(before: EpochMs): null {
    refuseNaN(before, 'before');
    return null;
  }

  describe(): string {
    const when = this.delay === 0 ? 'When' : `${formatDuration(this.delay)} after`;
    return `${when} the scheduler starts${optionsText({ jitter: this.jitter })}`;
  }

  toJSON(): TriggerJson {
    return {
      kind: 'startup',
      v: 1,
      ...(this.delay === 0 ? {} : { delay: this.delay }),
      ...(this.jitter === undefined ? {} : { jitter: this.jitter }),
    };
  }

  /** @internal */
  static read(json: TriggerJson): StartupTrigger {
    const fields = new JsonFields(json);
    return new StartupTrigger({ delay: fields.optionalNumber('delay'), jitter: fields.optionalNumber('jitter') });
  }
}

import { InvalidOptionError } from '../errors/errors.js';
import type { EpochMs, Following, TriggerJson } from '../ports/trigger.js';
import { TriggerBase } from './base.js';
import { JITTER_OPTION, checkOptions, refuseNaN, toJitter, type BoundOptions } from './bounds.js';
import { JsonFields } from './json-fields.js';
import { listText, optionsText } from './words.js';

/** A job that others follow: its id, or a handle to it. */
export type SourceInput = string | { readonly id: string };

/** Options of {@link after}. */
export interface AfterOptions extends Pick<BoundOptions, 'jitter'> {
  /**
   * Of several jobs. `'all'` (default): it fires once each of them has had such an end since the last fire that came of
   * them. `'any'`: with each such end of any of them.
   */
  readonly mode?: Following['mode'] | undefined;
}

const ENDS: readonly Following['on'][] = ['success', 'failure', 'any'];
const MODES: readonly Following['mode'][] = ['all', 'any'];
const VERBS: Readonly<Record<Following['on'], string>> = { success: 'succeeded', failure: 'failed', any: 'ended' };
/** One record has to hold what is heard of each. */
const MOST_SOURCES = 100;

/**
 * Fires when runs of other jobs of the same store have ended; {@link after} makes one. Of several jobs, once each of them
 * has had such an end since the last fire time that came of them, or (`mode: 'any'`) with each such end.
 *
 * The fire time is the instant of the verdict (of several, the last). When runs will end is nothing a function of time can
 * know, so, asked directly, this trigger has no fire times. A job with such a trigger is never complete for want of one.
 */
export class AfterTrigger extends TriggerBase {
  readonly follows: Following;
  readonly jitter: number | undefined;

  /** @throws InvalidOptionError */
  constructor(jobs: SourceInput | readonly SourceInput[], on: Following['on'] = 'success', options: AfterOptions = {}) {
    super();
    const list: readonly unknown[] = Array.isArray(jobs) ? (jobs as readonly unknown[]) : [jobs];
    if (list.length === 0 || list.length > MOST_SOURCES) throw new InvalidOptionError('jobs', jobs, `the id of a job, or a list of up to ${MOST_SOURCES}`);
    const ids = list.map((job, index) => toId(job, Array.isArray(jobs) ? `jobs[${index}]` : 'jobs'));
    if (!ENDS.includes(on)) throw new InvalidOptionError('on', on, ENDS.map((end) => `'${end}'`).join(' or '));
    checkOptions(options, [...JITTER_OPTION, 'mode']);
    const { mode = 'all' } = options;
    if (!MODES.includes(mode)) throw new InvalidOptionError('mode', mode, MODES.map((one) => `'${one}'`).join(' or '));
    this.follows = Object.freeze({ jobs: Object.freeze([...new Set(ids)]), on, mode });
    this.jitter = toJitter(options.jitter);
  }

  get kind(): 'after' {
    return 'after';
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
    const { jobs, on, mode } = this.follows;
    const names = listText(jobs.map((id) => `"${id}"`), mode === 'all' ? 'and' : 'or');
    return `After ${names} ${jobs.length === 1 || mode === 'any' ? 'has' : 'have each'} ${VERBS[on]}${optionsText({ jitter: this.jitter })}`;
  }

  toJSON(): TriggerJson {
    const { jobs, on, mode } = this.follows;
    return { kind: 'after', v: 1, jobs: [...jobs], on, ...(mode === 'all' ? {} : { mode }), ...(this.jitter === undefined ? {} : { jitter: this.jitter }) };
  }

  /** @internal */
  static read(json: TriggerJson): AfterTrigger {
    const fields = new JsonFields(json);
    return new AfterTrigger(fields.array('jobs') as string[], fields.string('on') as Following['on'], {
      jitter: fields.optionalNumber('jitter'),
      mode: fields.optionalString('mode') as Following['mode'] | undefined,
    });
  }
}

/**
 * A trigger that fires after other jobs: each time one of their runs has ended in the way that is asked for. An attempt that
 * is tried again is no end. The jobs are of the same store, and are there when a job with this trigger is added, or are
 * added together with it.
 *
 * @param jobs - the id of a job, or a job, or several.
 * @param on - `'success'` (default); `'failure'`: it failed and is not tried again, or was abandoned; `'any'`: these, and
 * runs that were cancelled.
 * @throws InvalidOptionError
 * @example
 * ```ts
 * await scheduler.addJob('load', '0 2 * * *', { id: 'load' });
 * await scheduler.addJob('report', after('load'), { id: 'report' });
 * await scheduler.addJob('alert', after(['load', 'report'], 'failure', { mode: 'any' }), { id: 'alert' });
 * ```
 */
export function after(jobs: SourceInput | readonly SourceInput[], on: Following['on'] = 'success', options: AfterOptions = {}): AfterTrigger {
  return new AfterTrigger(jobs, on, options);
}

function toId(job: unknown, option: string): string {
  const id: unknown = typeof job === 'object' && job !== null && 'id' in job ? job.id : job;
  if (typeof id !== 'string' || id === '') throw new InvalidOptionError(option, job, 'the id of a job, or a job');
  return id;
}

import type { AddJobOptions, JobPolicyOptions } from '../../scheduler/job-options.js';
import { after } from '../../triggers/after.js';
import type { EpochMs, Trigger, TriggerJson } from '../../ports/trigger.js';
import { CalendarIntervalTrigger } from '../../triggers/calendar-interval.js';
import { AndTrigger, OrTrigger } from '../../triggers/combining.js';
import { CronTrigger } from '../../triggers/cron/cron-trigger.js';
import { DateTrigger } from '../../triggers/date.js';
import { IntervalTrigger } from '../../triggers/interval.js';
import { TriggerRegistry } from '../../triggers/registry.js';
import { LIMITED_TAGS, LIMITED_TASKS } from './features.js';
import type { Random } from './random.js';

export const BROKEN_TRIGGER = 'this trigger is broken';

/** A trigger that fails from some instant on, as a bug in somebody's own kind of trigger would. */
export class FlakyTrigger implements Trigger {
  readonly kind = 'flaky';
  readonly #every: number;
  readonly #failsFrom: EpochMs;

  constructor(every: number, failsFrom: EpochMs) {
    this.#every = every;
    this.#failsFrom = failsFrom;
  }

  next(after: EpochMs): EpochMs {
    if (after >= this.#failsFrom) throw new Error(BROKEN_TRIGGER);
    return (Math.floor(after / this.#every) + 1) * this.#every;
  }

  toJSON(): TriggerJson {
    return { kind: this.kind, v: 1, every: this.#every, failsFrom: this.#failsFrom };
  }
}

export function simulationTriggers(): TriggerRegistry {
  return new TriggerRegistry().register('flaky', ({ every, failsFrom }) => new FlakyTrigger(Number(every), Number(failsFrom)));
}

/** A trigger of any kind, with a handful of fire times in the minutes after `now`. */
export function makeTrigger(random: Random, now: EpochMs): Trigger {
  const seconds = random.whole(1, 12);
  const interval = (): IntervalTrigger => new IntervalTrigger({ milliseconds: random.whole(700, 12_000) });
  switch (random.whole(0, 11)) {
    case 0:
    case 1:
      return interval();
    case 2:
      return new IntervalTrigger({ seconds }, { startTime: now + random.whole(-20_000, 20_000) });
    case 3:
      return new IntervalTrigger({ seconds }, { endTime: now + random.whole(5_000, 60_000) });
    case 4:
      return new CronTrigger(`*/${seconds} * * * * *`, { timezone: 'UTC' });
    case 5:
      return new CronTrigger({ second: `${random.whole(0, 20)},${random.whole(21, 59)}` }, { timezone: 'Europe/Berlin', jitter: random.whole(0, 3_000) });
    case 6:
      // Falls into the hour that Berlin skips in the middle of the simulation.
      return new CronTrigger(`${random.whole(0, 59)} 0-5 2 * * *`, { timezone: 'Europe/Berlin' });
    case 7:
      return new DateTrigger(now + random.whole(-5_000, 40_000));
    case 8:
      return new IntervalTrigger({ seconds }, { from: 'completion' });
    case 9:
      return new OrTrigger([interval(), new DateTrigger(now + random.whole(1_000, 30_000))]);
    case 10:
      return random.chance(0.5)
        ? new AndTrigger([new CronTrigger('*/2 * * * * *', { timezone: 'UTC' }), new CronTrigger('*/3 * * * * *', { timezone: 'UTC' })])
        : new CalendarIntervalTrigger({ days: 1, hour: 3, minute: 0, second: random.whole(0, 40) }, { timezone: 'Europe/Berlin' });
    default:
      return new FlakyTrigger(random.whole(1_000, 5_000), now + random.whole(5_000, 60_000));
  }
}

/** Policies in any combination. */
export function makePolicy(random: Random, now: EpochMs): JobPolicyOptions {
  const maybe = <T>(probability: number, value: () => T): T | undefined => (random.chance(probability) ? value() : undefined);
  return {
    misfireGraceTime: maybe(0.4, () => random.pick([0, 300, 2_000, 10_000])),
    coalesce: random.pick(['latest', 'earliest', 'all']),
    maxCatchUp: random.whole(1, 5),
    maxInstances: random.whole(1, 3),
    overlap: random.pick(['skip', 'queue', 'queueAll', 'replace', 'allow']),
    queueLimit: random.whole(1, 3),
    jitter: maybe(0.25, () => random.pick([50, 700, 5_000])),
    retry: maybe(0.5, () => ({
      maxAttempts: random.whole(2, 4),
      delay: random.whole(0, 3_000),
      backoff: random.pick(['fixed', 'exponential']),
      maxDelay: 6_000,
      jitter: random.next(),
    })),
    timeout: maybe(0.3, () => random.whole(200, 5_000)),
    maxRuns: maybe(0.15, () => random.whole(1, 12)),
    startTime: maybe(0.1, () => now + random.whole(-5_000, 20_000)),
    endTime: maybe(0.1, () => now + random.whole(20_000, 90_000)),
    onCrash: random.pick(['retry', 'retry', 'drop']),
    maxCrashes: random.whole(0, 3),
    priority: random.whole(-1, 1),
    executor: random.pick(['default', 'default', 'default', 'small']),
    maxConsecutiveFailures: maybe(0.2, () => random.whole(2, 4)),
    expect: maybe(0.3, () => ({ successWithin: random.whole(500, 20_000), maxLateness: random.pick([null, 100, 3_000]) })),
  };
}

export function makeJob(random: Random, now: EpochMs, id: string, incarnation: number): AddJobOptions<[number]> {
  return { ...makePolicy(random, now), id, args: [incarnation], paused: random.chance(0.05) };
}

/** A task and tags of which one at least is limited. */
export function makeLimited(random: Random): { readonly task: string; readonly tags: readonly string[] } {
  const tags = LIMITED_TAGS.filter(() => random.chance(0.4));
  const task = tags.length > 0 && random.chance(0.5) ? 'work' : random.pick(LIMITED_TASKS);
  return { task, tags };
}

/** A trigger that follows some of these. */
export function makeAfter(random: Random, sources: readonly string[]): Trigger {
  return after(sources, random.pick(['success', 'success', 'failure', 'any', 'any']), { mode: random.pick(['all', 'any']) });
}

/** A job that follows others, of which each end counts: nothing else keeps it from firing. */
export function makeFollower(options: AddJobOptions<[number]>): AddJobOptions<[number]> {
  const { misfireGraceTime: _g, maxRuns: _m, startTime: _s, endTime: _e, jitter: _j, ...rest } = options;
  return rest;
}

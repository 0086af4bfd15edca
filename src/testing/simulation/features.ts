import type { JobDefinition } from '../../model/job.js';
import type { LimitOptions } from '../../scheduler/limits/limit-options.js';
import { Random } from './random.js';

/** A limit of a simulated world. */
export interface SimLimit {
  readonly subject: 'task' | 'tag';
  readonly name: string;
  readonly options: LimitOptions;
}

/** What some worlds have besides jobs that stand for themselves. */
export interface Features {
  /** The same on each node; none in most worlds. */
  readonly limits: readonly SimLimit[];
  /** Jobs under these limits. */
  readonly limited: number;
  /** Jobs that follow others with `after`. */
  readonly followers: number;
  /** Jobs that wait for others with `dependsOn`. */
  readonly waiters: number;
}

/** Tasks and tags of which a world may limit any. */
export const LIMITED_TASKS = ['narrow', 'paced'] as const;
export const LIMITED_TAGS = ['few', 'rated'] as const;

/** The features of a seed. A stream of its own: what else there is in the world of a seed does not depend on it. */
export function makeFeatures(seed: number): Features {
  const random = new Random(seed * 31 + 17);
  const hasLimits = random.chance(0.3);
  const hasLinks = random.chance(0.3);
  const concurrency = (): LimitOptions => ({ concurrency: random.whole(1, 3) });
  const rate = (): LimitOptions => ({ rateLimit: { max: random.whole(1, 3), per: random.pick([4_000, 7_000, 12_000]) } });
  const limits: SimLimit[] = [
    { subject: 'task', name: 'narrow', options: concurrency() },
    { subject: 'task', name: 'paced', options: rate() },
    { subject: 'tag', name: 'few', options: concurrency() },
    { subject: 'tag', name: 'rated', options: random.chance(0.3) ? { ...rate(), ...concurrency() } : rate() },
  ];
  return {
    limits: hasLimits ? limits : [],
    limited: hasLimits ? random.whole(2, 4) : 0,
    followers: hasLinks ? random.whole(1, 3) : 0,
    waiters: hasLinks ? random.whole(1, 3) : 0,
  };
}

/** Limits whose names a definition bears. */
export function limitsOf(limits: readonly SimLimit[], { task, tags }: Pick<JobDefinition, 'task' | 'tags'>): readonly SimLimit[] {
  return limits.filter(({ subject, name }) => (subject === 'task' ? task === name : tags.includes(name)));
}

/** Whether a job may be put off, and so start later than its trigger and its policies say. */
export function mayBeHeld({ task, tags }: Pick<JobDefinition, 'task' | 'tags'>): boolean {
  return (LIMITED_TASKS as readonly string[]).includes(task) || tags.length > 0;
}

/** The jobs of a round: drawn from its seed, so that every process knows them without asking. */
import type { JobPolicyOptions } from '../../src/index.js';
import { Random } from '../../src/testing/simulation/random.js';
import type { SimLimit } from '../../src/testing/simulation/features.js';

/** When a job fires, as plain numbers: the audit must not ask the triggers it audits. */
export type Schedule =
  | { readonly kind: 'every'; readonly ms: number }
  | { readonly kind: 'second' }
  | { readonly kind: 'at'; readonly at: number }
  /** So long after the last run ended. */
  | { readonly kind: 'after'; readonly ms: number }
  /** With each end of a run of any of these jobs. */
  | { readonly kind: 'follows'; readonly jobs: readonly string[]; readonly on: 'success' | 'any' }
  /** Once, but no process has its task: all that comes of it is an alarm. */
  | { readonly kind: 'mute'; readonly at: number }
  /** Only when it is asked for. */
  | { readonly kind: 'asked' };

/**
 * `work`: so long, unless its signal fires. `stubborn`: so long. `flaky`: it throws, by the hash of its run. `narrow`: as
 * `work`, but under a limit. `nobody`: no process has it.
 */
export type TaskName = 'work' | 'stubborn' | 'flaky' | 'narrow' | 'nobody';

export interface JobPlan {
  readonly id: string;
  readonly task: TaskName;
  /** How long a run takes, in ms. */
  readonly ms: number;
  readonly schedule: Schedule;
  readonly options: JobPolicyOptions;
  /** Of its runs at one time. */
  readonly limit: number;
  /** Children pause and resume it. */
  readonly pausable: boolean;
  readonly tags: readonly string[];
}

export const ENGINES = ['postgres', 'redis', 'nats', 'sqlite'] as const;
export type EngineName = (typeof ENGINES)[number];

/** What a round's processes need to know. */
export interface RoundPlan {
  readonly engine: EngineName;
  readonly seed: number;
  /** Where the jobs are: a file, or a name in the server that no other round has. */
  readonly place: string;
  readonly log: string;
  /** Wall clock, a whole second: no fire time comes before it. */
  readonly start: number;
  readonly leaseMs: number;
  /** Entries of the ledger that each job keeps. */
  readonly perJob: number;
}

/** The limits that hold in every process of a round. */
export function planLimits({ seed, leaseMs }: Pick<RoundPlan, 'seed' | 'leaseMs'>): SimLimit[] {
  const random = new Random(seed * 31 + 17);
  return [
    { subject: 'task', name: 'narrow', options: { concurrency: random.whole(1, 2) } },
    { subject: 'tag', name: 'few', options: { concurrency: random.whole(2, 3) } },
    { subject: 'tag', name: 'rated', options: { rateLimit: { max: random.whole(4, 6), per: 0.75 * leaseMs } } },
  ];
}

export function isLimited({ task, tags }: Pick<JobPlan, 'task' | 'tags'>): boolean {
  return task === 'narrow' || tags.length > 0;
}

export function planJobs({ seed, start, leaseMs }: Pick<RoundPlan, 'seed' | 'start' | 'leaseMs'>): JobPlan[] {
  const random = new Random(seed);
  const jobs: JobPlan[] = [];
  const add = (id: string, task: TaskName, ms: number, schedule: Schedule, options: JobPolicyOptions = {}, more: Partial<Pick<JobPlan, 'pausable' | 'tags'>> = {}): void => {
    const limit = options.overlap === 'allow' ? Number.POSITIVE_INFINITY : (options.maxInstances ?? 1);
    jobs.push({ id, task, ms, schedule, options, limit, pausable: false, tags: [], ...more });
  };
  const every = (low: number, high: number): Schedule => ({ kind: 'every', ms: random.whole(low, high) });

  // Each way of dealing with a busy job.
  add('skip', 'work', 30, every(100, 160));
  add('queue', 'work', 300, every(200, 300), { overlap: 'queue' });
  add('queue-all', 'work', 150, every(180, 260), { overlap: 'queueAll', queueLimit: 5, coalesce: 'earliest' });
  add('replace', 'work', 700, every(300, 500), { overlap: 'replace' });
  add('allow', 'work', 500, every(250, 500), { overlap: 'allow' });
  add('two', 'work', 900, every(350, 500), { maxInstances: 2 });
  add('two-queue', 'stubborn', 700, every(300, 500), { maxInstances: 2, overlap: 'queueAll', queueLimit: 3 });

  // Catching up.
  add('all', 'work', 0, every(120, 200), { coalesce: 'all', maxCatchUp: random.whole(5, 40) });
  add('all-slow', 'work', 60, { kind: 'second' }, { coalesce: 'all' });
  add('grace', 'work', 20, every(150, 250), { misfireGraceTime: 300, coalesce: 'all' });
  add('jitter', 'work', 10, every(250, 500), { jitter: 200, coalesce: 'all' });

  // Runs that outlive their lease, if they are let.
  add('long', 'work', 2.2 * leaseMs, { kind: 'every', ms: 2.5 * leaseMs });
  add('long-drop', 'work', 1.6 * leaseMs, { kind: 'every', ms: 2 * leaseMs }, { onCrash: 'drop' });
  add('stubborn', 'stubborn', 2.8 * leaseMs, { kind: 'every', ms: 1.8 * leaseMs }, { maxCrashes: 1 });

  // At most once.
  add('drop', 'work', 40, every(150, 250), { onCrash: 'drop' });
  add('drop-second', 'work', 300, { kind: 'second' }, { onCrash: 'drop', coalesce: 'all' });

  // Errors.
  add('flaky', 'flaky', 20, every(300, 500), { retry: { maxAttempts: 3, delay: 100, backoff: 'fixed' } });
  add('flaky-second', 'flaky', 10, { kind: 'second' }, { retry: { maxAttempts: 2, delay: 250, jitter: 0.5 }, coalesce: 'all' });
  add('timeout', 'work', 400, every(400, 500), { timeout: 150 });

  // Many due at one moment.
  const burst = random.whole(8, 32);
  for (let i = 0; i < burst; i++) {
    add(`burst-${String(i).padStart(2, '0')}`, 'work', 0, { kind: 'second' }, { coalesce: random.pick(['latest', 'all']), priority: i % 3 });
  }
  for (let i = 0; i < 4; i++) add(`pausable-${i}`, 'work', random.pick([0, 120]), every(120, 300), { coalesce: random.pick(['latest', 'all']) }, { pausable: true });
  for (let i = 0; i < 6; i++) add(`date-${i}`, 'work', 30, { kind: 'at', at: start + random.whole(0, 9_000) });
  add('after', 'work', 100, { kind: 'after', ms: 200 });
  add('asked', 'work', 20, { kind: 'asked' }, { maxInstances: 3 });
  add('asked-drop', 'work', 60, { kind: 'asked' }, { onCrash: 'drop' });

  // Under limits, with more to do than these allow.
  for (let i = 0; i < 3; i++) add(`narrow-${i}`, 'narrow', random.whole(60, 250), every(200, 400));
  for (let i = 0; i < 3; i++) add(`few-${i}`, 'work', random.whole(60, 300), every(250, 450), {}, { tags: ['few'] });
  add('few-stubborn', 'stubborn', 1.4 * leaseMs, { kind: 'every', ms: 2.2 * leaseMs }, { coalesce: 'all' }, { tags: ['few'] });
  for (let i = 0; i < 3; i++) add(`rated-${i}`, 'work', 0, every(100, 160), {}, { tags: ['rated'] });
  add('few-rated', 'flaky', 30, every(250, 400), { retry: { maxAttempts: 2, delay: 100 } }, { tags: ['few', 'rated'] });

  // Jobs that follow others, with a run for each end.
  const follow = (id: string, on: 'success' | 'any', ...sources: readonly string[]): void => {
    add(id, 'work', 10, { kind: 'follows', jobs: sources, on }, { overlap: 'allow', coalesce: 'all', maxCatchUp: 5_000, maxCrashes: 1_000 });
  };
  follow('follows', 'success', 'queue');
  follow('follows-it', 'success', 'follows');
  follow('follows-any', 'any', 'flaky', 'drop-second');

  // What is overdue: again and again, and for good.
  add('beat', 'work', 20, { kind: 'every', ms: 500 }, { expect: { successWithin: BEAT_MS } });
  for (const ms of [1_500, 4_000, 8_000, 14_000, 22_000]) {
    add(`mute-${ms}`, 'nobody', 0, { kind: 'mute', at: start + ms - MUTE_MS }, { expect: { maxLateness: MUTE_MS } });
  }
  return jobs;
}

/** Of the job `beat`: how soon a success is expected after another. */
export const BEAT_MS = 900;
/** Of jobs that nobody runs: how late they may be. */
export const MUTE_MS = 1_000;

/** The fire times of a schedule that begins at `start`, up to `through`; `undefined` where they are no function of time. */
export function fireTimes(schedule: Schedule, start: number, through: number): number[] | undefined {
  if (schedule.kind === 'after' || schedule.kind === 'follows') return undefined;
  if (schedule.kind === 'asked' || schedule.kind === 'mute') return [];
  if (schedule.kind === 'at') return schedule.at <= through ? [schedule.at] : [];
  const step = schedule.kind === 'second' ? 1_000 : schedule.ms;
  const times: number[] = [];
  for (let at = start; at <= through; at += step) times.push(at);
  return times;
}

/** FNV-1a. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** What the task of a run returns. */
export function valueOf(runId: string): { readonly runId: string; readonly sum: number } {
  return { runId, sum: hash(runId) };
}

export function throwsAt(runId: string, attempt: number): boolean {
  return hash(`${runId}/${attempt}`) % 5 < 2;
}

/** The jobs of a round: drawn from its seed, so that every process knows them without asking. */
import type { JobPolicyOptions } from '../../src/index.js';
import { Random } from '../../src/testing/simulation/random.js';

/** When a job fires, as plain numbers: the audit must not ask the triggers it audits. */
export type Schedule =
  | { readonly kind: 'every'; readonly ms: number }
  | { readonly kind: 'second' }
  | { readonly kind: 'at'; readonly at: number }
  /** So long after the last run ended. */
  | { readonly kind: 'after'; readonly ms: number }
  /** Only when it is asked for. */
  | { readonly kind: 'asked' };

/** `work`: so long, unless its signal fires. `stubborn`: so long. `flaky`: it throws, by the hash of its run. */
export type TaskName = 'work' | 'stubborn' | 'flaky';

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

export function planJobs({ seed, start, leaseMs }: Pick<RoundPlan, 'seed' | 'start' | 'leaseMs'>): JobPlan[] {
  const random = new Random(seed);
  const jobs: JobPlan[] = [];
  const add = (id: string, task: TaskName, ms: number, schedule: Schedule, options: JobPolicyOptions = {}, pausable = false): void => {
    const limit = options.overlap === 'allow' ? Number.POSITIVE_INFINITY : (options.maxInstances ?? 1);
    jobs.push({ id, task, ms, schedule, options, limit, pausable });
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
  for (let i = 0; i < 4; i++) add(`pausable-${i}`, 'work', random.pick([0, 120]), every(120, 300), { coalesce: random.pick(['latest', 'all']) }, true);
  for (let i = 0; i < 6; i++) add(`date-${i}`, 'work', 30, { kind: 'at', at: start + random.whole(0, 9_000) });
  add('after', 'work', 100, { kind: 'after', ms: 200 });
  add('asked', 'work', 20, { kind: 'asked' }, { maxInstances: 3 });
  add('asked-drop', 'work', 60, { kind: 'asked' }, { onCrash: 'drop' });
  return jobs;
}

/** The fire times of a schedule that begins at `start`, up to `through`; `undefined` where they are no function of time. */
export function fireTimes(schedule: Schedule, start: number, through: number): number[] | undefined {
  if (schedule.kind === 'after') return undefined;
  if (schedule.kind === 'asked') return [];
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

import { AsyncScheduler, currentRun, MemoryJobStore, type JobStore, type SchedulerOptions } from 'punctual';
import { EventRecorder, VirtualClock } from 'punctual/testing';
import { afterEach } from 'vitest';

export const START = '2026-01-01T00:00:00Z';
export const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const open: AsyncScheduler[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((scheduler) => scheduler.shutdown({ wait: false })));
});

export interface World {
  readonly scheduler: AsyncScheduler;
  readonly clock: VirtualClock;
  /** What ran, each with the runs it followed. */
  readonly ran: string[];
  /** Names of those that fail. */
  readonly fails: Set<string>;
  readonly events: EventRecorder;
}

/** A scheduler with one task, `work(name)`, which tells what ran. It takes `seconds` of them, if given. */
export function makeWorld(store: JobStore = new MemoryJobStore(), options: SchedulerOptions = {}, clock = new VirtualClock(START), ran: string[] = []): World {
  const scheduler = new AsyncScheduler({ clock, logger: quiet, ...options, jobStores: { default: store, ...options.jobStores } });
  open.push(scheduler);
  const fails = new Set<string>();
  scheduler.defineTask('work', async (name: string, takes?: number) => {
    const seconds = takes ?? 0;
    const { follows, signal } = currentRun();
    ran.push(follows.length === 0 ? name : `${name} after ${follows.map(({ jobId, verdict }) => `${jobId} ${verdict}`).join(', ')}`);
    if (seconds > 0) await clock.sleep({ seconds }, signal);
    if (fails.has(name)) throw new Error(`${name} failed`);
    return `${name} done`;
  });
  return { scheduler, clock, ran, fails, events: new EventRecorder(scheduler) };
}

/** When a node dies: with its nth write, before the store has it, or after, with the answer lost. */
export interface Death {
  readonly write: number;
  readonly isWritten: boolean;
}

/** A node's way to a store: from its death on nothing it asks is answered. */
export function connect(server: MemoryJobStore, death?: Death, died?: () => void): { store: JobStore; writes: () => number; isDead: () => boolean } {
  let writes = 0;
  let dead = false;
  const never = new Promise<never>(() => undefined);
  const store = new Proxy<JobStore>(server, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (property === 'close') return () => undefined;
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (dead) return property === 'watch' ? () => undefined : never;
        const isWrite = property === 'commit' || property === 'insert';
        if (isWrite && writes++ === death?.write) {
          dead = true;
          if (death.isWritten) (value as (...a: unknown[]) => unknown).apply(target, args);
          died?.();
          return never;
        }
        const answer = (value as (...a: unknown[]) => unknown).apply(target, args);
        return property === 'watch' ? answer : Promise.resolve(answer);
      };
    },
  });
  return { store, writes: () => writes, isDead: () => dead };
}

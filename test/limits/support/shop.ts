import { AsyncScheduler, currentRun, MemoryJobStore, type JobStore, type LimitOptions, type SchedulerOptions } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { onTestFinished } from 'vitest';
import { MemoryLogger, Recorder, SECOND, START, START_MS } from '../../scheduler/support/world.js';

export interface Worker {
  readonly scheduler: AsyncScheduler;
  readonly recorder: Recorder;
}

/** One execution, times in ms since the start of the virtual time. */
export interface Execution {
  readonly node: string;
  readonly job: string;
  readonly task: string;
  readonly startedAt: number;
  endedAt: number | null;
}

/** Schedulers on one store in virtual time, and what they executed when. */
export function shop(store: JobStore = new MemoryJobStore(), common: SchedulerOptions = {}) {
  const clock = new VirtualClock(START);
  const logger = new MemoryLogger();
  const executions: Execution[] = [];
  const schedulers: AsyncScheduler[] = [];
  // Timers of several nodes leave a fraction of a microsecond.
  const elapsed = (): number => Math.round(clock.now() - START_MS);
  const node = (name: string, tasks: Readonly<Record<string, LimitOptions>> = {}, options: SchedulerOptions = {}, own: JobStore = store): Worker => {
    const scheduler = new AsyncScheduler({ clock, logger, node: name, timezone: 'UTC', jobStores: { default: own }, ...common, ...options });
    for (const [task, taskOptions] of Object.entries(tasks)) {
      scheduler.defineTask(
        task,
        async (ms?: number, outcome?: string) => {
          const { jobId, signal } = currentRun();
          const execution: Execution = { node: name, job: jobId, task, startedAt: elapsed(), endedAt: null };
          executions.push(execution);
          try {
            if (ms !== undefined && ms > 0) await clock.sleep(ms, signal);
            if (outcome === 'fail') throw new Error('it failed');
          } finally {
            execution.endedAt = elapsed();
          }
        },
        taskOptions,
      );
    }
    const recorder = new Recorder();
    scheduler.addListener(recorder.listener);
    schedulers.push(scheduler);
    return { scheduler, recorder };
  };
  onTestFinished(async () => {
    const stopping = Promise.all(schedulers.map((scheduler) => scheduler.shutdown({ wait: false })));
    await clock.advance(60 * SECOND);
    await stopping;
  });
  return { clock, node, executions, store, logger, elapsed, starts: () => executions.map(({ startedAt }) => startedAt / SECOND) };
}

/** Most executions that went on at one time. */
export function peak(executions: readonly Execution[]): number {
  const changes = executions.flatMap(({ startedAt, endedAt }) => [
    { at: startedAt, by: 1 },
    ...(endedAt === null ? [] : [{ at: endedAt, by: -1 }]),
  ]);
  // One that ends makes room for one that starts at the same instant.
  changes.sort((a, b) => a.at - b.at || a.by - b.by);
  let running = 0;
  let most = 0;
  for (const { by } of changes) most = Math.max(most, (running += by));
  return most;
}

/** Most starts in any stretch of `perMs`. */
export function busiest(executions: readonly Execution[], perMs: number): number {
  const starts = executions.map(({ startedAt }) => startedAt).sort((a, b) => a - b);
  return Math.max(0, ...starts.map((start) => starts.filter((other) => other >= start && other < start + perMs).length));
}

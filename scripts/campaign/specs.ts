/** The jobs of a round as the scheduler takes them. */
import { after, AsyncScheduler, DateTrigger, IntervalTrigger, type JobSpec, type JobStore, type Logger, type TriggerInput } from '../../src/index.js';
import type { JobPlan, Schedule } from './plan.js';

/** Adds them all, without a node that could run them. */
export async function addJobs(store: JobStore, jobs: readonly JobPlan[], start: number): Promise<void> {
  const quiet = (): void => undefined;
  // That a job which is overdue soon will be is what it is there for.
  const logger: Logger = { debug: quiet, info: quiet, warn: quiet, error: (message, fields) => { console.error(message, fields); } };
  await using scheduler = new AsyncScheduler({ jobStores: { default: store }, timezone: 'UTC', node: 'founder', logger });
  for (const task of new Set(jobs.map((job) => job.task))) scheduler.defineTask(task, () => undefined);
  await scheduler.addJobs(jobs.map((job) => specOf(job, start)));
}

export function specOf({ id, task, ms, schedule, options, tags }: JobPlan, start: number): JobSpec {
  const startTime = schedule.kind === 'second' || schedule.kind === 'after' ? new Date(start) : undefined;
  return { ...options, id, task, tags, args: [ms], startTime, trigger: triggerOf(schedule, start) };
}

function triggerOf(schedule: Schedule, start: number): TriggerInput {
  switch (schedule.kind) {
    case 'every':
      return new IntervalTrigger(schedule.ms, { startTime: new Date(start) });
    case 'second':
      return '* * * * * *';
    case 'at':
    case 'mute':
      return new DateTrigger(new Date(schedule.at));
    case 'after':
      return new IntervalTrigger(schedule.ms, { from: 'completion' });
    case 'follows':
      return after(schedule.jobs, schedule.on, { mode: 'any' });
    case 'asked':
      return '@yearly';
    default:
      throw new Error(`no such schedule: ${JSON.stringify(schedule satisfies never)}`);
  }
}

/** The jobs of a round as the scheduler takes them. */
import { AsyncScheduler, DateTrigger, IntervalTrigger, type JobSpec, type JobStore, type TriggerInput } from '../../src/index.js';
import type { JobPlan, Schedule } from './plan.js';

/** Adds them all, without a node that could run them. */
export async function addJobs(store: JobStore, jobs: readonly JobPlan[], start: number): Promise<void> {
  await using scheduler = new AsyncScheduler({ jobStores: { default: store }, timezone: 'UTC', node: 'founder' });
  for (const task of new Set(jobs.map((job) => job.task))) scheduler.defineTask(task, () => undefined);
  await scheduler.addJobs(jobs.map((job) => specOf(job, start)));
}

export function specOf({ id, task, ms, schedule, options }: JobPlan, start: number): JobSpec {
  const startTime = schedule.kind === 'second' || schedule.kind === 'after' ? new Date(start) : undefined;
  return { ...options, id, task, args: [ms], startTime, trigger: triggerOf(schedule, start) };
}

function triggerOf(schedule: Schedule, start: number): TriggerInput {
  switch (schedule.kind) {
    case 'every':
      return new IntervalTrigger(schedule.ms, { startTime: new Date(start) });
    case 'second':
      return '* * * * * *';
    case 'at':
      return new DateTrigger(new Date(schedule.at));
    case 'after':
      return new IntervalTrigger(schedule.ms, { from: 'completion' });
    case 'asked':
      return '@yearly';
    default:
      throw new Error(`no such schedule: ${JSON.stringify(schedule satisfies never)}`);
  }
}

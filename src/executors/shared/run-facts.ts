import type { RunContext, RunRequest } from '../../ports/executor.js';

/** What of a run's context is plain data. */
export type RunFacts = Omit<RunContext, 'signal' | 'logger'>;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export function factsOf({ jobId, runId, task, context }: RunRequest): RunFacts {
  const { jobName, scheduledFor, startedAt, attempt, isCatchUp, isManual, follows, nextRunTime, tags, metadata } = context;
  return { jobId, jobName, runId, task, scheduledFor, startedAt, attempt, isCatchUp, isManual, follows, nextRunTime, tags, metadata };
}

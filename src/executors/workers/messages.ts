import type { TaskModule } from '../../model/job.js';
import type { RunRequest } from '../../ports/executor.js';
import type { PlainValue } from '../shared/plain-value.js';
import type { LogLevel, RunFacts } from '../shared/run-facts.js';

/** With which each message begins, to tell ours from what a task sends on its own. */
export const TAG = 'punctual';

type Tag = typeof TAG;

/** One flat list: objects within objects would cost more than all the rest of a short run. What is mostly empty is `null` then. */
export type RunMessage = readonly [
  tag: Tag,
  type: 'run',
  url: string,
  exported: string,
  args: readonly unknown[],
  jobId: string,
  jobName: string | null,
  runId: string,
  task: string,
  scheduledFor: number,
  startedAt: number,
  attempt: number,
  isCatchUp: boolean,
  isManual: boolean,
  nextRunTime: number | null,
  follows: RunFacts['follows'] | null,
  tags: RunFacts['tags'] | null,
  metadata: RunFacts['metadata'] | null,
];

/** To a worker, which executes one run at a time. */
export type ToWorker =
  | RunMessage
  | readonly [tag: Tag, type: 'abort', runId: string, attempt: number, reason: PlainValue];

export type FromWorker =
  | readonly [tag: Tag, type: 'done', value: unknown]
  | readonly [tag: Tag, type: 'failed', error: PlainValue]
  | readonly [tag: Tag, type: 'log', level: LogLevel, message: string, fields: PlainValue | undefined]
  /** Something threw where nobody catches it; the worker ends. */
  | readonly [tag: Tag, type: 'crash', error: PlainValue];

/** Of a child process, which has no memory to count in. */
export type Begun = readonly [tag: Tag, type: 'begun'];

export function isTagged(message: unknown): boolean {
  return Array.isArray(message) && message[0] === TAG;
}

export function runMessage({ jobId, runId, task, args, context }: RunRequest, { url, export: exported }: TaskModule): RunMessage {
  const { jobName, scheduledFor, startedAt, attempt, isCatchUp, isManual, follows, nextRunTime, tags, metadata } = context;
  return [
    TAG,
    'run',
    url,
    exported,
    args,
    jobId,
    jobName,
    runId,
    task,
    scheduledFor.getTime(),
    startedAt.getTime(),
    attempt,
    isCatchUp,
    isManual,
    nextRunTime === null ? null : nextRunTime.getTime(),
    follows.length === 0 ? null : follows,
    tags.length === 0 ? null : tags,
    isEmpty(metadata) ? null : metadata,
  ];
}

export function factsOfMessage(message: RunMessage): RunFacts {
  const [, , , , , jobId, jobName, runId, task, scheduledFor, startedAt, attempt, isCatchUp, isManual, nextRunTime, follows, tags, metadata] = message;
  return {
    jobId,
    jobName,
    runId,
    task,
    scheduledFor: new Date(scheduledFor),
    startedAt: new Date(startedAt),
    attempt,
    isCatchUp,
    isManual,
    follows: follows ?? [],
    nextRunTime: nextRunTime === null ? null : new Date(nextRunTime),
    tags: tags ?? [],
    metadata: metadata ?? {},
  };
}

function isEmpty(value: object): boolean {
  for (const key in value) if (Object.hasOwn(value, key)) return false;
  return true;
}

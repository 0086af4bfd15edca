import type { TaskModule } from '../../model/job.js';
import type { PlainValue } from '../shared/plain-value.js';
import type { LogLevel, RunFacts } from '../shared/run-facts.js';

interface Tagged {
  /** Tells ours from what a task sends on its own. */
  readonly punctual: 1;
}

/** To a worker, which executes one run at a time. */
export type ToWorker = Tagged &
  (
    | { readonly type: 'run'; readonly module: TaskModule; readonly args: readonly unknown[]; readonly facts: RunFacts }
    | { readonly type: 'abort'; readonly runId: string; readonly attempt: number; readonly reason: PlainValue }
  );

export type FromWorker = Tagged &
  (
    /** It has the run. One that ended before that has done nothing of it. */
    | { readonly type: 'begun' }
    | { readonly type: 'done'; readonly value: unknown }
    | { readonly type: 'failed'; readonly error: PlainValue }
    | { readonly type: 'log'; readonly level: LogLevel; readonly message: string; readonly fields: PlainValue | undefined }
    /** Something threw where nobody catches it; the worker ends. */
    | { readonly type: 'crash'; readonly error: PlainValue }
  );

export function isTagged(message: unknown): message is Tagged {
  return typeof message === 'object' && message !== null && (message as Partial<Tagged>).punctual === 1;
}

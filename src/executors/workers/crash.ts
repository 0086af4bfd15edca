import { WorkerCrashedError } from '../../errors/executor-errors.js';
import type { WorkerExit } from './worker.js';

/** The error of a run whose worker ended under it. */
export function crashError(kind: string, { reason, exitCode, signal, cause }: WorkerExit): WorkerCrashedError {
  const message = `The ${kind} of the run ended before the run did: ${story(reason, exitCode, signal, cause)}`;
  return new WorkerCrashedError(reason, message, exitCode, signal, cause === undefined ? undefined : { cause });
}

/** The error of a run whose worker was ended, since its task did not stop. */
export function killError(kind: string, graceMs: number, reason: unknown): WorkerCrashedError {
  const message = `The task did not come to its end within ${graceMs} ms of its signal, so its ${kind} was ended.`;
  return new WorkerCrashedError('terminated', message, null, null, { cause: reason });
}

/** The error of a run that had been told to stop when its executor was closed. */
export function closeError(kind: string, reason: unknown): WorkerCrashedError {
  const message = `The task had been told to stop and still went on when its executor was closed, so its ${kind} was ended.`;
  return new WorkerCrashedError('terminated', message, null, null, { cause: reason });
}

function story(reason: WorkerExit['reason'], exitCode: number | null, signal: string | null, cause: unknown): string {
  const thrown = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  switch (reason) {
    case 'uncaughtException':
      return `it threw where nobody catches it, in a callback or a promise that is not awaited (${thrown}).`;
    case 'outOfMemory':
      return 'its memory was full. Give it less at a time, or raise `memoryLimitMb`.';
    case 'notStarted':
      return `it could not be started (${thrown}).`;
    case 'signal':
      return `${signal ?? 'a signal'} ended it.${signal === 'SIGABRT' ? ' Node does so when its memory is full.' : ''}`;
    case 'exit':
      return `it exited with code ${exitCode ?? 'unknown'}; a task must not call process.exit().`;
    case 'lost':
      return 'it was lost.';
    case 'terminated':
      return 'it was ended.';
  }
}

/** The event by which executors tell all workers to stop a run. */
export const CANCEL_EVENT = 'punctual-cancel';

/** An answer, as the progress of a job. */
export interface AnswerProgress {
  /** The executor it is for. */
  readonly to: string;
  readonly text: string;
}

/** An id that BullMQ takes: without a colon, and no number. */
export function jobIdOf(id: string): string {
  return `run-${id.replaceAll('=', '==').replaceAll(':', '=.')}`;
}

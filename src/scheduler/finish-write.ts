import type { ActContext, Decision } from '../core/draft.js';
import { finishRun, releaseRun } from '../core/finish.js';
import type { JobRecord } from '../model/job.js';
import type { ErrorInfo, RunOutcome } from '../model/run.js';
import type { ActiveRun } from './active-run.js';
import type { HeldJob } from './held-job.js';
import type { PendingWrite } from './job-draft.js';

/** A run is given back unfinished. */
export interface Released {
  readonly kind: 'released';
  readonly reason: string;
}

export interface FinishWriteHost {
  recorded(end: FinishWrite, decision: Decision): void;
  refused(end: FinishWrite, current: JobRecord | undefined): void;
}

/** What a run came to, and the write that takes it out of its record. */
export class FinishWrite implements PendingWrite {
  readonly #host: FinishWriteHost;
  readonly active: ActiveRun;
  readonly outcome: RunOutcome | Released;
  /** What its function answered, or threw. */
  readonly value: unknown;
  readonly durationMs: number;

  constructor(host: FinishWriteHost, active: ActiveRun, outcome: RunOutcome | Released, value: unknown, durationMs: number) {
    this.#host = host;
    this.active = active;
    this.outcome = outcome;
    this.value = value;
    this.durationMs = durationMs;
  }

  get held(): HeldJob {
    return this.active.held;
  }

  apply(record: JobRecord, context: ActContext): Decision | undefined {
    const { outcome } = this;
    const { run } = this.active;
    return outcome.kind === 'released' ? releaseRun(record, run, outcome.reason, context) : finishRun(record, run, outcome, context);
  }

  written(decision: Decision): void {
    this.#host.recorded(this, decision);
  }

  refused(current: JobRecord | undefined): void {
    this.#host.refused(this, current);
  }
}

/** Whether whoever looks at the run sees it fail. A run of the schedule that was refused waits. */
export function isFailure(outcome: RunOutcome | Released, active: ActiveRun): outcome is RunOutcome & { readonly error: ErrorInfo } {
  return outcome.kind === 'failed' || (outcome.kind === 'refused' && active.isManual);
}

import type { Decision } from '../core/draft.js';
import { finishRun, releaseRun } from '../core/finish.js';
import type { JobRecord } from '../model/job.js';
import type { RunOutcome } from '../model/run.js';
import type { EpochMs } from '../ports/trigger.js';
import type { ActiveRun } from './active-run.js';
import type { HeldJob } from './held-job.js';
import type { PendingWrite } from './job-draft.js';

/** What a run came to: its outcome, or the reason for which it is given back unfinished. */
export type RunConclusion =
  | { readonly kind: 'ended'; readonly outcome: RunOutcome; readonly value: unknown; readonly durationMs: number }
  | { readonly kind: 'released'; readonly reason: string };

export interface FinishWriteHost {
  readonly node: string;
  recorded(active: ActiveRun, decision: Decision, conclusion: RunConclusion): void;
  refused(active: ActiveRun, current: JobRecord | undefined, conclusion: RunConclusion): void;
}

/** The write that takes a run out of its record. */
export class FinishWrite implements PendingWrite {
  readonly #host: FinishWriteHost;
  readonly #active: ActiveRun;
  readonly #conclusion: RunConclusion;

  constructor(host: FinishWriteHost, active: ActiveRun, conclusion: RunConclusion) {
    this.#host = host;
    this.#active = active;
    this.#conclusion = conclusion;
  }

  get held(): HeldJob {
    return this.#active.held;
  }

  apply(record: JobRecord, now: EpochMs): Decision | undefined {
    const conclusion = this.#conclusion;
    const context = { now, node: this.#host.node };
    return conclusion.kind === 'ended'
      ? finishRun(record, this.#active.run, conclusion.outcome, context)
      : releaseRun(record, this.#active.run, conclusion.reason, context);
  }

  written(decision: Decision): void {
    this.#host.recorded(this.#active, decision, this.#conclusion);
  }

  refused(current: JobRecord | undefined): void {
    this.#host.refused(this.#active, current, this.#conclusion);
  }
}

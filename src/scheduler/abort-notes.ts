import type { JobRecord } from '../model/job.js';
import type { RunningRun } from '../model/run.js';
import { isThenable } from '../time/thenable.js';
import type { LoopDeps } from './loop-deps.js';
import type { StoreLoop } from './store-loop.js';

/** A lease that nobody holds for its own sake: its token grows with each run that another node is asked to stop. */
const KEY = 'punctual:aborts';
/** Time for the note to arrive after its hint; and however many hints come, no more looks than one in that time. */
const LOOK_AFTER_MS = 150;

/**
 * Brings requests to stop a run to the node that has it, by way of the store. The record says it already, and the holder
 * finds it there when it renews its lease, which may take a third of that. So whoever asks leaves a note beside the
 * records, and every node that has runs looks for notes when the store hints at a change. A note that is lost costs time only.
 */
export class AbortNotes {
  readonly #loop: StoreLoop;
  readonly #deps: LoopDeps;
  #token: number | undefined;
  #waits = false;

  constructor(loop: StoreLoop, deps: LoopDeps) {
    this.#loop = loop;
    this.#deps = deps;
  }

  /** A record was written. If it asks other nodes to stop a run, they should hear of it. */
  leave(before: JobRecord, next: JobRecord): void {
    const { node, leaseMs, logger } = this.#deps;
    const asked = next.state.runs.find((run): run is RunningRun => {
      if (run.state !== 'running' || run.abort === null || run.owner === node) return false;
      return !before.state.runs.some((old) => old.state === 'running' && old.token === run.token && old.abort !== null);
    });
    if (asked === undefined) return;
    const request = { key: KEY, holder: `${node}/${asked.id}/${asked.token}`, now: this.#loop.now(), ttlMs: leaseMs, force: true };
    void (async () => { await this.#loop.access.acquireLease(request); })().catch((error: unknown) => {
      logger.debug('no note of an abort could be left; the next renewal finds it', { error, runId: asked.id });
    });
  }

  /** The store hints at a change. */
  look(): void {
    if (this.#waits || this.#loop.runner.size === 0) return;
    this.#waits = true;
    this.#deps.clock.setTimer(LOOK_AFTER_MS, () => {
      this.#waits = false;
      if (this.#loop.runner.size > 0) void this.#look();
    }, false);
  }

  async #look(): Promise<void> {
    const { access, runner } = this.#loop;
    try {
      const answer = access.lease(KEY);
      const lease = isThenable(answer) ? await answer : answer;
      if (lease === undefined || lease.token === this.#token) return;
      this.#token = lease.token;
      await runner.lookForAborts();
    } catch (error) {
      this.#deps.logger.debug('could not look for notes of aborts; the next renewal finds them', { error });
    }
  }
}

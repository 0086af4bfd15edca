import { reclaimRuns } from '../core/decide.js';
import { isPunctualError } from '../errors/base.js';
import type { RunningRun } from '../model/run.js';
import type { JobPage } from '../ports/job-store.js';
import { changeJob } from './job-changes.js';
import type { ProcessIdentity } from './process-identity.js';
import type { LoopDeps } from './loop-deps.js';
import type { StoreLoop } from './store-loop.js';

const PAGE = 500;

/**
 * Lets a scheduler that was given a name take up at once what the last process of that name left behind when it died,
 * instead of waiting for the leases to run out. Each run says which process has it. That a process is gone can be told on
 * its own host only, so elsewhere the leases decide as ever.
 */
export class NodeName {
  readonly #loop: StoreLoop;
  readonly #deps: LoopDeps;
  readonly #process: ProcessIdentity;

  constructor(loop: StoreLoop, deps: LoopDeps, process: ProcessIdentity) {
    this.#loop = loop;
    this.#deps = deps;
    this.#process = process;
  }

  /** @throws StoreFailedError */
  async takeOver(): Promise<void> {
    const { node, clock, logger } = this.#deps;
    const { access } = this.#loop;
    this.#process.enter();
    const alive = new Set<string>();
    let page: JobPage | undefined;
    do {
      page = await access.list({ running: true, limit: PAGE, after: page?.nextCursor ?? undefined });
      for (const { record } of page.jobs) {
        for (const run of record.state.runs) {
          if (run.state === 'running' && this.#isAnothers(run) && !this.#isDead(run)) alive.add(run.process ?? 'unknown');
        }
        try {
          await changeJob(this.#loop, clock, record.id, undefined, (current) =>
            reclaimRuns(current, (run) => this.#isDead(run), this.#loop.planContext()),
          );
        } catch (error) {
          if (!isPunctualError(error, 'JOB_NOT_FOUND')) throw error; // it is gone, and its runs with it
        }
      }
    } while (page.nextCursor !== null);
    if (alive.size === 0) return;
    logger.warn(
      `another process may be running as node "${node}"; runs it has are taken over as their leases run out. If it is alive, give each process a name of its own`,
      { jobStore: access.alias, processes: [...alive] },
    );
  }

  /** The scheduler has stopped, and no task of it runs any more. */
  leave(): void {
    this.#process.leave();
  }

  #isAnothers(run: RunningRun): boolean {
    return run.owner === this.#deps.node && run.process !== this.#process.id;
  }

  #isDead(run: RunningRun): boolean {
    return this.#isAnothers(run) && run.process !== undefined && this.#process.isGone(run.process);
  }
}

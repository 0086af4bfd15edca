import { cancelRun } from '../core/cancel.js';
import type { Decision } from '../core/draft.js';
import { askNodesToCancel } from '../core/each-node.js';
import { requestRun } from '../core/edit.js';
import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { JobRecord } from '../model/job.js';
import type { JobSelector, RunJobOptions } from './job.js';
import { changeJob, changeRecord } from './job-changes.js';
import { checkSelector } from './job-directory.js';
import { JobFace } from './job-face.js';
import { isArray, nonEmpty } from './policy.js';
import { awaitElsewhere, type RunHandle } from './run-handles.js';
import { jobIdOf } from './run-ids.js';
import { requireRunnable } from './unreadable.js';

export interface CancelOptions extends JobSelector {
  /** Why: for the history, the event, and the task, as `signal.reason.reason`. Default `'cancelled'`. */
  readonly reason?: string | undefined;
}

const EXPECTED = 'a run handle, or the id of a run, such as "report@1767225600000"';

/** What a scheduler does with single runs. */
export abstract class RunFace extends JobFace {
  /**
   * Runs a job now, beside its schedule and even if it is paused. It takes a slot of `maxInstances`, and waits for one
   * if none is free. A job that each node runs (`exclusive: false`) is run on this node, if it runs it; else on one that does.
   *
   * @throws JobNotFoundError, InvalidOptionError; InvalidStateError for a job in quarantine.
   */
  async runJob(id: string, options: RunJobOptions = {}): Promise<RunHandle> {
    checkSelector(id, options, ['jobStore', 'args']);
    const { args } = options;
    if (args !== undefined && !isArray(args)) throw new InvalidOptionError('args', args, 'an array of arguments');
    let handle: RunHandle | undefined;
    try {
      const request = (record: JobRecord, context: { readonly now: number; readonly node: string }): Decision => {
        requireRunnable(record);
        const requested = requestRun(record, args === undefined ? null : Object.freeze([...args]), context, this.tasks.versionOf(record.definition));
        // Before the write, because the run may be over by the time it returns.
        if (handle !== undefined) this.handles.discard(handle.runId);
        handle = this.handles.create(id, requested.id);
        return requested.decision;
      };
      let isOwn = false;
      const { loop, result } = await this.change(id, options, (record, context) => (isOwn ? undefined : request(record, context)), (record, { nodeJobs }) => {
        const checking = args === undefined ? undefined : this.tasks.check(record.definition, args);
        if (nodeJobs === undefined || record.definition.trigger.onEachNode === undefined) return checking;
        return (async () => {
          await checking;
          isOwn = await nodeJobs.runs(record);
        })();
      });
      const own = loop.nodeJobs?.loop;
      if (result.decision === undefined && own !== undefined) {
        await changeJob(own, this.options.clock, id, undefined, (record) => request(record, { now: own.now(), node: this.node }));
      } else if (loop.access.store.shared && handle !== undefined) awaitElsewhere(this.handles, loop, this.options.clock, this.codec, handle.runId, loop.now(), true);
    } catch (error) {
      if (handle !== undefined) this.handles.discard(handle.runId);
      throw error;
    }
    return handle as unknown as RunHandle;
  }

  /**
   * Calls a run off, wherever it is: one that waits (for its time, a slot, its next attempt) never begins; one that runs is asked
   * to stop by its `signal`, on whichever node has it, and is `cancelled` unless it succeeds all the same: a task that returns,
   * rather than throw, has succeeded (`jobExecuted`, no `jobCancelled`), unlike after a timeout. Resolves when that is written, not when
   * the task has stopped. The job goes on with its next fire time.
   *
   * Of a job that each node runs (`exclusive: false`), the run of a fire time is called off on every node: at once on this one,
   * on the others when they next look at the job (about a second where the store hints, else `maxSleep`). A run that `runJob`
   * made of it is called off on the node that was asked for it: call it off there, since each node numbers its own.
   *
   * @param run - a handle, or the run's id, as in events, in the history and in `currentRun()`. That of a fire time is `<job id>@<epoch ms>`; the next
   * one can be called off before it comes.
   * @returns whether there was something to call off: `false` for a run that is over, was called off before, or was never there.
   * What other nodes run of a job of each node is not known here: `true` once they are asked.
   * @throws InvalidOptionError, also for what is neither a handle nor the id of a run; UnknownStoreError, StoreFailedError
   * @example
   * ```ts
   * const run = await scheduler.runJob('export');
   * await scheduler.cancelRun(run, { reason: 'the user changed their mind' });
   * ```
   */
  async cancelRun(run: string | { readonly runId: string; readonly jobId: string }, options: CancelOptions = {}): Promise<boolean> {
    refuseUnknownKeys(options, '', ['jobStore', 'reason']);
    const runId: unknown = typeof run === 'object' && run !== null && 'runId' in run ? run.runId : run;
    const jobId = jobIdOf(runId);
    if (typeof runId !== 'string' || jobId === undefined) throw new InvalidOptionError('runId', run, EXPECTED, 'The handle is what enqueue() and runJob() answer; an id given to enqueue() is that of its job.');
    const reason = options.reason === undefined ? 'cancelled' : nonEmpty(options.reason, 'reason');
    for (const loop of options.jobStore === undefined ? this.directory.loops : [this.directory.require(options.jobStore)]) {
      await loop.open(this.context());
      let isFound = false;
      for (const each of loop.all) {
        const result = await changeRecord(each, this.options.clock, jobId, (record) => {
          const context = { now: each.now(), node: this.node };
          return cancelRun(record, runId, reason, context) ?? askNodesToCancel(record, runId, reason, context);
        });
        isFound ||= result?.decision !== undefined;
      }
      if (isFound) return true;
    }
    return false;
  }
}

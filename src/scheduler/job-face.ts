import type { Decision } from '../core/draft.js';
import { JobNotFoundError } from '../errors/job-errors.js';
import type { JobRecord } from '../model/job.js';
import type { MaybePromise, Revision, StoredJob } from '../ports/job-store.js';
import { isThenable } from '../time/thenable.js';
import { warnOfFalseAlarms } from './expectations.js';
import { HistoryFace } from './history-face.js';
import { Job, type JobOperations } from './job.js';
import { JobAdder } from './job-adder.js';
import { changeJob, type JobChangeResult } from './job-changes.js';
import type { SchedulerOptions, Wiring } from './options.js';
import type { StoreLoop } from './store-loop.js';
import type { TaskMap } from './tasks.js';

/** What of a job says when it succeeds, or by when it should. */
const CHANGES_EXPECTATION: ReadonlySet<string> = new Set(['trigger', 'expect', 'startTime', 'endTime']);

/** What everything that adds or changes jobs has in common. */
export abstract class JobFace extends HistoryFace {
  /** @internal */
  protected abstract get operations(): JobOperations;
  /** @internal */
  protected readonly adder: JobAdder;

  /** @internal */
  protected constructor(options: SchedulerOptions<TaskMap>, wiring: Wiring) {
    super(options, wiring);
    this.adder = new JobAdder(this.node, this.factory, this.reporter, this.options.clock);
  }

  /** @internal */
  protected async change(
    id: string,
    options: { readonly jobStore?: string | undefined; readonly ifRevision?: Revision | undefined },
    change: (record: JobRecord, context: { readonly now: number; readonly node: string }, loop: StoreLoop) => Decision | undefined,
    check?: (record: JobRecord, loop: StoreLoop) => MaybePromise<void>,
  ): Promise<{ loop: StoreLoop; result: JobChangeResult }> {
    for (const loop of options.jobStore === undefined ? this.directory.loops : [this.directory.require(options.jobStore)]) {
      const opening = loop.open(this.context());
      if (isThenable(opening)) await opening;
    }
    const loop = await this.directory.locate(id, options.jobStore);
    const changeNow = (record: JobRecord): Decision | undefined => change(record, { now: loop.now(), node: this.node }, loop);
    const result = await changeJob(loop, this.options.clock, id, options.ifRevision, changeNow, check && ((record) => check(record, loop)));
    return { loop, result };
  }

  /** @internal */
  protected async handle(loop: StoreLoop, result: JobChangeResult): Promise<Job> {
    if (result.stored === undefined) throw new JobNotFoundError(result.record.id, loop.access.alias);
    const showing = this.show(loop, result.stored);
    return isThenable(showing) ? await showing : showing;
  }

  /** A job as its users see it. @internal */
  protected show(loop: StoreLoop, stored: StoredJob): MaybePromise<Job> {
    const { alias } = loop.access;
    if (loop.nodeJobs === undefined || stored.record.definition.trigger.onEachNode === undefined) return new Job(this.operations, alias, stored);
    return loop.nodeJobs.view(stored).then((seen) => new Job(this.operations, alias, seen));
  }

  /** @internal */
  protected modified(loop: StoreLoop, result: JobChangeResult, changed: readonly string[]): void {
    if (result.decision === undefined) return;
    const nextRunTime = result.record.state.nextFireTime;
    this.reporter.job(result.record, loop.access.alias, { type: 'jobModified', changed, nextRunTime });
    if (changed.some((option) => CHANGES_EXPECTATION.has(option))) warnOfFalseAlarms(this.reporter, result.record, loop.access.alias, loop.now());
  }
}

import type { Bulk } from './bulk.js';
import type { SyncJob } from './defined-set.js';
import { importJobs, type ImportOptions, type ImportResult } from './import.js';
import type { JobListQuery } from './job-directory.js';
import { RunFace } from './run-face.js';
import { listJobs } from './job-list.js';
import { syncJobs, type SyncOptions } from './sync.js';
import type { SyncPlan } from './sync-plan.js';
import { exportListed, type JobExport } from './transfer.js';

/** What a scheduler does with many jobs at a time. */
export abstract class BulkFace extends RunFace {
  /**
   * Makes the stored jobs of an owner those that are defined: adds what is missing, changes what differs, and removes what
   * is no longer defined. For the start of a program whose jobs are known in its code. An unchanged job is not written,
   * and keeps its place; a changed trigger begins a new schedule, other changes keep the next fire time. Pauses,
   * counters and live runs stay. Jobs of other owners, or of none, are left alone. Processes may do so at the same time.
   *
   * Of a job in quarantine the definition takes the place. In a store that is not durable, functions are compared by
   * identity: a new function is a change. A job that has come to its end is gone, and is added again if it is still defined.
   *
   * @returns what was done, or with `dryRun` what would be; as text, a line for each job and a summary.
   * @throws InvalidOptionError, as for an id that is defined twice; JobOwnedError when a job with the id of a definition
   * is not the owner's and `adopt` was not given; what `addJob` throws. Nothing was changed then, unless the store failed.
   * @example
   * ```ts
   * const plan = await scheduler.sync(
   *   [
   *     { id: 'invoices', task: 'sendInvoices', trigger: '0 6 1 * *' },
   *     { id: 'reminders', task: 'remind', trigger: new IntervalTrigger({ hours: 1 }), args: ['overdue'] },
   *   ],
   *   { owner: 'billing' },
   * );
   * console.log(String(plan)); // + invoices …
   * ```
   */
  sync(definitions: readonly SyncJob[], options: SyncOptions): Promise<SyncPlan> {
    return syncJobs(this.#bulk(), definitions, options);
  }

  /**
   * Jobs as plain JSON: what each is, and its place in the schedule. All that match, or with `limit` one page of them, which
   * is a document of its own; `nextCursor` leads on. Live runs stay where they are: for a move, shut down what runs first.
   *
   * @throws JobUnstorableError naming every job that has a bare function, or anything else that cannot be written.
   * @example
   * ```ts
   * await writeFile('jobs.json', JSON.stringify(await scheduler.exportJobs(), null, 2));
   * ```
   */
  async exportJobs(query: JobListQuery = {}): Promise<JobExport> {
    const { jobs, nextCursor } = await listJobs(this.directory, this.context(), query);
    return exportListed(jobs, nextCursor, this.codec, new Date(this.options.clock.now()));
  }

  /**
   * Adds exported jobs, each at its place in the schedule: its cursor, its counters, and the grid of its interval. What came up
   * since is up to its misfire policies. A job whose task is not defined here waits; one that cannot be read here is
   * kept as it is, in quarantine. Fire times that a replaced job has dealt with here do not come up again.
   *
   * @param data - what `exportJobs` answered, or any page of it.
   * @throws UnknownFormatError, InvalidOptionError, UnknownStoreError, ConflictingJobIdError naming every id that is taken,
   * JobUnstorableError. Nothing was imported then, unless another process took an id in the meantime.
   * @example
   * ```ts
   * const data = JSON.parse(await readFile('jobs.json', 'utf8'));
   * const { added } = await scheduler.importJobs(data, { jobStore: 'sqlite', onConflict: 'keep' });
   * ```
   */
  importJobs(data: unknown, options: ImportOptions = {}): Promise<ImportResult> {
    return importJobs(this.#bulk(), data, options);
  }

  #bulk(): Bulk {
    return {
      node: this.node,
      clock: this.options.clock,
      codec: this.codec,
      factory: this.factory,
      reporter: this.reporter,
      check: (definition) => this.tasks.check(definition),
      open: async (alias) => {
        const loop = this.directory.require(alias);
        await loop.open(this.context());
        return loop;
      },
      admit: (loop, { record }, replaced) => { this.adder.announce(loop, record, replaced); },
    };
  }
}

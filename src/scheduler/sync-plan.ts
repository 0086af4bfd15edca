/** A job that `sync` adds. */
export interface SyncCreation {
  readonly id: string;
  /** When it fires first; `null` when it is added paused. */
  readonly nextRunTime: Date | null;
}

/** A job that `sync` changes. */
export interface SyncChange {
  readonly id: string;
  /**
   * What differs: `trigger`, `task`, `args`, `name`, `tags`, `metadata`, `taskVersion`, `owner` (it is adopted), `status` (it
   * was in quarantine), and policies by their names in `job.policy`, such as `policy.maxInstances`.
   */
  readonly fields: readonly string[];
  /** When it fires next, changed; `null` when it is paused, or waits for the end of a run. */
  readonly nextRunTime: Date | null;
}

/**
 * What `sync` did, or, with `dryRun`, what it would do. Printed, a line for each job that is not left alone, and a summary.
 *
 * @example
 * ```ts
 * console.log(String(await scheduler.sync(jobs, { owner: 'billing', dryRun: true })));
 * // + invoices
 * // ~ reminders (trigger, policy.maxInstances)
 * // - old-report
 * // billing: 1 to create, 1 to change, 1 to remove, 4 unchanged
 * ```
 */
export class SyncPlan {
  readonly owner: string;
  /** Whether it only says what would be done. */
  readonly dryRun: boolean;
  readonly create: readonly SyncCreation[];
  readonly change: readonly SyncChange[];
  /** Ids of those that are as defined, or whose schedule is over: nothing is written of them. */
  readonly keep: readonly string[];
  /** Ids of those that are no longer defined. */
  readonly remove: readonly string[];

  /** @internal */
  constructor(facts: Pick<SyncPlan, 'owner' | 'dryRun' | 'create' | 'change' | 'keep' | 'remove'>) {
    this.owner = facts.owner;
    this.dryRun = facts.dryRun;
    this.create = facts.create;
    this.change = facts.change;
    this.keep = facts.keep;
    this.remove = facts.remove;
  }

  /** Whether everything is as defined already. */
  get isEmpty(): boolean {
    return this.create.length + this.change.length + this.remove.length === 0;
  }

  toString(): string {
    const { create, change, keep, remove } = this;
    const [created, changed, removed] = this.dryRun ? ['to create', 'to change', 'to remove'] : ['created', 'changed', 'removed'];
    return [
      ...create.map(({ id }) => `+ ${id}`),
      ...change.map(({ id, fields }) => `~ ${id} (${fields.join(', ')})`),
      ...remove.map((id) => `- ${id}`),
      `${this.owner}: ${create.length} ${created}, ${change.length} ${changed}, ${remove.length} ${removed}, ${keep.length} unchanged`,
    ].join('\n');
  }
}

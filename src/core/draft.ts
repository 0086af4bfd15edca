import type { JobRecord, JobState } from '../model/job.js';
import type { JobLinks, RunCause } from '../model/links.js';
import { NO_RUNS, runningCount } from '../model/job.js';
import type { LedgerEntry, StoredResult, Verdict } from '../model/ledger.js';
import type { FireRange, JobNotice } from '../model/notice.js';
import type { ErrorInfo, RunningRun, RunRecord } from '../model/run.js';
import { withEntry, type JobStats } from '../model/stats.js';
import type { EpochMs } from '../ports/trigger.js';
import { finishLinks, patched } from './links/links.js';
import { tell } from './links/tell.js';
import { endWatch, watched } from './watch.js';

/** Who acts, and when. */
export interface ActContext {
  readonly now: EpochMs;
  readonly node: string;
}

/** What the planner wants done. Nothing of it has happened until the record is written. */
export interface Decision {
  /** The record to write, or `null` to delete it. */
  readonly next: JobRecord | null;
  /** Runs to start on this node, if and only if the write wins. */
  readonly start: readonly RunningRun[];
  readonly ledger: readonly LedgerEntry[];
  readonly notices: readonly JobNotice[];
}

const NO_STARTS: readonly RunningRun[] = Object.freeze([]);
const NO_ENTRIES: readonly LedgerEntry[] = Object.freeze([]);
const NOTHING: Partial<JobState> = Object.freeze({});
const NO_NOTICES: readonly JobNotice[] = Object.freeze([]);

/**
 * A record being changed. Lists are allocated when something is put into them: most changes need none of them,
 * and this is the hot path.
 */
export class Draft {
  readonly record: JobRecord;
  runs: readonly RunRecord[];
  running: number;
  fence: number;
  runCount: number;
  stats: JobStats;
  links: JobLinks | undefined;
  /** As it was given, since others share it: a number such as the time would be an object of its own here. */
  readonly #context: ActContext;
  #start: RunningRun[] | undefined;
  #ledger: LedgerEntry[] | undefined;
  #notices: JobNotice[] | undefined;

  constructor(record: JobRecord, context: ActContext) {
    this.record = record;
    this.#context = context;
    this.runs = record.state.runs;
    this.running = this.runs.length === 0 ? 0 : runningCount(this.runs);
    this.fence = record.state.fence;
    this.runCount = record.state.runCount;
    this.stats = record.state.stats;
    this.links = record.state.links;
  }

  get now(): EpochMs {
    return this.#context.now;
  }

  get node(): string {
    return this.#context.node;
  }

  /** Of the run that got its verdict last. */
  get lastError(): ErrorInfo | null {
    return this.#ledger?.findLast(({ error }) => error !== null)?.error ?? null;
  }

  note(notice: JobNotice): void {
    if (this.#notices === undefined) this.#notices = [notice];
    else this.#notices.push(notice);
  }

  addRun(run: RunRecord): void {
    this.runs = this.runs.length === 0 ? [run] : [...this.runs, run];
  }

  /** What made a fire time, for the run that becomes of it; what the job waited for is told to its first run. */
  takeCauses(fire: EpochMs): readonly RunCause[] | undefined {
    const { links } = this;
    if (links === undefined) return undefined;
    const { met, pending } = links;
    if (met !== undefined) this.links = patched(links, { met: undefined });
    const by = pending?.find(({ at }) => at === fire)?.by;
    if (met === undefined) return by;
    const causes = [...met].sort((a, b) => a.order - b.order).map(({ order: _order, ...cause }): RunCause => cause);
    return [...causes, ...(by ?? [])];
  }

  begin(run: RunningRun): void {
    if (this.#start === undefined) this.#start = [run];
    else this.#start.push(run);
  }

  /** The verdict on fire times of which no run was made. */
  writeRange(verdict: Verdict, reason: string | null, range: FireRange): void {
    this.#write({
      jobId: this.record.id,
      runId: null,
      verdict,
      reason,
      scheduledFor: range.scheduledFor,
      scheduledTo: range.scheduledTo,
      count: range.count,
      exact: range.exact,
      manual: false,
      generation: this.record.state.generation,
      attempt: 0,
      startedAt: null,
      at: this.now,
      node: this.node,
      error: null,
      result: null,
    });
  }

  /** The verdict on a run. */
  writeRun(verdict: Verdict, reason: string | null, run: RunRecord, error: ErrorInfo | null, result: StoredResult | null = null): void {
    this.#write({
      jobId: this.record.id,
      runId: run.id,
      verdict,
      reason,
      scheduledFor: run.scheduledFor,
      scheduledTo: run.scheduledFor,
      count: 1,
      exact: true,
      manual: run.manual,
      generation: this.record.state.generation,
      attempt: run.attempt,
      startedAt: run.state === 'running' ? run.startedAt : null,
      at: this.now,
      node: this.node,
      error,
      result,
    });
  }

  #write(entry: LedgerEntry): void {
    this.stats = withEntry(this.stats, entry);
    if (this.#ledger === undefined) this.#ledger = [entry];
    else this.#ledger.push(entry);
    if (this.links?.followers === undefined) return;
    const told = tell(this.links, entry, this.fence + 1);
    if (told !== this.links) this.fence += 1;
    this.links = told;
  }

  /** Whether a run begins with this. */
  get begins(): boolean {
    return this.#start !== undefined;
  }

  /** The decision that deletes the record: it is complete, or `removed`. */
  delete(status = this.record.state.status): Decision {
    if (this.record.state.watch !== null) endWatch(this, status);
    return this.#decision(null);
  }

  /** The decision that writes the record with this state. */
  write(state: JobState, definition = this.record.definition): Decision {
    const isWatched = state.watch !== null || definition.policy.expect != null;
    const next = isWatched ? watched(this, state, definition) : state;
    const { id } = this.record;
    return this.#decision({ id, definition, state: next.links === undefined ? next : finishLinks(id, next, this.now) });
  }

  #decision(next: JobRecord | null): Decision {
    return {
      next,
      start: this.#start ?? NO_STARTS,
      ledger: this.#ledger ?? NO_ENTRIES,
      notices: this.#notices ?? NO_NOTICES,
    };
  }

  /** The record's state with what the draft counted, and `changes`. Always the same shape, for speed. */
  state(changes: Partial<JobState> = NOTHING): JobState {
    const { state } = this.record;
    const next: JobState = {
      status: changes.status ?? state.status,
      reason: changes.reason === undefined ? state.reason : changes.reason,
      nextFireTime: changes.nextFireTime === undefined ? state.nextFireTime : changes.nextFireTime,
      nextDueAt: changes.nextDueAt === undefined ? state.nextDueAt : changes.nextDueAt,
      lastFireTime: changes.lastFireTime === undefined ? state.lastFireTime : changes.lastFireTime,
      runCount: this.runCount,
      fence: this.fence,
      generation: changes.generation ?? state.generation,
      firstFireTime: changes.firstFireTime === undefined ? state.firstFireTime : changes.firstFireTime,
      runs: this.runs.length === 0 ? NO_RUNS : this.runs,
      stats: this.stats,
      watch: state.watch,
    };
    if (this.links === undefined && state.cancels === undefined) return next;
    return { ...next, ...(this.links === undefined ? undefined : { links: this.links }), ...(state.cancels === undefined ? undefined : { cancels: state.cancels }) };
  }
}

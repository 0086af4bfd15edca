import { nextFire } from '../../core/fires.js';
import { runningCount, slotLimit, type JobRecord } from '../../model/job.js';
import type { LedgerEntry } from '../../model/ledger.js';
import type { RunningRun, RunRecord } from '../../model/run.js';
import { DEPENDENCY_FAILED } from '../../core/links/receive.js';
import { mayBeHeld } from './features.js';
import { auditFires } from './fire-audit.js';
import type { Report } from './report.js';

export interface WrittenChange {
  readonly before: JobRecord;
  readonly next: JobRecord | null;
  readonly ledger: readonly LedgerEntry[];
  /** The node whose write won. */
  readonly node: string;
  /** True time of the store. */
  readonly at: number;
}

export interface AuditOptions {
  readonly leaseMs: number;
  /** Whether runs are held under leases. */
  readonly leased: boolean;
  /** By how much a node's idea of the store's time may be off. */
  readonly toleranceMs: number;
  /** How long a write may take from its decision to the store. */
  readonly onTheWayMs: number;
  /** Clocks jump, and nobody has a better one: what depends on wall time is not judged. */
  readonly wildTime: boolean;
}

/**
 * Judges every change that reaches the store, from outside: no fire time lost or doubled, no run without an end or
 * with two, no slot too many, no lease broken, nothing started that is paused or removed. Knows the records and the
 * triggers, and nothing of how the scheduler decides.
 */
export class RecordAudit {
  readonly #report: Report;
  readonly #options: AuditOptions;
  /** Verdicts by incarnation of the job and run. */
  readonly #verdicts = new Set<string>();

  constructor(report: Report, options: AuditOptions) {
    this.#report = report;
    this.#options = options;
  }

  committed(change: WrittenChange): void {
    const { before, next, ledger } = change;
    this.#report.totals.commits += 1;
    this.#report.totals.verdicts += ledger.length;
    this.#runs(change);
    if (next !== null) this.#state(before, next, change);
    for (const run of next?.state.runs ?? []) {
      this.#crashes(change, run);
      const old = before.state.runs.find(({ id }) => id === run.id);
      if (run.state === 'running' && (old?.state !== 'running' || old.token !== run.token)) this.#started(change, old, run);
    }
    if (!this.#options.wildTime) for (const run of before.state.runs) if (run.state === 'running') this.#lease(change, run);
    const fault = auditFires(change, this.#options);
    if (fault !== null) this.#report.broken(fault.promise, `${describe(change)}: ${fault.what}`);
  }

  /** Each run that goes has one verdict, each that stays has none. */
  #runs(change: WrittenChange): void {
    const { before, next, ledger } = change;
    const after = next?.state.runs ?? [];
    const fail = (what: string): void => { this.#report.broken('G1', `${describe(change)}: ${what}`); };
    if (new Set(after.map(({ id }) => id)).size !== after.length) fail('two live runs have one id');
    for (const run of before.state.runs) {
      const verdicts = ledger.filter((entry) => entry.runId === run.id).length;
      const skipped = ledger.filter((entry) => entry.runId === null && entry.verdict === 'skipped' && entry.scheduledFor === run.scheduledFor).length;
      const stays = after.some(({ id }) => id === run.id);
      if (stays && verdicts > 0) fail(`run ${run.id} has a verdict and goes on`);
      if (!stays && verdicts + skipped !== 1) fail(`run ${run.id} went with ${verdicts + skipped} verdicts`);
    }
    for (const { runId, verdict, reason } of ledger) {
      if (runId === null) continue;
      // A job that is called off has the verdict on what would have been its first run.
      const isCalledOff = reason === DEPENDENCY_FAILED && before.state.links?.waits !== undefined;
      if (isCalledOff) this.#report.totals.calledOff += 1;
      if (!isCalledOff && !before.state.runs.some(({ id }) => id === runId)) fail(`the verdict ${verdict} on ${runId}, which is no live run`);
      const key = `${incarnationOf(before)} ${runId}`;
      if (this.#verdicts.has(key)) fail(`a second verdict on run ${runId}`);
      this.#verdicts.add(key);
    }
  }

  #state(before: JobRecord, next: JobRecord, change: WrittenChange): void {
    const { state, definition } = next;
    const { policy } = definition;
    const fail = (promise: string, what: string): void => { this.#report.broken(promise, `${describe(change)}: ${what}`); };
    // Fire times of one catch-up wait beyond the queue's limit; one that comes alone does not.
    const added = state.runs.filter(({ id, manual }) => !manual && !before.state.runs.some((run) => run.id === id));
    const queued = state.runs.filter((run) => run.state === 'waiting' && run.cause === 'queued').length;
    const limit = policy.overlap === 'queueAll' ? policy.queueLimit : policy.overlap === 'queue' ? 1 : Number.POSITIVE_INFINITY;
    if (added.length > policy.maxCatchUp) fail('G9', `${added.length} runs of one catch-up`);
    if (added.length === 1 && added[0]?.state === 'waiting' && runningCount(state.runs) >= slotLimit(policy) && queued > limit) {
      fail('G9', `${queued} runs are queued, with ${limit} allowed`);
    }
    if (policy.maxRuns !== null && state.runCount > Math.max(policy.maxRuns, before.state.runCount)) {
      fail('maxRuns', `${state.runCount} runs of ${policy.maxRuns}`);
    }
    const { watch, status } = state;
    if (watch !== null && (policy.expect === null || (status !== 'active' && status !== 'quarantined'))) fail('alarms', `something is expected of a job that is ${status}`);
    // Said once: while an alarm holds, it is the same one.
    const [said, says] = [before.state.watch?.overdue, watch?.overdue];
    if (said != null && said.deadline === says?.deadline && said.raisedAt !== says.raisedAt) fail('alarms', 'an alarm was raised twice');
    if (state.fence < before.state.fence && incarnationOf(before) === incarnationOf(next)) fail('G4', 'the fence went back');
    if (state.status === 'active' && state.nextFireTime === null && state.runs.length === 0 && definition.trigger.follows === undefined) fail('G1', 'an active job without a future stays');
    if (state.status === 'active' && (state.nextFireTime === null) !== (state.nextDueAt === null)) fail('G1', 'cursor and due time disagree');
    const isHeld = mayBeHeld(definition) && state.nextDueAt !== null && state.nextDueAt !== before.state.nextDueAt && state.nextFireTime === before.state.nextFireTime;
    if (isHeld) this.#report.totals.holds += 1;
    // What waits for a limit, or for other jobs, is due when they let it.
    const isDelayed = mayBeHeld(definition) || before.state.links !== undefined;
    if (!isDelayed && state.nextDueAt !== null && state.nextFireTime !== null) {
      const following = state.status === 'quarantined' || definition.trigger.kind === 'flaky' ? null : nextFire(definition, state.nextFireTime);
      if (state.nextDueAt < state.nextFireTime || (following !== null && state.nextDueAt >= following)) fail('jitter', 'a start moved past the next fire time');
    }
  }

  /** A run begins on a node. */
  #started(change: WrittenChange, old: RunRecord | undefined, run: RunningRun): void {
    const { before, next, node, at } = change;
    if (next === null) return;
    const { policy } = next.definition;
    const fail = (promise: string, what: string): void => { this.#report.broken(promise, `${describe(change)}: run ${run.id} ${what}`); };
    if (runningCount(next.state.runs) > slotLimit(policy)) {
      fail('G5', `is one of ${runningCount(next.state.runs)} with ${slotLimit(policy)} allowed`);
    }
    if (!run.manual && before.state.status !== 'active') fail('G6', `started although the job was ${before.state.status}`);
    if (run.attempt !== (old?.attempt ?? 0) + 1) fail('G2', `starts attempt ${run.attempt} after ${old?.attempt ?? 0}`);
    if (run.owner !== node) fail('G4', `was started by ${node} for ${run.owner}`);
    if (run.token <= before.state.fence) fail('G4', `has token ${run.token}, and ${before.state.fence} was given out already`);
    if ((run.leaseUntil !== null) !== this.#options.leased) fail('G3', `has the lease ${String(run.leaseUntil)}`);
    if (old?.state === 'waiting' && old.readyAt > at + this.#options.toleranceMs && !this.#options.wildTime && !mayBeHeld(before.definition)) fail('retry', 'starts before it is ready');
    this.#report.totals.starts += 1;
    if (old?.state === 'waiting' && old.cause === 'retry') this.#report.totals.retries += 1;
    if (run.crashes > (old?.crashes ?? 0) || (old?.state === 'waiting' && old.cause === 'crash')) this.#report.totals.takeovers += 1;
  }

  /** A run whose node died goes on only as often, and only if, its job says so. */
  #crashes(change: WrittenChange, run: RunRecord): void {
    const { before, next } = change;
    const old = before.state.runs.find(({ id }) => id === run.id);
    if (next === null || old === undefined || run.crashes <= old.crashes) return;
    const { onCrash, maxCrashes } = before.definition.policy;
    if (onCrash === 'drop' || run.crashes > maxCrashes) {
      this.#report.broken('G3', `${describe(change)}: run ${run.id} goes on after ${run.crashes} crashes, with ${onCrash} and ${maxCrashes}`);
    }
  }

  /** Nobody touches a run whose holder still has a right to it. */
  #lease(change: WrittenChange, run: RunningRun): void {
    const { next, node, at } = change;
    if (run.owner === node) return;
    if (run.leaseUntil !== null && run.leaseUntil <= at + this.#options.toleranceMs) return;
    const after = next?.state.runs.find(({ id }) => id === run.id);
    const same = after?.state === 'running' && after.token === run.token && after.owner === run.owner && after.leaseUntil === run.leaseUntil;
    if (!same) {
      const left = run.leaseUntil === null ? 'no end' : `${run.leaseUntil - at} ms left`;
      this.#report.broken('G4', `${describe(change)}: run ${run.id} was taken from ${run.owner}, whose lease had ${left}`);
    }
  }
}

/** Jobs that follow one another under one id are told apart by the number their task is called with. */
export function incarnationOf({ id, definition }: JobRecord): string {
  return `${id}/${String(definition.args[0])}`;
}

export function describe({ before, next, node, ledger }: WrittenChange): string {
  const change = next === null ? 'delete' : `write ${next.state.status}`;
  return `${incarnationOf(before)}, ${change} by ${node} [${ledger.map(({ verdict, scheduledFor }) => `${verdict}@${scheduledFor}`).join(' ')}]`;
}

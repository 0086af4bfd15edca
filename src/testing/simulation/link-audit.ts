import { isWanted } from '../../core/links/links.js';
import type { JobRecord } from '../../model/job.js';
import type { LedgerEntry } from '../../model/ledger.js';
import type { RunCause } from '../../model/links.js';
import type { RunContext } from '../../ports/executor.js';
import type { Following } from '../../ports/trigger.js';
import { describe, type WrittenChange } from './record-audit.js';
import type { Report } from './report.js';

/** A verdict on a run, in the order in which the store got them. */
interface Verdict {
  readonly order: number;
  readonly entry: LedgerEntry;
  readonly at: number;
}

/** What a caller knows of a job that follows others: from when on each of their ends has to reach it. */
interface Promised {
  /** Which of the jobs that came to have this id. */
  readonly incarnation: number;
  readonly follows: Following;
  /** Ends from this one on. */
  readonly since: number;
  /** By source: the last end of it that made, or helped to make, a fire time. */
  readonly used: Map<string, number>;
}

/** A job that waits for others, as its caller knows it. */
interface PromisedWait {
  readonly incarnation: number;
  readonly sources: readonly string[];
  readonly onFailure: 'cancel' | 'run' | 'wait';
  readonly since: number;
}

/**
 * Judges what ties jobs to others, from outside: by the verdicts in the order in which they were written, and by what
 * callers were told. Each end that is asked for makes one fire time, none is made of what did not happen, and nobody goes on
 * waiting for what has.
 */
export class LinkAudit {
  readonly #report: Report;
  readonly #verdicts = new Map<string, Verdict[]>();
  /** How often an end has been used by a follower: follower, source, run, verdict. */
  readonly #uses = new Map<string, number>();
  readonly #promised = new Map<string, Promised>();
  readonly #waits = new Map<string, PromisedWait>();
  /** Jobs called off since what they waited for failed, by id and generation. */
  readonly #calledOff = new Set<string>();
  #orders = 0;

  constructor(report: Report) {
    this.#report = report;
  }

  // ── what callers know ──

  /** `addJob` has resolved. */
  follows(id: string, incarnation: number, follows: Following): void {
    this.#promised.set(id, { incarnation, follows, since: this.#orders, used: new Map() });
  }

  waits(id: string, incarnation: number, sources: readonly string[], onFailure: PromisedWait['onFailure']): void {
    this.#waits.set(id, { incarnation, sources, onFailure, since: this.#orders });
  }

  /** From here on the job may be another, or none. */
  release(id: string): void {
    this.#promised.delete(id);
    this.#waits.delete(id);
  }

  // ── what is written ──

  committed(change: WrittenChange): void {
    const { before, next, ledger, at } = change;
    for (const entry of ledger) {
      if (entry.runId === null) continue;
      const own = this.#verdicts.get(entry.jobId) ?? [];
      own.push({ order: ++this.#orders, entry, at });
      this.#verdicts.set(entry.jobId, own);
      if (entry.reason === 'dependency-failed') this.#calledOff.add(`${before.id}/${before.state.generation}`);
    }
    this.#heard(change);
    this.#met(change);
    if (next !== null && next.state.runs.length > 0 && this.#calledOff.has(`${next.id}/${next.state.generation}`)) {
      const fresh = next.state.runs.find((run) => !run.manual && !before.state.runs.some(({ id }) => id === run.id));
      if (fresh !== undefined) this.#report.broken('links', `${describe(change)}: ${fresh.id} after the job was called off`);
    }
  }

  /** Fire times that came of ends. */
  #heard(change: WrittenChange): void {
    const { before, next } = change;
    const follows = next?.definition.trigger.follows;
    if (next === null || follows === undefined) return;
    for (const { at, by } of next.state.links?.pending ?? []) {
      if (before.state.links?.pending?.some((fire) => fire.at === at) === true) continue;
      this.#report.totals.follows += 1;
      const sources = by.map(({ jobId }) => jobId);
      const isRight = follows.mode === 'any' ? sources.length === 1 : follows.jobs.every((id) => sources.includes(id)) && sources.length === follows.jobs.length;
      if (!isRight) this.#report.broken('links', `${describe(change)}: a fire time came of ${sources.join(', ')}, and it follows ${follows.mode} of ${follows.jobs.join(', ')}`);
      for (const cause of by) {
        if (!isWanted(follows.on, cause.verdict)) this.#report.broken('links', `${describe(change)}: a fire time came of ${words(cause)}, and it follows ${follows.on}`);
        this.#use(change, next.id, cause);
      }
    }
  }

  #use(change: WrittenChange, follower: string, cause: RunCause): void {
    const key = `${follower} ${words(cause)}`;
    const uses = (this.#uses.get(key) ?? 0) + 1;
    this.#uses.set(key, uses);
    const verdicts = this.#of(cause);
    if (verdicts.length < uses) this.#report.broken('links', `${describe(change)}: fire time ${uses} came of ${words(cause)}, which there was ${verdicts.length} times`);
    const order = verdicts[uses - 1]?.order;
    if (order !== undefined) this.#promised.get(follower)?.used.set(cause.jobId, order);
  }

  /** What a job waited for. */
  #met(change: WrittenChange): void {
    const { before, next } = change;
    if (next === null) return;
    const known = before.state.links?.met ?? [];
    for (const met of next.state.links?.met ?? []) {
      if (known.some(({ order }) => order === met.order)) continue;
      this.#report.totals.waitsMet += 1;
      this.#checkReal(`${describe(change)}: waited for`, met);
    }
  }

  /** A run may name only what has happened. */
  started(name: string, incarnation: number, { follows, isManual, jobId }: RunContext): void {
    for (const cause of follows) this.#checkReal(`${name} follows`, cause);
    const waits = this.#waits.get(jobId);
    if (isManual || waits?.incarnation !== incarnation || waits.onFailure === 'run') return;
    const missing = waits.sources.find((source) => (this.#verdicts.get(source) ?? []).every(({ entry }) => entry.verdict !== 'succeeded'));
    if (missing !== undefined) this.#report.broken('links', `${name} started, and ${missing}, on which it depends, has not succeeded`);
  }

  #checkReal(what: string, cause: RunCause): void {
    // What was passed over, or is gone, has no run to be checked.
    if (cause.runId !== null && this.#of(cause).length === 0) this.#report.broken('links', `${what} ${words(cause)}, which has not happened`);
  }

  #of({ jobId, runId, verdict }: RunCause): Verdict[] {
    return (this.#verdicts.get(jobId) ?? []).filter(({ entry }) => entry.runId === runId && entry.verdict === verdict);
  }

  // ── at rest ──

  /** All is told that there is to tell. @param before - store time: what ended after it may still be on its way. */
  audit(records: readonly JobRecord[], before: number): void {
    for (const record of records) {
      if (record.state.status === 'removed') continue;
      this.#auditFollower(record, before);
      this.#auditWaiter(record, before);
    }
  }

  #auditFollower({ id, definition }: JobRecord, before: number): void {
    const promised = this.#promised.get(id);
    if (promised === undefined || promised.incarnation !== definition.args[0]) return;
    const { follows, since, used } = promised;
    const missing = follows.jobs.map((source) => {
      const wanted = (this.#verdicts.get(source) ?? []).filter(({ order, entry, at }) => order > since && at < before && isWanted(follows.on, entry.verdict));
      if (follows.mode === 'all') return wanted.find(({ order }) => order > (used.get(source) ?? 0));
      return wanted.find(({ entry: { runId, verdict } }, index) => {
        const cause = { jobId: source, runId, verdict };
        // One run id may come again under a job that was added again.
        const times = wanted.slice(0, index + 1).filter(({ entry }) => entry.runId === runId && entry.verdict === verdict).length;
        return (this.#uses.get(`${id} ${words(cause)}`) ?? 0) < times;
      });
    });
    const isLost = follows.mode === 'any' ? missing.some((one) => one !== undefined) : missing.every((one) => one !== undefined);
    if (!isLost) return;
    const lost = missing.find((one) => one !== undefined)!.entry;
    this.#report.broken('links', `${id} follows ${follows.mode} of ${follows.jobs.join(', ')}, and never heard that ${String(lost.runId)} was ${lost.verdict}`);
  }

  #auditWaiter({ id, state, definition }: JobRecord, before: number): void {
    const promised = this.#waits.get(id);
    const waits = state.links?.waits;
    if (promised === undefined || waits === undefined || promised.incarnation !== definition.args[0]) return;
    for (const { source, run } of waits) {
      const over = (this.#verdicts.get(source) ?? []).find(({ order, entry, at }) => {
        if (order <= promised.since || at >= before) return false;
        return (run === undefined || entry.runId === run) && (promised.onFailure !== 'wait' || entry.verdict === 'succeeded');
      });
      if (over !== undefined) this.#report.broken('links', `${id} still waits for ${run ?? source}, and ${String(over.entry.runId)} was ${over.entry.verdict}`);
    }
  }
}

function words({ jobId, runId, verdict }: RunCause): string {
  return `${jobId}: ${String(runId)} ${verdict}`;
}

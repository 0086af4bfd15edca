import type { SchedulerEvent } from '../../events/events.js';
import { firstDeadline, isWatched } from '../../model/alarm.js';
import type { JobRecord } from '../../model/job.js';
import { TOO_MANY_FAILURES } from '../../model/notice.js';
import { describe, incarnationOf, type AuditOptions, type WrittenChange } from './record-audit.js';
import type { Report } from './report.js';

/** What a node has to tell once a write of its was answered. */
export type Telling = string;

/**
 * Judges alarms and suspensions: an overdue job is told of once, when it is overdue and not before, and so is its recovery;
 * a job is paused with exactly as many failures in a row as it may have.
 */
export class AlarmAudit {
  readonly #report: Report;
  readonly #options: AuditOptions;
  /** By telling: how often it may have been said. */
  readonly #entitled = new Map<Telling, number>();
  readonly #said = new Map<Telling, number>();
  /** By incarnation: the last success, and scheduled runs in a row that failed. */
  readonly #successes = new Map<string, number>();
  readonly #failures = new Map<string, number>();

  constructor(report: Report, options: AuditOptions) {
    this.#report = report;
    this.#options = options;
  }

  /** Answers what the node that wrote has to tell. */
  committed(change: WrittenChange): readonly Telling[] {
    return [...this.#alarm(change), ...this.#suspension(change)];
  }

  heard(event: SchedulerEvent): void {
    const telling = tellingOf(event);
    if (telling === null) return;
    const said = (this.#said.get(telling) ?? 0) + 1;
    this.#said.set(telling, said);
    const entitled = this.#entitled.get(telling) ?? 0;
    if (said > entitled) this.#report.broken('alarms', `"${telling}" was told ${said} times by ${event.node}, and happened ${entitled} times`);
  }

  // ── alarms ──

  #alarm(change: WrittenChange): Telling[] {
    const { before, next, ledger, at } = change;
    const { toleranceMs, wildTime, onTheWayMs } = this.#options;
    const fail = (what: string): void => { this.#report.broken('alarms', `${describe(change)}: ${what}`); };
    const incarnation = incarnationOf(before);
    const held = before.state.watch?.overdue ?? null;
    const holds = next?.state.watch?.overdue ?? null;
    const tellings: Telling[] = [];
    const isRaised = holds !== null && (held?.deadline !== holds.deadline || held.why !== holds.why);
    // One that ends with the write that would have raised it is told of as well: both, and nothing is left to see of it.
    const first = held === null && isWatched(before.state.status, before.definition) ? firstDeadline(before) : null;
    if (first !== null && (wildTime || first.deadline <= at + toleranceMs) && holds?.deadline !== first.deadline) {
      this.#entitle(overdueOf(before.id, first.why, first.deadline));
      this.#entitle(recoveredOf(before.id, first.why));
    }
    if (isRaised) {
      this.#report.totals.alarms += 1;
      const telling = overdueOf(before.id, holds.why, holds.deadline);
      this.#entitle(telling);
      tellings.push(telling);
      const success = this.#successes.get(incarnation);
      const within = next?.definition.policy.expect?.successWithinMs ?? null;
      if (!wildTime && holds.deadline > at + toleranceMs + onTheWayMs) fail(`an alarm was raised ${holds.deadline - at} ms early`);
      if (!wildTime && holds.why === 'no-success' && success !== undefined && within !== null && holds.deadline < success + within) {
        fail(`an alarm for ${holds.deadline} was raised, and it succeeded at ${success}, with ${within} ms allowed`);
      }
    }
    if (held !== null && (holds === null || isRaised)) {
      const telling = recoveredOf(before.id, held.why);
      this.#entitle(telling);
      tellings.push(telling);
      const isSame = next !== null && next.definition === before.definition && next.state.status === before.state.status && next.state.generation === before.state.generation;
      if (isSame && held.why === 'no-success' && !ledger.some(({ verdict }) => verdict === 'succeeded')) fail('an alarm ended without a success');
    }
    for (const { verdict, at: when } of ledger) {
      if (verdict !== 'succeeded') continue;
      this.#successes.set(incarnation, when);
      if (held?.why === 'no-success' && holds?.deadline === held.deadline) fail('an alarm goes on after a success');
    }
    return tellings;
  }

  #entitle(telling: Telling): void {
    this.#entitled.set(telling, (this.#entitled.get(telling) ?? 0) + 1);
  }

  // ── failures in a row ──

  #suspension(change: WrittenChange): Telling[] {
    const { before, next, ledger } = change;
    const { maxConsecutiveFailures: most } = before.definition.policy;
    const incarnation = incarnationOf(before);
    const fail = (what: string): void => { this.#report.broken('failures', `${describe(change)}: ${what}`); };
    const known = this.#failures.get(incarnation) ?? 0;
    let failures = known;
    for (const { verdict, manual } of ledger) {
      if (manual) continue;
      if (verdict === 'succeeded') failures = 0;
      else if (verdict === 'failed' || verdict === 'abandoned') failures += 1;
    }
    // Resumed: what was before is forgiven.
    const isSuspended = next?.state.status === 'paused' && next.state.reason === TOO_MANY_FAILURES;
    const wasSuspended = before.state.status === 'paused' && before.state.reason === TOO_MANY_FAILURES;
    // A job in the place of another goes on with its statistics.
    this.#failures.set(next === null ? incarnation : incarnationOf(next), before.state.status === 'paused' && next?.state.status === 'active' ? 0 : failures);
    if (isSuspended && !wasSuspended) {
      this.#report.totals.suspensions += 1;
      if (most === null || failures < most) fail(`paused after ${failures} failures in a row, with ${String(most)} allowed`);
      const telling = `jobPaused ${before.id} ${failures}`;
      this.#entitle(telling);
      return [telling];
    }
    if (most !== null && failures >= most && failures > known && before.state.status === 'active' && next?.state.status === 'active' && next.state.nextFireTime !== null) {
      fail(`goes on after ${failures} failures in a row, with ${most} allowed`);
    }
    return [];
  }

  // ── what nobody wrote ──

  /** A job that has been overdue since before then, and of which nobody has heard. */
  unsaid(records: readonly JobRecord[], since: number): JobRecord | undefined {
    return records.find((record) => {
      const { state, definition } = record;
      if (definition.policy.expect === null || !isWatched(state.status, definition) || state.watch?.overdue !== null) return false;
      const first = firstDeadline(record);
      return first !== null && first.deadline < since;
    });
  }
}

/** What an event tells, in the words of this audit. */
export function tellingOf(event: SchedulerEvent): Telling | null {
  switch (event.type) {
    case 'jobOverdue':
      return overdueOf(event.jobId, event.why, event.deadline);
    case 'jobRecovered':
      return recoveredOf(event.jobId, event.why);
    case 'jobPaused':
      return event.reason === null ? null : `jobPaused ${event.jobId} ${event.failures}`;
    default:
      return null;
  }
}

function overdueOf(id: string, why: string, deadline: number): Telling {
  return `jobOverdue ${id} ${why} ${deadline}`;
}

function recoveredOf(id: string, why: string): Telling {
  return `jobRecovered ${id} ${why}`;
}

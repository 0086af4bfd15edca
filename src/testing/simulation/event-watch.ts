import type { SchedulerEvent } from '../../events/events.js';
import type { LedgerEntry } from '../../model/ledger.js';
import type { JobChange, Revision } from '../../ports/job-store.js';
import { tellingOf, type AlarmAudit, type Telling } from './alarm-audit.js';
import type { Report } from './report.js';

/** Compares what a node was told is written with what it told its listeners: nothing drops silently (G10). */
export class EventWatch {
  readonly #report: Report;
  readonly #node: string;
  readonly #said = new Set<string>();
  readonly #expected: { readonly key: string; readonly at: number }[] = [];
  readonly #alarms: AlarmAudit;
  #isUnavailable = false;

  constructor(report: Report, node: string, alarms: AlarmAudit) {
    this.#report = report;
    this.#node = node;
    this.#alarms = alarms;
  }

  heard(event: SchedulerEvent): void {
    this.#report.totals.events += 1;
    if (event.node !== this.#node) this.#report.broken('G10', `an event of ${event.node} came from ${this.#node}`);
    this.#alarms.heard(event);
    const key = tellingOf(event) ?? keyOfEvent(event);
    if (key !== null) this.#said.add(key);
    if (event.type === 'storeUnavailable' || event.type === 'storeRecovered') {
      const down = event.type === 'storeUnavailable';
      if (down === this.#isUnavailable) this.#report.broken('G8', `${this.#node} said ${event.type} twice`);
      this.#isUnavailable = down;
    }
  }

  /** A commit of this node has been answered: the verdicts in it are now its to tell. */
  delivered(changes: readonly JobChange[], answers: readonly (Revision | undefined)[], at: number, tellingsOf: (change: JobChange) => readonly Telling[]): void {
    changes.forEach((change, i) => {
      if (answers[i] === undefined) return;
      for (const entry of change.ledger) this.#expected.push({ key: keyOfEntry(entry), at });
      for (const key of tellingsOf(change)) this.#expected.push({ key, at });
    });
  }

  /** To be called when all has come to rest: everything expected has been said. */
  audit(): void {
    for (const { key, at } of this.#expected) {
      if (!this.#said.has(key)) {
        this.#report.broken('G10', `${this.#node} wrote "${key}" at ${at} and told nobody`);
        return;
      }
    }
    this.#expected.length = 0;
  }
}

function keyOfEvent(event: SchedulerEvent): string | null {
  switch (event.type) {
    case 'jobMissed':
    case 'jobCoalesced':
    case 'jobSkipped':
      return `${event.type} ${event.jobId} ${event.scheduledFor}-${event.scheduledTo}`;
    case 'jobMaxInstances':
      return event.action === 'skipped' ? `${event.type} ${event.jobId} ${event.scheduledFor}` : null;
    case 'jobCancelled':
    case 'jobExecuted':
    case 'jobError':
      return `${event.type} ${event.runId}`;
    case 'jobAbandoned':
      return event.retried ? null : `${event.type} ${event.runId}`;
    default:
      return null;
  }
}

function keyOfEntry({ jobId, runId, verdict, reason, scheduledFor, scheduledTo }: LedgerEntry): string {
  const range = `${jobId} ${scheduledFor}-${scheduledTo}`;
  switch (verdict) {
    case 'missed':
      return `jobMissed ${range}`;
    case 'coalesced':
      return `jobCoalesced ${range}`;
    case 'skipped':
      return reason === 'max-instances' || reason === 'queue-full' ? `jobMaxInstances ${jobId} ${scheduledFor}` : `jobSkipped ${range}`;
    case 'cancelled':
      return `jobCancelled ${String(runId)}`;
    case 'abandoned':
      return `jobAbandoned ${String(runId)}`;
    case 'succeeded':
      return `jobExecuted ${String(runId)}`;
    case 'failed':
      return `jobError ${String(runId)}`;
    default:
      return verdict satisfies never;
  }
}

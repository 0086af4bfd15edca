import type { LedgerEntry, LedgerQuery } from '../../model/ledger.js';
import type { Ledger, LedgerPage, LedgerPageRequest } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';

export interface LedgerLimits {
  /** Entries kept of each job; the oldest goes first. */
  readonly perJob: number;
  /** Jobs that are gone whose history is kept; the one gone longest goes first. */
  readonly removedJobs: number;
}

interface Line {
  readonly sequence: number;
  readonly entry: LedgerEntry;
}

/** A ring: `start` is the place of the oldest line once it is full. */
interface History {
  readonly lines: Line[];
  start: number;
  prunedThrough: EpochMs | null;
}

/** The history of a memory store, bounded per job. */
export class MemoryLedger implements Ledger {
  readonly #limits: LedgerLimits;
  readonly #histories = new Map<string, History>();
  /** Ids of removed jobs in the order in which they went. */
  readonly #removed = new Set<string>();
  #sequence = 0;

  constructor(limits: LedgerLimits) {
    this.#limits = limits;
  }

  append(entries: readonly LedgerEntry[]): void {
    for (const entry of entries) {
      let history = this.#histories.get(entry.jobId);
      if (history === undefined) {
        history = { lines: [], start: 0, prunedThrough: null };
        this.#histories.set(entry.jobId, history);
      }
      const line = { sequence: ++this.#sequence, entry };
      if (history.lines.length < this.#limits.perJob) {
        history.lines.push(line);
        continue;
      }
      const oldest = history.lines[history.start];
      const dropped = oldest?.entry ?? entry;
      if (!dropped.manual) history.prunedThrough = Math.max(history.prunedThrough ?? dropped.scheduledTo, dropped.scheduledTo);
      if (oldest === undefined) continue; // perJob is 0: nothing is kept
      history.lines[history.start] = line;
      history.start = (history.start + 1) % history.lines.length;
    }
  }

  /** The job is back (or new): its history is no longer that of a removed one. */
  jobAdded(jobId: string): void {
    this.#removed.delete(jobId);
  }

  jobRemoved(jobId: string): void {
    if (!this.#histories.has(jobId)) return;
    this.#removed.add(jobId);
    if (this.#removed.size <= this.#limits.removedJobs) return;
    for (const oldest of this.#removed) {
      this.#removed.delete(oldest);
      this.#histories.delete(oldest);
      break;
    }
  }

  list(query: LedgerQuery & LedgerPageRequest): LedgerPage {
    const after = query.after === undefined ? null : Number(query.after);
    const newestFirst = query.newestFirst === true;
    const found: Line[] = [];
    const histories =
      query.jobId === undefined ? this.#histories.values() : [this.#histories.get(query.jobId) ?? NO_HISTORY];
    for (const { lines } of histories) {
      for (const line of lines) {
        if (after !== null && (newestFirst ? line.sequence >= after : line.sequence <= after)) continue;
        if (matches(line.entry, query)) found.push(line);
      }
    }
    found.sort((a, b) => (newestFirst ? b.sequence - a.sequence : a.sequence - b.sequence));
    const page = found.slice(0, query.limit);
    const last = page.at(-1);
    return {
      entries: page.map((line) => line.entry),
      nextCursor: found.length > page.length && last !== undefined ? String(last.sequence) : null,
    };
  }

  prunedThrough(jobId: string): EpochMs | null {
    return this.#histories.get(jobId)?.prunedThrough ?? null;
  }
}

const NO_HISTORY: History = { lines: [], start: 0, prunedThrough: null };

function matches(entry: LedgerEntry, query: LedgerQuery): boolean {
  if (query.jobId !== undefined && entry.jobId !== query.jobId) return false;
  if (query.runId !== undefined && entry.runId !== query.runId) return false;
  if (query.verdicts !== undefined && !query.verdicts.includes(entry.verdict)) return false;
  if (query.from !== undefined && entry.scheduledTo < query.from) return false;
  return query.to === undefined || entry.scheduledFor <= query.to;
}

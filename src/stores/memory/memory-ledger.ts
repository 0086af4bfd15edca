import { InvalidOptionError } from '../../errors/errors.js';
import type { LedgerEntry, LedgerQuery } from '../../model/ledger.js';
import type { Ledger, LedgerPage, LedgerPageRequest } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';

export interface LedgerLimits {
  /** Entries kept of each job; the oldest goes first. */
  readonly perJob: number;
  /** Jobs that are gone whose history is kept; the one gone longest goes first. */
  readonly removedJobs: number;
}

/** An entry, and when it was written among all of the store. */
export interface Line {
  readonly sequence: number;
  readonly entry: LedgerEntry;
}

/** The lines of one job: a ring, in which `start` is the place of the oldest once it is full. */
export interface History {
  readonly lines: Line[];
  start: number;
  prunedThrough: EpochMs | null;
}

/** Who has a job's history while the job is there. */
interface Holder {
  history: History | null;
}

/** Where the histories of the jobs that are there can be found. */
export interface LiveHistories {
  get(jobId: string): Holder | undefined;
  values(): Iterable<Holder>;
}

/** The history of a memory store, bounded per job. A job that is there has its own; those of jobs that are gone are here. */
export class MemoryLedger implements Ledger {
  readonly #limits: LedgerLimits;
  readonly #live: LiveHistories;
  /** Histories of removed jobs, in the order in which these went. */
  readonly #removed = new Map<string, History>();
  #sequence = 0;

  constructor(limits: LedgerLimits, live: LiveHistories) {
    this.#limits = limits;
    this.#live = live;
  }

  append(holder: Holder, entries: readonly LedgerEntry[]): void {
    for (const entry of entries) this.#append(holder, entry);
  }

  #append(holder: Holder, entry: LedgerEntry): void {
    const line = { sequence: ++this.#sequence, entry };
    const { history } = holder;
    if (history === null) {
      if (this.#limits.perJob > 0) holder.history = { lines: [line], start: 0, prunedThrough: null };
      else holder.history = { lines: [], start: 0, prunedThrough: prune(null, entry) };
      return;
    }
    if (history.lines.length < this.#limits.perJob) {
      history.lines.push(line);
      return;
    }
    const oldest = history.lines[history.start];
    history.prunedThrough = prune(history.prunedThrough, oldest?.entry ?? entry);
    if (oldest === undefined) return; // perJob is 0: nothing is kept
    history.lines[history.start] = line;
    history.start = (history.start + 1) % history.lines.length;
  }

  /** Gives back the history a removed job of this id had, now that there is one again. */
  jobAdded(jobId: string, holder: Holder): void {
    if (this.#removed.size === 0) return;
    holder.history = this.#removed.get(jobId) ?? null;
    this.#removed.delete(jobId);
  }

  jobRemoved(jobId: string, holder: Holder): void {
    if (holder.history === null || this.#limits.removedJobs === 0) return;
    this.#removed.set(jobId, holder.history);
    if (this.#removed.size <= this.#limits.removedJobs) return;
    for (const oldest of this.#removed.keys()) {
      this.#removed.delete(oldest);
      break;
    }
  }

  list(query: LedgerQuery & LedgerPageRequest): LedgerPage {
    const after = query.after === undefined ? null : readCursor(query.after);
    const newestFirst = query.newestFirst === true;
    const found: Line[] = [];
    for (const { lines } of this.#histories(query.jobId)) {
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
    return this.#historyOf(jobId)?.prunedThrough ?? null;
  }

  #historyOf(jobId: string): History | undefined {
    return this.#live.get(jobId)?.history ?? this.#removed.get(jobId);
  }

  *#histories(jobId: string | undefined): Iterable<History> {
    if (jobId !== undefined) {
      const history = this.#historyOf(jobId);
      if (history !== undefined) yield history;
      return;
    }
    for (const { history } of this.#live.values()) if (history !== null) yield history;
    yield* this.#removed.values();
  }
}

function readCursor(cursor: string): number {
  const sequence = Number(cursor);
  if (Number.isInteger(sequence)) return sequence;
  throw new InvalidOptionError('cursor', cursor, 'the nextCursor of an earlier page');
}

function prune(through: EpochMs | null, dropped: LedgerEntry): EpochMs | null {
  return dropped.manual ? through : Math.max(through ?? dropped.scheduledTo, dropped.scheduledTo);
}

function matches(entry: LedgerEntry, query: LedgerQuery): boolean {
  if (query.jobId !== undefined && entry.jobId !== query.jobId) return false;
  if (query.runId !== undefined && entry.runId !== query.runId) return false;
  if (query.verdicts !== undefined && !query.verdicts.includes(entry.verdict)) return false;
  if (query.from !== undefined && entry.scheduledTo < query.from) return false;
  return query.to === undefined || entry.scheduledFor <= query.to;
}

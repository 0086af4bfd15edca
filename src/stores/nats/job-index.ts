import { RAISED } from '../../model/alarm.js';
import type { ClaimScope, JobQuery } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { AlarmIndex } from '../shared/alarm-index.js';
import { WakeIndex, type WakeEntry } from '../shared/wake-index.js';
import type { Outline } from './job-form.js';

export interface JobEntry extends WakeEntry {
  readonly id: string;
  record: Outline;
  revision: number;
}

/** Ledger entries that travel in a record. */
export interface Boxed {
  readonly revision: number;
  /** On this node's monotonic clock. */
  readonly since: number;
}

/**
 * What this node knows of the jobs: enough to find what is due and what a query is after. It may be behind the server;
 * of two things it is told of one job, it keeps the newer, in whatever order they come.
 */
export class JobIndex {
  readonly wakes = new WakeIndex<JobEntry>((outline) => outline.wakeAt);
  readonly alarms = new AlarmIndex();
  /** By id: records, tombstones included, with entries that may not be in the ledger. */
  readonly boxed = new Map<string, Boxed>();
  readonly #entries = new Map<string, JobEntry>();
  readonly #tasks = new Map<string, number>();
  /** Deleted, and the stream has not been read so far yet: what it tells of them is older. */
  readonly #gone = new Map<string, number>();
  #sorted: string[] = [];
  readonly #added = new Set<string>();
  readonly #dropped = new Set<string>();
  readonly #monotonic: () => number;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  get(id: string): JobEntry | undefined {
    return this.#entries.get(id);
  }

  entries(): Iterable<JobEntry> {
    return this.#entries.values();
  }

  tasks(): string[] {
    return [...this.#tasks.keys()];
  }

  /** A record is there. Answers whether that was news. */
  put(id: string, revision: number, record: Outline): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      if ((this.#gone.get(id) ?? 0) > revision) return false;
      this.#add(id, revision, record);
    } else {
      if (entry.revision >= revision) return false;
      const { task } = entry.record.definition;
      entry.revision = revision;
      this.wakes.replace(entry, record);
      if (task !== record.definition.task) {
        this.#count(record.definition.task, 1);
        this.#count(task, -1);
      }
    }
    this.alarms.set(id, record.alarmAt);
    this.#box(id, revision, record.isBoxed);
    return true;
  }

  /** A record was deleted. Answers whether that was news. */
  drop(id: string, revision: number, isBoxed: boolean): boolean {
    const entry = this.#entries.get(id);
    if ((entry?.revision ?? this.#gone.get(id) ?? 0) >= revision) return false;
    this.#gone.set(id, revision);
    this.#box(id, revision, isBoxed);
    if (entry !== undefined) this.#remove(entry);
    return true;
  }

  /** The stream was read up to here: what comes from now on is newer. */
  readUpTo(sequence: number): void {
    for (const [id, revision] of this.#gone) {
      if (revision > sequence) break;
      this.#gone.delete(id);
    }
  }

  clear(): void {
    for (const entry of [...this.#entries.values()]) this.#remove(entry);
    this.boxed.clear();
    this.#gone.clear();
  }

  /** After a reading of all there is: what was not in it, and is not newer, is gone. */
  keepOnly(isThere: (id: string) => boolean, upTo: number): void {
    for (const entry of this.#entries.values()) if (entry.revision <= upTo && !isThere(entry.id)) this.#remove(entry);
    for (const [id, { revision }] of this.boxed) if (revision <= upTo && !isThere(id)) this.boxed.delete(id);
  }

  nextWakeAt(scope: ClaimScope): EpochMs | null {
    return this.wakes.nextWakeAt(scope);
  }

  /** Entries that match, in order of id by UTF-16 code unit. */
  *find(query: JobQuery): Iterable<JobEntry> {
    const ids = this.alarms.find(query) ?? this.#idsInOrder();
    for (let at = query.after === undefined ? 0 : firstAfter(ids, query.after); at < ids.length; at++) {
      const entry = this.#entries.get(ids[at]!);
      if (entry !== undefined && matches(entry, query)) yield entry;
    }
  }

  #add(id: string, revision: number, record: Outline): void {
    const entry: JobEntry = { id, record, revision, at: 0, place: 'never', lane: null, stamp: 0, position: 0 };
    this.#entries.set(id, entry);
    this.#gone.delete(id);
    this.wakes.add(entry);
    this.#count(record.definition.task, 1);
    if (!this.#dropped.delete(id)) this.#added.add(id);
  }

  #remove(entry: JobEntry): void {
    const { id, record } = entry;
    this.wakes.remove(entry);
    this.alarms.set(id, null);
    this.#entries.delete(id);
    this.#count(record.definition.task, -1);
    if (!this.#added.delete(id)) this.#dropped.add(id);
  }

  #box(id: string, revision: number, isBoxed: boolean): void {
    // To the end: they are in order of time.
    this.boxed.delete(id);
    if (isBoxed) this.boxed.set(id, { revision, since: this.#monotonic() });
  }

  #count(task: string, change: number): void {
    const count = (this.#tasks.get(task) ?? 0) + change;
    if (count === 0) this.#tasks.delete(task);
    else this.#tasks.set(task, count);
  }

  /** Sorted are only those that came since the last time. */
  #idsInOrder(): readonly string[] {
    if (this.#added.size === 0 && this.#dropped.size === 0) return this.#sorted;
    const added = [...this.#added].sort();
    const merged: string[] = [];
    let next = 0;
    for (const id of this.#sorted) {
      while (next < added.length && added[next]! < id) merged.push(added[next++]!);
      if (!this.#dropped.has(id)) merged.push(id);
    }
    while (next < added.length) merged.push(added[next++]!);
    this.#added.clear();
    this.#dropped.clear();
    return (this.#sorted = merged);
  }
}

/** Index of the first id greater than `after` in sorted ids. */
function firstAfter(ids: readonly string[], after: string): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ids[middle]! > after) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function matches({ id, record }: { readonly id: string; readonly record: Outline }, query: JobQuery): boolean {
  const { definition, status, isRunning, alarmAt } = record;
  if (query.task !== undefined && definition.task !== query.task) return false;
  if (query.triggerKind !== undefined && definition.kind !== query.triggerKind) return false;
  if (query.statuses !== undefined && !query.statuses.includes(status)) return false;
  if (query.owner !== undefined && definition.owner !== query.owner) return false;
  if (query.running && !isRunning) return false;
  if (query.overdue && alarmAt !== RAISED) return false;
  if (query.alarmBy !== undefined && (alarmAt === null || alarmAt === RAISED || alarmAt > query.alarmBy)) return false;
  if (query.tags?.every((tag) => definition.tags.includes(tag)) === false) return false;
  if (query.text === undefined) return true;
  const text = query.text.toLowerCase();
  return [id, definition.name ?? '', definition.task].some((field) => field.toLowerCase().includes(text));
}

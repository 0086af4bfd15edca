import { RAISED } from '../../model/alarm.js';
import type { JobAlarms, JobQuery } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { Heap, type HeapItem } from './heap.js';

interface Alarm extends HeapItem {
  readonly id: string;
  readonly at: EpochMs;
}

/** The jobs of which something is expected, by when they are overdue. Of most stores they are few, and others cost nothing. */
export class AlarmIndex {
  readonly #pending = new Heap<Alarm>((a, b) => a.at < b.at);
  readonly #alarms = new Map<string, Alarm>();
  readonly #raised = new Set<string>();

  /** @param at - `alarmAt` of the job's record; `null` also for a job that is gone. */
  set(id: string, at: EpochMs | null): void {
    if (at === null && this.#alarms.size === 0 && this.#raised.size === 0) return;
    const before = this.#alarms.get(id);
    if (before !== undefined) {
      if (before.at === at) return;
      this.#pending.remove(before);
      this.#alarms.delete(id);
    }
    if (at === RAISED) {
      this.#raised.add(id);
      return;
    }
    this.#raised.delete(id);
    if (at === null) return;
    const alarm: Alarm = { id, at, position: -1 };
    this.#alarms.set(id, alarm);
    this.#pending.push(alarm);
  }

  alarms(): JobAlarms {
    return { nextAt: this.#pending.peek()?.at ?? null, overdue: this.#raised.size };
  }

  /** Ids of the jobs that a query asks for by its `overdue` and `alarmBy`, in order; `undefined` where it has neither. */
  find({ overdue, alarmBy }: JobQuery): string[] | undefined {
    if (alarmBy === undefined) return overdue === true ? [...this.#raised].sort() : undefined;
    // Nothing is both.
    if (overdue === true) return [];
    const due: string[] = [];
    for (const { id, at } of this.#alarms.values()) if (at <= alarmBy) due.push(id);
    return due.sort();
  }
}

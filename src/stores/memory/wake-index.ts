import type { JobRecord } from '../../model/job.js';
import { wakeAt } from '../../model/job.js';
import type { ClaimRequest, ClaimScope, Revision } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { Heap, type HeapItem } from './heap.js';

/** A stored record with its place in the index. */
export interface Entry extends HeapItem {
  record: JobRecord;
  revision: Revision;
  /** `wakeAt` of the record; +infinity for never. */
  at: number;
  place: Place;
  /** Until when it is hidden from claimers, while `place` is `hidden`. */
  hiddenUntil: EpochMs;
}

/**
 * `later`: in the heap by time. `due`: in the heap by priority. `stranded`: due, and nobody who asked can serve it.
 * `hidden`: answered to a claimer. `never`: nothing to wake for.
 */
type Place = 'later' | 'due' | 'stranded' | 'hidden' | 'never';

/** Jobs of one executor. */
interface Lane {
  readonly later: Heap<Entry>;
  readonly due: Heap<Entry>;
  /** By task: due records whose task the last claimer did not have. */
  readonly stranded: Map<string, Set<Entry>>;
}

const byTime = (a: Entry, b: Entry): boolean => a.at < b.at;

const byPriority = (a: Entry, b: Entry): boolean => {
  const difference = b.record.definition.policy.priority - a.record.definition.policy.priority;
  return difference < 0 || (difference === 0 && a.at < b.at);
};

/**
 * Finds what is due without looking at what is not: a heap by time per executor, from which due records move to a
 * heap by priority. Cost per claim is logarithmic, however many jobs are idle.
 */
export class WakeIndex {
  readonly #lanes = new Map<string, Lane>();
  /** Hidden entries in the order in which they were hidden; those no longer hidden are dropped on the way. */
  #hidden: Entry[] = [];

  add(entry: Entry): void {
    const at = wakeAt(entry.record);
    if (at === null) {
      entry.place = 'never';
      entry.at = Number.POSITIVE_INFINITY;
      return;
    }
    entry.at = at;
    entry.place = 'later';
    this.#lane(entry).later.push(entry);
  }

  remove(entry: Entry): void {
    const lane = this.#lane(entry);
    if (entry.place === 'later') lane.later.remove(entry);
    else if (entry.place === 'due') lane.due.remove(entry);
    else if (entry.place === 'stranded') this.#unstrand(lane, entry);
    entry.place = 'never';
  }

  claim(request: ClaimRequest): Entry[] {
    this.#unhide(request.now);
    const lanes: LaneClaim[] = [];
    for (const [executor, free] of request.executors) {
      const lane = this.#lanes.get(executor);
      if (lane === undefined || free <= 0) continue;
      this.#gatherDue(lane, request);
      lanes.push({ lane, free });
    }
    const claimed: Entry[] = [];
    while (claimed.length < request.limit) {
      const best = this.#bestOf(lanes, request.tasks);
      if (best === undefined) break;
      best.from.free -= 1;
      best.from.lane.due.remove(best.entry);
      best.entry.place = 'hidden';
      best.entry.hiddenUntil = request.now + request.reserveMs;
      this.#hidden.push(best.entry);
      claimed.push(best.entry);
    }
    return claimed;
  }

  nextWakeAt(scope: ClaimScope): EpochMs | null {
    let next = Number.POSITIVE_INFINITY;
    for (const [executor, free] of scope.executors) {
      const lane = this.#lanes.get(executor);
      if (lane === undefined || free <= 0) continue;
      const due = this.#headWithTask(lane, scope.tasks);
      if (due !== undefined) next = Math.min(next, due.at);
      for (const [task, entries] of lane.stranded) {
        if (scope.tasks.has(task)) for (const entry of entries) next = Math.min(next, entry.at);
      }
      // Whether this node has the task of what comes later is seen when it is due: a wake-up too many is harmless.
      next = Math.min(next, lane.later.peek()?.at ?? Number.POSITIVE_INFINITY);
    }
    this.#dropUnhidden();
    for (const entry of this.#hidden) {
      if (entry.place === 'hidden') next = Math.min(next, entry.hiddenUntil);
    }
    return next === Number.POSITIVE_INFINITY ? null : next;
  }

  #bestOf(lanes: readonly LaneClaim[], tasks: ReadonlySet<string>): { entry: Entry; from: LaneClaim } | undefined {
    let best: { entry: Entry; from: LaneClaim } | undefined;
    for (const from of lanes) {
      if (from.free <= 0) continue;
      const entry = this.#headWithTask(from.lane, tasks);
      if (entry !== undefined && (best === undefined || byPriority(entry, best.entry))) best = { entry, from };
    }
    return best;
  }

  /** The first due entry whose task is known. Those before it are set aside, so that they block nobody. */
  #headWithTask(lane: Lane, tasks: ReadonlySet<string>): Entry | undefined {
    for (;;) {
      const entry = lane.due.peek();
      if (entry === undefined) return undefined;
      const { definition } = entry.record;
      if (definition.fn !== null || tasks.has(definition.task)) return entry;
      lane.due.remove(entry);
      entry.place = 'stranded';
      const same = lane.stranded.get(definition.task);
      if (same === undefined) lane.stranded.set(definition.task, new Set([entry]));
      else same.add(entry);
    }
  }

  #gatherDue(lane: Lane, request: ClaimRequest): void {
    for (let entry = lane.later.peek(); entry !== undefined && entry.at <= request.now; entry = lane.later.peek()) {
      lane.later.remove(entry);
      entry.place = 'due';
      lane.due.push(entry);
    }
    for (const [task, entries] of lane.stranded) {
      if (!request.tasks.has(task)) continue;
      lane.stranded.delete(task);
      for (const entry of entries) {
        entry.place = 'due';
        lane.due.push(entry);
      }
    }
  }

  #unstrand(lane: Lane, entry: Entry): void {
    const { task } = entry.record.definition;
    const same = lane.stranded.get(task);
    same?.delete(entry);
    if (same?.size === 0) lane.stranded.delete(task);
  }

  #unhide(now: EpochMs): void {
    this.#dropUnhidden();
    for (const entry of this.#hidden) {
      if (entry.place === 'hidden' && entry.hiddenUntil <= now) this.add(entry);
    }
    this.#dropUnhidden();
  }

  /** A commit takes its record out of hiding at once; most claims are followed by one, so the list stays short. */
  #dropUnhidden(): void {
    if (this.#hidden.length === 0) return;
    if (this.#hidden.some((entry) => entry.place === 'hidden')) {
      this.#hidden = this.#hidden.filter((entry) => entry.place === 'hidden');
    } else {
      this.#hidden = [];
    }
  }

  #lane(entry: Entry): Lane {
    const { executor } = entry.record.definition.policy;
    let lane = this.#lanes.get(executor);
    if (lane === undefined) {
      lane = { later: new Heap(byTime), due: new Heap(byPriority), stranded: new Map() };
      this.#lanes.set(executor, lane);
    }
    return lane;
  }
}

interface LaneClaim {
  readonly lane: Lane;
  free: number;
}

import type { ClaimRequest, ClaimScope, Revision } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { Heap } from './heap.js';
import { TimeHeap, type PushCount } from './time-heap.js';

/** What of a job's definition says who can serve it, and how urgent it is. */
export interface Service {
  readonly fn: unknown;
  readonly task: string;
  readonly taskVersion: number;
  readonly policy: { readonly executor: string; readonly priority: number };
}

/** A record, or as much of it as an index needs. */
export interface Indexed {
  readonly definition: Service;
}

/** A stored record with its place in the index. */
export interface WakeEntry {
  record: Indexed;
  revision: Revision;
  /** `wakeAt` of the record; +infinity for never. */
  at: EpochMs;
  place: Place;
  lane: Lane | null;
  /** See {@link TimeHeap}. */
  stamp: number;
  /** Place in the heap by priority. */
  position: number;
}

/**
 * `later`: in the heap by time. `due`: in the heap by priority. `stranded`: due, and nobody who asked can serve it.
 * `hidden`: answered to a claimer. `never`: nothing to wake for.
 */
type Place = 'later' | 'due' | 'stranded' | 'hidden' | 'never';

/** Jobs of one executor. */
interface Lane {
  readonly executor: string;
  readonly later: TimeHeap<WakeEntry>;
  readonly due: Heap<WakeEntry>;
  /** By task and version: due records whose task the last claimer did not have. */
  readonly stranded: Map<string, Set<WakeEntry>>;
  /** Some job had a priority, so that what is due has to be put in order. Without, time is order enough. */
  prioritised: boolean;
}

interface Hidden {
  readonly entry: WakeEntry;
  readonly revision: Revision;
  readonly until: EpochMs;
}

const byPriority = (a: WakeEntry, b: WakeEntry): boolean => {
  const difference = priorityOf(b) - priorityOf(a);
  return difference < 0 || (difference === 0 && (a.at < b.at || (a.at === b.at && a.stamp < b.stamp)));
};

/**
 * Finds what is due without looking at what is not: a heap by time per executor, from which due records move to a heap
 * by priority where priorities are in use. Cost per claim is logarithmic, however many jobs are idle.
 */
export class WakeIndex<E extends WakeEntry> {
  readonly #wakeAt: (record: E['record']) => EpochMs | null;
  readonly #lanes = new Map<string, Lane>();
  readonly #pushes: PushCount = { next: 0 };
  /** What was answered to claimers, until it is committed or its time of hiding is over. */
  #hidden: Hidden[] = [];

  /** @param wakeAt - when a record next needs attention, or `null` for never. */
  constructor(wakeAt: (record: E['record']) => EpochMs | null) {
    this.#wakeAt = wakeAt;
  }

  add(entry: E): void {
    const at = this.#wakeAt(entry.record);
    const lane = this.#laneOf(entry);
    if (at === null) {
      entry.place = 'never';
      entry.at = Number.POSITIVE_INFINITY;
      return;
    }
    entry.at = at;
    entry.place = 'later';
    lane.later.push(at, entry);
  }

  remove(entry: E): void {
    const { lane } = entry;
    if (lane === null) return;
    if (entry.place === 'later') lane.later.remove(entry);
    else if (entry.place === 'due') lane.due.remove(entry);
    else if (entry.place === 'stranded') unstrand(lane, entry);
    entry.place = 'never';
  }

  /** Puts another record in the entry, and the entry where that belongs. Mostly it can stay: a run's end moves nothing. */
  replace(entry: E, record: E['record']): void {
    const { policy, task } = entry.record.definition;
    const next = record.definition;
    const stays =
      entry.place === 'later' &&
      this.#wakeAt(record) === entry.at &&
      next.policy.executor === policy.executor &&
      next.policy.priority === policy.priority &&
      next.task === task;
    if (stays) {
      entry.record = record;
      return;
    }
    this.remove(entry);
    entry.record = record;
    this.add(entry);
  }

  /** The best of what is due. They are hidden from the next claims, until they are replaced or the time of hiding is over. */
  claim(request: ClaimRequest): E[] {
    this.#reveal(request.now);
    const lanes: LaneClaim[] = [];
    for (const [executor, free] of request.executors) {
      const lane = this.#lanes.get(executor);
      if (lane === undefined || free <= 0) continue;
      if (lane.stranded.size > 0) reclaimStranded(lane, request.tasks);
      if (lane.prioritised || lane.due.size > 0) gatherDue(lane, request.now);
      lanes.push({ lane, free });
    }
    const claimed: E[] = [];
    const until = request.now + request.reserveMs;
    while (claimed.length < request.limit) {
      const from = best(lanes, request);
      const entry = from?.head;
      if (from === undefined || entry === undefined) break;
      take(from.lane, entry);
      from.head = undefined;
      from.free -= 1;
      entry.place = 'hidden';
      this.#hidden.push({ entry, revision: entry.revision, until });
      // Nothing else was ever put in.
      claimed.push(entry as E);
    }
    return claimed;
  }

  /** Hides an entry that somebody else has claimed. */
  hide(entry: E, until: EpochMs): void {
    if (entry.place === 'hidden' || entry.place === 'never') return;
    this.remove(entry);
    entry.place = 'hidden';
    this.#hidden.push({ entry, revision: entry.revision, until });
  }

  /** Shows an entry again that was claimed and is left to others. */
  show(entry: E): void {
    if (entry.place === 'hidden') this.add(entry);
  }

  nextWakeAt(scope: ClaimScope): EpochMs | null {
    let next = Number.POSITIVE_INFINITY;
    for (const [executor, free] of scope.executors) {
      const lane = this.#lanes.get(executor);
      if (lane === undefined || free <= 0) continue;
      next = Math.min(next, headWithTask(lane, lane.due, scope.tasks)?.at ?? Number.POSITIVE_INFINITY);
      for (const entries of lane.stranded.values()) {
        const [first] = entries;
        if (first === undefined || !isServable(first.record.definition, scope.tasks)) continue;
        for (const entry of entries) next = Math.min(next, entry.at);
      }
      // Whether this node has the task of what comes later is seen when it is due: a wake-up too many is harmless.
      next = Math.min(next, lane.later.peek()?.at ?? Number.POSITIVE_INFINITY);
    }
    if (this.#hidden.length > 0) {
      this.#hidden = this.#hidden.filter(isHidden);
      for (const { entry, until } of this.#hidden) {
        if ((scope.executors.get(entry.record.definition.policy.executor) ?? 0) > 0) next = Math.min(next, until);
      }
    }
    return next === Number.POSITIVE_INFINITY ? null : next;
  }

  /** Brings back what was claimed and never committed. Most claims are committed at once, so the list stays short. */
  #reveal(now: EpochMs): void {
    if (this.#hidden.length === 0) return;
    const still: Hidden[] = [];
    for (const hidden of this.#hidden) {
      if (!isHidden(hidden)) continue;
      if (hidden.until <= now) this.add(hidden.entry as E);
      else still.push(hidden);
    }
    this.#hidden = still;
  }

  #laneOf(entry: E): Lane {
    const { executor, priority } = entry.record.definition.policy;
    let lane = entry.lane?.executor === executor ? entry.lane : this.#lanes.get(executor);
    if (lane === undefined) {
      lane = { executor, later: new TimeHeap(this.#pushes), due: new Heap(byPriority), stranded: new Map(), prioritised: false };
      this.#lanes.set(executor, lane);
    }
    lane.prioritised ||= priority !== 0;
    entry.lane = lane;
    return lane;
  }
}

interface LaneClaim {
  readonly lane: Lane;
  free: number;
  /** The best entry of the lane, once looked up. */
  head?: WakeEntry | undefined;
}

/** The lane whose head comes first. */
function best(lanes: readonly LaneClaim[], request: ClaimRequest): LaneClaim | undefined {
  let found: LaneClaim | undefined;
  for (const from of lanes) {
    if (from.free <= 0) continue;
    from.head ??= headOf(from.lane, request);
    if (from.head !== undefined && (found?.head === undefined || byPriority(from.head, found.head))) found = from;
  }
  return found;
}

function headOf(lane: Lane, request: ClaimRequest): WakeEntry | undefined {
  if (lane.prioritised || lane.due.size > 0) return headWithTask(lane, lane.due, request.tasks);
  const entry = headWithTask(lane, lane.later, request.tasks, request.now);
  return entry;
}

/** The first entry of a heap whose task is known. Those before it are set aside, so that they block nobody. */
function headWithTask(
  lane: Lane,
  heap: { peek(): WakeEntry | undefined },
  tasks: ReadonlyMap<string, number>,
  now: EpochMs = Number.POSITIVE_INFINITY,
): WakeEntry | undefined {
  for (let entry = heap.peek(); entry !== undefined && entry.at <= now; entry = heap.peek()) {
    const { definition } = entry.record;
    if (isServable(definition, tasks)) return entry;
    take(lane, entry);
    entry.place = 'stranded';
    const key = strandedKey(definition);
    const same = lane.stranded.get(key);
    if (same === undefined) lane.stranded.set(key, new Set([entry]));
    else same.add(entry);
  }
  return undefined;
}

/** Takes out the head of the heap it lies in. */
function take(lane: Lane, entry: WakeEntry): void {
  if (entry.place === 'due') lane.due.remove(entry);
  else lane.later.pop();
}

function gatherDue(lane: Lane, now: EpochMs): void {
  for (let entry = lane.later.peek(); entry !== undefined && entry.at <= now; entry = lane.later.peek()) {
    lane.later.pop();
    entry.place = 'due';
    lane.due.push(entry);
  }
}

function reclaimStranded(lane: Lane, tasks: ReadonlyMap<string, number>): void {
  for (const [key, entries] of lane.stranded) {
    const [first] = entries;
    if (first !== undefined && !isServable(first.record.definition, tasks)) continue;
    lane.stranded.delete(key);
    for (const entry of entries) {
      entry.place = 'later';
      lane.later.push(entry.at, entry);
    }
  }
}

function unstrand(lane: Lane, entry: WakeEntry): void {
  const key = strandedKey(entry.record.definition);
  const same = lane.stranded.get(key);
  same?.delete(entry);
  if (same?.size === 0) lane.stranded.delete(key);
}

function isHidden({ entry, revision }: Hidden): boolean {
  return entry.place === 'hidden' && entry.revision === revision;
}

function priorityOf(entry: WakeEntry): number {
  return entry.record.definition.policy.priority;
}

function strandedKey({ task, taskVersion }: Service): string {
  return `${taskVersion} ${task}`;
}

function isServable({ fn, task, taskVersion }: Service, tasks: ReadonlyMap<string, number>): boolean {
  return fn !== null || (tasks.get(task) ?? 0) >= taskVersion;
}

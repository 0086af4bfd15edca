import type { EpochMs } from '../../ports/trigger.js';
import type { Meter } from './meter.js';

/** A job that was put off since a limit had no room for it. */
export interface Waiting {
  readonly id: string;
  /** The limit that had none. */
  readonly meter: Meter;
  readonly priority: number;
  readonly executor: string;
  /** From when on it was due. */
  readonly since: EpochMs;
  /** Until when it was put off: how it is known again. */
  readonly until: EpochMs;
}

/** Beyond it, jobs are not kept in mind, and found again when they are due again. */
const MOST = 100_000;

/**
 * Jobs that were put off by this node, by the limit they wait for: the highest priority first, then the oldest. In the
 * store they come up again by themselves; from here they are taken up as soon as there is room, and in order.
 */
export class WaitingRoom {
  readonly #byMeter = new Map<Meter, Waiting[]>();
  readonly #byId = new Map<string, Waiting>();

  get size(): number {
    return this.#byId.size;
  }

  get meters(): IterableIterator<Meter> {
    return this.#byMeter.keys();
  }

  count(meter: Meter): number {
    return this.#byMeter.get(meter)?.length ?? 0;
  }

  add(waiting: Waiting): void {
    this.delete(waiting.id);
    if (this.#byId.size >= MOST) return;
    this.#byId.set(waiting.id, waiting);
    const queue = this.#byMeter.get(waiting.meter);
    if (queue === undefined) this.#byMeter.set(waiting.meter, [waiting]);
    else queue.splice(placeOf(queue, waiting), 0, waiting);
  }

  delete(id: string): void {
    const waiting = this.#byId.get(id);
    if (waiting === undefined) return;
    this.#byId.delete(id);
    const queue = this.#byMeter.get(waiting.meter);
    if (queue === undefined) return;
    queue.splice(queue.indexOf(waiting), 1); // mostly the first
    if (queue.length === 0) this.#byMeter.delete(waiting.meter);
  }

  /** The first of those that wait for a limit. They stay. */
  first(meter: Meter, count: number): readonly Waiting[] {
    return this.#byMeter.get(meter)?.slice(0, count) ?? [];
  }
}

/** Where it belongs: behind those that come before it or at the same time. */
function placeOf(queue: readonly Waiting[], waiting: Waiting): number {
  let low = 0;
  let high = queue.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comesBefore(waiting, queue[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function comesBefore(a: Waiting, b: Waiting): boolean {
  return a.priority > b.priority || (a.priority === b.priority && a.since < b.since);
}

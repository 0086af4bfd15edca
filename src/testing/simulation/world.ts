import { Heap, type HeapItem } from '../../stores/shared/heap.js';

interface Happening extends HeapItem {
  readonly at: number;
  readonly sequence: number;
  readonly act: () => void;
  pending: boolean;
}

/** True time of the simulated world, in ms, and what is going to happen in it. Moves only when told to. */
export class World {
  #time = 0;
  #sequence = 0;
  #steps = 0;
  readonly #happenings = new Heap<Happening>((a, b) => a.at < b.at || (a.at === b.at && a.sequence < b.sequence));

  get time(): number {
    return this.#time;
  }

  /** Things that have happened. */
  get steps(): number {
    return this.#steps;
  }

  /** Answers how to call it off. */
  after(ms: number, act: () => void): () => void {
    const happening: Happening = { at: this.#time + Math.max(0, ms), sequence: ++this.#sequence, act, pending: true, position: 0 };
    this.#happenings.push(happening);
    return () => {
      if (!happening.pending) return;
      happening.pending = false;
      this.#happenings.remove(happening);
    };
  }

  /** Lets time pass until `until`, or until `stop` says so; what each happening sets going comes to rest before the next. */
  async runUntil(until: number, stop: () => boolean): Promise<void> {
    await atRest();
    for (;;) {
      const next = this.#happenings.peek();
      if (next === undefined || next.at > until || stop()) break;
      this.#happenings.pop();
      next.pending = false;
      this.#time = next.at;
      this.#steps += 1;
      next.act();
      await atRest();
    }
    if (!stop()) this.#time = until;
  }
}

/** One turn of the event loop: every promise that can settle has done so before it, for nothing here does real I/O. */
function atRest(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What lies in the heap. `stamp` is that of the node which is meant, and grows with each push. */
export interface Timed {
  stamp: number;
}

/** Counts pushes over all heaps an item may come to lie in, so that no stamp ever means two places. */
export interface PushCount {
  next: number;
}

/** Stale nodes that may lie in the heap before it is cleaned, besides as many as there are live ones. */
const SLACK = 64;

/**
 * A 4-ary min-heap by time. Keys lie side by side in an array of their own, so that sifting reads no objects (a heap
 * of objects misses the cache at each comparison); and an element is taken out by changing its stamp, which costs
 * nothing now and a skip when its node comes up. Nodes that went stale are swept out before they outnumber the rest.
 * What has the same time comes out in the order in which it went in.
 */
export class TimeHeap<T extends Timed> {
  #keys: number[] = [];
  #stamps: number[] = [];
  #items: T[] = [];
  #stale = 0;
  readonly #pushes: PushCount;

  constructor(pushes: PushCount) {
    this.#pushes = pushes;
  }

  push(at: number, item: T): void {
    if (this.#stale > SLACK && this.#stale * 2 > this.#items.length) this.#sweep();
    item.stamp = this.#pushes.next += 1;
    this.#keys.push(at);
    this.#stamps.push(item.stamp);
    this.#items.push(item);
    this.#up(this.#items.length - 1, at, item.stamp, item);
  }

  /** The item with the earliest time. */
  peek(): T | undefined {
    this.#dropStale();
    return this.#items[0];
  }

  /** Takes out the item `peek` answers. */
  pop(): void {
    const at = this.#keys.pop();
    const stamp = this.#stamps.pop();
    const item = this.#items.pop();
    if (at === undefined || stamp === undefined || item === undefined || this.#items.length === 0) return;
    this.#down(at, stamp, item);
  }

  /** An item that is in the heap is no longer meant to be. */
  remove(item: T): void {
    item.stamp = 0;
    this.#stale += 1;
  }

  #dropStale(): void {
    while (this.#stale > 0 && this.#items[0] !== undefined && this.#items[0].stamp !== this.#stamps[0]) {
      this.#stale -= 1;
      this.pop();
    }
  }

  #sweep(): void {
    const keys = this.#keys;
    const stamps = this.#stamps;
    const items = this.#items;
    this.#keys = [];
    this.#stamps = [];
    this.#items = [];
    this.#stale = 0;
    // In the order of their stamps, so that those of one time keep it.
    const live = items.flatMap((item, index) => (item.stamp === stamps[index] ? { item, at: keys[index] ?? 0 } : []));
    live.sort((a, b) => a.item.stamp - b.item.stamp);
    for (const { item, at } of live) this.push(at, item);
  }

  #up(start: number, at: number, stamp: number, item: T): void {
    const keys = this.#keys;
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 2;
      // What goes in is the newest, so among equals it stays below.
      if (keys[parent]! <= at) break;
      this.#move(parent, place);
      place = parent;
    }
    this.#put(place, at, stamp, item);
  }

  #down(at: number, stamp: number, item: T): void {
    const keys = this.#keys;
    const stamps = this.#stamps;
    const size = keys.length;
    let place = 0;
    for (;;) {
      const first = place * 4 + 1;
      if (first >= size) break;
      let smallest = first;
      const end = Math.min(first + 4, size);
      for (let child = first + 1; child < end; child++) {
        const lead = keys[child]! - keys[smallest]!;
        if (lead < 0 || (lead === 0 && stamps[child]! < stamps[smallest]!)) smallest = child;
      }
      const lead = keys[smallest]! - at;
      if (lead > 0 || (lead === 0 && stamps[smallest]! > stamp)) break;
      this.#move(smallest, place);
      place = smallest;
    }
    this.#put(place, at, stamp, item);
  }

  #move(from: number, to: number): void {
    this.#keys[to] = this.#keys[from]!;
    this.#stamps[to] = this.#stamps[from]!;
    this.#items[to] = this.#items[from]!;
  }

  #put(place: number, at: number, stamp: number, item: T): void {
    this.#keys[place] = at;
    this.#stamps[place] = stamp;
    this.#items[place] = item;
  }
}

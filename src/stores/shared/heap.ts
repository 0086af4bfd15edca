/** An element that knows its place, so that it can be moved and taken out without a search. */
export interface HeapItem {
  position: number;
}

/** A 4-ary min-heap (wider than binary: fewer levels, and siblings lie side by side in memory). */
export class Heap<T extends HeapItem> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    this.#items.push(item);
    this.#up(item, this.#items.length - 1);
  }

  pop(): T | undefined {
    const top = this.#items[0];
    if (top !== undefined) this.remove(top);
    return top;
  }

  /** Takes out an item that is in this heap. */
  remove(item: T): void {
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#settle(last, item.position);
  }

  #settle(item: T, position: number): void {
    const parent = this.#items[(position - 1) >> 2];
    if (position > 0 && parent !== undefined && this.#before(item, parent)) this.#up(item, position);
    else this.#down(item, position);
  }

  #up(item: T, start: number): void {
    const items = this.#items;
    let position = start;
    while (position > 0) {
      const parentAt = (position - 1) >> 2;
      const parent = items[parentAt]!;
      if (!this.#before(item, parent)) break;
      items[position] = parent;
      parent.position = position;
      position = parentAt;
    }
    items[position] = item;
    item.position = position;
  }

  #down(item: T, start: number): void {
    const items = this.#items;
    const size = items.length;
    let position = start;
    for (;;) {
      const first = position * 4 + 1;
      if (first >= size) break;
      let smallestAt = first;
      let smallest = items[first]!;
      const end = Math.min(first + 4, size);
      for (let at = first + 1; at < end; at++) {
        const candidate = items[at]!;
        if (this.#before(candidate, smallest)) {
          smallest = candidate;
          smallestAt = at;
        }
      }
      if (!this.#before(smallest, item)) break;
      items[position] = smallest;
      smallest.position = position;
      position = smallestAt;
    }
    items[position] = item;
    item.position = position;
  }
}

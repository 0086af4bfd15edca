import type { EpochMs } from '../../ports/trigger.js';
import { jitter, RECHECK_MS, type MeterHost } from './meter-host.js';
import { SKEW_MS } from './slot.js';

/**
 * What this node knows of the slots of one limit: which are taken, and until when. It asks nobody; what others have is known
 * from when they were last in the way.
 */
export class SlotTable {
  readonly #host: MeterHost;
  #size: number;
  #ttlMs: number;
  /** By slot: until when it is taken, as far as is known. Infinity: by this node. */
  #until: number[];
  /** Slots that other nodes have for a run (concurrency), and since when that is known. */
  readonly #foreign = new Map<number, number>();
  #cursor: number;
  /** Nothing is free before this. */
  #fullUntil = 0;
  /** Ends of slots that are taken, in order. Made when it is asked for. */
  #ends: number[] | null = null;
  /** When this was last looked at. */
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(host: MeterHost, size: number, ttlMs: number, cursor: number) {
    this.#host = host;
    this.#size = size;
    this.#ttlMs = ttlMs;
    this.#until = new Array<number>(size).fill(0);
    // Nodes begin at different places, so that they seldom ask for the same slot.
    this.#cursor = cursor % size;
  }

  get size(): number {
    return this.#size;
  }

  /** For how long a slot is taken. */
  get ttlMs(): number {
    return this.#ttlMs;
  }

  /** Slots past the new size stay known for as long as they are taken. */
  resize(size: number, ttlMs: number): void {
    this.#size = size;
    this.#ttlMs = ttlMs;
    while (this.#until.length < size) this.#until.push(0);
    this.#cursor %= size;
    this.#bound(this.now());
  }

  now(): EpochMs {
    const now = this.#host.now();
    if (now < this.#lookedAt - SKEW_MS) this.#bound(now); // the clock was set back
    return (this.#lookedAt = now);
  }

  /** Nothing is taken for longer than it would be if it were taken now. */
  #bound(now: EpochMs): void {
    this.#until = this.#until.map((until, index) => {
      if (until === Number.POSITIVE_INFINITY || until <= now + this.#ttlMs) return until;
      return this.#foreign.has(index) ? now : now + this.#ttlMs;
    });
    this.#changed();
  }

  #changed(): void {
    this.#fullUntil = 0;
    this.#ends = null;
  }

  // ── how many, and until when ──

  /** Slots that are free as far as is known, and `spare` ones that are taken for nothing yet; at most about `most`. */
  room(most: number, spare: number): number {
    const now = this.now();
    if (this.#fullUntil > now) return spare;
    const excess = this.#excess(now);
    let room = spare - excess;
    let first = Number.POSITIVE_INFINITY;
    for (let index = 0; index < this.#size && room < most; index++) {
      if (this.#foreign.has(index)) continue;
      const until = this.#until[index]!;
      if (until <= now) room += 1;
      else if (until < first) first = until;
    }
    if (room === 0 && excess === 0) this.#fullUntil = first;
    return Math.max(spare, room);
  }

  /** Slots of a limit that was greater before, and that are still taken: they count. */
  #excess(now: EpochMs): number {
    let excess = 0;
    for (let index = this.#size; index < this.#until.length; index++) if (this.#until[index]! > now) excess += 1;
    return excess;
  }

  /** Slots that are taken, as far as is known. */
  get taken(): number {
    const now = this.now();
    let taken = 0;
    for (let index = 0; index < this.#size; index++) if (this.#until[index]! > now || this.#isOthers(index, now)) taken += 1;
    return taken + this.#excess(now);
  }

  /** Nothing is known of any slot that matters. */
  get isClear(): boolean {
    const now = this.now();
    return this.#until.every((until, index) => until <= now && !this.#isOthers(index, now));
  }

  /**
   * Whether another node has a slot, as far as is known. That it was given back nobody tells, so what was seen holds for as long
   * as the lease that was seen may last.
   */
  #isOthers(index: number, now: EpochMs): boolean {
    return this.#foreign.has(index) && now < this.#until[index]! + this.#ttlMs - RECHECK_MS;
  }

  /** Whether other nodes had slots that may be free by now. */
  get isUnsure(): boolean {
    const now = this.now();
    for (const index of this.#foreign.keys()) if (index < this.#size && this.#until[index]! <= now) return this.#excess(now) === 0;
    return false;
  }

  /** When room may come up without anything happening on this node; +infinity for never. */
  nextChangeAt(): EpochMs {
    const now = this.now();
    let next = Number.POSITIVE_INFINITY;
    for (const until of this.#until) if (until > now && until < next) next = until;
    return this.isUnsure ? Math.min(next, now) : next;
  }

  /** When slots that are taken will be free, in order. One that is being taken for a start will end as late as one that is taken now. */
  ends(now: EpochMs): readonly number[] {
    if (this.#ends !== null && (this.#ends[0] ?? Number.POSITIVE_INFINITY) > now) return this.#ends;
    const ends = this.#until.map((until) => (until === Number.POSITIVE_INFINITY ? now + this.#ttlMs : until));
    return (this.#ends = ends.filter((until) => until > now).sort((a, b) => a - b));
  }

  /** Since when it is known of slots that others have them. Monotonic. */
  foreignSince(): IterableIterator<number> {
    return this.#foreign.values();
  }

  // ── what becomes of slots ──

  /** Slots to ask for. They count as taken until there is an answer. */
  pick(most: number, spare: number, isAgain: boolean): number[] {
    const picks: number[] = [];
    const now = this.now();
    const count = this.#excess(now) === 0 ? most : Math.min(most, this.room(most + spare, spare) - spare);
    // What is taken by others lies together: better to look somewhere else than next to it.
    if (isAgain) this.#cursor = (this.#cursor + Math.floor(this.#size * 0.618)) % this.#size;
    if (this.#fullUntil <= now) {
      const from = this.#cursor;
      for (let i = 0; i < this.#size && picks.length < count; i++) {
        const index = (from + i) % this.#size;
        if (this.#until[index]! > now || this.#foreign.has(index)) continue;
        picks.push(index);
        this.#cursor = (index + 1) % this.#size;
      }
    }
    for (const index of this.#foreign.keys()) {
      if (picks.length >= count) break;
      if (index < this.#size && this.#until[index]! <= now) picks.push(index);
    }
    for (const index of picks) this.#until[index] = Number.POSITIVE_INFINITY;
    this.#changed();
    return picks;
  }

  untilOf(index: number): EpochMs {
    return this.#until[index]!;
  }

  /** It is taken until then. */
  setUntil(index: number, until: EpochMs): void {
    this.#until[index] = until;
    this.#changed();
  }

  /** It is this node's. */
  own(index: number): void {
    this.#foreign.delete(index);
  }

  /** It is nobody's from then on. */
  free(index: number, until: EpochMs): void {
    this.#foreign.delete(index);
    this.setUntil(index, until);
  }

  /** Another has it for a run. */
  foreign(index: number): void {
    if (!this.#foreign.has(index)) this.#foreign.set(index, this.#host.monotonic());
    this.setUntil(index, this.now() + Math.round(RECHECK_MS * jitter(this.#host)));
  }

  /** It is for another run than the one it was seen with before: how long that went on says nothing of this. */
  foreignAnew(index: number): void {
    if (this.#foreign.has(index)) this.#foreign.set(index, this.#host.monotonic());
  }

  /** Since when it is known that another has it for a run. Monotonic. */
  foreignSinceOf(index: number): number | undefined {
    return this.#foreign.get(index);
  }
}

import type { MaybePromise } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { isThenable } from '../../time/thenable.js';
import type { LimitSubject } from './limit-rules.js';
import { jitter, type LimitKind, type MeterHost } from './meter-host.js';
import { SlotClaims, type Claimed } from './slot-claims.js';
import { SlotTable } from './slot-table.js';
import type { Slot, SlotOwner } from './slot.js';

/** Questions in a row to the store about slots that turn out to be taken, before it is left for later. */
const ROUNDS = 6;
/**
 * Bounds of how long it is reckoned with that a run takes which others wait for, and of how long something is put off for
 * that. Mostly it is taken up before, when one has ended.
 */
const LEAST_WAIT_MS = 1_000;
const MOST_WAIT_MS = 120_000;
const LONGEST_WAIT_MS = 3_600_000;

/** What a meter measures. */
export interface Measure {
  readonly subject: LimitSubject;
  readonly kind: LimitKind;
  readonly name: string;
  /** The name, as it stands in the keys of leases. */
  readonly keyName: string;
  readonly size: number;
  readonly ttlMs: number;
}

/**
 * One limit of one kind: as many slots as it allows, of which each start takes one. A slot is a lease of the store, so that
 * it holds for all nodes, and one that its node leaves behind runs out by itself. For `concurrency` it is renewed as long as
 * the run goes on, and then released. For `rate` it is kept for as long as the limit's time and never released: that so
 * many start at most in any stretch of that length follows from each start having had a slot to itself for that long.
 *
 * Which slots are taken is kept in mind, so that a start mostly costs one question to the store.
 */
export class Meter implements SlotOwner {
  readonly subject: LimitSubject;
  readonly name: string;
  readonly kind: LimitKind;
  readonly #host: MeterHost;
  readonly #table: SlotTable;
  readonly #claims: SlotClaims;
  readonly #own = new Set<Slot>();
  /** Taken before there was something to start, because another node had them. */
  #spare: Slot[] = [];
  /** How long runs take, roughly. */
  #averageMs = 0;
  /** Longest time of late from the question for a slot to the start it is for. */
  #delayMs = 0;
  /** Whether the limit is still in force as this. */
  isCurrent = true;

  /** @param cursor - the slot to begin with. */
  constructor(host: MeterHost, { subject, kind, name, keyName, size, ttlMs }: Measure, cursor: number) {
    this.#host = host;
    this.subject = subject;
    this.kind = kind;
    this.name = name;
    this.#table = new SlotTable(host, size, ttlMs, cursor);
    this.#claims = new SlotClaims(host, this.#table, kind, (index) => `limit.${subject}.${kind}.${index}.${keyName}`, (claimed) => this.#taken(claimed));
  }

  get size(): number {
    return this.#table.size;
  }

  get ttlMs(): number {
    return this.#table.ttlMs;
  }

  /** Nothing of it is in use here, and nothing is known of it that matters. */
  get isIdle(): boolean {
    return this.#own.size === 0 && this.#table.isClear;
  }

  resize(size: number, ttlMs: number): void {
    this.#table.resize(size, ttlMs);
  }

  /** Slots that are free as far as is known, at most `most`. */
  room(most = Number.POSITIVE_INFINITY): number {
    return this.#table.room(most, this.#spare.length);
  }

  /** Slots that are taken, as far as is known. */
  get taken(): number {
    return this.#table.taken;
  }

  /** Whether other nodes had slots that may be free by now. */
  get isUnsure(): boolean {
    return this.#table.isUnsure;
  }

  /** When room may come up without anything happening on this node; +infinity for never. */
  nextChangeAt(): EpochMs {
    return this.#table.nextChangeAt();
  }

  /**
   * When room is expected for the one before which `position` others wait. Exact for a rate, of which all is known here;
   * else a guess by how long runs took and how long the present ones have gone on.
   */
  expectedAt(position: number): EpochMs {
    const { size } = this;
    const now = this.#table.now();
    if (this.kind === 'rate') {
      const ends = this.#table.ends(now);
      const turn = Math.floor(position / size) * this.ttlMs;
      const over = Math.max(0, ends.length - size);
      return (ends[Math.min(over + (position % size), ends.length - 1)] ?? now) + turn;
    }
    let oldestMs = LEAST_WAIT_MS;
    const at = this.#host.monotonic();
    for (const { askedAt } of this.#own) oldestMs = Math.max(oldestMs, at - askedAt);
    for (const seenAt of this.#table.foreignSince()) oldestMs = Math.max(oldestMs, at - seenAt);
    const turns = Math.ceil((position + 1) / size);
    const waitMs = Math.min(MOST_WAIT_MS, Math.max(this.#averageMs, oldestMs)) * turns;
    return now + Math.round(Math.min(LONGEST_WAIT_MS, waitMs) * (0.25 + jitter(this.#host)));
  }

  // ── taking ──

  /** Takes up to `count` slots. @throws what the store throws; nothing is taken then. */
  take(count: number): MaybePromise<Slot[]> {
    return this.#take(count, this.#spare.splice(0, count), 0);
  }

  /** Asks for slots that other nodes had, up to `count`: what it gets is kept for what is claimed next. */
  probe(count: number): MaybePromise<void> {
    const keep = (slots: readonly Slot[]): void => { this.#spare.push(...slots); };
    const answer = this.#take(count, [], ROUNDS);
    if (isThenable(answer)) return answer.then(keep);
    keep(answer);
    return undefined;
  }

  /** Gives back what was kept and not needed. */
  dropSpares(): void {
    for (const slot of this.#spare.splice(0)) this.release(slot, false);
  }

  #take(count: number, got: Slot[], round: number): MaybePromise<Slot[]> {
    if (got.length >= count) return got;
    const picks = this.#table.pick(count - got.length, this.#spare.length, round > 0);
    if (picks.length === 0) return got;
    // The start comes a little after the question, and its time counts from the start.
    const ttlMs = this.kind === 'rate' ? this.ttlMs + this.#delayMs : this.ttlMs;
    const answers: MaybePromise<Slot | undefined>[] = [];
    try {
      for (const index of picks) answers.push(this.#claims.acquire(index, ttlMs));
    } catch (error) {
      // Of a store that answers at once. What was picked and not asked for is free as before.
      for (const index of picks.slice(answers.length)) this.#table.setUntil(index, 0);
      for (const slot of [...got, ...answers]) if (slot !== undefined && !isThenable(slot)) this.release(slot, false);
      throw error;
    }
    const goOn = (slots: readonly (Slot | undefined)[]): MaybePromise<Slot[]> => {
      for (const slot of slots) if (slot !== undefined) got.push(slot);
      return got.length >= count || round >= ROUNDS ? got : this.#take(count, got, round + 1);
    };
    if (!answers.some(isThenable)) return goOn(answers as (Slot | undefined)[]);
    return Promise.allSettled(answers.map(async (answer) => answer)).then((settled) => {
      const failed = settled.find(({ status }) => status === 'rejected');
      const slots = settled.map((answer) => (answer.status === 'fulfilled' ? answer.value : undefined));
      if (failed === undefined) return goOn(slots);
      for (const slot of [...got, ...slots]) if (slot !== undefined) this.release(slot, false);
      throw (failed as PromiseRejectedResult).reason;
    });
  }

  #taken({ index, key, holder, askedAt, ttlMs, expiresAt }: Claimed): Slot {
    const { keeper } = this.#host;
    const trustedUntil = keeper === null ? Number.POSITIVE_INFINITY : keeper.trustedUntil(askedAt);
    const slot: Slot = { owner: this, index, key, holder, askedAt, ttlMs, expiresAt, trustedUntil, state: 'held', onLost: null };
    this.#own.add(slot);
    if (this.kind === 'concurrency') keeper?.add(slot);
    return slot;
  }

  // ── what becomes of a slot ──

  begin(slot: Slot): void {
    if (this.kind === 'concurrency') return;
    slot.state = 'gone'; // nobody can give it back any more
    this.#own.delete(slot);
    const { port } = this.#host;
    const now = this.#table.now();
    const { ttlMs } = this;
    if (port === null) {
      this.#table.setUntil(slot.index, now + ttlMs);
      return;
    }
    const elapsed = Math.ceil(this.#host.monotonic() - slot.askedAt);
    if (elapsed > slot.ttlMs - ttlMs) {
      // It took longer than was reckoned with: its time counts from now.
      this.#table.setUntil(slot.index, now + ttlMs);
      const { key, holder } = slot;
      this.#host.track(Promise.resolve().then(() => port.acquireLease({ key, holder, now, ttlMs })));
    } else {
      this.#table.setUntil(slot.index, slot.expiresAt);
    }
    this.#delayMs = Math.min(ttlMs, Math.max(elapsed, Math.floor(this.#delayMs * 0.9)));
  }

  release(slot: Slot, used: boolean): void {
    if (slot.state === 'gone') return;
    const { port, keeper } = this.#host;
    const { index } = slot;
    // One that was left to itself may be somebody else's by now, of this node too.
    const isKept = slot.state === 'held';
    slot.state = 'gone';
    keeper?.delete(slot);
    if (used) {
      const tookMs = this.#host.monotonic() - slot.askedAt;
      this.#averageMs = this.#averageMs === 0 ? tookMs : this.#averageMs * 0.8 + tookMs * 0.2;
    }
    const done = (until: EpochMs): void => {
      if (!isKept && this.#table.untilOf(index) !== slot.expiresAt) return;
      this.#own.delete(slot);
      this.#table.free(index, until);
      this.#host.roomMade();
    };
    if (port === null) {
      done(0);
      return;
    }
    try {
      const answer = port.releaseLease(slot.key, slot.holder);
      // Until the store has heard of it, nobody gets it.
      if (isThenable(answer)) this.#host.track(answer.then(() => { done(0); }, () => { done(slot.expiresAt); }));
      else done(0);
    } catch {
      done(slot.expiresAt); // it runs out by itself
    }
  }

  forsake(slot: Slot): void {
    if (slot.state !== 'held') return;
    slot.state = 'forsaken';
    this.#host.keeper?.delete(slot);
    this.#own.delete(slot);
    this.#table.setUntil(slot.index, slot.expiresAt);
  }

  lost(slot: Slot): void {
    slot.state = 'gone';
    this.#own.delete(slot);
    this.#table.foreign(slot.index);
    slot.onLost?.();
  }
}

import type { Lease, MaybePromise } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { LeasePort } from './lease-port.js';
import type { LimitSubject } from './limit-rules.js';
import { isStray, SKEW_MS, ttlOf, type Slot, type SlotOwner } from './slot.js';
import type { SlotKeeper } from './slot-keeper.js';
import { isThenable } from '../maybe-promise.js';

/** What the meters of one job store share. */
export interface MeterHost {
  /** `null` where nobody else uses the store: then what this node knows is all there is to know. */
  readonly port: LeasePort | null;
  readonly keeper: SlotKeeper | null;
  /** The store's time. */
  now(): EpochMs;
  monotonic(): number;
  /** Ends with the time it is for. */
  newHolder(ttlMs: number): string;
  /** Whether the process of a holder is gone for certain. */
  isDead(holder: string): boolean;
  /** From 0 to 1. The same on each run of a test. */
  chance(): number;
  /** A slot is free again. */
  roomMade(): void;
  /** To be waited for before the store is closed. */
  track(work: Promise<unknown>): void;
}

/** Questions in a row to the store about slots that turn out to be taken, before it is left for later. */
const ROUNDS = 6;
/** How long a slot that another node has is left alone: it ends when the other's run does, and nobody tells. */
const RECHECK_MS = 1_000;
/**
 * Bounds of how long it is reckoned with that a run takes which others wait for, and of how long something is put off for
 * that. Mostly it is taken up before, when one has ended.
 */
const LEAST_WAIT_MS = 1_000;
const MOST_WAIT_MS = 120_000;
const LONGEST_WAIT_MS = 3_600_000;

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
  readonly kind: 'concurrency' | 'rate';
  readonly #host: MeterHost;
  readonly #keyName: string;
  #size: number;
  #ttlMs: number;
  /** By slot: until when it is taken, as far as is known. Infinity: by this node. */
  #until: number[];
  /** Slots that other nodes have for a run (concurrency), and since when that is known. */
  readonly #foreign = new Map<number, number>();
  readonly #own = new Set<Slot>();
  /** Taken before there was something to start, because another node had them. */
  #spare: Slot[] = [];
  #cursor: number;
  /** Nothing is free before this. */
  #fullUntil = 0;
  /** Ends of slots that are taken, in order. Made when it is asked for. */
  #ends: number[] | null = null;
  /** How long runs take, roughly. */
  #averageMs = 0;
  /** Longest time of late from the question for a slot to the start it is for. */
  #delayMs = 0;
  /** Slots whose lease was taken while the clock was ahead, as it was seen. */
  readonly #stray = new Map<number, Lease>();
  /** When this was last looked at. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** Whether the limit is still in force as this. */
  isCurrent = true;

  constructor(host: MeterHost, subject: LimitSubject, kind: 'concurrency' | 'rate', name: string, keyName: string, size: number, ttlMs: number, cursor: number) {
    this.#host = host;
    this.subject = subject;
    this.kind = kind;
    this.name = name;
    this.#keyName = keyName;
    this.#size = size;
    this.#ttlMs = ttlMs;
    this.#until = new Array<number>(size).fill(0);
    // Nodes begin at different places, so that they seldom ask for the same slot.
    this.#cursor = cursor % size;
  }

  get size(): number {
    return this.#size;
  }

  get ttlMs(): number {
    return this.#ttlMs;
  }

  /** Nothing of it is in use here, and nothing is known of it that matters. */
  get isIdle(): boolean {
    const now = this.#now();
    return this.#own.size === 0 && this.#until.every((until, index) => until <= now && !this.#isOthers(index, now));
  }

  resize(size: number, ttlMs: number): void {
    this.#size = size;
    this.#ttlMs = ttlMs;
    while (this.#until.length < size) this.#until.push(0);
    this.#cursor %= size;
    this.#bound(this.#now());
  }

  #now(): EpochMs {
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

  /** Slots that are free as far as is known, at most `most`. */
  room(most = Number.POSITIVE_INFINITY): number {
    const now = this.#now();
    const spare = this.#spare.length;
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
    const now = this.#now();
    let taken = 0;
    for (let index = 0; index < this.#size; index++) if (this.#until[index]! > now || this.#isOthers(index, now)) taken += 1;
    return taken + this.#excess(now);
  }

  /**
   * Whether another node has a slot, as far as is known. That it was given back nobody tells, so what was seen holds for as long
   * as the lease that was seen may last.
   */
  #isOthers(index: number, now: EpochMs): boolean {
    return this.#foreign.has(index) && now < this.#until[index]! + this.#ttlMs - RECHECK_MS;
  }

  /** When room may come up without anything happening on this node; +infinity for never. */
  nextChangeAt(): EpochMs {
    const now = this.#now();
    let next = Number.POSITIVE_INFINITY;
    for (const until of this.#until) if (until > now && until < next) next = until;
    return this.isUnsure ? Math.min(next, now) : next;
  }

  /**
   * When room is expected for the one before which `position` others wait. Exact for a rate, of which all is known here;
   * else a guess by how long runs took and how long the present ones have gone on.
   */
  expectedAt(position: number): EpochMs {
    const now = this.#now();
    if (this.kind === 'rate') {
      const ends = this.#endsOf(now);
      const turn = Math.floor(position / this.#size) * this.#ttlMs;
      const over = Math.max(0, ends.length - this.#size);
      return (ends[Math.min(over + (position % this.#size), ends.length - 1)] ?? now) + turn;
    }
    let oldestMs = LEAST_WAIT_MS;
    const at = this.#host.monotonic();
    for (const { askedAt } of this.#own) oldestMs = Math.max(oldestMs, at - askedAt);
    for (const seenAt of this.#foreign.values()) oldestMs = Math.max(oldestMs, at - seenAt);
    const turns = Math.ceil((position + 1) / this.#size);
    const waitMs = Math.min(MOST_WAIT_MS, Math.max(this.#averageMs, oldestMs)) * turns;
    return now + Math.round(Math.min(LONGEST_WAIT_MS, waitMs) * (0.25 + this.#jitter()));
  }

  #endsOf(now: EpochMs): readonly number[] {
    if (this.#ends !== null && (this.#ends[0] ?? Number.POSITIVE_INFINITY) > now) return this.#ends;
    // One that is being taken for a start will end as late as one that is taken now.
    const ends = this.#until.map((until) => (until === Number.POSITIVE_INFINITY ? now + this.#ttlMs : until));
    return (this.#ends = ends.filter((until) => until > now).sort((a, b) => a - b));
  }

  // ── taking ──

  /** Takes up to `count` slots. @throws what the store throws; nothing is taken then. */
  take(count: number): MaybePromise<Slot[]> {
    return this.#take(count, this.#spare.splice(0, count), 0);
  }

  /** Whether other nodes had slots that may be free by now. */
  get isUnsure(): boolean {
    const now = this.#now();
    for (const index of this.#foreign.keys()) if (index < this.#size && this.#until[index]! <= now) return this.#excess(now) === 0;
    return false;
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
    const picks = this.#pick(count - got.length, round > 0);
    if (picks.length === 0) return got;
    const answers: MaybePromise<Slot | undefined>[] = [];
    try {
      for (const index of picks) answers.push(this.#acquire(index));
    } catch (error) {
      // Of a store that answers at once. What was picked and not asked for is free as before.
      for (const index of picks.slice(answers.length)) this.#until[index] = 0;
      this.#changed();
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

  /** Slots to ask for. They count as taken until there is an answer. */
  #pick(most: number, isAgain: boolean): number[] {
    const picks: number[] = [];
    const now = this.#now();
    const count = this.#excess(now) === 0 ? most : Math.min(most, this.room(most + this.#spare.length) - this.#spare.length);
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

  #acquire(index: number): MaybePromise<Slot | undefined> {
    const { port } = this.#host;
    const key = `limit.${this.subject}.${this.kind}.${index}.${this.#keyName}`;
    const askedAt = this.#host.monotonic();
    // The start comes a little after the question, and its time counts from the start.
    const ttlMs = this.kind === 'rate' ? this.#ttlMs + this.#delayMs : this.#ttlMs;
    const holder = this.#host.newHolder(ttlMs);
    if (port === null) return this.#taken(index, key, holder, askedAt, ttlMs, Number.POSITIVE_INFINITY);
    const answered = (lease: Lease | undefined): MaybePromise<Slot | undefined> =>
      lease === undefined ? this.#learn(index, key) : this.#taken(index, key, holder, askedAt, ttlMs, lease.expiresAt);
    const failed = (error: unknown): never => {
      // It may have been taken all the same; then it is found out when it is asked for again.
      this.#until[index] = this.#now() + RECHECK_MS;
      this.#changed();
      this.#host.track(Promise.resolve().then(() => port.releaseLease(key, holder)));
      throw error;
    };
    try {
      const answer = port.acquireLease({ key, holder, now: this.#now(), ttlMs });
      return isThenable(answer) ? answer.then(answered).catch(failed) : answered(answer);
    } catch (error) {
      return failed(error);
    }
  }

  #taken(index: number, key: string, holder: string, askedAt: number, ttlMs: number, expiresAt: EpochMs): Slot {
    const { keeper } = this.#host;
    const trustedUntil = keeper === null ? Number.POSITIVE_INFINITY : keeper.trustedUntil(askedAt);
    const slot: Slot = { owner: this, index, key, holder, askedAt, ttlMs, expiresAt, trustedUntil, state: 'held', onLost: null };
    this.#foreign.delete(index);
    this.#stray.delete(index);
    this.#own.add(slot);
    if (this.kind === 'concurrency') keeper?.add(slot);
    return slot;
  }

  /**
   * Another has it. Until when, only a rate tells for certain; a slot that a run has is looked at when it is first seen, since
   * its process may be known to be dead, and when it seems to last for longer than a lease.
   */
  #learn(index: number, key: string): MaybePromise<Slot | undefined> {
    const { port } = this.#host;
    const seenAt = this.#foreign.get(index);
    if (this.kind === 'concurrency') this.#isForeign(index);
    const isKnown = seenAt !== undefined && this.#host.monotonic() - seenAt < this.#ttlMs;
    if (port === null || isKnown) return undefined;
    const judge = (lease: Lease | undefined): MaybePromise<Slot | undefined> => this.#judge(index, lease);
    const answer = port.lease(key);
    return isThenable(answer) ? answer.then(judge) : judge(answer);
  }

  #judge(index: number, lease: Lease | undefined): MaybePromise<Slot | undefined> {
    const now = this.#now();
    if (lease !== undefined && isStray(lease, now)) {
      // Whoever lives puts that right, in the time of one lease. If it is as it was then, it is nobody's.
      const seen = this.#stray.get(index);
      if (seen?.token === lease.token && seen.expiresAt === lease.expiresAt) return this.#inherit(index, lease);
      this.#stray.set(index, lease);
      this.#until[index] = now + ttlOf(lease.holder);
    } else if (this.kind === 'rate') {
      this.#until[index] = lease?.expiresAt ?? 0;
    } else if (lease !== undefined && this.#host.isDead(lease.holder)) {
      return this.#inherit(index, lease);
    }
    this.#changed();
    return undefined;
  }

  /** Takes a lease that is nobody's, whatever is left of it. Of several who try, one gets it: for the others it is not over then. */
  async #inherit(index: number, { key, expiresAt }: Lease): Promise<Slot | undefined> {
    const port = this.#host.port!;
    const ttlMs = this.#ttlMs;
    const askedAt = this.#host.monotonic();
    this.#until[index] = Number.POSITIVE_INFINITY;
    let lease: Lease | undefined;
    try {
      lease = await port.acquireLease({ key, holder: this.#host.newHolder(ttlMs), now: Math.max(this.#now(), expiresAt), ttlMs });
      // As of a time to come, it would end too late.
      if (lease !== undefined) lease = await port.acquireLease({ key, holder: this.#host.newHolder(ttlMs), now: this.#now(), ttlMs, force: true });
    } finally {
      if (lease === undefined) this.#until[index] = this.#now() + (this.kind === 'rate' ? ttlMs : RECHECK_MS);
      this.#changed();
    }
    return lease && this.#taken(index, key, lease.holder, askedAt, ttlMs, lease.expiresAt);
  }

  #isForeign(index: number): void {
    if (!this.#foreign.has(index)) this.#foreign.set(index, this.#host.monotonic());
    this.#until[index] = this.#now() + Math.round(RECHECK_MS * this.#jitter());
    this.#changed();
  }

  // ── what becomes of a slot ──

  begin(slot: Slot): void {
    if (this.kind === 'concurrency') return;
    slot.state = 'gone'; // nobody can give it back any more
    this.#own.delete(slot);
    const { port } = this.#host;
    const now = this.#now();
    if (port === null) {
      this.#until[slot.index] = now + this.#ttlMs;
      this.#changed();
      return;
    }
    const elapsed = Math.ceil(this.#host.monotonic() - slot.askedAt);
    this.#until[slot.index] = slot.expiresAt;
    this.#changed();
    if (elapsed > slot.ttlMs - this.#ttlMs) {
      // It took longer than was reckoned with: its time counts from now.
      this.#until[slot.index] = now + this.#ttlMs;
      const { key, holder } = slot;
      this.#host.track(Promise.resolve().then(() => port.acquireLease({ key, holder, now, ttlMs: this.#ttlMs })));
    }
    this.#delayMs = Math.min(this.#ttlMs, Math.max(elapsed, Math.floor(this.#delayMs * 0.9)));
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
    const done = (until: number): void => {
      if (!isKept && this.#until[index] !== slot.expiresAt) return;
      this.#own.delete(slot);
      this.#foreign.delete(index);
      this.#until[index] = until;
      this.#changed();
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
    this.#until[slot.index] = slot.expiresAt;
    this.#changed();
  }

  lost(slot: Slot): void {
    slot.state = 'gone';
    this.#own.delete(slot);
    this.#isForeign(slot.index);
    slot.onLost?.();
  }

  #changed(): void {
    this.#fullUntil = 0;
    this.#ends = null;
  }

  /** So that nodes which wait for one thing do not ask for it at the same moment. */
  #jitter(): number {
    return 0.85 + this.#host.chance() * 0.3;
  }
}

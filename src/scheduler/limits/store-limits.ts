import { createHash, randomUUID } from 'node:crypto';
import { hash32, hashFraction } from '../../core/hash.js';
import type { JobDefinition } from '../../model/job.js';
import type { Clock } from '../../ports/clock.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { ProcessIdentity } from '../process-identity.js';
import type { LeasePort } from './lease-port.js';
import type { LimitSpec } from './limit-options.js';
import type { LimitRules, LimitSubject } from './limit-rules.js';
import type { LimitKind, MeterHost } from './meter-host.js';
import { Meter } from './meter.js';
import { holderOf, processOf } from './slot.js';
import { SlotKeeper } from './slot-keeper.js';

const NONE: readonly Meter[] = Object.freeze([]);
/** Meters of tags kept in mind before those that are not in use are dropped. */
const MANY = 1_000;
/** A key of a lease may have 1,000 bytes, and says more than the name. */
const LONGEST_NAME = 800;

/** What the limits of one job store need. */
export interface StoreLimitsDeps {
  readonly rules: LimitRules;
  /** `null` where nobody else uses the store, and it ends with this process. */
  readonly port: LeasePort | null;
  readonly clock: Clock;
  readonly node: string;
  /** The process behind the node, where its name is one that the next process has too. */
  readonly process: ProcessIdentity | undefined;
  readonly leaseMs: number;
  now(): EpochMs;
}

/** The limits that hold for the jobs of one store, and what is known of them. */
export class StoreLimits {
  readonly rules: LimitRules;
  readonly #deps: StoreLimitsDeps;
  readonly #host: MeterHost;
  readonly #meters = new Map<string, readonly Meter[]>();
  readonly #listeners = new Set<() => void>();
  readonly #pending = new Set<Promise<unknown>>();
  /** Of the rules, as they were looked at last. */
  #version: number;
  #many = MANY;

  constructor(deps: StoreLimitsDeps) {
    this.#deps = deps;
    this.rules = deps.rules;
    const { port, clock, leaseMs, node } = deps;
    // One process may have several of these, on one store under two names.
    const own = randomUUID();
    let holders = 0;
    let chances = 0;
    const newHolder = (ttlMs: number): string => holderOf(node, deps.process?.id ?? own, `${own}.${++holders}`, ttlMs);
    this.#host = {
      port,
      keeper: port === null ? null : new SlotKeeper(port, clock, leaseMs, () => deps.now(), newHolder),
      now: () => deps.now(),
      monotonic: () => clock.monotonic(),
      newHolder,
      isDead: (holder) => deps.process?.isGone(processOf(holder)) === true,
      chance: () => hashFraction(node, ++chances),
      roomMade: () => { this.#roomMade(); },
      track: (work) => { this.#track(work); },
    };
    this.#version = this.rules.version;
  }

  /** What a run of the job needs a slot of. */
  of({ fn, task, tags }: JobDefinition): readonly Meter[] {
    if (this.rules.isEmpty) return NONE;
    this.update();
    const ofTask = fn === null ? this.ofTask(task) : NONE;
    if (!this.rules.hasTags || tags.length === 0) return ofTask;
    let meters: Meter[] | undefined;
    for (const tag of tags) {
      const spec = this.rules.ofTag(tag);
      if (spec === undefined) continue;
      meters ??= [...ofTask];
      for (const meter of this.#of('tag', tag, spec)) if (!meters.includes(meter)) meters.push(meter);
    }
    return meters ?? ofTask;
  }

  ofTask(name: string): readonly Meter[] {
    this.update();
    const spec = this.rules.ofTask(name);
    return spec === undefined ? NONE : this.#of('task', name, spec);
  }

  /** All that are in use. */
  *all(): IterableIterator<Meter> {
    for (const meters of this.#meters.values()) yield* meters;
  }

  /** Calls back when a slot is free again. */
  onRoom(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => { this.#listeners.delete(listener); };
  }

  /** Resolves when the store has heard of all that was given back. */
  async close(): Promise<void> {
    for (const meter of this.all()) meter.dropSpares();
    await Promise.allSettled(this.#pending);
  }

  #of(subject: LimitSubject, name: string, spec: LimitSpec): readonly Meter[] {
    const id = `${subject} ${name}`;
    const known = this.#meters.get(id);
    if (known !== undefined) return known;
    if (this.#meters.size >= this.#many) this.#dropIdle();
    const keyName = Buffer.byteLength(name) <= LONGEST_NAME ? name : `#${createHash('sha256').update(name).digest('hex')}`;
    const cursor = this.#deps.port === null ? 0 : hash32(this.#deps.node, 0);
    const make = (kind: LimitKind, size: number, ttlMs: number): Meter => new Meter(this.#host, { subject, kind, name, keyName, size, ttlMs }, cursor);
    const meters: Meter[] = [];
    if (spec.concurrency !== null) meters.push(make('concurrency', spec.concurrency, this.#deps.leaseMs));
    if (spec.rate !== null) meters.push(make('rate', spec.rate.max, spec.rate.perMs));
    this.#meters.set(id, meters);
    return meters;
  }

  #dropIdle(): void {
    for (const [id, meters] of this.#meters) if (meters.every(({ isIdle }) => isIdle)) this.#meters.delete(id);
    this.#many = Math.max(MANY, this.#meters.size * 2);
  }

  /** Limits may have changed. A meter that stays keeps what it knows, and the slots that are in use. */
  update(): void {
    if (this.#version === this.rules.version) return;
    this.#version = this.rules.version;
    for (const [id, meters] of [...this.#meters]) {
      const [first] = meters;
      if (first === undefined) continue;
      const { subject, name } = first;
      const spec = subject === 'task' ? this.rules.ofTask(name) : this.rules.ofTag(name);
      this.#meters.delete(id);
      const kept: Meter[] = [];
      for (const meter of meters) {
        const size = (meter.kind === 'concurrency' ? spec?.concurrency : spec?.rate?.max) ?? null;
        meter.isCurrent = size !== null;
        if (size === null) continue;
        meter.resize(size, meter.kind === 'concurrency' ? this.#deps.leaseMs : spec!.rate!.perMs);
        kept.push(meter);
      }
      if (spec === undefined) continue;
      const made = this.#of(subject, name, spec).map((meter) => kept.find(({ kind }) => kind === meter.kind) ?? meter);
      this.#meters.set(id, made);
    }
  }

  #roomMade(): void {
    for (const listener of this.#listeners) listener();
  }

  #track(work: Promise<unknown>): void {
    const settled = work.catch(() => undefined).finally(() => { this.#pending.delete(settled); });
    this.#pending.add(settled);
  }
}

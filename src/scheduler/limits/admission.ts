import { isHeldUntil, takeUp } from '../../core/hold.js';
import type { JobRecord } from '../../model/job.js';
import type { MaybePromise, StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { isThenable } from '../../time/thenable.js';
import { distribute, type Ask, type Grant } from './grant.js';
import type { LimitSubject } from './limit-rules.js';
import type { Meter } from './meter.js';
import type { StoreLimits } from './store-limits.js';
import { WaitingRoom, type Waiting } from './waiting-room.js';

/** Most slots that other nodes had, asked for at a time. */
const PROBES = 4;
/** How many that find their executor full are looked past for one that does not. */
const LOOK_PAST = 100;
/**
 * How much later than room is expected a job comes up in the store. By then the node that put it off has taken it up, so that
 * others see it only if that node is gone, and not all of them at once.
 */
const SLACK_MS = 1_000;

/** A limit as this node knows it. */
export interface LimitReport {
  readonly subject: LimitSubject;
  /** Of the task, or the tag. */
  readonly name: string;
  readonly kind: 'concurrency' | 'rate';
  /** Runs at one time, or starts within `perMs`. */
  readonly max: number;
  /** `null` for concurrency. */
  readonly perMs: number | null;
  /**
   * How much of it is in use, by all nodes, as far as this one knows. What others have taken it learns when it asks for it; what
   * it learned of a run counts for as long as a lease, `leaseDuration`, unless it asks again.
   */
  readonly used: number;
  /** Whether something that is due waits for it here. */
  readonly isReached: boolean;
  /** Jobs that this node has put off for it. */
  readonly heldJobs: number;
  /** When room is known to come up; `null` when there is room, or it depends on when a run ends. */
  readonly freeAt: EpochMs | null;
}

export interface AdmissionDeps {
  readonly limits: StoreLimits;
  now(): EpochMs;
  /** There may be room for what waits. */
  wake(): void;
  /** A limit begins to hold up something. `freeAt` as in a report. */
  reached(meter: Meter, freeAt: EpochMs | null): void;
}

/**
 * Lets the loop of a store start no more than the limits have room for. A job is claimed when it is due, whether there is room
 * or not, so that how late it is, what its own runs are in the way of, and what a dead node left behind is seen to in time. One
 * for which there is no room is put off, by one write, until room is expected; this node takes it up before, in order, as
 * soon as there is room.
 */
export class Admission {
  readonly #limits: StoreLimits;
  readonly #deps: AdmissionDeps;
  readonly #held = new WaitingRoom();
  /** Limits of which it was told that something waits for them. */
  readonly #reached = new Set<Meter>();
  /** Limits with room, of which all that waits finds its executor full. Whoever makes room there wakes the loop. */
  readonly #stuck = new Set<Meter>();

  constructor(deps: AdmissionDeps) {
    this.#limits = deps.limits;
    this.#deps = deps;
    deps.limits.onRoom(() => { if (this.#held.size > 0) deps.wake(); });
  }

  /** There is nothing to see to. */
  get isOff(): boolean {
    return this.#limits.rules.isEmpty && this.#held.size === 0;
  }

  /** Nothing is waited for, as far as this node knows. */
  get isIdle(): boolean {
    return this.#held.size === 0;
  }

  // ── what waits ──

  /** Asks for slots that other nodes had, as far as something waits for them: a run that ends elsewhere is not told of. */
  async #probe(): Promise<void> {
    this.#limits.update();
    for (const meter of this.#held.meters) {
      if (meter.isUnsure && meter.room(1) === 0) await meter.probe(Math.min(PROBES, this.#held.count(meter)));
    }
  }

  /**
   * Jobs that were put off, and for which there seems to be room by now, as if they had not been. They are kept in mind until
   * it is known what became of them: one that could not be written is taken up again.
   *
   * @param free - how many runs an executor still takes.
   * @param isInReach - whether this node can run the job. It may have been changed since it was put off.
   */
  async takeUp(
    most: number,
    free: (executor: string) => number,
    isInReach: (record: JobRecord) => boolean,
    get: (id: string) => MaybePromise<StoredJob | undefined>,
  ): Promise<readonly StoredJob[]> {
    await this.#probe();
    const ready = this.#ready(most, free);
    const due: StoredJob[] = [];
    for (const [index, stored] of (await Promise.all(ready.map(async ({ id }) => get(id)))).entries()) {
      const { id, until } = ready[index]!;
      if (stored === undefined || !isHeldUntil(stored.record, until) || !isInReach(stored.record)) this.#held.delete(id);
      else due.push({ ...stored, record: takeUp(stored.record, until, this.#deps.now()) });
    }
    return due;
  }

  #ready(most: number, free: (executor: string) => number): readonly Waiting[] {
    const slots = new Map<string, number>();
    const ready: Waiting[] = [];
    this.#stuck.clear();
    for (const meter of this.#held.meters) {
      const left = most - ready.length;
      const room = left > 0 && meter.isCurrent ? meter.room(left) : left;
      let picked = 0;
      for (const waiting of room > 0 ? this.#held.first(meter, room + LOOK_PAST) : []) {
        const able = slots.get(waiting.executor) ?? free(waiting.executor);
        if (picked >= room || able <= 0) continue;
        slots.set(waiting.executor, able - 1);
        ready.push(waiting);
        picked += 1;
      }
      if (room > 0 && picked === 0) this.#stuck.add(meter);
    }
    return ready;
  }

  /** What became of a job that was admitted: so many of its runs have started. @param grant - `undefined` without limits. */
  settle(id: string, next: JobRecord | null, grant: Grant | undefined, started: number): void {
    if (grant !== undefined) for (const permit of grant.permits.slice(started)) permit.release();
    if (next === null || grant?.lacking == null || grant.holdUntil === undefined) this.#held.delete(id);
    else this.#hold(next, grant.lacking, grant.holdUntil);
  }

  /** Another node has the job, or it is not known whether it was written. */
  refuse(grant: Grant): void {
    for (const permit of grant.permits) permit.release();
  }

  #hold(record: JobRecord, meter: Meter, until: EpochMs): void {
    const { priority, executor } = record.definition.policy;
    const since = dueSince(record, until) ?? this.#deps.now();
    this.#held.add({ id: record.id, meter, priority, executor, since, until });
    this.#say(meter);
  }

  // ── what may start ──

  /**
   * Takes what the runs need that would start. Answers per job what it got; `undefined` for a job without limits.
   *
   * @param wants - how many runs of the job would start, if there were room.
   */
  admit(due: readonly StoredJob[], wants: (record: JobRecord) => number): MaybePromise<readonly (Grant | undefined)[]> {
    const asks: Ask[] = [];
    const grants = due.map(({ record }): Grant | undefined => {
      const meters = this.#limits.of(record.definition);
      if (meters.length === 0) return undefined;
      const grant: Grant = { permits: [], lacking: null, holdUntil: undefined };
      const wanted = wants(record);
      if (wanted > 0) asks.push({ meters, wanted, grant });
      return grant;
    });
    if (asks.length === 0) return grants;
    const distributing = distribute(asks, (meter, position) => meter.expectedAt(this.#held.count(meter) + position) + SLACK_MS);
    return isThenable(distributing) ? Promise.resolve(distributing).then(() => grants) : grants;
  }

  // ── when to look again ──

  /** After all that is due has been claimed: gives back what was not needed, and answers when there may be room for what waits. */
  lookAgainAt(): EpochMs {
    for (const meter of this.#limits.all()) meter.dropSpares();
    for (const meter of this.#reached) if (this.#held.count(meter) === 0) this.#reached.delete(meter);
    const now = this.#deps.now();
    let at = Number.POSITIVE_INFINITY;
    for (const meter of this.#held.meters) {
      if (meter.isCurrent && meter.room(1) === 0) at = Math.min(at, meter.nextChangeAt());
      else if (!this.#stuck.has(meter)) at = Math.min(at, now);
    }
    return at;
  }

  // ── what is told ──

  #say(meter: Meter): void {
    if (this.#reached.has(meter)) return;
    this.#reached.add(meter);
    this.#deps.reached(meter, freeAt(meter));
  }

  report(): readonly LimitReport[] {
    const { rules } = this.#limits;
    for (const name of rules.tasks.keys()) this.#limits.ofTask(name);
    return [...this.#limits.all()].map((meter) => {
      const { subject, name, kind, size, ttlMs, taken } = meter;
      const isReached = this.#reached.has(meter);
      return { subject, name, kind, max: size, perMs: kind === 'rate' ? ttlMs : null, used: taken, isReached, heldJobs: this.#held.count(meter), freeAt: freeAt(meter) };
    });
  }
}

function freeAt(meter: Meter): EpochMs | null {
  if (meter.kind === 'concurrency' || meter.room(1) > 0) return null;
  const at = meter.nextChangeAt();
  return at === Number.POSITIVE_INFINITY ? null : at;
}

/** The earliest fire time, or readiness of a run, that waits. */
function dueSince({ state }: JobRecord, until: EpochMs): EpochMs | undefined {
  let since = state.nextDueAt !== null && state.nextDueAt <= until ? (state.nextFireTime ?? undefined) : undefined;
  for (const run of state.runs) {
    if (run.state === 'waiting' && run.readyAt <= until && (since === undefined || run.scheduledFor < since)) since = run.scheduledFor;
  }
  return since;
}

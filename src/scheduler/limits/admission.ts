import { isHeldUntil, takeUp } from '../../core/hold.js';
import type { JobRecord } from '../../model/job.js';
import type { ClaimScope, MaybePromise, StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { isThenable } from '../maybe-promise.js';
import { distribute, type Ask, type Grant } from './grant.js';
import type { LimitSubject } from './limit-rules.js';
import type { Meter } from './meter.js';
import type { StoreLimits } from './store-limits.js';
import { WaitingRoom, type Waiting } from './waiting-room.js';

/** Slots that other nodes had, asked for at a time on behalf of jobs of which it is not known how many they are. */
const PROBES = 4;

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
  /** How much of it is in use, by all nodes, as far as this one knows: what others have taken it learns when it asks for it. */
  readonly used: number;
  /** Whether something that is due waits for it here. */
  readonly isReached: boolean;
  /** Jobs that this node has put off for it. Those of a limited task are mostly left unclaimed instead, and not counted. */
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

type Asking = (scope: ClaimScope, limit: number) => MaybePromise<readonly StoredJob[]>;

/** What can be claimed: of tasks without a limit, of tasks whose limits have room for so many runs, and not at present. */
interface Lanes {
  readonly free: ClaimScope;
  readonly open: ClaimScope | null;
  readonly room: number;
  readonly shut: ClaimScope | null;
}

/**
 * Lets the loop of a store take on no more than the limits have room for. Jobs of a task that has no room are not claimed:
 * in the store they keep their order, and cost nothing. Whether a tag has room is seen when a job of it has been claimed: one
 * for which there is none is put off, by a write, until room is expected, and taken up before if there is room before. So is
 * one of a task whose jobs have a grace, which has to be measured when they are due.
 */
export class Admission {
  readonly #limits: StoreLimits;
  readonly #deps: AdmissionDeps;
  readonly #held = new WaitingRoom();
  /** Tasks without room of which something is due. */
  readonly #demand = new Set<string>();
  /** Limits of which it was told that something waits for them. */
  readonly #reached = new Set<Meter>();
  #hasShut = false;
  #openFirst = true;

  constructor(deps: AdmissionDeps) {
    this.#limits = deps.limits;
    this.#deps = deps;
    deps.limits.onRoom(() => { if (this.#held.size > 0 || this.#hasShut) deps.wake(); });
  }

  /** There is nothing to see to. */
  get isOff(): boolean {
    return this.#limits.rules.isEmpty && this.#held.size === 0;
  }

  /** As far as is known nothing waits, and nothing of the scope is held back. */
  isIdle(scope: ClaimScope): boolean {
    return this.isOff || (this.#held.size === 0 && this.awake(scope) === scope);
  }

  // ── what to claim ──

  #lanes(scope: ClaimScope, most = 1): Lanes {
    const { rules } = this.#limits;
    if (rules.tasks.size === 0) return { free: scope, open: null, room: 0, shut: null };
    const free = new Map(scope.tasks);
    const open = new Map<string, number>();
    const shut = new Map<string, number>();
    let room = most;
    for (const name of rules.tasks.keys()) {
      const version = free.get(name);
      if (version === undefined || rules.measuresGrace(name)) continue;
      free.delete(name);
      const own = Math.min(...this.#limits.ofTask(name).map((meter) => meter.room(most)));
      (own > 0 ? open : shut).set(name, version);
      if (own > 0) room = Math.min(room, own);
    }
    const of = (tasks: ReadonlyMap<string, number>): ClaimScope | null => (tasks.size === 0 ? null : { ...scope, tasks });
    return { free: { ...scope, tasks: free }, open: of(open), room, shut: of(shut) };
  }

  /** What of the scope can be claimed now. */
  awake(scope: ClaimScope): ClaimScope {
    const { free, open, shut } = this.#lanes(scope);
    if (shut === null) return scope;
    return open === null ? free : { ...scope, tasks: new Map([...free.tasks, ...open.tasks]) };
  }

  /**
   * Claims in two parts, since no more may be claimed of a task than there is room for: then all that is claimed can start.
   * In turns, lest one part keep the executors from the other.
   */
  claim(scope: ClaimScope, limit: number, ask: Asking): MaybePromise<readonly StoredJob[]> {
    const { free, open, room } = this.#lanes(scope, limit);
    if (open === null) return ask(free, limit);
    const parts = [
      (): MaybePromise<readonly StoredJob[]> => {
        const answered = (due: readonly StoredJob[]): readonly StoredJob[] => {
          if (due.length === 0) for (const task of open.tasks.keys()) this.#demand.delete(task);
          return due;
        };
        const answer = ask(open, room);
        return isThenable(answer) ? Promise.resolve(answer).then(answered) : answered(answer);
      },
      (): MaybePromise<readonly StoredJob[]> => ask(free, limit),
    ];
    const [first, second] = this.#openFirst ? parts : parts.reverse();
    const goOn = (due: readonly StoredJob[]): MaybePromise<readonly StoredJob[]> => {
      if (due.length === 0) return second!();
      this.#openFirst = !this.#openFirst;
      return due;
    };
    const answer = first!();
    return isThenable(answer) ? answer.then(goOn) : goOn(answer);
  }

  // ── what waits ──

  /** Before anything is claimed: asks for slots that other nodes had, as far as something waits for them. */
  async #probe(): Promise<void> {
    this.#limits.update();
    for (const meter of new Set([...this.#held.meters, ...this.#demanded()])) {
      if (meter.isUnsure && meter.room(1) === 0) await meter.probe(this.#demanded().includes(meter) ? PROBES : Math.min(PROBES, this.#held.count(meter)));
    }
  }

  #demanded(): Meter[] {
    return [...this.#demand].flatMap((task) => this.#limits.ofTask(task));
  }

  /**
   * Jobs that were put off, and for which there seems to be room by now, as if they had not been. They are no longer kept in
   * mind: one that finds no room after all is put off again.
   */
  async takeUp(most: number, get: (id: string) => MaybePromise<StoredJob | undefined>): Promise<readonly StoredJob[]> {
    await this.#probe();
    const ready: Waiting[] = [];
    for (const meter of this.#held.meters) {
      const left = most - ready.length;
      if (left > 0) ready.push(...this.#held.first(meter, meter.isCurrent ? meter.room(left) : left));
    }
    const due: StoredJob[] = [];
    for (const [index, stored] of (await Promise.all(ready.map(async ({ id }) => get(id)))).entries()) {
      const { id, until } = ready[index]!;
      this.#held.delete(id);
      if (stored !== undefined && isHeldUntil(stored.record, until)) due.push({ ...stored, record: takeUp(stored.record, until, this.#deps.now()) });
    }
    return due;
  }

  /** What became of a job that was admitted: so many of its runs have started. */
  settle(id: string, next: JobRecord | null, grant: Grant, started: number): void {
    for (const permit of grant.permits.slice(started)) permit.release();
    if (next === null || grant.lacking === null || grant.holdUntil === undefined) this.#held.delete(id);
    else this.#hold(next, grant.lacking, grant.holdUntil);
  }

  /** Another node has the job, or it is not known whether it was written. */
  refuse(grant: Grant): void {
    for (const permit of grant.permits) permit.release();
  }

  #hold(record: JobRecord, meter: Meter, until: EpochMs): void {
    const { priority } = record.definition.policy;
    const since = dueSince(record, until) ?? this.#deps.now();
    this.#held.add({ id: record.id, meter, priority, since, until });
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
      const { task, policy } = record.definition;
      this.#limits.rules.noteGrace(task, policy.misfireGraceMs);
      const grant: Grant = { permits: [], lacking: null, holdUntil: undefined };
      const wanted = wants(record);
      if (wanted > 0) asks.push({ meters, wanted, grant });
      return grant;
    });
    if (asks.length === 0) return grants;
    const distributing = distribute(asks, (meter, position) => Math.max(this.#deps.now() + 1, meter.expectedAt(this.#held.count(meter) + position)));
    return isThenable(distributing) ? Promise.resolve(distributing).then(() => grants) : grants;
  }

  // ── when to look again ──

  /**
   * After all that could be claimed has been: gives back what was not needed, finds out what waits, and answers when there
   * may be something to do.
   *
   * @param ask - when something of a scope is due.
   */
  async lookAgainAt(scope: ClaimScope, ask: (scope: ClaimScope) => MaybePromise<EpochMs | null>): Promise<EpochMs> {
    for (const meter of this.#limits.all()) meter.dropSpares();
    const { shut } = this.#lanes(scope);
    this.#hasShut = shut !== null;
    let at = Number.POSITIVE_INFINITY;
    if (shut !== null) {
      const unknown = new Map([...shut.tasks].filter(([task]) => !this.#demand.has(task)));
      const dueAt = unknown.size === 0 ? null : await ask({ ...scope, tasks: unknown });
      if (dueAt !== null && dueAt > this.#deps.now()) at = dueAt;
      else if (dueAt !== null) for (const [task, version] of unknown) await this.#find(task, version, scope, ask);
      for (const task of this.#demand) if (shut.tasks.has(task)) at = Math.min(at, this.#opensAt(this.#limits.ofTask(task)));
    }
    for (const meter of this.#held.meters) at = Math.min(at, meter.isCurrent ? this.#opensAt([meter]) : this.#deps.now());
    this.#forgetReached();
    return at;
  }

  async #find(task: string, version: number, scope: ClaimScope, ask: (scope: ClaimScope) => MaybePromise<EpochMs | null>): Promise<void> {
    const dueAt = await ask({ ...scope, tasks: new Map([[task, version]]) });
    if (dueAt === null || dueAt > this.#deps.now()) return;
    this.#demand.add(task);
    for (const meter of this.#limits.ofTask(task)) if (meter.room(1) === 0) this.#say(meter);
  }

  /** When all of them may have room. That a run of this node ends is told. */
  #opensAt(meters: readonly Meter[]): EpochMs {
    let at = this.#deps.now();
    for (const meter of meters) if (meter.room(1) === 0) at = Math.max(at, meter.nextChangeAt());
    return at;
  }

  // ── what is told ──

  #say(meter: Meter): void {
    if (this.#reached.has(meter)) return;
    this.#reached.add(meter);
    this.#deps.reached(meter, freeAt(meter));
  }

  #forgetReached(): void {
    if (this.#reached.size === 0) return;
    const demanded = this.#demanded();
    for (const meter of this.#reached) if (this.#held.count(meter) === 0 && !demanded.includes(meter)) this.#reached.delete(meter);
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

import { cancelRun } from '../core/cancel.js';
import { newCancels, nodeDefinition } from '../core/each-node.js';
import { modifyJob, newRecord, pauseJob, removeJob, rescheduleJob, resumeJob, retryQuarantined, reviveRecord } from '../core/edit.js';
import type { Decision } from '../core/draft.js';
import { dueAt, nextFire } from '../core/fires.js';
import { awaitsEvent } from '../core/settle.js';
import { wakeAt, type JobRecord } from '../model/job.js';
import type { TimerHandle } from '../ports/clock.js';
import type { Revision, StoreContext, StoredJob } from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';
import { changeRecord } from './job-changes.js';
import { isSpent } from './job-directory.js';
import type { LoopDeps } from './loop-deps.js';
import type { StoreLoop } from './store-loop.js';

const PAGE = 1_000;
/** Least time between two looks that hints cause: on a busy store there is one with every commit. */
const LOOK_EVERY_MS = 1_000;
/** How long a job stays after its last fire time, for nodes that are late. */
const LINGER_MS = 3_600_000;

/** The shared record of a job, as this node has followed it. */
interface Seen {
  readonly record: JobRecord;
  /** `null` where only the record was told. */
  readonly revision: Revision | null;
}

/**
 * The jobs of a shared store that every node runs (`exclusive: false`), as this node runs them: a copy of each in a store of
 * its own, with a loop of its own, in which they are jobs like any other. The shared record says what the job is, and has
 * no fire times. It is looked at when this node starts, when it or a hint says that something changed, and from time to time.
 */
export class NodeJobs {
  readonly #shared: StoreLoop;
  readonly #deps: LoopDeps;
  readonly #makeLoop: () => StoreLoop;
  #loop: StoreLoop | undefined;
  readonly #seen = new Map<string, Seen>();
  readonly #saidUnknown = new Set<string>();
  /** When this node started: what came up before is none of its business. */
  #startedAt: EpochMs | null = null;
  /** A start of which jobs that fire at the start do not know yet. */
  #isStarting = false;
  #isRunning = false;
  #looking: Promise<void> | undefined;
  #isAsked = false;
  /** Jobs told of while the list is being read, which may be older. */
  #told = new Set<string>();
  #timer: TimerHandle | undefined;
  /** When the timer goes off, monotonic. */
  #plannedAt = Number.POSITIVE_INFINITY;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #context: StoreContext | undefined;

  constructor(shared: StoreLoop, deps: LoopDeps, makeLoop: () => StoreLoop) {
    this.#shared = shared;
    this.#deps = deps;
    this.#makeLoop = makeLoop;
  }

  /** In which this node runs its copies; `undefined` while there was no such job. */
  get loop(): StoreLoop | undefined {
    return this.#loop;
  }

  /** The scheduler has started, or will with its next `start`. */
  announceStart(context: StoreContext): void {
    this.#context = context;
    this.#startedAt = this.#shared.now();
    this.#isStarting = true;
  }

  /** Begins (or goes on) to run the jobs of this node. Does not wait for the store. */
  start(): void {
    this.#isRunning = true;
    this.look();
  }

  async pause(): Promise<void> {
    this.#isRunning = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#plannedAt = Number.POSITIVE_INFINITY;
    const pausing = this.#loop?.pause();
    await this.#looking;
    await pausing;
  }

  async close(withinMs: number): Promise<void> {
    const pausing = this.pause();
    await this.#loop?.close(withinMs);
    await pausing;
  }

  /** Something of the store may have changed. */
  changed(): void {
    const pauseMs = this.#lookedAt + LOOK_EVERY_MS - this.#deps.clock.monotonic();
    if (pauseMs <= 0) this.look();
    else this.#lookIn(pauseMs);
  }

  /** Compares the jobs of this node with those of the store. */
  look(): void {
    if (this.#looking !== undefined) this.#isAsked = true; // what changes now may have been read already
    if (!this.#isRunning || this.#looking !== undefined) return;
    this.#isAsked = false;
    this.#looking = this.#look()
      .catch((error: unknown) => {
        // The store's own loop tells that it is away.
        this.#deps.logger.debug('the jobs that each node runs could not be read; they are asked for again', { error, jobStore: this.#shared.access.alias });
      })
      .finally(() => {
        this.#looking = undefined;
        this.#lookedAt = this.#deps.clock.monotonic();
        // Where there is no such job, an idle node has better things to ask its store; a hint mostly tells of the first.
        const pollMs = this.#deps.maxSleepMs * (this.#seen.size === 0 ? 2 : 1);
        this.#lookIn(this.#isAsked ? LOOK_EVERY_MS : pollMs);
      });
  }

  #lookIn(ms: number): void {
    const { clock } = this.#deps;
    const at = clock.monotonic() + ms;
    if (!this.#isRunning || at >= this.#plannedAt) return;
    this.#timer?.cancel();
    this.#plannedAt = at;
    this.#timer = clock.setTimer(
      ms,
      () => {
        this.#timer = undefined;
        this.#plannedAt = Number.POSITIVE_INFINITY;
        this.look();
      },
      false,
    );
  }

  async #look(): Promise<void> {
    const { access } = this.#shared;
    this.#told = new Set();
    const listed = new Map<string, StoredJob>();
    for (let after: string | undefined; ;) {
      const page = await access.list({ triggerKind: 'startup', statuses: ['active', 'paused', 'quarantined'], limit: PAGE, after });
      for (const stored of page.jobs) if (nodeDefinition(stored.record.definition) !== undefined) listed.set(stored.record.id, stored);
      if (page.nextCursor === null) break;
      after = page.nextCursor;
    }
    for (const [id, { record, revision }] of listed) if (!this.#told.has(id)) await this.#follow(id, record, revision);
    for (const id of [...this.#seen.keys()]) if (!listed.has(id) && !this.#told.has(id)) await this.#follow(id, null, null);
    for (const { record } of listed.values()) if (this.#isOver(record)) await this.#complete(record.id);
    await this.#run();
  }

  /** Lets the copies run, once all of them are there. */
  async #run(): Promise<void> {
    const loop = this.#loop;
    if (loop === undefined || !this.#isRunning || this.#context === undefined) return;
    await loop.open(this.#context);
    if (!this.#isRunning) return;
    if (this.#isStarting) loop.announceStart(this.#context);
    this.#isStarting = false;
    await loop.start();
  }

  /** The shared record was written here: `null` when it was deleted. */
  async tell(before: JobRecord, next: JobRecord | null): Promise<void> {
    const isFollowed = next !== null && next.state.status !== 'removed' && nodeDefinition(next.definition) !== undefined;
    if (!isFollowed && !this.#seen.has(before.id)) return;
    this.#told.add(before.id);
    await this.#follow(before.id, isFollowed ? next : null, null);
    if (!isFollowed) return;
    try {
      await this.#run();
    } catch (error) {
      this.#deps.logger.error('the jobs that each node runs could not be started on this one', { error, jobStore: this.#shared.access.alias });
    }
  }

  /** Makes the copy what the shared record says. What is wrong with one job must not hold up the others. */
  async #follow(id: string, record: JobRecord | null, revision: Revision | null): Promise<void> {
    const known = this.#seen.get(id);
    try {
      if (record === null) {
        this.#seen.delete(id);
        await this.#change(id, (copy, now) => removeJob(copy, { now, node: this.#deps.node }));
        return;
      }
      this.#seen.set(id, { record, revision });
      const isSame = known !== undefined && (known.record === record || (revision !== null && known.revision === revision));
      if (isSame || record.definition.trigger.unreadable !== undefined) return;
      this.#sayUnknown(record.definition.task);
      const exists = await this.#change(id, (copy, now) => this.#adapt(copy, record, known?.record, now));
      // One that was there, and is no more, has come to its end on this node.
      if (!exists && known?.record.state.generation !== record.state.generation) await this.#add(record);
      for (const { runId, reason } of newCancels(record, known?.record)) {
        await this.#change(id, (copy, now) => cancelRun(copy, runId, reason, { now, node: this.#deps.node }));
      }
    } catch (error) {
      this.#deps.logger.error('a job that each node runs could not be followed on this one', { error, jobId: id, jobStore: this.#shared.access.alias });
    }
  }

  /** Answers whether there is a copy. */
  async #change(id: string, change: (copy: JobRecord, now: EpochMs) => Decision | undefined): Promise<boolean> {
    const loop = this.#loop;
    if (loop === undefined) return false;
    return (await changeRecord(loop, this.#deps.clock, id, (copy) => change(copy, loop.now()))) !== undefined;
  }

  /** The copy as the shared record has become. */
  #adapt(copy: JobRecord, shared: JobRecord, known: JobRecord | undefined, now: EpochMs): Decision | undefined {
    const { node } = this.#deps;
    if (copy.state.status === 'removed') return { next: reviveRecord(copy, this.#fresh(shared)), start: [], ledger: [], notices: [] };
    const own = nodeDefinition(shared.definition) ?? shared.definition;
    const isMended = copy.state.status === 'quarantined' && shared.definition !== known?.definition;
    let decision: Decision | undefined;
    if (isMended || shared.state.generation !== known?.state.generation) {
      // From when it was rescheduled, not from when this node hears of it.
      decision = rescheduleJob(copy, own, { now: isMended ? now : Math.min(now, shared.state.generation), node });
    } else if (shared.definition !== known.definition) {
      decision = modifyJob(copy, own, { now, node });
    }
    const changed = decision === undefined ? copy : decision.next;
    if (changed === null) return decision;
    const isHeld = shared.state.status !== 'active';
    const current: JobRecord = isMended ? { ...changed, state: { ...changed.state, status: 'active', reason: null } } : changed;
    const then = isHeld ? pauseJob(current, shared.state.reason, { now, node }) : resumeJob(current, false, { now, node });
    if (then === undefined) return decision === undefined ? undefined : { ...decision, next: current };
    return decision === undefined ? then : { ...then, ledger: [...decision.ledger, ...then.ledger], notices: [...decision.notices, ...then.notices] };
  }

  async #add(shared: JobRecord): Promise<void> {
    const fresh = this.#fresh(shared);
    if (isSpent(fresh)) return;
    const loop = (this.#loop ??= this.#makeLoop());
    await loop.access.insert([fresh]);
    loop.expect(wakeAt(fresh));
  }

  /** The copy as it begins: with what came up since the schedule began and this node started, and nothing from before. */
  #fresh({ id, definition, state }: JobRecord): JobRecord {
    const own = nodeDefinition(definition) ?? definition;
    const startedAt = this.#startedAt ?? Number.NEGATIVE_INFINITY;
    const record = newRecord(id, own, state.status !== 'active', Math.max(state.generation, startedAt));
    const { nextFireTime: first } = record.state;
    if (first === null || state.generation >= startedAt || first >= startedAt) return record;
    const next = nextFire(own, startedAt);
    return { ...record, state: { ...record.state, nextFireTime: next, nextDueAt: next === null ? null : dueAt(id, own, next), firstFireTime: next } };
  }

  #sayUnknown(task: string): void {
    const { tasks, reporter } = this.#deps;
    // Of those that are there when it starts, the store's loop tells where it can.
    const isTold = this.#isStarting && this.#shared.access.store.tasks !== undefined;
    if (isTold || this.#startedAt === null || this.#saidUnknown.has(task) || tasks.get(task) !== undefined) return;
    this.#saidUnknown.add(task);
    reporter.scheduler({ type: 'tasksUnknown', jobStore: this.#shared.access.alias, tasks: [task] });
  }

  /** Whether no node has anything to expect of it any more. */
  #isOver({ id, definition, state }: JobRecord): boolean {
    const own = nodeDefinition(definition);
    const since = this.#shared.now() - LINGER_MS;
    if (own === undefined || state.status !== 'active' || state.runs.length > 0 || state.generation > since || awaitsEvent(own)) return false;
    try {
      return nextFire(own, since) === null;
    } catch (error) {
      this.#deps.logger.debug('the trigger of a job that each node runs failed', { error, jobId: id });
      return false;
    }
  }

  async #complete(id: string): Promise<void> {
    await changeRecord(this.#shared, this.#deps.clock, id, (record) =>
      this.#isOver(record) ? { next: null, start: [], ledger: [], notices: [{ type: 'jobCompleted', reason: 'exhausted', runCount: 0 }] } : undefined,
    );
  }

  /** Asks the runs of a job on this node to stop. */
  async cancelRuns(id: string): Promise<void> {
    for (let more = true; more; ) {
      more = false;
      await this.#change(id, (copy, now) => {
        const run = copy.state.runs.find((live) => live.state === 'waiting' || live.abort === null);
        more = run !== undefined;
        return run === undefined ? undefined : cancelRun(copy, run.id, 'removed', { now, node: this.#deps.node });
      });
    }
  }

  /** Puts a copy from quarantine back to work. Answers whether it was there. */
  async retryQuarantined(id: string): Promise<boolean> {
    let wasHeld = false;
    await this.#change(id, (copy, now) => {
      const decision = retryQuarantined(copy, { now, node: this.#deps.node });
      wasHeld = decision !== undefined;
      return decision;
    });
    return wasHeld;
  }

  // ── what callers see ──────────────────────────────────────────────────────

  /** The copy that this node runs of a job, if it runs it. */
  async copyOf({ id, definition }: JobRecord): Promise<JobRecord | undefined> {
    if (this.#loop === undefined || nodeDefinition(definition) === undefined) return undefined;
    const record = (await this.#loop.access.get(id))?.record;
    return record?.state.status === 'removed' ? undefined : record;
  }

  /** Whether a run that is asked for is for this node: it runs the job, and knows its task. */
  async runs(record: JobRecord): Promise<boolean> {
    if (!this.#isRunning || this.#deps.tasks.get(record.definition.task) === undefined) return false;
    if (!this.#seen.has(record.id)) await this.tell(record, record);
    return (await this.copyOf(record)) !== undefined;
  }

  /** A job as its users see it: with its own trigger, and where it stands on this node. */
  async view(stored: StoredJob): Promise<StoredJob> {
    const { record, revision } = stored;
    const { id, state } = record;
    const own = nodeDefinition(record.definition);
    if (own === undefined) return stored;
    const copy = await this.copyOf(record);
    if (copy !== undefined) return { revision, record: { id, definition: own, state: { ...copy.state, status: state.status === 'active' ? copy.state.status : state.status, reason: state.reason ?? copy.state.reason } } };
    const isFollowed = this.#seen.has(id) && this.#startedAt !== null;
    return { revision, record: { id, definition: own, state: { ...state, nextFireTime: isFollowed ? null : nextFire(own, this.#shared.now()) } } };
  }

  /** Where the history of a job is: with this node, if it runs the job, or did before that was gone. */
  async historyOf(jobId: string): Promise<StoreLoop> {
    const loop = this.#loop;
    if (loop === undefined) return this.#shared;
    const isOwn = (await loop.access.get(jobId)) !== undefined || (await loop.access.listLedger({ jobId, limit: 1 })).entries.length > 0;
    if (!isOwn) return this.#shared;
    const stored = await this.#shared.access.get(jobId);
    return stored === undefined || nodeDefinition(stored.record.definition) !== undefined ? loop : this.#shared;
  }
}

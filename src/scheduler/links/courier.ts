import { delivered, dropFollowers } from '../../core/links/followers.js';
import { receive, recognises } from '../../core/links/receive.js';
import { wakeAt, type JobRecord } from '../../model/job.js';
import type { Follower, LinkNotice, Wait } from '../../model/links.js';
import type { TimerHandle } from '../../ports/clock.js';
import type { JobChange, StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { changeRecord } from '../job-changes.js';
import type { LoopDeps } from '../loop-deps.js';
import type { StoreLoop } from '../store-loop.js';
import { breakOldCycle } from './cycles.js';
import { fateOf, follow, followerOf, type Fate } from './sources.js';

/** How long a follower that nobody knows of is kept: its job may be about to be added. */
const UNKNOWN_MS = 60_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
/** Records written in one batch. */
const BATCH = 100;
/** Reads under way at one time. */
const READS = 32;

/**
 * Tells followers how runs ended: takes what is to be told from the record of the source to that of each follower, and then
 * takes it out of the source's. Whoever wrote the verdict does so at once; if it dies before, the record comes up again, and
 * any node does. A follower that was told twice knows it.
 */
export class Courier {
  readonly #loop: StoreLoop;
  readonly #deps: LoopDeps;
  /** Sources of which something is being told. */
  readonly #busy = new Map<string, Promise<void>>();
  /** Records of these that were written in the meantime. */
  readonly #newer = new Map<string, JobRecord>();
  /** By source: the last notice that was taken on. What is left of those up to there has its own time. */
  readonly #tried = new Map<string, number>();
  readonly #checks = new Set<Promise<void>>();
  readonly #retries = new Set<TimerHandle>();
  #retryMs = FIRST_RETRY_MS;
  #isClosed = false;

  constructor(loop: StoreLoop, deps: LoopDeps) {
    this.#loop = loop;
    this.#deps = deps;
  }

  /** A record with links was claimed: what is due of them is seen to, once it is written. */
  claimed(before: JobRecord, next: JobRecord | null): void {
    const { links } = before.state;
    if (links === undefined || this.#isClosed) return;
    const now = this.#loop.now();
    if (links.deliverAt !== undefined && links.deliverAt <= now) this.#tried.delete(before.id);
    if (next !== null && links.checkAt !== undefined && links.checkAt <= now) void this.#lookAfter(next.id);
    if (links.waits !== undefined && (next === null || next.state.status === 'removed')) this.#stopWaiting(before.id, links.waits);
  }

  /** A job that waited is gone: what it waited for need not tell it any more, however long it is until then. */
  #stopWaiting(id: string, waits: readonly Wait[]): void {
    for (const source of new Set(waits.map((wait) => wait.source))) {
      const isOver = ({ to, once }: Follower): boolean => to === id && waits.some((wait) => wait.source === source && wait.token === once);
      void this.#inBackground(async () => {
        await this.#change(source, (current) => dropFollowers(current, isOver, this.#acting()));
      });
    }
  }

  /** A decision was written: `null` when it deleted the record. */
  published(record: JobRecord, next: JobRecord | null): void {
    if (next !== null) this.wrote(next);
    if ((next === null || next.state.status === 'removed') && record.definition.trigger.follows !== undefined) this.#left(record);
  }

  /** A record was written here. Mostly it has no links, and then there is nothing to do. */
  wrote(record: JobRecord): void {
    const { id, state } = record;
    if (state.links === undefined && this.#tried.size === 0) return;
    const last = state.links?.outbox?.at(-1)?.seq;
    if (last === undefined) {
      this.#tried.delete(id);
      return;
    }
    if (this.#isClosed || (this.#tried.get(id) ?? -1) >= last) return;
    if (this.#busy.has(id)) {
      this.#newer.set(id, record);
      return;
    }
    const work = this.#deliver(record)
      .catch((error: unknown) => {
        this.#tried.delete(id);
        this.#retryLater(id, error);
      })
      .finally(() => {
        this.#busy.delete(id);
        const newer = this.#newer.get(id);
        this.#newer.delete(id);
        if (newer !== undefined) this.wrote(newer);
      });
    this.#busy.set(id, work);
  }

  /** A job that followed others is gone: they need not tell it any more. If this fails, they find out by themselves. */
  #left(record: JobRecord): void {
    const { id, definition } = record;
    for (const source of definition.trigger.follows?.jobs ?? []) {
      void this.#inBackground(async () => {
        const follower = (await this.#loop.access.get(id))?.record;
        if (follower !== undefined && follower.state.status !== 'removed') return; // it was added again
        await this.#change(source, (current) => dropFollowers(current, ({ to, once }) => to === id && once === undefined, this.#acting()));
      });
    }
  }

  /** Sees that those which a job follows know of it, and that it hears what they have to tell. */
  check(id: string): Promise<void> {
    return this.#inBackground(() => this.#check(id));
  }

  /** Resolves when nothing is under way any more. What could not be told is left to others. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#retries) timer.cancel();
    this.#retries.clear();
    await Promise.allSettled([...this.#busy.values(), ...this.#checks]);
    this.#isClosed = false;
    this.#tried.clear();
  }

  // ── telling ───────────────────────────────────────────────────────────────

  async #deliver(record: JobRecord): Promise<void> {
    const { id } = record;
    let current: JobRecord | undefined = record;
    while (current !== undefined) {
      const outbox: readonly LinkNotice[] | undefined = current.state.links?.outbox;
      const last = outbox?.at(-1)?.seq;
      if (outbox === undefined || last === undefined || (this.#tried.get(id) ?? -1) >= last) break;
      this.#tried.set(id, last);
      const told = await this.#tell(id, outbox);
      const now = this.#loop.now();
      const unknown = outbox.filter((notice) => !told.has(keyOf(notice)));
      const given = new Set(unknown.filter(({ since }) => since <= now - UNKNOWN_MS).map(keyOf));
      const retryAt = retryTime(unknown, now);
      const isOver = (notice: LinkNotice): boolean => told.has(keyOf(notice)) || given.has(keyOf(notice));
      const strangers = unknown.filter((notice) => given.has(keyOf(notice)));
      const isStranger = (one: Follower): boolean => strangers.some(({ to, once, since }) => to === one.to && once === one.once && since === one.since);
      const result = await this.#change(id, (stored) => delivered(stored, isOver, isStranger, retryAt, this.#acting()));
      this.#retryMs = FIRST_RETRY_MS;
      current = result?.stored?.record;
    }
    if (current?.state.links?.outbox === undefined || this.#isClosed) this.#tried.delete(id);
  }

  /** Answers the keys of the notices that their followers have by now. */
  async #tell(source: string, outbox: readonly LinkNotice[]): Promise<Set<string>> {
    const byFollower = new Map<string, LinkNotice[]>();
    for (const notice of outbox) {
      const own = byFollower.get(notice.to);
      if (own === undefined) byFollower.set(notice.to, [notice]);
      else own.push(notice);
    }
    const told = new Set<string>();
    const ids = [...byFollower.keys()];
    const left = ids.length === 1 ? ids : await this.#tellTogether(source, byFollower, told);
    for (const id of left) {
      let known: readonly LinkNotice[] = [];
      await this.#change(id, (record) => {
        known = (byFollower.get(id) ?? []).filter((notice) => recognises(record, source, notice));
        return known.length === 0 ? undefined : receive(record, source, known, this.#acting());
      });
      for (const notice of known) told.add(keyOf(notice));
    }
    return told;
  }

  /** Several in one write. Answers those who met somebody else's change. */
  async #tellTogether(source: string, byFollower: ReadonlyMap<string, readonly LinkNotice[]>, told: Set<string>): Promise<string[]> {
    const { access } = this.#loop;
    const left: string[] = [];
    const ids = [...byFollower.keys()];
    for (let at = 0; at < ids.length; at += BATCH) {
      const stored = await this.#read(ids.slice(at, at + BATCH));
      const changes: JobChange[] = [];
      const finish: ((revision: StoredJob['revision'], askedAt: number) => void)[] = [];
      for (const { record, revision } of stored) {
        const known = (byFollower.get(record.id) ?? []).filter((notice) => recognises(record, source, notice));
        if (known.length === 0) continue;
        const decision = receive(record, source, known, this.#acting());
        if (decision === undefined) {
          for (const notice of known) told.add(keyOf(notice));
          continue;
        }
        changes.push({ id: record.id, expected: revision, next: decision.next, ledger: decision.ledger });
        finish.push((written, askedAt) => {
          for (const notice of known) told.add(keyOf(notice));
          this.#loop.apply(record, decision, written, askedAt);
          if (decision.next !== null) this.#loop.expect(wakeAt(decision.next));
        });
      }
      if (changes.length === 0) continue;
      const askedAt = this.#deps.clock.monotonic();
      const revisions = await access.commit(changes);
      revisions.forEach((revision, index) => {
        if (revision === undefined) left.push(changes[index]!.id);
        else finish[index]!(revision, askedAt);
      });
    }
    return left;
  }

  async #read(ids: readonly string[]): Promise<StoredJob[]> {
    const found: StoredJob[] = [];
    for (let at = 0; at < ids.length; at += READS) {
      const answers = await Promise.all(ids.slice(at, at + READS).map(async (id) => this.#loop.access.get(id)));
      for (const stored of answers) if (stored !== undefined) found.push(stored);
    }
    return found;
  }

  /** The record says when it comes up again, if this node can serve it; where it cannot, this is all there is. */
  #retryLater(id: string, error: unknown): void {
    const { clock, logger } = this.#deps;
    if (this.#isClosed) return;
    logger.warn('jobs that follow another could not be told how its run ended; it is tried again', { error, jobId: id, jobStore: this.#loop.access.alias });
    const timer = clock.setTimer(
      this.#retryMs,
      () => {
        this.#retries.delete(timer);
        void this.#inBackground(async () => {
          try {
            const stored = await this.#loop.access.get(id);
            if (stored !== undefined) this.wrote(stored.record);
          } catch (failure) {
            this.#retryLater(id, failure);
          }
        });
      },
      false,
    );
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    this.#retries.add(timer);
  }

  // ── looking after ─────────────────────────────────────────────────────────

  #lookAfter(id: string): Promise<void> {
    return this.#inBackground(async () => {
      await breakOldCycle({ loop: this.#loop, clock: this.#deps.clock, node: this.#deps.node }, id);
      await this.#check(id);
    });
  }

  async #check(id: string): Promise<void> {
    const record = (await this.#loop.access.get(id))?.record;
    const links = record?.state.links;
    if (record === undefined || links === undefined) return;
    if (record.state.status === 'removed') {
      await this.#clearTombstone(record);
      return;
    }
    for (const wait of links.waits ?? []) await this.#checkWait(record, wait);
    for (const source of record.definition.trigger.follows?.jobs ?? []) await this.#checkSource(record, source);
  }

  async #checkWait(record: JobRecord, wait: Wait): Promise<void> {
    const { access } = this.#loop;
    const { source, token, run, mayCome = false } = wait;
    const patient = record.state.links?.onFailure === 'wait';
    for (;;) {
      const stored = await access.get(source);
      const links = stored?.record.state.links;
      if (stored !== undefined && links?.outbox?.some(({ to, once }) => to === record.id && once === token) === true) {
        this.#tried.delete(source);
        this.wrote(stored.record);
        return;
      }
      if (links?.followers?.some(({ to, once }) => to === record.id && once === token) === true) return;
      const fate = await fateOf(this.#loop, source, run, stored?.record);
      const hopes = fate.kind === 'pending' || (fate.kind === 'unknown' ? patient || mayCome : patient && fate.verdict !== 'succeeded');
      if (!hopes) {
        await this.#decideWait(record.id, wait, fate);
        return;
      }
      const { run: _run, ...unpinned } = wait;
      const pinned = fate.kind === 'pending' && fate.run !== undefined ? { ...unpinned, run: fate.run } : unpinned;
      const { late } = await follow(this.#loop, this.#deps, source, [followerOf(record, pinned, this.#loop.now())], record, mayCome && fate.kind === 'unknown');
      // What was to come has come in the meantime.
      if (late.length === 0) return;
    }
  }

  async #decideWait(id: string, { source, token }: Wait, fate: Exclude<Fate, { kind: 'pending' }>): Promise<void> {
    const now = this.#loop.now();
    const [runId, verdict] = fate.kind === 'ended' ? [fate.runId, fate.verdict] : [null, 'removed' as const];
    const notice: LinkNotice = { to: id, seq: 0, runId, verdict, at: now, since: now, once: token };
    await this.#change(id, (current) => (recognises(current, source, notice) ? receive(current, source, [notice], this.#acting()) : undefined));
  }

  async #checkSource(record: JobRecord, source: string): Promise<void> {
    const { follows } = record.definition.trigger;
    if (follows === undefined) return;
    const stored = await this.#loop.access.get(source);
    const links = stored?.record.state.links;
    const due = links?.deliverAt;
    if (stored !== undefined && due !== undefined && due <= this.#loop.now()) {
      // Nobody who can run it is there to see to it.
      this.#tried.delete(source);
      this.wrote(stored.record);
    }
    const isKnown = links?.followers?.some(({ to, once, on }) => to === record.id && once === undefined && on === follows.on) === true;
    if (!isKnown) await follow(this.#loop, this.#deps, source, [{ to: record.id, on: follows.on, since: this.#loop.now() }], record);
  }

  /** What is left of a job that is gone goes, too, once those who followed it are gone. */
  async #clearTombstone(record: JobRecord): Promise<void> {
    const { id, state } = record;
    const gone = new Set<Follower>();
    const now = this.#loop.now();
    for (const follower of state.links?.followers ?? []) {
      if (follower.since > now - UNKNOWN_MS) continue;
      const stored = await this.#loop.access.get(follower.to);
      const notice = { to: follower.to, seq: 0, runId: null, verdict: 'removed', at: now, since: now, ...(follower.once === undefined ? {} : { once: follower.once }) } as const;
      if (stored === undefined || !recognises(stored.record, id, notice)) gone.add(follower);
    }
    if (gone.size === 0) return;
    const isGone = (one: Follower): boolean => [...gone].some(({ to, once, since }) => to === one.to && once === one.once && since === one.since);
    await this.#change(id, (current) => dropFollowers(current, isGone, this.#acting()));
  }

  // ── inside ────────────────────────────────────────────────────────────────

  #acting(): { now: EpochMs; node: string } {
    return { now: this.#loop.now(), node: this.#deps.node };
  }

  #change(id: string, change: (record: JobRecord) => ReturnType<typeof receive>): ReturnType<typeof changeRecord> {
    return changeRecord(this.#loop, this.#deps.clock, id, change);
  }

  #inBackground(work: () => Promise<void>): Promise<void> {
    const running = work()
      .catch((error: unknown) => {
        this.#deps.logger.warn('links between jobs could not be looked after; it is tried again later', { error, jobStore: this.#loop.access.alias });
      })
      .finally(() => { this.#checks.delete(running); });
    this.#checks.add(running);
    return running;
  }
}

function keyOf({ to, seq, once }: LinkNotice): string {
  return `${seq} ${once ?? ''} ${to}`;
}

/** Soon while they may be about to be added, then less and less often. */
function retryTime(unknown: readonly LinkNotice[], now: EpochMs): EpochMs {
  const youngest = Math.max(Number.NEGATIVE_INFINITY, ...unknown.map(({ since }) => since));
  return now + Math.min(Math.max((now - youngest) / 2, FIRST_RETRY_MS), LONGEST_RETRY_MS);
}

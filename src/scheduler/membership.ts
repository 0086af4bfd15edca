import { hashFraction } from '../core/hash.js';
import type { TimerHandle } from '../ports/clock.js';
import type { JobDemand, Member } from '../ports/job-store.js';
import { canServe, readCard, writeCard, type ClockSkew, type NodeCard } from './node-card.js';
import type { LoopDeps } from './loop-deps.js';
import { NameWatch } from './name-watch.js';
import { runsByNode, type NodeRuns } from './node-runs.js';
import type { StoreLoop } from './store-loop.js';

/** A node counts as gone after so many heartbeats: one may be lost, and the next be late. */
const EXPIRES_AFTER = 2.5;
/** Heartbeats are up to this part later than said, of each node by as much as its name says, so that nodes that started together part. */
const SPREAD = 0.1;
/** Heartbeats between two looks for work that nobody can do, as long as there is none. */
const LOOK_EVERY = 5;
/** A machine's clock that is off by more than this against the store's is worth a warning. Clocks kept by NTP are far better. */
const SKEW_MS = 1_000;

/**
 * What a node does among the others of a store besides working: it says from time to time that it is there, notices that
 * its clock is off, and that there is work which nobody can do. It has a timer of its own, so that a paused node is heard
 * of too. Nothing that has to be right rests on it, so what fails is a line in the log, and tried again the next time.
 */
export class Membership {
  readonly #loop: StoreLoop;
  readonly #deps: LoopDeps;
  #timer: TimerHandle | undefined;
  #beats = 0;
  #busy: Promise<void> | undefined;
  #beatAgain = false;
  #isStarted = false;
  #hasFailed = false;
  #hasSaidSkew = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** Where the name was given; one that was made up is nobody else's. */
  #name: NameWatch | undefined;
  /** What nobody could do, by what it asks for: since when that is known, in monotonic time. */
  #unable: ReadonlyMap<string, number> = new Map();
  #said: ReadonlySet<string> = new Set();
  #unserved: readonly JobDemand[] = [];

  constructor(loop: StoreLoop, deps: LoopDeps) {
    this.#loop = loop;
    this.#deps = deps;
  }

  /** What no live node could do when this was last looked into. */
  get unserved(): readonly JobDemand[] {
    return this.#unserved;
  }

  /** The scheduler runs (or is paused). Does nothing when it was told before, and for a store of this process alone. */
  start(): void {
    const { leased, store } = this.#loop.access;
    const hasUse = leased && (store.members ?? store.demands ?? store.now) !== undefined;
    if (this.#isStarted || !hasUse) return;
    this.#isStarted = true;
    this.#name = this.#deps.process === undefined ? undefined : new NameWatch(this.#deps.process.id, this.#deps.heartbeatMs);
    this.#lookedAt = Number.NEGATIVE_INFINITY;
    this.changed();
  }

  /** What this node has to say of itself has changed. */
  changed(): void {
    if (!this.#isStarted) return;
    if (this.#busy !== undefined) {
      this.#beatAgain = true;
      return;
    }
    this.#timer?.cancel();
    const { clock, node, heartbeatMs } = this.#deps;
    const delay = Math.round(heartbeatMs * (1 + SPREAD * hashFraction(`${node}/${this.#loop.access.alias}`, ++this.#beats)));
    this.#timer = clock.setTimer(delay, () => { this.changed(); }, false);
    this.#busy = this.#beat().finally(() => {
      this.#busy = undefined;
      if (this.#beatAgain) this.changed();
      this.#beatAgain = false;
    });
  }

  /** This node leaves, before its store is closed. */
  async close(): Promise<void> {
    if (!this.#isStarted) return;
    this.#isStarted = false;
    this.#timer?.cancel();
    await this.#busy;
    // A store that is away would keep the shutdown waiting, and forgets this node by itself.
    if (!this.#announces || !this.#loop.health.ok) return;
    try {
      await this.#loop.access.withdraw(this.#deps.node);
    } catch (error) {
      this.#deps.logger.debug('a node could not say goodbye; it is forgotten in time', { error, jobStore: this.#loop.access.alias });
    }
  }

  /** What this node says of itself. */
  card(): NodeCard {
    return { ...this.#deps.describe(this.#loop.skew() ?? null), role: this.#loop.role, process: this.#deps.process?.id };
  }

  /** The nodes of the store as they told of themselves; this one alone where there are no others, or nobody can tell. */
  async members(): Promise<readonly Member[]> {
    return this.#announces ? this.#loop.access.listMembers(this.#loop.now()) : [];
  }

  get #announces(): boolean {
    const { store } = this.#loop.access;
    return store.shared && store.members !== undefined;
  }

  async #beat(): Promise<void> {
    const { node, clock, heartbeatMs, logger } = this.#deps;
    const { access } = this.#loop;
    try {
      this.#checkClock(this.#loop.skew());
      if (this.#announces) {
        const card = this.card();
        // Who is stopping gives way to the next of its name.
        if (this.#name?.isDue === true && card.state !== 'stopping') await this.#lookForNamesake(this.#name);
        await access.announce({ node, about: writeCard({ ...card, jobs: await this.#nodeRuns() }), now: this.#loop.now(), ttlMs: Math.ceil(heartbeatMs * EXPIRES_AFTER) });
      }
      const isDue = this.#unable.size > 0 || clock.monotonic() - this.#lookedAt >= heartbeatMs * LOOK_EVERY;
      if (isDue) await this.#lookForWork();
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) logger.warn('a node could not tell of itself in a job store; it tries again', { error, jobStore: access.alias });
      this.#hasFailed = true;
    }
  }

  /** What this node runs of the jobs that each node runs. */
  async #nodeRuns(): Promise<NodeRuns | undefined> {
    const loop = this.#loop.nodeJobs?.loop;
    return loop === undefined ? undefined : (await runsByNode([loop])).get(this.#deps.node);
  }

  /** Two schedulers under one name take each other's runs for left behind. */
  async #lookForNamesake(name: NameWatch): Promise<void> {
    const { node, clock, reporter } = this.#deps;
    const { access } = this.#loop;
    const members = await access.listMembers(this.#loop.now());
    const other = name.look(members.find((member) => member.node === node), clock.monotonic());
    if (other === undefined) return;
    const { host, pid, startedAt } = other;
    reporter.scheduler({ type: 'nodeNameConflict', jobStore: access.alias, host, pid, startedAt });
  }

  #checkClock(skew: ClockSkew | undefined): void {
    if (skew === undefined) return;
    const leastMs = Math.abs(skew.byMs) - skew.errorMs;
    if (leastMs < SKEW_MS / 2) this.#hasSaidSkew = false;
    if (leastMs < SKEW_MS || this.#hasSaidSkew) return;
    this.#hasSaidSkew = true;
    this.#deps.reporter.scheduler({ type: 'clockSkew', jobStore: this.#loop.access.alias, ...skew });
  }

  /**
   * Work that no live node can do waits, and somebody should know what for. It is said when it is found again a heartbeat
   * later: of nodes that start one after the other, the next may be the one that can.
   */
  async #lookForWork(): Promise<void> {
    const { access } = this.#loop;
    const { node: self, clock, heartbeatMs, reporter } = this.#deps;
    if (access.store.demands === undefined || (access.store.shared && access.store.members === undefined)) return;
    const own = this.card();
    const beyondUs = (await access.demands()).filter((demand) => !canServe(own, demand));
    // Mostly this node can do everything, and the others need not be asked for.
    const cards = beyondUs.length === 0 ? [] : (await this.members()).filter(({ node }) => node !== self).map(({ about }) => readCard(about));
    const unserved = beyondUs.filter((demand) => !cards.some((card) => canServe(card, demand)));
    const now = clock.monotonic();
    this.#lookedAt = now;
    this.#unable = new Map(unserved.map((demand) => [keyOf(demand), this.#unable.get(keyOf(demand)) ?? now]));
    this.#unserved = unserved.filter((demand) => this.#said.has(keyOf(demand)) || now - (this.#unable.get(keyOf(demand)) ?? now) >= heartbeatMs);
    const fresh = this.#unserved.filter((demand) => !this.#said.has(keyOf(demand)));
    this.#said = new Set(this.#unserved.map(keyOf));
    if (fresh.length > 0) reporter.scheduler({ type: 'jobsUnserved', jobStore: access.alias, demands: fresh });
  }
}

function keyOf({ task, taskVersion, executor }: JobDemand): string {
  return JSON.stringify([task, taskVersion, executor]);
}

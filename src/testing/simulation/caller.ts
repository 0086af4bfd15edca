import { isPunctualError } from '../../errors/base.js';
import type { Random } from './random.js';
import { BROKEN_TRIGGER, makeAfter, makeFollower, makeJob, makeLimited, makePolicy, makeTrigger } from './job-maker.js';
import type { LinkAudit } from './link-audit.js';
import type { Report } from './report.js';
import { show, type SharedStore } from './shared-store.js';
import type { SimNode } from './sim-node.js';

/** What a job is there to show: itself, limits, `after`, or `dependsOn`. */
export type JobKind = 'plain' | 'limited' | 'follower' | 'waiter';

/** Sources of one job. */
const MOST_SOURCES = 3;

/** What the callers know of one job. */
interface KnownJob {
  readonly kind: JobKind;
  incarnation: number;
  task: string;
  readonly tags: readonly string[];
  /** Calls that may let it fire, begun so far. */
  releases: number;
  /** Of these, those whose end is open: still going, or lost on the way and perhaps still to arrive. */
  open: number;
}

/** Errors a caller has to reckon with. Anything else is a bug. */
const EXPECTED = ['JOB_NOT_FOUND', 'CONFLICTING_JOB_ID', 'NEVER_FIRES', 'STORE_FAILED', 'INVALID_STATE', 'JOB_CHANGED', 'UNKNOWN_DEPENDENCY'] as const;

/** Makes random calls of the public API on random nodes, and checks what they promise when they return (G6). */
export class Caller {
  readonly #jobs = new Map<string, KnownJob>();
  readonly #random: Random;
  readonly #report: Report;
  readonly #server: SharedStore;
  readonly #links: LinkAudit;

  constructor(random: Random, report: Report, server: SharedStore, links: LinkAudit) {
    this.#links = links;
    this.#random = random;
    this.#report = report;
    this.#server = server;
  }

  /** Adds a job, new or under an id there has been. */
  async add(node: SimNode, id: string, kind: JobKind, replaceExisting = false): Promise<void> {
    const random = this.#random.fork();
    const known = this.#jobs.get(id) ?? { kind, incarnation: 0, tags: [], task: random.chance(0.2) ? 'rare' : 'work', releases: 0, open: 0, ...(kind === 'limited' && makeLimited(random)) };
    this.#jobs.set(id, known);
    if (!node.tasks.includes(known.task)) known.task = 'work';
    if (kind === 'follower' || kind === 'waiter') return this.#addLinked(node, id, known, random, replaceExisting);
    const incarnation = ++known.incarnation;
    const now = this.#server.now();
    const options = makeJob(random, now, id, incarnation);
    const trigger = makeTrigger(random, now);
    await this.#call(node, `add ${id}/${incarnation}`, known, true, async () => {
      this.#report.totals.jobs += 1;
      await node.scheduler.addJob(known.task, trigger, { ...options, tags: known.tags, replaceExisting });
    });
  }

  /** Adds a job that follows others: only those that came before it, so that there are no circles. */
  async #addLinked(node: SimNode, id: string, known: KnownJob, random: Random, replaceExisting: boolean): Promise<void> {
    const older = this.ids.slice(0, this.ids.indexOf(id));
    if (older.length === 0) return;
    const sources = [...new Set(Array.from({ length: random.whole(1, MOST_SOURCES) }, () => random.pick(older)))];
    const incarnation = ++known.incarnation;
    const now = this.#server.now();
    const options = makeFollower(makeJob(random, now, id, incarnation));
    const isFollower = known.kind === 'follower';
    const trigger = isFollower ? makeAfter(random, sources) : makeTrigger(random, now);
    const onDependencyFailure = random.pick(['cancel', 'run', 'wait'] as const);
    await this.#call(node, `add ${id}/${incarnation} ${isFollower ? '' : onDependencyFailure} after ${sources.join()}`, known, true, async () => {
      this.#report.totals.jobs += 1;
      if (isFollower) {
        await node.scheduler.addJob(known.task, trigger, { ...options, replaceExisting });
        this.#links.follows(id, incarnation, trigger.follows!);
      } else {
        await node.scheduler.addJob(known.task, trigger, { ...options, replaceExisting, dependsOn: sources, onDependencyFailure });
        // One that is replaced and has begun does not wait again.
        if (!replaceExisting) this.#links.waits(id, incarnation, sources, onDependencyFailure);
      }
    });
  }

  /** One random call. */
  async any(node: SimNode): Promise<void> {
    const random = this.#random;
    const id = random.pick([...this.#jobs.keys()]);
    const known = this.#jobs.get(id)!;
    const { scheduler } = node;
    switch (random.whole(0, 11)) {
      case 0:
      case 1:
        return this.pause(node, id);
      case 2:
      case 3: {
        const catchUp = random.chance(0.5);
        return this.#call(node, `resume ${id}${catchUp ? ' with catch-up' : ''}`, known, true, () => scheduler.resumeJob(id, { catchUp }));
      }
      case 4:
      case 5: {
        const { startTime: _s, endTime: _e, executor: _x, ...policy } = makePolicy(random.fork(), this.#server.now());
        if (known.kind === 'follower' || known.kind === 'waiter') {
          const { misfireGraceTime: _g, maxRuns: _m, jitter: _j, ...others } = policy;
          return this.#call(node, `modify ${id}`, known, false, () => scheduler.modifyJob(id, others));
        }
        const changes = random.chance(0.5) ? { name: `name ${random.whole(1, 9)}` } : { ...policy, endTime: random.chance(0.1) ? this.#server.now() + 30_000 : undefined };
        return this.#call(node, `modify ${id}`, known, false, () => scheduler.modifyJob(id, changes));
      }
      case 6: {
        const trigger = makeTrigger(random.fork(), this.#server.now());
        return this.#call(node, `reschedule ${id}`, known, false, () => scheduler.rescheduleJob(id, trigger)).finally(() => { this.#links.release(id); });
      }
      case 7:
        return this.remove(node, id);
      case 8:
        return this.add(node, id, known.kind, random.chance(0.5));
      case 9:
      case 10:
        return this.#call(node, `run ${id}`, known, false, () => scheduler.runJob(id));
      default:
        return this.#call(node, `retry quarantined ${id}`, known, true, () => scheduler.retryQuarantined(id));
    }
  }

  /** Once this has resolved, nothing of the job starts any more, anywhere. */
  async pause(node: SimNode, id: string): Promise<void> {
    await this.#stop(node, `pause ${id}`, id, (job) => node.scheduler.pauseJob(job));
  }

  async remove(node: SimNode, id: string): Promise<void> {
    await this.#stop(node, `remove ${id}`, id, (job) => node.scheduler.removeJob(job));
    this.#links.release(id);
  }

  async #stop(node: SimNode, words: string, id: string, act: (id: string) => Promise<unknown>): Promise<void> {
    const known = this.#jobs.get(id);
    if (known === undefined) return;
    const { releases } = known;
    const wasOpen = known.open > 0;
    await this.#call(node, words, known, false, async () => {
      await act(id);
      const record = this.#server.memory.get(id)?.record;
      if (wasOpen || known.releases !== releases || record?.state.status !== 'active' || !node.host.alive) return;
      this.#report.broken('G6', `${words} on ${node.name} resolved, and the job is ${show(record)}`);
    });
  }

  async #call(node: SimNode, words: string, known: KnownJob, releases: boolean, act: () => Promise<unknown>): Promise<void> {
    const { totals } = this.#report;
    totals.calls += 1;
    this.#report.trace(() => `${node.name} is asked to ${words}`);
    if (releases) {
      known.releases += 1;
      known.open += 1;
    }
    try {
      await act();
      if (releases) known.open -= 1;
      this.#report.trace(() => `${node.name} did ${words}`);
    } catch (error) {
      totals.refusedCalls += 1;
      const code = isPunctualError(error) ? error.code : null;
      // A call that failed for want of an answer may still take effect: from then on, nothing is sure.
      if (releases && code !== 'STORE_FAILED') known.open -= 1;
      this.#report.trace(() => `${node.name} could not ${words}: ${String(error)}`);
      const isFlaky = error instanceof Error && error.message === BROKEN_TRIGGER;
      if (isFlaky) return;
      if (code === null || !EXPECTED.includes(code as (typeof EXPECTED)[number])) {
        this.#report.broken('API', `${words} failed with ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      }
    }
  }

  get ids(): readonly string[] {
    return [...this.#jobs.keys()];
  }
}

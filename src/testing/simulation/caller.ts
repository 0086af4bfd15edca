import { isPunctualError } from '../../errors/base.js';
import type { Random } from './random.js';
import { BROKEN_TRIGGER, makeJob, makePolicy, makeTrigger } from './job-maker.js';
import type { Report } from './report.js';
import { show, type SharedStore } from './shared-store.js';
import type { SimNode } from './sim-node.js';

/** What the callers know of one job. */
interface KnownJob {
  incarnation: number;
  task: string;
  /** Calls that may let it fire, begun so far. */
  releases: number;
  /** Of these, those whose end is open: still going, or lost on the way and perhaps still to arrive. */
  open: number;
}

/** Errors a caller has to reckon with. Anything else is a bug. */
const EXPECTED = ['JOB_NOT_FOUND', 'CONFLICTING_JOB_ID', 'NEVER_FIRES', 'STORE_FAILED', 'INVALID_STATE', 'JOB_CHANGED'] as const;

/** Makes random calls of the public API on random nodes, and checks what they promise when they return (G6). */
export class Caller {
  readonly #jobs = new Map<string, KnownJob>();
  readonly #random: Random;
  readonly #report: Report;
  readonly #server: SharedStore;

  constructor(random: Random, report: Report, server: SharedStore) {
    this.#random = random;
    this.#report = report;
    this.#server = server;
  }

  /** Adds a job, new or under an id there has been. */
  async add(node: SimNode, id: string, replaceExisting = false): Promise<void> {
    const random = this.#random.fork();
    const known = this.#jobs.get(id) ?? { incarnation: 0, task: random.chance(0.2) ? 'rare' : 'work', releases: 0, open: 0 };
    this.#jobs.set(id, known);
    if (!node.tasks.includes(known.task)) known.task = 'work';
    const incarnation = ++known.incarnation;
    const now = this.#server.now();
    const options = makeJob(random, now, id, incarnation);
    const trigger = makeTrigger(random, now);
    await this.#call(node, `add ${id}/${incarnation}`, known, true, async () => {
      this.#report.totals.jobs += 1;
      await node.scheduler.addJob(known.task, trigger, { ...options, replaceExisting });
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
        const changes = random.chance(0.5) ? { name: `name ${random.whole(1, 9)}` } : { ...policy, endTime: random.chance(0.1) ? this.#server.now() + 30_000 : undefined };
        return this.#call(node, `modify ${id}`, known, false, () => scheduler.modifyJob(id, changes));
      }
      case 6: {
        const trigger = makeTrigger(random.fork(), this.#server.now());
        return this.#call(node, `reschedule ${id}`, known, false, () => scheduler.rescheduleJob(id, trigger));
      }
      case 7:
        return this.remove(node, id);
      case 8:
        return this.add(node, id, random.chance(0.5));
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

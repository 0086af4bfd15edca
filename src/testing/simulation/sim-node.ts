import { AsyncScheduler } from '../../async-scheduler.js';
import { hash32 } from '../../core/hash.js';
import { AsyncExecutor } from '../../executors/inline/async-executor.js';
import { currentRun } from '../../executors/shared/run-storage.js';
import type { TriggerReader } from '../../ports/trigger.js';
import { Connection, type ConnectionParts } from './connection.js';
import type { AlarmAudit } from './alarm-audit.js';
import { EventWatch } from './event-watch.js';
import { LIMITED_TASKS, type SimLimit } from './features.js';
import type { Host } from './host.js';
import type { Report } from './report.js';
import type { RunWatch } from './run-watch.js';

export interface NodeOptions {
  readonly name: string;
  readonly host: Host;
  readonly seed: number;
  readonly leaseMs: number;
  readonly maxSleepMs: number;
  readonly storeTimeoutMs: number;
  readonly batchSize: number;
  readonly tasks: readonly string[];
  readonly triggers: TriggerReader;
  /** Longest a task may take, in ms. */
  readonly longestMs: number;
  readonly limits: readonly SimLimit[];
}

const silent = (): void => undefined;

function named(subject: SimLimit['subject'], limits: readonly SimLimit[]): Record<string, SimLimit['options']> {
  return Object.fromEntries(limits.filter((limit) => limit.subject === subject).map(({ name, options }) => [name, options]));
}

/** A scheduler on a simulated machine, from its start to its end. */
export class SimNode {
  readonly name: string;
  readonly host: Host;
  readonly connection: Connection;
  readonly scheduler: AsyncScheduler;
  readonly events: EventWatch;
  readonly tasks: readonly string[];
  /** World time since which nothing has been wrong with it; infinite while something is. */
  wellSince = Number.POSITIVE_INFINITY;
  closing = false;
  readonly #seed: number;
  readonly #longestMs: number;
  readonly #watch: RunWatch;

  constructor(options: NodeOptions, watch: RunWatch, alarms: AlarmAudit, report: Report, parts: Omit<ConnectionParts, 'host' | 'node' | 'delivered' | 'report'>) {
    const { name, host, limits } = options;
    this.name = name;
    this.host = host;
    this.tasks = limits.length === 0 ? options.tasks : [...options.tasks, ...LIMITED_TASKS];
    this.#seed = options.seed;
    this.#longestMs = options.longestMs;
    this.#watch = watch;
    this.events = new EventWatch(report, name, alarms);
    this.connection = new Connection({
      ...parts,
      host,
      node: name,
      report,
      delivered: (changes, answers) => {
        const asked = host.world.time;
        this.events.delivered(changes, answers, asked, (change) => parts.server.tellingsOf(change));
      },
    });
    this.scheduler = new AsyncScheduler({
      jobStores: { default: this.connection },
      executors: { default: new AsyncExecutor(), small: new AsyncExecutor({ concurrency: 2 }) },
      timezone: 'UTC',
      clock: host,
      logger: { debug: silent, info: silent, warn: silent, error: silent },
      node: name,
      triggers: options.triggers,
      leaseDuration: options.leaseMs,
      maxSleep: options.maxSleepMs,
      storeTimeout: options.storeTimeoutMs,
      batchSize: options.batchSize,
      limits: { tasks: named('task', limits), tags: named('tag', limits) },
    });
    for (const task of this.tasks) this.scheduler.defineTask(task, (incarnation: number) => this.#run(incarnation));
    this.scheduler.addListener((event) => {
      if (!host.alive) return;
      report.trace(() => `${name} ${event.type} ${JSON.stringify({ ...event, type: undefined, at: undefined, node: undefined, jobStore: undefined, task: undefined, tags: undefined, error: undefined, cause: undefined })}`);
      this.events.heard(event);
      if (event.type === 'leaseLost') watch.lost(name, event.runId);
    });
  }

  /** The task. How long it takes, whether it fails and whether it listens depend on the run alone. */
  #run(incarnation: number): unknown {
    const run = currentRun();
    const { host } = this;
    const execution = this.#watch.started(host, this.name, incarnation, run);
    const dice = hash32(`${run.runId} ${run.attempt}`, this.#seed);
    // With one job in five most runs fail, so that it has failures in a row.
    const fails = dice % 5 < (hash32(run.jobId, this.#seed) % 5 === 0 ? 3 : 1);
    const listens = (dice >>> 4) % 4 !== 0;
    const length = (dice >>> 8) % 100;
    if (length < 15) {
      this.#watch.ended(execution);
      if (fails) throw new Error('at once');
      return 'done';
    }
    const part = length < 60 ? 0.05 : length < 85 ? 0.3 : 1;
    const ms = ((dice >>> 12) % 1_000) / 1_000 * this.#longestMs * part;
    return new Promise((resolve, reject) => {
      const end = (act: () => void): void => {
        if (execution.endedAt !== null) return;
        timer.cancel();
        this.#watch.ended(execution);
        act();
      };
      const timer = host.setTimer(ms, () => { end(() => { if (fails) reject(new Error('failed')); else resolve('done'); }); });
      if (!listens) return;
      const stop = (): void => { host.setTimer((dice >>> 20) % 40, () => { end(() => { reject(run.signal.reason as Error); }); }); };
      if (run.signal.aborted) stop();
      else run.signal.addEventListener('abort', stop, { once: true });
    });
  }

  get usable(): boolean {
    return this.host.alive && !this.host.frozen && !this.closing && this.scheduler.state === 'running';
  }
}

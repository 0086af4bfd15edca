import { isPunctualError } from '../../errors/base.js';
import type { RunContext } from '../../ports/executor.js';
import type { JobRecord } from '../../model/job.js';
import { slotLimit } from '../../model/job.js';
import type { Host } from './host.js';
import type { LimitWatch } from './limit-watch.js';
import type { LinkAudit } from './link-audit.js';
import type { Report } from './report.js';
import type { SharedStore } from './shared-store.js';

/** One time a task's function was called: what really happened, as opposed to what was recorded. */
export interface Execution {
  readonly job: string;
  /** Which of the jobs that followed one another under this id. */
  readonly incarnation: number;
  readonly runId: string;
  readonly attempt: number;
  readonly node: string;
  readonly host: Host;
  readonly startedAt: number;
  readonly signal: AbortSignal;
  endedAt: number | null;
  /** Its node has found out that the run, or its place under a limit, is another's. */
  lost: boolean;
}

/** How long a process that was frozen may take to find out what it has missed. */
const THAW_MS = 3_500;

/**
 * Watches the tasks themselves: that none starts twice, that no two nodes are at one run with both believing in it, and
 * that no job has more of them going than it may.
 */
export class RunWatch {
  readonly #report: Report;
  readonly #server: SharedStore;
  readonly #limitWatch: LimitWatch;
  readonly #links: LinkAudit;
  readonly #seen = new Set<string>();
  readonly #going = new Set<Execution>();
  readonly #leaving = new Set<Host>();
  /** The most instances each job has ever been allowed. */
  readonly #limits = new Map<string, number>();

  constructor(report: Report, server: SharedStore, limitWatch: LimitWatch, links: LinkAudit) {
    this.#report = report;
    this.#server = server;
    this.#limitWatch = limitWatch;
    this.#links = links;
  }

  allow(record: JobRecord): void {
    const limit = slotLimit(record.definition.policy);
    this.#limits.set(record.id, Math.max(limit, this.#limits.get(record.id) ?? 0));
  }

  started(host: Host, node: string, incarnation: number, context: RunContext): Execution {
    const { jobId: job, runId, attempt, signal } = context;
    const execution: Execution = {
      job, incarnation, runId, attempt, node, host, startedAt: host.world.time, signal, endedAt: null, lost: false,
    };
    if (!host.alive) return execution;
    this.#report.trace(() => `${node} runs ${runId} attempt ${attempt}`);
    const name = `${job}/${incarnation} ${runId} attempt ${attempt} on ${node}`;
    const key = `${job}/${incarnation} ${runId} ${attempt}`;
    if (this.#seen.has(key)) this.#report.broken('G2', `${name} started a second time`);
    this.#seen.add(key);
    this.#checkLease(execution, name);
    let instances = 1;
    for (const other of this.#going) {
      if (other.job !== job || !this.#believes(other)) continue;
      if (other.runId === runId && other.incarnation === incarnation) {
        this.#report.broken('G4', `${name} started while attempt ${other.attempt} went on unaborted on ${other.node}`);
      }
      instances += 1;
    }
    const limit = this.#limits.get(job) ?? 1;
    if (instances > limit) this.#report.broken('G5', `${name} is one of ${instances} with ${limit} allowed`);
    this.#going.add(execution);
    this.#limitWatch.started(execution, context, (other) => this.#holdsPlace(other));
    this.#links.started(name, incarnation, context);
    return execution;
  }

  /** A run whose lease ran out before it began belongs to others. */
  #checkLease({ job, runId, attempt, host }: Execution, name: string): void {
    const record = this.#server.memory.get(job)?.record;
    const run = record?.state.runs.find(({ id }) => id === runId);
    if (host.thawedAt === null && run !== undefined && run.attempt > attempt) {
      this.#report.broken('G4', `${name} started, and attempt ${run.attempt} is taken on already`);
    }
  }

  ended(execution: Execution): void {
    execution.endedAt = execution.host.world.time;
    this.#going.delete(execution);
    this.#limitWatch.ended(execution);
    if (execution.host.alive) this.#report.trace(() => `${execution.node} is done with ${execution.runId} attempt ${execution.attempt}${execution.signal.aborted ? ' (aborted)' : ''}`);
  }

  /** Whether it goes on in good faith: alive, awake, and not told to stop. */
  #believes({ host, signal, endedAt }: Execution): boolean {
    if (endedAt !== null || signal.aborted || !host.alive || host.frozen) return false;
    return host.thawedAt === null || host.world.time - host.thawedAt > THAW_MS;
  }

  /** What was told to stop keeps its place until it does, unless its node has lost it, or left it behind. */
  #holdsPlace({ host, signal, endedAt, lost }: Execution): boolean {
    if (endedAt !== null || lost || !host.alive || host.frozen) return false;
    if (host.thawedAt !== null && host.world.time - host.thawedAt <= THAW_MS) return false;
    if (!signal.aborted) return true;
    if (this.#leaving.has(host)) return false;
    return isPunctualError(signal.reason, 'JOB_TIMEOUT') || (isPunctualError(signal.reason, 'JOB_ABORTED') && signal.reason.reason !== 'shutdown');
  }

  /** A node shuts down: what it has told to stop by the end of its patience it gives back, whether it stops or not. */
  leaving(host: Host): void {
    this.#leaving.add(host);
  }

  /** A node tells that a run of its is no longer its own. */
  lost(node: string, runId: string): void {
    for (const execution of this.#going) if (execution.node === node && execution.runId === runId) execution.lost = true;
  }

  /** Executions that go on on nodes that are alive. */
  alive(): Execution[] {
    return [...this.#going].filter(({ host }) => host.alive);
  }
}

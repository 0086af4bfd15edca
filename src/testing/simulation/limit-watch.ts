import type { JobRecord } from '../../model/job.js';
import type { RunContext } from '../../ports/executor.js';
import { limitsOf, type SimLimit } from './features.js';
import { BASE } from './host.js';
import type { Report } from './report.js';
import type { Execution } from './run-watch.js';

/** What goes on under one limit. */
class Gauge {
  readonly limit: SimLimit;
  /** Functions that were called and have not come to their end, on processes that live. */
  readonly going = new Set<Execution>();
  /** Starts, in order. */
  readonly starts: number[] = [];
  /** World time until which there has been no room. */
  fullUntil = 0;

  constructor(limit: SimLimit) {
    this.limit = limit;
  }

  get concurrency(): number {
    return this.limit.options.concurrency ?? Number.POSITIVE_INFINITY;
  }

  get rate(): { readonly max: number; readonly per: number } {
    const { rateLimit } = this.limit.options;
    return rateLimit === undefined ? { max: Number.POSITIVE_INFINITY, per: 0 } : { max: rateLimit.max, per: Number(rateLimit.per) };
  }

  get words(): string {
    return `${this.limit.subject} ${this.limit.name}`;
  }
}

/**
 * Watches what is under limits from where it runs: never more of it at one time, never more starts within a stretch of time,
 * over all nodes; and nothing waits while there is room.
 */
export class LimitWatch {
  readonly #report: Report;
  readonly #gauges: readonly Gauge[];
  readonly #toleranceMs: number;

  /** @param toleranceMs - by how much a node's idea of the store's time may be off; infinite where clocks jump. */
  constructor(report: Report, limits: readonly SimLimit[], toleranceMs: number) {
    this.#report = report;
    this.#gauges = limits.map((limit) => new Gauge(limit));
    this.#toleranceMs = toleranceMs;
  }

  started(execution: Execution, { task, tags }: RunContext, believes: (execution: Execution) => boolean): void {
    if (this.#gauges.length === 0) return;
    const { host, runId, attempt, node, startedAt } = execution;
    const name = `${runId} attempt ${attempt} on ${node}`;
    for (const gauge of this.#gaugesOf(task, tags)) {
      this.#report.totals.limitedStarts += 1;
      const rivals = [...gauge.going].filter((other) => believes(other));
      gauge.going.add(execution);
      // One that stood still before it began finds out afterwards that its slot is another's.
      const isBelated = !believes(execution);
      if (!isBelated && rivals.length >= gauge.concurrency) {
        this.#report.broken('limits', `${name} is one of ${rivals.length + 1} under the limit of ${gauge.words}: ${rivals.map((other) => `${other.runId} on ${other.node}`).join(', ')}`);
      }
      if (gauge.rate.per > 0 && !isBelated) {
        const { max, per } = gauge.rate;
        const within = gauge.starts.filter((at) => at > startedAt - per + this.#toleranceMs).length + 1;
        if (within > max) this.#report.broken('limits', `${name} is start ${within} within ${per} ms under the limit of ${gauge.words}, ${max} allowed`);
        gauge.starts.push(startedAt);
      }
      this.#fill(gauge, host.world.time);
    }
  }

  ended(execution: Execution): void {
    for (const gauge of this.#gauges) {
      if (!gauge.going.has(execution)) continue;
      this.#fill(gauge, execution.host.world.time);
      gauge.going.delete(execution);
    }
  }

  /**
   * A job that is due and was put off, although all its limits have had room for `patienceMs`.
   *
   * @param isLookedAfter - whether the node that put it off has been well for that long: otherwise it waits as long as that
   * node said.
   */
  heldInVain(records: readonly JobRecord[], now: number, patienceMs: number, isLookedAfter: (record: JobRecord) => boolean): JobRecord | undefined {
    for (const gauge of this.#gauges) this.#fill(gauge, now);
    return records.find((record) => {
      if (!isHeld(record, BASE + now - patienceMs)) return false;
      const gauges = this.#gaugesOf(record.definition.task, record.definition.tags);
      const longest = Math.max(0, ...gauges.map(({ rate }) => 2 * rate.per));
      return gauges.length > 0 && gauges.every(({ fullUntil }) => now - fullUntil > patienceMs + longest) && isLookedAfter(record);
    });
  }

  /** Notes until when there has been no room. */
  #fill(gauge: Gauge, now: number): void {
    for (const execution of gauge.going) if (!execution.host.alive) gauge.going.delete(execution);
    if (gauge.going.size >= gauge.concurrency) gauge.fullUntil = Math.max(gauge.fullUntil, now);
    const { max, per } = gauge.rate;
    if (per === 0) return;
    const first = gauge.starts.at(-max);
    if (gauge.starts.length >= max && first !== undefined) gauge.fullUntil = Math.max(gauge.fullUntil, Math.min(now, first + per));
  }

  #gaugesOf(task: string, tags: readonly string[]): Gauge[] {
    const own = limitsOf(this.#gauges.map(({ limit }) => limit), { task, tags });
    return this.#gauges.filter(({ limit }) => own.includes(limit));
  }
}

/** Whether a fire time was due then, has no run, and was put off past its jitter: nothing but a limit does that. */
function isHeld({ state, definition: { policy } }: JobRecord, since: number): boolean {
  const { status, nextFireTime, nextDueAt, runs, links } = state;
  if (status !== 'active' || nextFireTime === null || nextDueAt === null || links?.waits !== undefined) return false;
  if (runs.length > 0 || policy.executor !== 'default') return false;
  const due = nextFireTime + policy.jitterMs;
  return due < since && nextDueAt > due;
}

/** A round of the campaign: a fresh database, children that are killed, rest, and the audit. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncScheduler, isPunctualError, type Job, type RunReport } from '../../src/index.js';
import { Random } from '../../src/testing/simulation/random.js';
import { readHistory, type History } from './attempts.js';
import { auditAlarms } from './audit-alarms.js';
import { auditLedger } from './audit-ledger.js';
import { auditLinks } from './audit-links.js';
import { auditLog, type Breach } from './audit-log.js';
import { auditTakeovers } from './audit-takeover.js';
import { Children } from './children.js';
import type { Engine } from './engines.js';
import { DirectLine, ProxiedLine } from './lines.js';
import { Log, monotonicMs, readLog, type Line } from './log.js';
import { Mischief } from './mischief.js';
import { isLimited, planJobs, planLimits, type RoundPlan } from './plan.js';
import { addJobs } from './specs.js';
import { openStore } from './store.js';

export interface RoundResult {
  readonly breaches: readonly Breach[];
  readonly totals: Readonly<Record<string, number>>;
  /** Ms that it took others to deal with the runs of dead nodes. */
  readonly takeoverDelays: readonly number[];
}

export interface RoundOptions {
  readonly engine: Engine;
  /** For its files. */
  readonly directory: string;
  /** The program of its processes. */
  readonly bundle: string;
  readonly seed: number;
  /** Processes at a time, at random if not given. */
  readonly nodes?: number | undefined;
}

/** For all runs to come to their verdicts. */
const REST_MS = 240_000;
const PAGE = 97;
/** The audit asks for more at a time than a node would, of a machine that may have more to do. */
const PATIENT = { leaseDuration: 180_000, storeTimeout: 60_000 };
/** So often the audit asks a store that does not answer. */
const ASKED = 3;
/** From the addition of the jobs to the first fire time. */
const LEAD_MS = 1_500;
/** Name of a total. */
export const FAULTS = 'faults';

export class Round {
  readonly #engine: Engine;
  readonly #plan: RoundPlan;
  readonly #log: Log;
  readonly #lines: readonly (ProxiedLine | DirectLine)[];
  readonly #children: Children;
  readonly #mischief: Mischief;
  readonly #breaches: Breach[] = [];
  readonly #errors: string;

  static async prepare(options: RoundOptions): Promise<Round> {
    const { engine, directory, seed, nodes } = options;
    const random = new Random(seed);
    const { server, name, leaseMs } = engine;
    const width = nodes ?? (server === undefined ? random.pick([1, 2, 2, 3, 3, 4]) : random.whole(3, 5));
    // Most rounds keep all of the ledger, so that all of it can be accounted for.
    const perJob = random.chance(0.2) ? 25 : 1_000_000;
    mkdirSync(directory, { recursive: true });
    for (let attempt = 1; ; attempt++) {
      const start = Math.ceil((Date.now() + attempt * LEAD_MS) / 1_000) * 1_000;
      const place = engine.place(directory, `${seed}_${attempt}`);
      const plan: RoundPlan = { engine: name, seed, start, leaseMs, perJob, place, log: join(directory, 'log.jsonl') };
      await addJobs(openStore(plan, server?.port ?? 0), planJobs(plan), start);
      // What is added later than it begins has not all of its fire times. This machine needs more time.
      if (Date.now() > start) continue;
      const lines = Array.from({ length: width }, async () => (server === undefined ? new DirectLine() : await ProxiedLine.open(server.port)));
      return new Round(options, plan, random, await Promise.all(lines));
    }
  }

  private constructor({ engine, directory, bundle }: RoundOptions, plan: RoundPlan, random: Random, lines: readonly (ProxiedLine | DirectLine)[]) {
    this.#engine = engine;
    this.#plan = plan;
    this.#lines = lines;
    const planFile = join(directory, 'plan.json');
    writeFileSync(planFile, JSON.stringify(this.#plan));
    this.#log = new Log(this.#plan.log);
    this.#errors = join(directory, 'stderr.txt');
    this.#children = new Children(bundle, planFile, this.#log, this.#errors, lines);
    this.#children.onEnd = ({ pid }, { code, signal }) => {
      this.#breach('children live until they are killed', `process ${pid} ended with ${String(code ?? signal)}`);
    };
    this.#mischief = new Mischief({
      children: this.#children,
      server: engine.server,
      random,
      leaseMs: plan.leaseMs,
      width: lines.length,
      onBreach: (check, what) => { this.#breach(check, what); },
    });
  }

  async play(faults: number, deadline: number): Promise<RoundResult> {
    try {
      await this.#mischief.make(faults, () => this.#breaches.length > 0 || performance.now() >= deadline);
      this.#check('after the last fault');
      const restAt = Date.now();
      await this.#settle();
      const restMs = Date.now() - restAt;
      this.#check('at rest');
      const result = await this.#auditPatiently(restAt);
      return { ...result, totals: { ...result.totals, 'seconds to come to rest': Math.round(restMs / 1_000) } };
    } finally {
      this.dispose();
    }
  }

  dispose(): void {
    this.#children.dispose();
    for (const line of this.#lines) if (line instanceof ProxiedLine) line.proxy.close();
    this.#log.close();
  }

  #breach(check: string, what: string): void {
    this.#breaches.push({ check, what });
  }

  async #settle(): Promise<void> {
    const child = this.#children.start(0, 'settle');
    this.#children.onEnd = ({ pid }, { code, signal }) => {
      if (code !== 0) this.#breaches.push({ check: 'comes to rest', what: `process ${pid} ended with ${String(code ?? signal)}` });
    };
    const end = await Promise.race([child.ended, sleep(REST_MS, null, { ref: false })]);
    if (end !== null) return;
    this.#breaches.push({ check: 'comes to rest', what: `not within ${REST_MS} ms` });
    const { kills } = this.#children;
    await this.#children.kill(child);
    this.#children.kills = kills;
  }

  // ── the audit ───────────────────────────────────────────────────────────────

  #check(when: string): void {
    const found = this.#engine.check(this.#plan.place);
    if (found !== undefined) this.#breach('integrity', `${when}: ${found}`);
  }

  /** A store that does not answer now does later, or there is nothing to be said about it. */
  async #auditPatiently(restAt: number): Promise<RoundResult> {
    const found = this.#breaches.length;
    for (let asked = 1; ; asked++) {
      try {
        return await this.#audit(restAt);
      } catch (error) {
        if (!isPunctualError(error, 'STORE_FAILED') || asked === ASKED) throw error;
        this.#breaches.length = found;
        console.log(`${this.#engine.name}, seed ${this.#plan.seed}: the audit was not answered, and asks again: ${error.message}`);
        await sleep(asked * 2_000);
      }
    }
  }

  async #audit(restAt: number): Promise<RoundResult> {
    const { start, log, leaseMs } = this.#plan;
    const wallOffset = Date.now() - monotonicMs();
    const lines = readLog(log);
    const history = readHistory(lines, leaseMs);
    const plans = new Map(planJobs(this.#plan).map((plan) => [plan.id, plan]));
    const store = openStore(this.#plan, this.#engine.server?.port ?? 0);
    await using scheduler = new AsyncScheduler({ jobStores: { default: store }, timezone: 'UTC', node: 'audit', ...PATIENT });
    const ledger = await scheduler.verifyLedger();
    for (const { jobId, scheduledFor, problem } of ledger.problems) {
      this.#breaches.push({ check: 'verifyLedger', what: `${jobId} at ${scheduledFor.getTime()}: ${problem}` });
    }
    const jobs = new Map<string, Job>();
    for (const job of await scheduler.getJobs()) jobs.set(job.id, job);
    const reports = await this.#readLedger(scheduler);
    const pruned = new Map<string, number>();
    for (const id of new Set([...plans.keys(), ...history.calls.map(({ line }) => line.jobId)])) {
      const through = await store.ledger.prunedThrough(id);
      if (through !== null) pruned.set(id, through);
    }
    const kept = new Map<string, number>();
    for (const { jobId } of reports) kept.set(jobId, (kept.get(jobId) ?? 0) + 1);
    const full = new Set([...kept].filter(([, count]) => count >= this.#plan.perJob).map(([id]) => id));
    const { breaches, fireTimes } = auditLedger({ plans, start, restAt, jobs, reports, history, pruned, full });
    const takeovers = auditTakeovers({ plans, history, reports, wallOffset, pruned, full });
    const links = auditLinks({ plans, reports, history });
    const alarms = auditAlarms({ plans, jobs, reports, history, start, restAt, wallOffset, pruned });
    this.#breaches.push(...auditLog(history, plans, planLimits(this.#plan), wallOffset), ...breaches, ...takeovers.breaches, ...links.breaches, ...alarms);
    const limited = history.attempts.filter(({ jobId }) => isLimited(plans.get(jobId) ?? { task: 'work', tags: [] })).length;
    return {
      breaches: this.#breaches,
      totals: { ...this.#count(lines, history), ...ledger.counts, 'histories cut short': pruned.size, 'fire times checked': fireTimes, 'takeovers timed': takeovers.delays.length, 'takeovers late while the machine was slow': takeovers.untold, 'starts under limits': limited, 'ends followed': links.followed, 'jobs that waited': links.waited, 'ids repeated after no answer': links.repeated, 'alarms told': history.alarms.length },
      takeoverDelays: takeovers.delays,
    };
  }

  /** From both ends: pages must neither lose nor repeat a line, and tell one order. */
  async #readLedger(scheduler: AsyncScheduler): Promise<RunReport[]> {
    const read = async (newestFirst: boolean): Promise<RunReport[]> => {
      const reports: RunReport[] = [];
      let cursor: string | undefined;
      do {
        const page = await scheduler.getRuns({ limit: PAGE, newestFirst, cursor });
        reports.push(...page);
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      return reports;
    };
    const [reports, reversed] = [await read(false), (await read(true)).reverse()];
    if (JSON.stringify(reports) !== JSON.stringify(reversed)) {
      this.#breaches.push({ check: 'pages', what: `${reports.length} lines oldest first, ${reversed.length} newest first, or not the same` });
    }
    return reports;
  }

  #count(lines: readonly Line[], { attempts, stalls }: History): Record<string, number> {
    const ended = new Map(attempts.map((attempt) => [`${attempt.runId}/${attempt.attempt}`, attempt.end]));
    const isTakeover = ({ runId, attempt }: { runId: string; attempt: number }): boolean =>
      attempt > 1 && ended.get(`${runId}/${attempt - 1}`)?.what !== 'threw';
    const events = (text: string): number => lines.filter((line) => line.what === 'event' && line.text === text).length;
    const { strikes, spawned } = this.#children;
    return {
      [FAULTS]: this.#mischief.count,
      ...this.#mischief.faults,
      'kills and stops while committing': strikes,
      processes: spawned,
      starts: attempts.length,
      ends: attempts.filter(({ end }) => end !== null).length,
      takeovers: attempts.filter(isTakeover).length,
      'leases lost': attempts.filter(({ abort }) => abort?.code === 'LEASE_LOST').length,
      'calls answered': lines.filter((line) => line.what === 'done' && line.error === undefined).length,
      'calls refused': lines.filter((line) => line.what === 'done' && line.error !== undefined).length,
      'stores unavailable': events('storeUnavailable'),
      'warnings and errors': readFileSync(this.#errors, 'utf8').split('\n').length - 1,
      stalls: [...stalls.values()].reduce((sum, own) => sum + own.length, 0),
    };
  }
}

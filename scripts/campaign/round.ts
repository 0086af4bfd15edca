/** A round of the campaign: a fresh database, children that are killed, rest, and the audit. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { AsyncScheduler, type Job, type RunReport } from '../../src/index.js';
import { Random } from '../../src/testing/simulation/random.js';
import { readHistory, type History } from './attempts.js';
import { auditLedger } from './audit-ledger.js';
import { auditLog, type Breach } from './audit-log.js';
import { Children, type Child } from './children.js';
import { Log, readLog, type Line } from './log.js';
import { LEASE_MS, planJobs, type RoundPlan } from './plan.js';
import { openStore } from './store.js';

export interface RoundResult {
  readonly breaches: readonly Breach[];
  readonly totals: Readonly<Record<string, number>>;
}

/** Of processes that make the database, and the jobs in it. */
const EARLY_KILLS = 2;
/** For all runs to come to their verdicts. */
const REST_MS = 30_000;
const PAGE = 97;
/** Name of a total. */
export const LATE = 'jobs added late';

export class Round {
  readonly #random: Random;
  readonly #plan: RoundPlan;
  readonly #log: Log;
  readonly #children: Children;
  readonly #breaches: Breach[] = [];
  readonly #errors: string;

  /** @param leadMs - until the first fire time: enough for a child to add all jobs, with others killed while they do. */
  constructor(directory: string, bundle: string, seed: number, leadMs: number) {
    mkdirSync(directory, { recursive: true });
    this.#random = new Random(seed);
    const start = Math.ceil((Date.now() + leadMs) / 1_000) * 1_000;
    // Most rounds keep all of the ledger, so that all of it can be accounted for.
    const perJob = this.#random.chance(0.2) ? 25 : 1_000_000;
    this.#plan = { seed, start, perJob, database: join(directory, 'jobs.db'), log: join(directory, 'log.jsonl') };
    const planFile = join(directory, 'plan.json');
    writeFileSync(planFile, JSON.stringify(this.#plan));
    this.#log = new Log(this.#plan.log);
    this.#errors = join(directory, 'stderr.txt');
    this.#children = new Children(bundle, planFile, this.#log, this.#errors);
    this.#children.onEnd = ({ pid }, { code, signal }) => {
      this.#breaches.push({ check: 'children live until they are killed', what: `process ${pid} ended with ${String(code ?? signal)}` });
    };
  }

  async play(kills: number, deadline: number): Promise<RoundResult> {
    try {
      await this.#harass(kills, deadline);
      this.#checkIntegrity('after the last kill');
      const restAt = Date.now();
      await this.#settle();
      this.#checkIntegrity('at rest');
      return await this.#audit(restAt);
    } finally {
      this.dispose();
    }
  }

  dispose(): void {
    this.#children.dispose();
    this.#log.close();
  }

  // ── the wild part ───────────────────────────────────────────────────────────

  async #harass(kills: number, deadline: number): Promise<void> {
    const random = this.#random;
    const children = this.#children;
    const width = random.pick([1, 2, 2, 3, 3, 4]);
    const disturbances: Promise<void>[] = [];
    const refill = (): void => {
      while (children.living.length < width) {
        children.start(random.whole(0, 0x7fff_ffff), 'play', random.chance(0.4) ? children.takeName() : undefined);
      }
    };
    children.onFrozen = (child) => {
      disturbances.push(this.#thaw(child, random.whole(LEASE_MS * 0.2, LEASE_MS * 2)));
    };
    refill();
    while (children.kills < kills - width && performance.now() < deadline) {
      if (this.#breaches.length > 0) break;
      const early = Date.now() < this.#plan.start;
      if (early && children.kills >= EARLY_KILLS) {
        // The jobs have to be there when the first of them is due.
        const ready = children.living.some((child) => child.ready);
        await sleep(ready ? Math.max(1, this.#plan.start - Date.now()) : 20);
        continue;
      }
      await this.#pause(early);
      // What is frozen stays so until its time has come: to go on late is what it is there for.
      const awake = children.living.filter(({ frozen }) => !frozen);
      const victim = awake.length === 0 ? undefined : random.pick(awake);
      if (victim === undefined) {
        refill();
        await sleep(20);
        continue;
      }
      const kind = random.next();
      if (!early && kind < 0.25) disturbances.push(this.#freeze(victim, random.whole(LEASE_MS * 0.7, LEASE_MS * 2), random.chance(0.2)));
      else if (kind < 0.29) await Promise.all(children.living.map((child) => children.kill(child)));
      else await children.kill(victim);
      if (random.chance(0.3)) await sleep(random.whole(0, 200));
      refill();
      // Some in the midst of opening the database.
      if (random.chance(0.12)) {
        const youngest = children.living.at(-1)!;
        await sleep(random.whole(20, 200));
        await children.kill(youngest);
        refill();
      }
    }
    await Promise.all(disturbances);
    await Promise.all(children.living.map((child) => children.kill(child)));
  }

  /** Until the next disturbance: at random, or right when many jobs are due. */
  async #pause(early: boolean): Promise<void> {
    const random = this.#random;
    if (early) await sleep(random.whole(30, 250));
    else if (random.chance(0.4)) await sleep(1_000 - (Date.now() % 1_000) + random.whole(0, random.pick([6, 20, 60])));
    else await sleep(random.whole(20, 900));
  }

  async #freeze(child: Child, ms: number, isDoomed: boolean): Promise<void> {
    this.#children.freeze(child);
    if (isDoomed) {
      await sleep(ms);
      await this.#children.kill(child);
    } else {
      await this.#thaw(child, ms);
    }
  }

  async #thaw(child: Child, afterMs: number): Promise<void> {
    await sleep(afterMs);
    this.#children.thaw(child);
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

  #checkIntegrity(when: string): void {
    const database = new Database(this.#plan.database);
    try {
      const found = database.pragma('integrity_check') as readonly Record<string, unknown>[];
      const text = found.map((row) => Object.values(row).join(' ')).join('; ');
      if (text !== 'ok') this.#breaches.push({ check: 'integrity_check', what: `${when}: ${text}` });
    } finally {
      database.close();
    }
  }

  async #audit(restAt: number): Promise<RoundResult> {
    const { seed, start, log } = this.#plan;
    const lines = readLog(log);
    const history = readHistory(lines);
    const plans = new Map(planJobs(seed, start).map((plan) => [plan.id, plan]));
    const store = openStore(this.#plan);
    await using scheduler = new AsyncScheduler({ jobStores: { default: store }, timezone: 'UTC', node: 'audit' });
    const ledger = await scheduler.verifyLedger();
    for (const { jobId, scheduledFor, problem } of ledger.problems) {
      if (!history.late.has(jobId)) this.#breaches.push({ check: 'verifyLedger', what: `${jobId} at ${scheduledFor.getTime()}: ${problem}` });
    }
    const jobs = new Map<string, Job>();
    for (const job of await scheduler.getJobs()) jobs.set(job.id, job);
    const reports = await this.#readLedger(scheduler);
    const pruned = new Map<string, number>();
    for (const id of new Set([...plans.keys(), ...history.calls.map(({ line }) => line.jobId)])) {
      const through = await store.ledger.prunedThrough(id);
      if (through !== null) pruned.set(id, through);
    }
    const { breaches, fireTimes } = auditLedger({ plans, start, restAt, jobs, reports, history, pruned });
    this.#breaches.push(...auditLog(history, plans), ...breaches);
    return { breaches: this.#breaches, totals: { ...this.#count(lines, history), ...ledger.counts, 'histories cut short': pruned.size, 'fire times checked': fireTimes } };
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

  #count(lines: readonly Line[], { attempts, stalls, late }: History): Record<string, number> {
    const ended = new Map(attempts.map((attempt) => [`${attempt.runId}/${attempt.attempt}`, attempt.end]));
    const isTakeover = ({ runId, attempt }: { runId: string; attempt: number }): boolean =>
      attempt > 1 && ended.get(`${runId}/${attempt - 1}`)?.what !== 'threw';
    const events = (text: string): number => lines.filter((line) => line.what === 'event' && line.text === text).length;
    const { kills, stops, strikes, spawned } = this.#children;
    return {
      kills,
      stops,
      'of these within a transaction': strikes,
      restarts: spawned,
      starts: attempts.length,
      ends: attempts.filter(({ end }) => end !== null).length,
      takeovers: attempts.filter(isTakeover).length,
      'leases lost': attempts.filter(({ abort }) => abort?.code === 'LEASE_LOST').length,
      'calls answered': lines.filter((line) => line.what === 'done' && line.error === undefined).length,
      'calls refused': lines.filter((line) => line.what === 'done' && line.error !== undefined).length,
      'stores unavailable': events('storeUnavailable'),
      'warnings and errors': readFileSync(this.#errors, 'utf8').split('\n').length - 1,
      stalls: [...stalls.values()].reduce((sum, own) => sum + own.length, 0),
      [LATE]: late.size,
    };
  }
}

/**
 * A process of the campaign: one scheduler on the database, and calls of its face at random. It is made to be killed at
 * any moment, so it knows nothing but the plan of its round. `play`: until it is killed. `settle`: until all is at rest.
 */
import { readFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AsyncScheduler,
  currentRun,
  isPunctualError,
  type Job,
  type JobStore,
  type LimitsOptions,
  type Logger,
  type RunContext,
} from '../../src/index.js';
import { Random } from '../../src/testing/simulation/random.js';
import { Caller } from './caller.js';
import { Log } from './log.js';
import { SkewedClock } from './skewed-clock.js';
import { openDoomedStore, openStore } from './store.js';
import { MUTE_MS, planJobs, planLimits, throwsAt, valueOf, type JobPlan, type RoundPlan } from './plan.js';

const STEP_MS = 20;
const LOGGED_STEP_MS = 60;
const TICK_MS = 50;
/** Nobody waits to take over from the process that brings all to rest: it has time for a store that is slow. */
const PATIENT_LEASES = 10;
/** Of the statements that write a file, and of the moments of a commit over a network. */
const STRIKES = { sqlite: 1 / 700, remote: 1 / 300 };

/** What the process that starts others tells each of them. */
export interface Orders {
  readonly node: string;
  readonly seed: number;
  readonly mode: 'play' | 'settle';
  /** Of the store's server, or of the proxy in front of it. */
  readonly port: number;
  /** By how much its wall clock is ahead. */
  readonly skewMs: number;
}

/**
 * Runs the program with the arguments of its process: the file with the plan, and its orders as JSON. Further orders come
 * in lines: `leave` to shut down, `clock <ms>` to set the wall clock that far ahead.
 */
export async function runChild([planFile, json]: readonly string[]): Promise<void> {
  if (planFile === undefined || json === undefined) throw new Error('give the file with the plan, and the orders');
  const plan = JSON.parse(readFileSync(planFile, 'utf8')) as RoundPlan;
  const { node, seed, mode, port, skewMs } = JSON.parse(json) as Orders;
  const log = new Log(plan.log);
  log.write({ what: 'hello', node });
  process.on('uncaughtException', (error) => {
    log.write({ what: 'fault', text: error.stack ?? String(error) });
    process.exit(4);
  });

  const settles = mode === 'settle';
  const random = new Random(seed);
  const clock = new SkewedClock(skewMs);
  const store = !settles && random.chance(0.5) ? openDoomedStore(plan, port, strikeWith(plan.engine === 'sqlite' ? STRIKES.sqlite : STRIKES.remote, random.fork(), log)) : openStore(plan, port);
  const scheduler = new AsyncScheduler({
    jobStores: { default: store },
    limits: limitsOf(plan),
    leaseDuration: plan.leaseMs * (settles ? PATIENT_LEASES : 1),
    timezone: 'UTC',
    node,
    clock,
    logger: loggerTo(log),
  });
  const task = (body: (run: RunContext, ms: number) => Promise<void>) => (ms: number) => account(log, (run) => body(run, settles ? 0 : ms));
  scheduler.defineTask('work', task((run, ms) => work(log, run, ms, true)));
  scheduler.defineTask('narrow', task((run, ms) => work(log, run, ms, true)));
  scheduler.defineTask('stubborn', task((run, ms) => work(log, run, ms, false)));
  scheduler.defineTask('flaky', task(async (run, ms) => {
    await work(log, run, ms, true);
    if (throwsAt(run.runId, run.attempt)) throw new Error(`attempt ${run.attempt} fails`);
  }));
  scheduler.on('storeUnavailable', () => { log.write({ what: 'event', text: 'storeUnavailable' }); });
  scheduler.on('leaseLost', () => { log.write({ what: 'event', text: 'leaseLost' }); });
  scheduler.on('clockJump', () => { log.write({ what: 'event', text: 'clockJump' }); });
  scheduler.on('jobOverdue', ({ jobId, why, deadline }) => { log.write({ what: 'event', text: 'jobOverdue', alarm: { jobId, why, deadline } }); });
  setInterval(() => { log.write({ what: 'tick' }); }, TICK_MS).unref();

  const jobs = planJobs(plan);
  const caller = new Caller(scheduler, log, jobs, plan.start, random);
  heed({
    clock: (ms) => { clock.skewMs = ms; },
    leave: () => {
      caller.stop();
      void leave(scheduler, log, random);
    },
  });
  await startAgainAndAgain(scheduler);
  if (settles) {
    await settle(scheduler, store, log, jobs);
    await scheduler.shutdown();
    log.write({ what: 'settle' });
    process.exit(0);
  }
  writeSync(1, 'works\n');
  await caller.call();
}

function limitsOf(plan: RoundPlan): LimitsOptions {
  const of = (subject: 'task' | 'tag'): LimitsOptions['tasks'] =>
    Object.fromEntries(planLimits(plan).filter((limit) => limit.subject === subject).map(({ name, options }) => [name, options]));
  return { tasks: of('task'), tags: of('tag') };
}

/** Listens to whoever started this process, and ends when that is gone. */
function heed(orders: { readonly clock: (skewMs: number) => void; readonly leave: () => void }): void {
  process.stdin.on('close', () => process.exit(3));
  process.stdin.setEncoding('utf8').on('data', (text: string) => {
    for (const order of text.split('\n')) {
      if (order.startsWith('clock ')) orders.clock(Number(order.slice(6)));
      else if (order === 'leave') orders.leave();
    }
  });
}

async function leave(scheduler: AsyncScheduler, log: Log, random: Random): Promise<void> {
  log.write({ what: 'leave' });
  await scheduler.shutdown({ wait: random.chance(0.7), timeout: random.whole(0, 2_000) });
  log.write({ what: 'bye' });
  process.exit(0);
}

/** A store that cannot be opened now can be later. */
async function startAgainAndAgain(scheduler: AsyncScheduler): Promise<void> {
  for (;;) {
    try {
      await scheduler.start();
      return;
    } catch (error) {
      if (isPunctualError(error, 'SCHEDULER_SHUTDOWN') || isPunctualError(error, 'INVALID_STATE')) await new Promise(() => undefined);
      if (!isPunctualError(error) || !error.code.startsWith('STORE_')) throw error;
      await sleep(50);
    }
  }
}

/** Ends this process now and then, or makes it stand still, with the database locked. */
function strikeWith(chance: number, random: Random, log: Log): () => void {
  return () => {
    if (!random.chance(chance)) return;
    if (random.chance(0.2)) {
      log.write({ what: 'stop' });
      writeSync(1, 'frozen\n'); // whoever started it thaws it
      process.kill(process.pid, 'SIGSTOP');
    } else {
      log.write({ what: 'kill' });
      process.kill(process.pid, 'SIGKILL');
    }
  };
}

// ── tasks ─────────────────────────────────────────────────────────────────────

/** Runs a task's body, and writes down what becomes of it before the scheduler can know. */
async function account(log: Log, body: (run: RunContext) => Promise<void>): Promise<unknown> {
  const run = currentRun();
  if (run === undefined) throw new Error('not inside a run');
  writeRun(log, run, 'start');
  run.signal.addEventListener('abort', () => { writeRun(log, run, 'abort'); });
  try {
    await body(run);
  } catch (error) {
    writeRun(log, run, 'threw');
    throw error;
  }
  writeRun(log, run, 'ok');
  return valueOf(run.runId);
}

async function work(log: Log, run: RunContext, ms: number, obeys: boolean): Promise<void> {
  const until = performance.now() + ms;
  let logged = performance.now();
  while (performance.now() < until) {
    await sleep(Math.min(STEP_MS, Math.max(1, until - performance.now())));
    if (performance.now() - logged >= LOGGED_STEP_MS) {
      logged = performance.now();
      writeRun(log, run, 'step');
    }
    if (obeys) run.signal.throwIfAborted();
  }
}

function writeRun(log: Log, run: RunContext, what: 'start' | 'step' | 'ok' | 'threw' | 'abort'): void {
  const { jobId, runId, attempt, isManual: manual, signal } = run;
  const reason: unknown = what === 'abort' ? signal.reason : undefined;
  const code = isPunctualError(reason) ? reason.code : reason instanceof Error ? reason.name : undefined;
  const begun = what === 'start' ? { startedAt: run.startedAt.getTime(), follows: run.follows.length === 0 ? undefined : run.follows } : {};
  log.write({ what, jobId, runId, scheduledFor: run.scheduledFor.getTime(), attempt, manual, aborted: signal.aborted, code, ...begun });
}

// ── rest ──────────────────────────────────────────────────────────────────────

/**
 * Lets every schedule catch up and every run come to its verdict, and pauses each job as soon as nothing of it is live. At
 * rest is what was so twice in a row: while a list is made, something listed already may be told of what is listed later.
 */
async function settle(scheduler: AsyncScheduler, store: JobStore, log: Log, plans: readonly JobPlan[]): Promise<void> {
  const byId = new Map(plans.map((plan) => [plan.id, plan]));
  const sources = new Set(plans.flatMap(({ schedule }) => (schedule.kind === 'follows' ? schedule.jobs : [])));
  const began = Date.now();
  let calls = 0;
  const bringToRest = async (job: Job, isAwaited: boolean): Promise<boolean> => {
    const schedule = byId.get(job.id)?.schedule;
    if (job.status !== 'active') {
      if (job.runs.length > 0 && job.runs.every(({ state }) => state !== 'running')) {
        log.write({ what: 'call', call: 'resume', jobId: job.id, id: calls++ });
        await job.resume({ catchUp: true });
      }
      return job.runs.length === 0;
    }
    // What nobody runs has its alarm; what follows others has nothing to do once these are at rest.
    if (schedule?.kind === 'mute') return job.overdue !== null || schedule.at + MUTE_MS > began;
    if (schedule?.kind === 'follows') return job.runs.length === 0 && job.nextRunTime === null;
    // What fires once is awaited: it goes away by itself.
    const isOnce = schedule === undefined ? !job.id.startsWith('own-') : schedule.kind === 'at';
    const isCaughtUp = job.nextRunTime !== null && job.nextRunTime.getTime() > began;
    if (!isOnce && !isAwaited && isCaughtUp && job.runs.length === 0) await job.pause();
    return false;
  };
  for (let rests = 0; rests < 2; ) {
    await sleep(30);
    try {
      const jobs = await scheduler.getJobs();
      const awaited = new Set(jobs.flatMap(({ waitsFor }) => waitsFor.map(({ jobId }) => jobId)));
      let atRest = true;
      for (const job of jobs) atRest = (await bringToRest(job, awaited.has(job.id))) && atRest;
      // Whoever wrote it may have died before it told it. Jobs that nobody came to add are told nothing, but not at once.
      for (const id of atRest ? sources : []) if ((await store.get(id))?.record.state.links?.outbox?.some(({ to }) => byId.has(to)) === true) atRest = false;
      rests = atRest ? rests + 1 : 0;
    } catch (error) {
      // The machine may be so busy that the store does not answer in time.
      if (!isPunctualError(error, 'STORE_FAILED') && !isPunctualError(error, 'JOB_NOT_FOUND')) throw error;
      log.write({ what: 'event', text: error.code });
      rests = 0;
    }
  }
}

function loggerTo(log: Log): Logger {
  const quiet = (): void => undefined;
  const say = (message: string, fields?: unknown): void => {
    // What becomes of runs is in the ledger.
    if (/\bjob(MaxInstances|Missed|Skipped|Error|Timeout|Abandoned|Cancelled)$/.test(message)) return;
    log.write({ what: 'event', text: message });
    process.stderr.write(`${process.pid} ${message} ${fields instanceof Error ? String(fields.stack) : JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? value.stack : value))}\n`);
  };
  return { debug: quiet, info: quiet, warn: say, error: say };
}

/**
 * A process of the campaign: one scheduler on the database, and calls of its face at random. It is made to be killed at
 * any moment, so it knows nothing but the plan of its round. `play`: until it is killed. `settle`: until all is at rest.
 */
import { readFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AsyncScheduler,
  currentRun,
  DateTrigger,
  IntervalTrigger,
  isPunctualError,
  type JobSpec,
  type Logger,
  type RunContext,
  type TriggerInput,
} from '../../src/index.js';
import { Random } from '../../src/testing/simulation/random.js';
import { Log, type CallLine } from './log.js';
import { openDoomedStore, openStore } from './store.js';
import { LEASE_MS, planJobs, throwsAt, valueOf, type JobPlan, type RoundPlan, type Schedule } from './plan.js';

const STEP_MS = 20;
const LOGGED_STEP_MS = 60;
const TICK_MS = 100;
/** Of the statements that write. */
const STRIKES = 1 / 700;

/** Runs the program with the arguments of its process: the file with the plan, the node's name, a seed, the mode. */
export async function runChild([planFile, node, seed, mode]: readonly string[]): Promise<void> {
  if (planFile === undefined || node === undefined) throw new Error('give the file with the plan, and a name');
  const plan = JSON.parse(readFileSync(planFile, 'utf8')) as RoundPlan;
  const log = new Log(plan.log);
  log.write({ what: 'hello', node });
  // Whoever started it is gone.
  process.stdin.resume().on('close', () => process.exit(3));
  process.on('uncaughtException', (error) => {
    log.write({ what: 'fault', text: error.stack ?? String(error) });
    process.exit(4);
  });

  const settles = mode === 'settle';
  const random = new Random(Number(seed));
  const scheduler = new AsyncScheduler({
    jobStores: { default: !settles && random.chance(0.5) ? openDoomedStore(plan, strikeWith(random.fork(), log)) : openStore(plan) },
    leaseDuration: LEASE_MS,
    timezone: 'UTC',
    node,
    logger: loggerTo(log),
  });
  const task = (body: (run: RunContext, ms: number) => Promise<void>) => (ms: number) => account(log, (run) => body(run, settles ? 0 : ms));
  scheduler.defineTask('work', task((run, ms) => work(log, run, ms, true)));
  scheduler.defineTask('stubborn', task((run, ms) => work(log, run, ms, false)));
  scheduler.defineTask('flaky', task(async (run, ms) => {
    await work(log, run, ms, true);
    if (throwsAt(run.runId, run.attempt)) throw new Error(`attempt ${run.attempt} fails`);
  }));
  scheduler.on('storeUnavailable', () => { log.write({ what: 'event', text: 'storeUnavailable' }); });
  scheduler.on('leaseLost', () => { log.write({ what: 'event', text: 'leaseLost' }); });
  setInterval(() => { log.write({ what: 'tick' }); }, TICK_MS).unref();

  const jobs = planJobs(plan.seed, plan.start);
  await scheduler.start();
  if (settles) {
    await settle(scheduler, log, jobs);
    await scheduler.shutdown();
    log.write({ what: 'settle' });
    process.exit(0);
  }
  await addAll(scheduler, log, jobs, plan.start);
  log.write({ what: 'ready' });
  writeSync(1, 'ready\n');
  await new Caller(scheduler, log, jobs, plan.start, random).callForEver();
}

/** Ends this process now and then, or makes it stand still, with the database locked. */
function strikeWith(random: Random, log: Log): () => void {
  return () => {
    if (!random.chance(STRIKES)) return;
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
  log.write({ what, jobId, runId, scheduledFor: run.scheduledFor.getTime(), attempt, manual, aborted: signal.aborted, code });
}

// ── jobs ──────────────────────────────────────────────────────────────────────

async function addAll(scheduler: AsyncScheduler, log: Log, jobs: readonly JobPlan[], start: number): Promise<void> {
  // Once they have begun some are over and gone, and would begin again.
  if (Date.now() > start - 300 && (await scheduler.getJob('asked-drop')) !== undefined) return;
  for (const plan of jobs) {
    for (;;) {
      try {
        if ((await scheduler.getJob(plan.id)) !== undefined) break;
        if (Date.now() > start - 100) log.write({ what: 'late', text: plan.id });
        await scheduler.addJobs([specOf(plan, start)]);
        break;
      } catch (error) {
        if (isPunctualError(error, 'CONFLICTING_JOB_ID')) break;
        if (!isPunctualError(error)) throw error;
        log.write({ what: 'event', text: `add: ${error.code}` });
        await sleep(20);
      }
    }
  }
}

function specOf({ id, task, ms, schedule, options }: JobPlan, start: number): JobSpec {
  const startTime = schedule.kind === 'second' || schedule.kind === 'after' ? new Date(start) : undefined;
  return { ...options, id, task, args: [ms], startTime, trigger: triggerOf(schedule, start) };
}

function triggerOf(schedule: Schedule, start: number): TriggerInput {
  switch (schedule.kind) {
    case 'every':
      return new IntervalTrigger(schedule.ms, { startTime: new Date(start) });
    case 'second':
      return '* * * * * *';
    case 'at':
      return new DateTrigger(new Date(schedule.at));
    case 'after':
      return new IntervalTrigger(schedule.ms, { from: 'completion' });
    case 'asked':
      return '@yearly';
    default:
      throw new Error(`no such schedule: ${JSON.stringify(schedule satisfies never)}`);
  }
}

// ── calls ─────────────────────────────────────────────────────────────────────

/** Calls the scheduler at random, now and then as fast as it can. */
class Caller {
  readonly #scheduler: AsyncScheduler;
  readonly #log: Log;
  readonly #random: Random;
  readonly #start: number;
  readonly #pausable: readonly string[];
  readonly #all: readonly string[];
  #calls = 0;

  constructor(scheduler: AsyncScheduler, log: Log, jobs: readonly JobPlan[], start: number, random: Random) {
    this.#scheduler = scheduler;
    this.#log = log;
    this.#random = random;
    this.#start = start;
    this.#pausable = jobs.filter(({ pausable }) => pausable).map(({ id }) => id);
    this.#all = jobs.filter(({ schedule }) => schedule.kind !== 'at').map(({ id }) => id);
  }

  async callForEver(): Promise<never> {
    const random = this.#random;
    for (;;) {
      // Only what is over when it is answered: runs that are asked for faster than they run would pile up.
      const eager = random.chance(0.2);
      for (let i = eager ? random.whole(20, 150) : 1; i > 0; i--) {
        await this.#callOnce(eager ? 0.3 + 0.58 * random.next() : random.next());
        // One turn, so that even now the scheduler's timers have their say.
        await new Promise(setImmediate);
      }
      await sleep(random.whole(5, 120));
    }
  }

  async #callOnce(kind: number): Promise<void> {
    const random = this.#random;
    const scheduler = this.#scheduler;
    if (kind < 0.3) {
      const jobId = random.chance(0.8) ? random.pick(['asked', 'asked-drop']) : random.pick(this.#all);
      await this.#call('run', jobId, async () => {
        const handle = await scheduler.runJob(jobId, random.chance(0.3) ? { args: [random.whole(0, 80)] } : {});
        this.#awaitResult(handle.runId, handle.result());
        return handle.runId;
      });
    } else if (kind < 0.65) {
      const jobId = random.pick(this.#all);
      const mark = `${process.pid}.${this.#calls}`;
      await this.#call('modify', jobId, () => scheduler.modifyJob(jobId, { metadata: { mark } }), mark);
    } else if (kind < 0.75) {
      const jobId = random.pick(this.#pausable);
      await this.#call('pause', jobId, () => scheduler.pauseJob(jobId));
    } else if (kind < 0.88) {
      const jobId = random.pick(this.#pausable);
      const catchUp = random.chance(0.5);
      await this.#call('resume', jobId, () => scheduler.resumeJob(jobId, { catchUp }));
    } else if (kind < 0.95) {
      if (Date.now() < this.#start) return;
      const jobId = `once-${process.pid}-${this.#calls}`;
      const at = new Date(Date.now() + random.whole(-50, 600));
      await this.#call('add', jobId, () => scheduler.addJobs([{ id: jobId, task: 'work', trigger: at, args: [random.whole(0, 50)] }]));
    } else {
      await scheduler.getRuns({ limit: 50, newestFirst: random.chance(0.5) }).catch((error: unknown) => { this.#refuse(error); });
    }
  }

  async #call(call: CallLine['call'], jobId: string, act: () => Promise<unknown>, mark?: string): Promise<void> {
    const id = this.#calls++;
    this.#log.write({ what: 'call', call, jobId, id, mark });
    try {
      const answer = await act();
      this.#log.write({ what: 'done', call, jobId, id, mark, runId: typeof answer === 'string' ? answer : undefined });
    } catch (error) {
      this.#log.write({ what: 'done', call, jobId, id, mark, error: this.#refuse(error) });
    }
  }

  /** What a store in trouble may answer; anything else is nothing it should. */
  #refuse(error: unknown): string {
    if (isPunctualError(error) && error.code.startsWith('STORE_')) return error.code;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.write({ what: 'fault', text });
    return text;
  }

  #awaitResult(runId: string, result: Promise<unknown>): void {
    const expected = JSON.stringify(valueOf(runId));
    result.then(
      // Of a run that another node executed there is no value here.
      (value) => { this.#log.write({ what: 'value', runId, right: value === undefined || JSON.stringify(value) === expected }); },
      () => undefined,
    );
  }
}

// ── rest ──────────────────────────────────────────────────────────────────────

/** Lets every schedule catch up and every run come to its verdict, and pauses each job as soon as nothing of it is live. */
async function settle(scheduler: AsyncScheduler, log: Log, plans: readonly JobPlan[]): Promise<void> {
  const once = new Set(plans.filter(({ schedule }) => schedule.kind === 'at').map(({ id }) => id));
  const began = Date.now();
  let calls = 0;
  for (let atRest = false; !atRest; ) {
    await sleep(30);
    atRest = true;
    for (const job of await scheduler.getJobs()) {
      const isOnce = once.has(job.id) || job.id.startsWith('once-');
      if (job.status === 'active') {
        atRest = false;
        // What fires once is awaited: it goes away by itself.
        const isCaughtUp = job.nextRunTime !== null && job.nextRunTime.getTime() > began;
        if (!isOnce && isCaughtUp && job.runs.length === 0) await job.pause();
      } else if (job.runs.length > 0) {
        atRest = false;
        if (job.runs.some(({ state }) => state === 'running')) continue;
        log.write({ what: 'call', call: 'resume', jobId: job.id, id: calls++ });
        await job.resume({ catchUp: true });
      }
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

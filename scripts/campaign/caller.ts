/** The program around a scheduler, in a process of the campaign: calls of its face at random. */
import { setTimeout as sleep } from 'node:timers/promises';
import { IntervalTrigger, isPunctualError, type AsyncScheduler, type RunHandle } from '../../src/index.js';
import type { Random } from '../../src/testing/simulation/random.js';
import type { CallLine, Log } from './log.js';
import { valueOf, type JobPlan } from './plan.js';

/** Calls the scheduler at random, now and then as fast as it can. */
export class Caller {
  readonly #scheduler: AsyncScheduler;
  readonly #log: Log;
  readonly #random: Random;
  readonly #start: number;
  readonly #pausable: readonly string[];
  readonly #all: readonly string[];
  #calls = 0;
  /** The last runs that it enqueued. */
  #enqueued: Pick<RunHandle, 'jobId' | 'runId'>[] = [];
  /** Jobs that it added and is to remove. */
  readonly #own: string[] = [];
  #isDone = false;

  constructor(scheduler: AsyncScheduler, log: Log, jobs: readonly JobPlan[], start: number, random: Random) {
    this.#scheduler = scheduler;
    this.#log = log;
    this.#random = random;
    this.#start = start;
    this.#pausable = jobs.filter(({ pausable }) => pausable).map(({ id }) => id);
    this.#all = jobs.filter(({ schedule }) => schedule.kind !== 'at' && schedule.kind !== 'mute').map(({ id }) => id);
  }

  /** Calls until it is stopped. */
  async call(): Promise<void> {
    await Promise.all([this.#callOn(), this.#enqueueOn(this.#random.fork())]);
  }

  /** Beside the other calls, of which most are made in a hurry, and not more than can be run. */
  async #enqueueOn(random: Random): Promise<void> {
    while (!this.#isDone) {
      await this.#enqueue(random);
      await sleep(random.whole(100, 800));
    }
  }

  async #callOn(): Promise<void> {
    const random = this.#random;
    while (!this.#isDone) {
      // Only what is over when it is answered: runs that are asked for faster than they run would pile up.
      const eager = random.chance(0.2);
      for (let i = eager ? random.whole(20, 150) : 1; i > 0 && !this.#isDone; i--) {
        await this.#callOnce(eager ? 0.3 + 0.58 * random.next() : random.next());
        // One turn, so that even now the scheduler's timers have their say.
        await new Promise(setImmediate);
      }
      await sleep(random.whole(5, 120));
    }
  }

  stop(): void {
    this.#isDone = true;
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
      await this.#call('modify', jobId, () => scheduler.modifyJob(jobId, { metadata: { mark } }), { mark });
    } else if (kind < 0.75) {
      const jobId = random.pick(this.#pausable);
      await this.#call('pause', jobId, () => scheduler.pauseJob(jobId));
    } else if (kind < 0.88) {
      const jobId = random.pick(this.#pausable);
      const catchUp = random.chance(0.5);
      await this.#call('resume', jobId, () => scheduler.resumeJob(jobId, { catchUp }));
    } else if (kind < 0.905) {
      const jobId = `own-${process.pid}-${this.#calls}`;
      const trigger = new IntervalTrigger(random.whole(120, 400), { startTime: new Date(Math.max(Date.now(), this.#start)) });
      this.#own.push(jobId);
      await this.#call('schedule', jobId, () => scheduler.addJobs([{ id: jobId, task: 'work', trigger, args: [random.whole(0, 600)] }]));
    } else if (kind < 0.93) {
      const jobId = this.#own.shift();
      if (jobId !== undefined) await this.#call('remove', jobId, () => scheduler.removeJob(jobId));
    } else if (kind < 0.96) {
      if (Date.now() < this.#start) return;
      const jobId = `once-${process.pid}-${this.#calls}`;
      const at = new Date(Date.now() + random.whole(-50, 600));
      await this.#call('add', jobId, () => scheduler.addJobs([{ id: jobId, task: 'work', trigger: at, args: [random.whole(0, 50)] }]));
    } else {
      await scheduler.getRuns({ limit: 50, newestFirst: random.chance(0.5) }).catch((error: unknown) => { this.#refuse(error); });
    }
  }

  /** Some once more with the same id, which changes nothing: mostly where nobody knows whether the first call had an effect. */
  async #enqueue(random: Random): Promise<void> {
    const { length } = this.#enqueued;
    const jobId = `job-${process.pid}-${this.#calls}`;
    const others = length === 0 ? [] : Array.from({ length: random.pick([0, 1, 1, 2]) }, () => this.#enqueued[random.whole(0, length - 1)]!);
    const dependsOn = [...new Set(others), ...(random.chance(0.15) ? [{ jobId: 'queue' }] : [])].map(({ jobId, runId }: { jobId: string; runId?: string }) => ({ jobId, runId }));
    const task = random.chance(0.8) ? 'work' : 'flaky';
    const options = { id: jobId, delay: random.whole(0, 400), args: [random.whole(0, 120)], maxCrashes: 1_000 };
    let isKept = false;
    const act = async (): Promise<string> => {
      const sources = dependsOn.map((run) => (run.runId === undefined ? run.jobId : { ...run, runId: run.runId }));
      const { runId } = await this.#scheduler.enqueue(task, sources.length === 0 ? options : { ...options, dependsOn: sources });
      if (!isKept) this.#enqueued = [...this.#enqueued.slice(-4), { jobId, runId }];
      isKept = true;
      return runId;
    };
    await this.#call('enqueue', jobId, act, { dependsOn });
    if (random.chance(isKept ? 0.1 : 0.7) && !this.#isDone) await this.#call('enqueue', jobId, act, { dependsOn });
  }

  async #call(call: CallLine['call'], jobId: string, act: () => Promise<unknown>, more: Pick<CallLine, 'mark' | 'dependsOn'> = {}): Promise<void> {
    const id = this.#calls++;
    const { mark } = more;
    this.#log.write({ what: 'call', call, jobId, id, ...more });
    try {
      const answer = await act();
      this.#log.write({ what: 'done', call, jobId, id, mark, runId: typeof answer === 'string' ? answer : undefined });
    } catch (error) {
      this.#log.write({ what: 'done', call, jobId, id, mark, error: this.#refuse(error) });
    }
  }

  /** What a store in trouble may answer, or a scheduler that shuts down; anything else is nothing it should. */
  #refuse(error: unknown): string {
    if (isPunctualError(error) && (error.code.startsWith('STORE_') || error.code === 'SCHEDULER_SHUTDOWN')) return error.code;
    // Its addition may have failed, or may have been taken back unanswered.
    if (isPunctualError(error, 'JOB_NOT_FOUND') && error.message.includes('own-')) return error.code;
    if (this.#isDone && isPunctualError(error, 'INVALID_STATE')) return error.code;
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

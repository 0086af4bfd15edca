import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AsyncScheduler, currentRun, IntervalTrigger, MemoryJobStore, StartupTrigger, type JobStore, type SchedulerOptions } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { HOUR, MemoryLogger, MINUTE, Recorder, SECOND, START, START_MS } from './support/world.js';

interface Node {
  readonly scheduler: AsyncScheduler;
  readonly recorder: Recorder;
  readonly name: string;
}

/** Several schedulers on one store in virtual time, and what each ran when: `a@10` is node a, ten seconds after the start. */
function cluster(store: JobStore = new JsonJobStore(), options: SchedulerOptions = {}) {
  const clock = new VirtualClock(START);
  const ran: string[] = [];
  const logger = new MemoryLogger();
  const schedulers: AsyncScheduler[] = [];
  const node = (name: string, tasks: readonly string[] = ['refresh']): Node => {
    const scheduler = new AsyncScheduler({ clock, logger, node: name, timezone: 'UTC', jobStores: { default: store }, ...options });
    for (const task of tasks) {
      scheduler.defineTask(task, (what?: string) => { ran.push(`${name}${what ?? ''}@${(currentRun().scheduledFor.getTime() - START_MS) / SECOND}`); });
    }
    const recorder = new Recorder();
    scheduler.addListener(recorder.listener);
    schedulers.push(scheduler);
    return { scheduler, recorder, name };
  };
  onTestFinished(async () => {
    const stopping = Promise.all(schedulers.map((scheduler) => scheduler.shutdown({ wait: false })));
    await clock.advance(60 * SECOND);
    await stopping;
  });
  const taken = (): string[] => ran.splice(0).sort();
  return { clock, node, taken, store, logger };
}

const EVERY_10_S = new IntervalTrigger({ seconds: 10 });

async function two(options?: SchedulerOptions) {
  const world = cluster(undefined, options);
  const [a, b] = [world.node('a'), world.node('b')];
  await a.scheduler.start();
  await b.scheduler.start();
  return { ...world, a, b };
}

describe('a job that is not exclusive', () => {
  it('runs on every node, at the same instants, and is one job for those who look', async () => {
    const { clock, a, b, taken } = await two();
    const job = await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', exclusive: false });
    expect(job.policy.exclusive).toBe(false);
    expect(job.trigger.kind).toBe('interval');
    expect(job.nextRunTime).toEqual(new Date(START_MS + 10 * SECOND));
    await clock.advance(30 * SECOND);
    expect(taken()).toEqual(['a@10', 'a@20', 'a@30', 'b@10', 'b@20', 'b@30']);
    for (const { scheduler, recorder, name } of [a, b]) {
      const jobs = await scheduler.getJobs();
      expect(jobs.map(({ id, nextRunTime, runCount }) => ({ id, nextRunTime, runCount }))).toEqual([
        { id: 'refresh', nextRunTime: new Date(START_MS + 40 * SECOND), runCount: 3 },
      ]);
      expect(await scheduler.nextRunTimes('refresh', 2)).toEqual([new Date(START_MS + 40 * SECOND), new Date(START_MS + 50 * SECOND)]);
      const runs = await scheduler.getRuns({ jobId: 'refresh' });
      expect(runs.map(({ verdict, node }) => `${verdict} ${node}`)).toEqual(Array(3).fill(`succeeded ${name}`));
      expect(await scheduler.getRuns({ runId: runs[0]!.runId! })).toHaveLength(1);
      expect((await jobs[0]!.lastRun())?.scheduledFor).toEqual(new Date(START_MS + 30 * SECOND));
      expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, jobs: 1, counts: { succeeded: 3 } });
      expect(await scheduler.verifyLedger({ jobId: 'refresh' })).toMatchObject({ ok: true, counts: { succeeded: 3 } });
      expect(recorder.of('jobExecuted')).toMatchObject(Array(3).fill({ node: name, jobStore: 'default', jobId: 'refresh' }));
    }
  });

  it('is paused, resumed, modified, rescheduled and removed everywhere', async () => {
    const { clock, a, b, taken } = await two();
    await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', exclusive: false });
    await clock.advance(15 * SECOND);
    await b.scheduler.pauseJob('refresh');
    await clock.advance(10 * SECOND);
    expect(taken()).toEqual(['a@10', 'b@10']);
    expect((await a.scheduler.getJob('refresh'))?.status).toBe('paused');
    await a.scheduler.resumeJob('refresh');
    await clock.advance(10 * SECOND);
    expect(taken()).toEqual(['a@30', 'b@30']);
    expect((await b.scheduler.getRuns({ jobId: 'refresh', verdict: 'skipped' })).map(({ reason }) => reason)).toEqual(['paused']);
    await b.scheduler.modifyJob('refresh', { args: ['!'] });
    await clock.advance(10 * SECOND);
    expect(taken()).toEqual(['a!@40', 'b!@40']);
    await a.scheduler.rescheduleJob('refresh', new IntervalTrigger({ seconds: 60 }));
    await clock.advance(60 * SECOND);
    expect(taken()).toEqual(['a!@105', 'b!@105']);
    for (const { scheduler } of [a, b]) expect(await scheduler.verifyLedger()).toMatchObject({ ok: true });
    await b.scheduler.removeJob('refresh');
    await clock.advance(5 * MINUTE);
    expect(taken()).toEqual([]);
    expect(await a.scheduler.getJobs()).toEqual([]);
    expect(await a.scheduler.getRuns({ jobId: 'refresh', verdict: 'succeeded' })).toHaveLength(4);
  });

  it('begins on a node with its start, on the grid of all, and makes up for nothing', async () => {
    const { clock, a, b, node, taken } = await two();
    await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', exclusive: false });
    await a.scheduler.addJob('refresh', new Date(START_MS + 20 * SECOND), { id: 'once', exclusive: false, args: ['#'] });
    await b.scheduler.shutdown();
    await clock.advance(34 * SECOND);
    expect(taken()).toEqual(['a#@20', 'a@10', 'a@20', 'a@30']);
    const c = node('c');
    await c.scheduler.start();
    await clock.advance(20 * SECOND);
    expect(taken()).toEqual(['a@40', 'a@50', 'c@40', 'c@50']);
    expect(await c.scheduler.verifyLedger()).toMatchObject({ ok: true });
  });

  it('finds by polling what no hint told of, and deals with what came up since', async () => {
    class Mute extends JsonJobStore {
      override watch(): () => void {
        return () => undefined;
      }
    }
    const { clock, node, taken } = cluster(new Mute());
    const [a, b] = [node('a'), node('b')];
    await a.scheduler.start();
    await b.scheduler.start();
    await clock.advance(SECOND);
    await a.scheduler.addJob('refresh', new Date(START_MS + 5 * SECOND), { id: 'once', exclusive: false });
    await clock.advance(10 * SECOND);
    expect(taken()).toEqual(['a@5']);
    await clock.advance(60 * SECOND);
    expect(taken()).toEqual(['b@5']);
    // Done on both, and gone once no node can be late for it.
    expect(await a.scheduler.getJob('once')).toMatchObject({ nextRunTime: null });
    await clock.advance(2 * HOUR);
    expect(await a.scheduler.getJobs()).toEqual([]);
    expect([...a.recorder.of('jobRemoved'), ...b.recorder.of('jobRemoved')].length).toBeGreaterThan(0);
    expect(taken()).toEqual([]);
  });

  it('counts its limits, retries and slots on each node', async () => {
    const { clock, a, b } = await two();
    const attempts: string[] = [];
    for (const { scheduler, name } of [a, b]) {
      scheduler.defineTask('shaky', () => {
        attempts.push(name);
        throw new Error('no');
      }, { retry: { maxAttempts: 5, delay: 1_000, retryIf: (_, attempt) => attempt < 2 } });
    }
    await a.scheduler.addJob('shaky', EVERY_10_S, { id: 'shaky', exclusive: false, maxRuns: 2 });
    await clock.advance(MINUTE);
    expect(attempts.sort()).toEqual([...Array<string>(4).fill('a'), ...Array<string>(4).fill('b')]);
    expect(a.recorder.of('jobError')).toHaveLength(2);
    expect(a.recorder.of('jobCompleted')).toMatchObject([{ reason: 'max-runs', node: 'a' }]);
    expect(await a.scheduler.getJob('shaky')).toMatchObject({ nextRunTime: null });
  });

  it('runs on every node in leader mode too, and fires at the start of each', async () => {
    const { clock, node, taken } = cluster(undefined, { ha: { mode: 'leader' } });
    const [a, b] = [node('a'), node('b')];
    await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', exclusive: false });
    await a.scheduler.addJob('refresh', new StartupTrigger({ delay: 3_000 }), { id: 'warm', exclusive: false, args: ['*'] });
    await a.scheduler.start();
    await clock.advance(11 * SECOND);
    await b.scheduler.start();
    await clock.advance(10 * SECOND);
    expect([a, b].filter(({ scheduler }) => scheduler.isLeader)).toHaveLength(1);
    expect(taken()).toEqual(['a*@3', 'a@10', 'a@20', 'b*@14', 'b@20']);
  });

  it('is run by request on the node that was asked, or on another where that one cannot', async () => {
    const { clock, a, b, node, taken } = await two();
    const admin = node('admin', ['refresh']);
    await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', exclusive: false });
    await clock.advance(SECOND);
    const handle = await b.scheduler.runJob('refresh', { args: ['?'] });
    await clock.advance(SECOND);
    await handle.result();
    expect(taken()).toEqual(['b?@1']);
    expect(await b.scheduler.getRuns({ jobId: 'refresh' })).toMatchObject([{ isManual: true, node: 'b', runId: handle.runId }]);
    await admin.scheduler.runJob('refresh', { args: ['+'] });
    await clock.advance(SECOND);
    expect(taken()).toEqual([expect.stringMatching(/^[ab]\+@2$/)]);
  });

  it('waits on a node that lacks its task, which says so once', async () => {
    const { clock, node, taken } = cluster();
    const [a, b] = [node('a'), node('b', ['other'])];
    await a.scheduler.start();
    await b.scheduler.start();
    await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', exclusive: false });
    await clock.advance(2 * MINUTE);
    expect(taken().every((run) => run.startsWith('a@'))).toBe(true);
    expect(b.recorder.of('tasksUnknown')).toMatchObject([{ tasks: ['refresh'], jobStore: 'default' }]);
  });

  /** Nodes whose runs of `long` go on until they are stopped; of each it is told why it was. */
  async function longRuns() {
    const world = await two();
    const { clock, a, b } = world;
    const ends: string[] = [];
    for (const { scheduler, name } of [a, b]) {
      scheduler.defineTask('long', async () => {
        const { signal } = currentRun();
        await clock.sleep(HOUR, signal).catch(() => ends.push(`${name} ${(signal.reason as { reason: string }).reason}`));
        signal.throwIfAborted();
      });
    }
    await a.scheduler.addJob('long', EVERY_10_S, { id: 'long', exclusive: false });
    return { ...world, ends };
  }

  it('calls the run of a fire time off on every node, also the next one and through a node that runs nothing', async () => {
    const { clock, a, b, node, ends } = await longRuns();
    await clock.advance(11 * SECOND);
    expect(a.scheduler.health().jobStores['default']).toMatchObject({ activeRuns: 1 });
    const [run] = (await a.scheduler.getJob('long'))!.runs;
    expect(run).toMatchObject({ node: 'a', state: 'running' });
    expect(await a.scheduler.cancelRun(run!.runId, { reason: 'enough' })).toBe(true);
    await clock.advance(2 * SECOND);
    expect(ends).toEqual(['a enough', 'b enough']);
    expect(await b.scheduler.cancelRun(run!.runId)).toBe(false);
    const admin = node('admin');
    expect(await admin.scheduler.cancelRun(`long@${START_MS + 20 * SECOND}`)).toBe(true);
    await clock.advance(10 * SECOND);
    for (const { scheduler } of [a, b]) {
      expect((await scheduler.getRuns({ jobId: 'long' })).map(({ verdict, reason }) => `${verdict} ${reason}`)).toEqual(['cancelled enough', 'cancelled cancelled']);
      expect(await scheduler.verifyLedger()).toMatchObject({ ok: true });
    }
    await a.scheduler.pauseJob('long');
    await clock.advance(10 * SECOND);
    await b.scheduler.resumeJob('long');
    await clock.advance(9 * SECOND);
    expect((await a.scheduler.getJob('long'))?.runs).toHaveLength(1);
    expect((await b.scheduler.getJob('long'))?.runs).toHaveLength(1);
  });

  it('calls off what a node ran before it hears of it, and nothing of a later run', async () => {
    class Deaf extends JsonJobStore {
      override watch(): () => void {
        return () => undefined;
      }
    }
    const { clock, node } = cluster(new Deaf());
    const [a, b] = [node('a', []), node('b', [])];
    const ends: string[] = [];
    for (const { scheduler, name } of [a, b]) {
      scheduler.defineTask('long', async () => {
        const { signal, runId } = currentRun();
        await clock.sleep(HOUR, signal).catch(() => ends.push(`${name} ${runId}`));
        signal.throwIfAborted();
      });
      await scheduler.start();
    }
    await a.scheduler.addJob('long', new IntervalTrigger({ minutes: 10 }), { id: 'long', exclusive: false });
    await clock.advance(10 * MINUTE + SECOND);
    const runId = `long@${START_MS + 10 * MINUTE}`;
    await a.scheduler.cancelRun(runId);
    await clock.advance(SECOND);
    expect(ends).toEqual([`a ${runId}`]);
    await clock.advance(2 * MINUTE);
    expect(ends).toEqual([`a ${runId}`, `b ${runId}`]);
    await clock.advance(20 * MINUTE);
    expect(ends).toHaveLength(2);
  });

  it('calls off the next run only, so that the one after it can be called off when its turn has come', async () => {
    const { clock, a, b, taken } = await two();
    await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', exclusive: false });
    const runAt = (seconds: number): string => `refresh@${START_MS + seconds * SECOND}`;
    expect(await a.scheduler.cancelRun(runAt(20))).toBe(false);
    await clock.advance(11 * SECOND);
    expect(await a.scheduler.cancelRun(runAt(20))).toBe(true);
    expect(await b.scheduler.cancelRun(runAt(30))).toBe(true);
    await clock.advance(30 * SECOND);
    expect(taken()).toEqual(['a@10', 'a@40', 'b@10', 'b@40']);
  });

  it('keeps to what was called off long before, also on a node that starts later', async () => {
    const { clock, a, node, taken } = await two();
    await a.scheduler.addJob('refresh', new IntervalTrigger({ minutes: 70 }), { id: 'refresh', exclusive: false });
    expect(await a.scheduler.cancelRun(`refresh@${START_MS + 70 * MINUTE}`)).toBe(true);
    await clock.advance(65 * MINUTE);
    expect(await a.scheduler.cancelRun(`refresh@${START_MS + 140 * MINUTE}`)).toBe(true);
    const c = node('c');
    await c.scheduler.start();
    await clock.advance(146 * MINUTE);
    expect(taken()).toEqual(['a@12600', 'b@12600', 'c@12600']);
  });

  it('shows what every node runs, and its history with that of the store', async () => {
    const { clock, a, b } = await longRuns();
    await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'once-each' });
    await clock.advance(11 * SECOND);
    const shown = async ({ scheduler }: Node): Promise<string[]> =>
      (await scheduler.getNodes()).flatMap(({ node, running, runningCount }) => running.map(({ runId, task }) => `${node} ${runId} ${task} ${runningCount}`));
    const runId = `long@${START_MS + 10 * SECOND}`;
    expect(await shown(a)).toEqual([`a ${runId} long 1`]); // b has not told of it yet
    await clock.advance(40 * SECOND);
    expect(await shown(a)).toEqual([`a ${runId} long 1`, `b ${runId} long 1`]);
    expect(await shown(b)).toEqual(await shown(a));
    await a.scheduler.cancelRun(runId);
    await clock.advance(40 * SECOND);
    const seconds = (runs: readonly { readonly jobId: string; readonly scheduledFor: Date }[]): string[] =>
      runs.map(({ jobId, scheduledFor }) => `${jobId}@${(scheduledFor.getTime() - START_MS) / SECOND}`);
    const all = await a.scheduler.getRuns();
    expect(all).toHaveLength((await a.scheduler.getRuns({ jobId: 'long' })).length + (await a.scheduler.getRuns({ jobId: 'once-each' })).length);
    expect(all.map(({ finishedAt }) => finishedAt)).toEqual(all.map(({ finishedAt }) => finishedAt).toSorted((x, y) => x.getTime() - y.getTime()));
    for (const newestFirst of [false, true]) {
      const paged: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page = await a.scheduler.getRuns({ limit: 3, newestFirst, cursor });
        expect(page.length).toBeLessThanOrEqual(3);
        paged.push(...seconds(page));
        cursor = page.nextCursor;
      }
      expect(paged.toSorted()).toEqual(seconds(all).toSorted());
      expect(new Set(paged).size).toBe(paged.length);
    }
    await expect(a.scheduler.getRuns({ cursor: 'several:{' })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect((await b.scheduler.getRuns()).filter(({ jobId }) => jobId === 'long').every(({ node }) => node === 'b')).toBe(true);
  });

  it('stops with the scheduler, and on the node that removes it', async () => {
    const { clock, a, b, ends } = await longRuns();
    await clock.advance(11 * SECOND);
    const stopping = b.scheduler.shutdown({ wait: false });
    await clock.advance(5 * SECOND);
    await stopping;
    expect(ends).toEqual(['b shutdown']);
    await a.scheduler.removeJob('long', { cancelRunning: true });
    await clock.advance(SECOND);
    expect(ends).toEqual(['b shutdown', 'a removed']);
    expect(a.recorder.of('jobCancelled').map(({ reason }) => reason)).toEqual(['removed']);
  });

  it('becomes one, and an exclusive one again, by modifyJob, replaceExisting and sync', async () => {
    const { clock, a, b, taken } = await two();
    const times = (seconds: number): Promise<void> => clock.advance(seconds * SECOND);
    await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh' });
    await times(15);
    expect(taken()).toHaveLength(1);
    await a.scheduler.modifyJob('refresh', { exclusive: false });
    await times(10);
    expect(taken()).toEqual(['a@20', 'b@20']);
    await b.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', replaceExisting: true });
    await times(20);
    expect(taken()).toHaveLength(2);
    const wanted = { id: 'refresh', task: 'refresh', trigger: EVERY_10_S, exclusive: false };
    const plan = await b.scheduler.sync([wanted], { owner: 'app', adopt: true });
    expect(plan.change.map(({ fields }) => fields)).toEqual([expect.arrayContaining(['trigger', 'policy.exclusive'])]);
    expect((await b.scheduler.sync([wanted], { owner: 'app' })).isEmpty).toBe(true);
    await times(10);
    expect(taken()).toHaveLength(2);
  });

  it('keeps the option on its way into another store, and is an ordinary job in a store of one scheduler', async () => {
    const { clock, a, taken } = await two();
    await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', exclusive: false });
    const data: unknown = JSON.parse(JSON.stringify(await a.scheduler.exportJobs()));
    await a.scheduler.shutdown();
    const { scheduler } = cluster(new MemoryJobStore()).node('alone');
    await scheduler.importJobs(data);
    expect(await scheduler.getJob('refresh')).toMatchObject({ policy: { exclusive: false }, trigger: { kind: 'interval' } });
    expect((await scheduler.getJob('refresh'))?.nextRunTime).not.toBeNull();
    const back: unknown = JSON.parse(JSON.stringify(await scheduler.exportJobs()));
    const other = cluster();
    const [c, d] = [other.node('c'), other.node('d')];
    await c.scheduler.start();
    await d.scheduler.start();
    await c.scheduler.importJobs(back);
    await other.clock.advance(10 * SECOND);
    expect(other.taken()).toEqual(['c@10', 'd@10']);
    expect(taken()).toEqual([]);
    await clock.advance(SECOND);
  });

  it('refuses what cannot be: a schedule without a fire time, catching up, running once', async () => {
    const { a } = await two();
    const { scheduler } = a;
    await expect(scheduler.addJob('refresh', '0 0 30 2 *', { id: 'never', exclusive: false })).rejects.toMatchObject({ code: 'NEVER_FIRES' });
    await expect(scheduler.addJob('refresh', EVERY_10_S, { id: 'x', exclusive: 'no' as never })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await expect(scheduler.enqueue('refresh', { exclusive: false } as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', exclusive: false });
    await expect(scheduler.rescheduleJob('refresh', '0 0 30 2 *')).rejects.toMatchObject({ code: 'NEVER_FIRES' });
    await scheduler.pauseJob('refresh');
    await expect(scheduler.resumeJob('refresh', { catchUp: true })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });

  it('runs on in a node whose store is away', async () => {
    let isAway = false;
    class Flaky extends JsonJobStore {
      override list(...args: Parameters<JsonJobStore['list']>): ReturnType<JsonJobStore['list']> {
        if (isAway) throw new Error('away');
        return super.list(...args);
      }
      override claimDue(...args: Parameters<JsonJobStore['claimDue']>): ReturnType<JsonJobStore['claimDue']> {
        if (isAway) throw new Error('away');
        return super.claimDue(...args);
      }
    }
    const { clock, node, taken } = cluster(new Flaky());
    const a = node('a');
    await a.scheduler.start();
    await a.scheduler.addJob('refresh', EVERY_10_S, { id: 'refresh', exclusive: false });
    isAway = true;
    await clock.advance(60 * SECOND);
    expect(taken()).toHaveLength(6);
    isAway = false;
    await clock.advance(60 * SECOND);
    expect(taken()).toHaveLength(6);
  });

  it('runs on both of two schedulers on one SQLite file', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'each-node-'));
    const ran = new Map<string, number>();
    const make = (name: string): AsyncScheduler => {
      const scheduler = new AsyncScheduler({ node: name, jobStores: { default: new SQLiteJobStore(join(dir, 'jobs.db')) } });
      scheduler.defineTask('refresh', () => { ran.set(name, (ran.get(name) ?? 0) + 1); });
      return scheduler;
    };
    const [a, b] = [make('a'), make('b')];
    onTestFinished(async () => {
      await Promise.all([a.shutdown(), b.shutdown()]);
      rmSync(dir, { recursive: true, force: true });
    });
    await a.start();
    await a.addJob('refresh', new IntervalTrigger({ milliseconds: 50 }), { id: 'refresh', exclusive: false });
    await b.start();
    await expect.poll(() => Math.min(ran.get('a') ?? 0, ran.get('b') ?? 0), { timeout: 30_000 }).toBeGreaterThan(2);
    const later = new Date(Date.now() + HOUR);
    await a.addJob('refresh', later, { id: 'later', exclusive: false });
    await expect.poll(async () => (await b.getJob('later'))?.nextRunTime, { timeout: 30_000 }).toEqual(later);
    expect(await a.cancelRun(`later@${later.getTime()}`)).toBe(true);
    await expect.poll(async () => (await b.getRuns({ jobId: 'later' })).map(({ verdict }) => verdict), { timeout: 30_000 }).toEqual(['cancelled']);
    await a.removeAllJobs();
    await expect.poll(async () => (await b.getJobs()).length, { timeout: 30_000 }).toBe(0);
    expect(await a.verifyLedger()).toMatchObject({ ok: true });
    expect((await b.getRuns({ jobId: 'refresh' })).every(({ node }) => node === 'b')).toBe(true);
  });
});

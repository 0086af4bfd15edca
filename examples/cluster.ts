/**
 * My job runs once per worker. How do I run it once?
 *
 * With node:cluster, PM2's cluster mode or several containers on one machine, each process has a scheduler of its own,
 * and with jobs in memory each of them fires. Give them one SQLite file: each fire time then starts in one process,
 * whichever is first. All of them define the same tasks and jobs; `sync` adds a job once.
 *
 * A worker that dies with a run leaves a lease behind. When that has run out, another worker takes the run over.
 */
import assert from 'node:assert/strict';
import cluster, { type Worker } from 'node:cluster';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncScheduler, currentRun, IntervalTrigger } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';

const WORKERS = 3;

interface Report {
  readonly what: 'tick' | 'long begins' | 'long ends';
  readonly runId: string;
  readonly attempt: number;
}

if (cluster.isPrimary) await primary();
else await worker(process.env['JOBS_FILE']!);

/** Every worker does the same. */
async function worker(file: string): Promise<void> {
  const report = (what: Report['what']): void => {
    const { runId, attempt } = currentRun();
    process.send!({ what, runId, attempt } satisfies Report);
  };
  const scheduler = new AsyncScheduler({
    jobStores: { default: new SQLiteJobStore(file) },
    leaseDuration: { seconds: 2 }, // 15 s unless told; short here, so that the example is
    tasks: {
      tick: () => {
        report('tick');
      },
      long: async () => {
        report('long begins');
        await sleep(1_000, undefined, { signal: currentRun().signal });
        report('long ends');
      },
    },
  });
  await scheduler.sync(
    [
      { id: 'tick', task: 'tick', trigger: new IntervalTrigger({ milliseconds: 250 }) },
      { id: 'long', task: 'long', trigger: new IntervalTrigger({ days: 1 }) },
    ],
    { owner: 'workers' },
  );
  scheduler.on('jobAbandoned', ({ jobId, attempt }) => {
    console.log(`worker ${cluster.worker!.id} finds the lease of ${jobId}, attempt ${attempt}, run out`);
  });
  process.on('message', (message) => {
    if (message === 'run long') void scheduler.runJob('long');
    if (message === 'stop') void scheduler.shutdown().then(() => process.disconnect());
  });
  await scheduler.start();
  process.send!('ready');
}

async function primary(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'punctual-cluster-'));
  const file = join(folder, 'jobs.db');
  const ticks: (Report & { readonly by: number })[] = [];
  const longs: (Report & { readonly by: number })[] = [];
  let ready = 0;
  let isAsked = false;
  let hasEnded = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    hasEnded = resolve;
  });

  cluster.on('message', (from: Worker, message: Report | 'ready') => {
    if (message === 'ready') {
      ready += 1;
      return;
    }
    const report = { ...message, by: from.id };
    if (report.what === 'tick') {
      ticks.push(report);
      if (ready === WORKERS && !isAsked) from.send('run long');
      isAsked ||= ready === WORKERS;
      return;
    }
    longs.push(report);
    if (report.what === 'long begins' && report.attempt === 1) {
      console.log(`worker ${from.id} begins the long run, and is killed`);
      from.process.kill('SIGKILL');
    }
    if (report.what === 'long ends') hasEnded();
  });
  for (let i = 0; i < WORKERS; i++) cluster.fork({ JOBS_FILE: file });
  await ended;

  const exits = Object.values(cluster.workers!).map((one) => new Promise((resolve) => one!.once('exit', resolve)));
  for (const one of Object.values(cluster.workers!)) one!.send('stop');
  await Promise.all(exits);

  // ── What came of it ──

  const [begun, again, last] = longs;
  assert.ok(begun !== undefined && again !== undefined && last !== undefined);
  console.log(`worker ${again.by} runs it as attempt ${again.attempt}, and ends it`);
  assert.deepEqual([again.runId, again.attempt, last.by], [begun.runId, 2, again.by]);
  assert.notEqual(again.by, begun.by);

  const first = ticks.filter(({ attempt }) => attempt === 1);
  const fireTimes = new Set(first.map(({ runId }) => runId));
  const byWorker = [1, 2, 3].map((id) => first.filter(({ by }) => by === id).length);
  console.log(`${first.length} ticks for ${fireTimes.size} fire times in ${WORKERS} workers (${byWorker.join(' + ')})`);
  assert.equal(first.length, fireTimes.size);

  await using reader = new AsyncScheduler({ jobStores: { default: new SQLiteJobStore(file) } });
  const { ok, jobs, counts, pending } = await reader.verifyLedger();
  console.log(`the ledger of ${jobs} jobs adds up: ${ok}; ${counts.succeeded} runs succeeded, ${pending} are left`);
  assert.ok(ok);
  await reader.shutdown();
  await rm(folder, { recursive: true });
}

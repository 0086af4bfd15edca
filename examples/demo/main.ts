/**
 * A small operations agent on real input: it watches the machine it runs on for twenty seconds, keeps a real crontab
 * on hand, and shows at the end that its history adds up. Its jobs lie in a SQLite file, so it goes on where it left off.
 *
 *     npm run demo              # the whole tour; run it again, and it remembers
 *     npm run demo -- --all     # with the next fire time of every line of the crontab
 *
 * Ctrl-C ends it early, in the same orderly way; kill -9 does not, and the next start mends that. The file lies in
 * .demo, or in the folder that PUNCTUAL_DEMO_FOLDER names; delete it to begin anew.
 */
import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AsyncScheduler, CronTrigger, currentRun, IntervalTrigger } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { readCrontab } from './crontab.js';
import { showLedger } from './ledger.js';
import { MachineLog } from './machine-log.js';
import { Backlog, caughtUp, describeGrid, showMemory } from './memory.js';
import { bold, cyan, dim, green, heading, print, red, table, yellow } from './output.js';

const SECONDS = 20;
const folder = process.env['PUNCTUAL_DEMO_FOLDER'] ?? fileURLToPath(new URL('../../.demo', import.meta.url));
await mkdir(folder, { recursive: true });
const file = join(folder, 'jobs.db');
const log = new MachineLog(folder);
const processBegan = Date.now();
let began = processBegan;

function tell(who: string, what: string): void {
  const seconds = ((Date.now() - began) / 1000).toFixed(1).padStart(5);
  print(`${dim(`${seconds} s`)}  ${who.padEnd(9)} ${what}`);
}

// ── The tasks: plain functions with names ────────────────────────────────────

const tasks = {
  async sample(label: string) {
    const { scheduledFor } = currentRun();
    const sampled = await log.sample(scheduledFor, label);
    tell('sample', sampled);
    return sampled; // kept in the history, for a day
  },
  rotate() {
    const rotated = log.rotate();
    tell('rotate', rotated);
    return rotated;
  },
  remind(text: string) {
    tell('remind', text);
    return text;
  },
  upload() {
    const { attempt } = currentRun();
    if (attempt < 3) throw new Error(`the server is busy (attempt ${attempt})`);
    tell('upload', green(`went through on attempt ${attempt}`));
    return `through on attempt ${attempt}`;
  },
  async inspect() {
    const { runId, signal, attempt, isCatchUp } = currentRun();
    const how = attempt > 1 ? green(`begins again, attempt ${attempt}`) : isCatchUp ? 'begins, to catch up' : 'begins';
    tell('inspect', `${how}, and takes 3.5 s (${runId.slice(-7)})`);
    await sleep(3_500, undefined, { signal });
    tell('inspect', `ends (${runId.slice(-7)})`);
    return `all well (${runId.slice(-7)})`;
  },
  /** What the lines of the crontab would run. Here they only have to be on time. */
  command() {
    // nothing: the ledger records that it ran, and when
  },
};

const scheduler = new AsyncScheduler({
  tasks,
  jobStores: { default: new SQLiteJobStore(file) },
  // The next process has the same name, so it need not wait for the leases of one that was killed.
  node: 'demo',
  jobDefaults: { misfireGraceTime: { seconds: 10 } },
});

// ── What the scheduler says about it ─────────────────────────────────────────

const executed = new Map<string, number>();
scheduler.on('jobExecuted', ({ jobId }) => executed.set(jobId, (executed.get(jobId) ?? 0) + 1));
scheduler.on('jobRetry', ({ jobId, error, retryAt, at }) => {
  tell(jobId, `${red(error.message)}; next attempt in ${((retryAt - at) / 1000).toFixed(1)} s`);
});
scheduler.on('jobMaxInstances', ({ jobId, action, blockedBy: [run] }) => {
  tell(
    jobId,
    yellow(`held back (${action}): ${run?.runId.slice(-7) ?? 'a run'} is still going after ${run?.ageMs ?? 0} ms`),
  );
});
scheduler.on('jobSkipped', ({ jobId, reason, count, scheduledFor }) => {
  if (scheduledFor < began) return; // the backlog, which is shown together
  tell(jobId, yellow(`${count} fire time${count === 1 ? '' : 's'} skipped: ${reason}`));
});
scheduler.on('jobAbandoned', ({ jobId, runId, attempt, retried }) => {
  const after = retried ? `attempt ${attempt + 1} follows at once` : 'it is given up';
  tell(jobId, yellow(`its run ${runId.slice(-7)} was cut short when the process died; ${after}`));
});
scheduler.on('jobCancelled', ({ jobId, reason }) => {
  tell(jobId, yellow(`cancelled: ${reason}`));
});
scheduler.on('jobCompleted', ({ jobId }) => {
  tell(jobId, dim('has no fire time left and is gone'));
});

await showMemory(scheduler, relative(process.cwd(), file));

// ── A real crontab ───────────────────────────────────────────────────────────

const entries = await readCrontab(new URL('../data/realworld.crontab', import.meta.url));
// Adds what is not there yet, and changes what differs. The second time that is nothing.
const crontabPlan = await scheduler.sync(
  entries.map(({ expression, source }, i) => ({
    task: 'command',
    trigger: expression,
    id: `crontab-${String(i + 1).padStart(3, '0')}`,
    tags: ['crontab'],
    metadata: { expression, source },
    // An expression that never fires is how some people park a job. A scheduler takes it only as a paused one.
    paused: new CronTrigger(expression).next(Date.now()) === null,
  })),
  { owner: 'crontab' },
);
const crontab = await scheduler.getJobs({ tags: ['crontab'] });

const parked = crontab.filter((job) => job.status === 'paused');
const upcoming = crontab
  .filter((job) => job.nextRunTime !== null)
  .sort((a, b) => Number(a.nextRunTime) - Number(b.nextRunTime));
heading(
  `A crontab of ${crontab.length} lines from public repositories, in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`,
);
const shown = process.argv.includes('--all') ? upcoming : upcoming.slice(0, 10);
table(
  ['fires next', 'expression', 'read from'],
  shown.map(({ nextRunTime, metadata }) => [
    nextRunTime!.toLocaleString('sv-SE'),
    String(metadata['expression']),
    shorten(String(metadata['source']), 70),
  ]),
);
const within = (ms: number): number => upcoming.filter((job) => Number(job.nextRunTime) <= began + ms).length;
print(
  dim(`  ${upcoming.length} scheduled: ${within(60_000)} fire within a minute, ${within(3_600_000)} within an hour, `) +
    dim(`${within(86_400_000)} within a day${shown.length < upcoming.length ? ' (--all shows them all)' : ''}.`),
);
for (const job of parked) {
  print(
    dim(
      `  Never fires, so it is added paused: ${String(job.metadata['expression'])} (${String(job.metadata['source'])})`,
    ),
  );
}

print(dim(`  sync: ${String(crontabPlan).split('\n').at(-1)!}`));

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

// ── The agent's own jobs ─────────────────────────────────────────────────────

heading(`Now ${SECONDS} seconds of work`);
print(dim(`  This is process ${process.pid}. "kill -9 ${process.pid}" in the middle costs nothing but time.`));
began = Date.now();
const backlog = new Backlog(began);
scheduler.addListener((event) => {
  backlog.hear(event);
});
const INSPECT_MS = 3_000;
const plan = await scheduler.sync(
  [
    { id: 'sample', task: 'sample', trigger: new IntervalTrigger({ seconds: 2 }), args: ['usual'] },
    { id: 'rotate', task: 'rotate', trigger: new CronTrigger('*/6 * * * * *') },
    { id: 'remind', task: 'remind', trigger: new Date(began + 5_000), args: ['a one-shot job, at its instant'] },
    {
      id: 'upload',
      task: 'upload',
      trigger: new Date(began + 1_000),
      retry: { maxAttempts: 3, delay: { seconds: 1 }, backoff: 'exponential' },
    },
    // However late: of the fire times that came up while nobody was there, the latest runs.
    { id: 'inspect', task: 'inspect', trigger: new IntervalTrigger(INSPECT_MS), misfireGraceTime: null },
  ],
  { owner: 'agent' },
);
for (const line of String(plan).split('\n')) tell('sync', line);
const [sample, inspect] = await Promise.all([scheduler.getJob('sample'), scheduler.getJob('inspect')]);
if (sample === undefined || inspect === undefined) throw new Error('sync has just added them');

const ending = new AbortController();
let interrupted = 0;
process.on('SIGINT', () => {
  // Runners such as npm pass the same Ctrl-C on once more; only a later one means "at once".
  if (interrupted !== 0 && Date.now() - interrupted > 500) process.exit(130);
  interrupted ||= Date.now();
  ending.abort();
});

const script: readonly (readonly [second: number, what: string, act: () => Promise<unknown>])[] = [
  [8.5, "pauseJob('sample')", () => sample.pause()],
  [
    10.5,
    "modifyJob('inspect', { maxInstances: 2 }): it may overlap itself now",
    () => inspect.modify({ maxInstances: 2 }),
  ],
  [12.5, "resumeJob('sample')", () => sample.resume()],
  [14.5, "modifyJob('sample', { args: ['closely'] })", () => sample.modify({ args: ['closely'] })],
  [14.6, "rescheduleJob('sample', every second)", () => sample.reschedule(new IntervalTrigger({ seconds: 1 }))],
  [17.2, "runJob('rotate')", async () => (await scheduler.runJob('rotate')).result()],
  [SECONDS, 'shutdown({ wait: true, timeout: 5 s })', async () => undefined],
];

await scheduler.start();
try {
  await caughtUp(scheduler, began, () => sleep(50, undefined, { signal: ending.signal }));
  for (const line of backlog.lines()) tell('backlog', yellow(line));
  const anchored = await inspect.refresh();
  const { trigger } = inspect;
  if (trigger instanceof IntervalTrigger && trigger.anchor < processBegan && anchored !== undefined)
    tell('inspect', describeGrid(anchored, trigger.anchor, INSPECT_MS));
  for (const [second, what, act] of script) {
    await sleep(Math.max(0, began + second * 1000 - Date.now()), undefined, { signal: ending.signal });
    tell('operator', cyan(what));
    await act();
  }
} catch (error) {
  if (!ending.signal.aborted) throw error;
  tell('operator', cyan('Ctrl-C: shutdown({ wait: true, timeout: 5 s })'));
}
await scheduler.shutdown({ wait: true, timeout: { seconds: 5 } });

// ── The history ──────────────────────────────────────────────────────────────

const addsUp = await showLedger(scheduler, executed, processBegan);
print(`\n  The jobs, their history and the samples are in ${bold(relative(process.cwd(), folder))}.`);
print(
  '  Run it again: it remembers. Or kill -9 it in the middle, and run it again: what was cut short is taken up at once.',
);
if (!addsUp) process.exitCode = 1;

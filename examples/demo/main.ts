/**
 * A small operations agent on real input: it watches the machine it runs on for twenty seconds, keeps a real crontab
 * on hand, and shows at the end that its history adds up.
 *
 *     npm run demo              # the whole tour
 *     npm run demo -- --all     # with the next fire time of every line of the crontab
 *
 * Ctrl-C ends it early, in the same orderly way.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncScheduler, CronTrigger, currentRun, IntervalTrigger } from 'punctual';
import { readCrontab } from './crontab.js';
import { showLedger } from './ledger.js';
import { MachineLog } from './machine-log.js';
import { bold, cyan, dim, green, heading, print, red, table, yellow } from './output.js';

const SECONDS = 20;
const log = new MachineLog(await mkdtemp(join(tmpdir(), 'punctual-demo-')));
let began = Date.now();

function tell(who: string, what: string): void {
  const seconds = ((Date.now() - began) / 1000).toFixed(1).padStart(5);
  print(`${dim(`${seconds} s`)}  ${who.padEnd(9)} ${what}`);
}

// ── The tasks: plain functions with names ────────────────────────────────────

const tasks = {
  async sample(label: string) {
    const { scheduledFor } = currentRun();
    tell('sample', await log.sample(scheduledFor, label));
  },
  rotate() {
    tell('rotate', log.rotate());
  },
  remind(text: string) {
    tell('remind', text);
  },
  upload() {
    const { attempt } = currentRun();
    if (attempt < 3) throw new Error(`the server is busy (attempt ${attempt})`);
    tell('upload', green(`went through on attempt ${attempt}`));
  },
  async inspect() {
    const { runId, signal } = currentRun();
    tell('inspect', `begins, and takes 4 s (${runId.slice(-7)})`);
    await sleep(4_000, undefined, { signal });
    tell('inspect', `ends (${runId.slice(-7)})`);
  },
  /** What the lines of the crontab would run. Here they only have to be on time. */
  command() {
    // nothing: the ledger records that it ran, and when
  },
};

const scheduler = new AsyncScheduler({ tasks, jobDefaults: { misfireGraceTime: { seconds: 10 } } });

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
scheduler.on('jobSkipped', ({ jobId, reason, count }) => {
  tell(jobId, yellow(`${count} fire time${count === 1 ? '' : 's'} skipped: ${reason}`));
});
scheduler.on('jobCancelled', ({ jobId, reason }) => {
  tell(jobId, yellow(`cancelled: ${reason}`));
});
scheduler.on('jobCompleted', ({ jobId }) => {
  tell(jobId, dim('has no fire time left and is gone'));
});

// ── A real crontab ───────────────────────────────────────────────────────────

const entries = await readCrontab(new URL('../data/realworld.crontab', import.meta.url));
const crontab = await scheduler.addJobs(
  entries.map(({ expression, source }, i) => ({
    task: 'command',
    trigger: expression,
    id: `crontab-${String(i + 1).padStart(3, '0')}`,
    tags: ['crontab'],
    metadata: { expression, source },
    // An expression that never fires is how some people park a job. A scheduler takes it only as a paused one.
    paused: new CronTrigger(expression).next(Date.now()) === null,
  })),
);

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

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

// ── The agent's own jobs ─────────────────────────────────────────────────────

heading(`Now ${SECONDS} seconds of work`);
began = Date.now();
const sample = await scheduler.addJob('sample', new IntervalTrigger({ seconds: 2 }), { id: 'sample', args: ['usual'] });
await scheduler.addJob('rotate', new CronTrigger('*/6 * * * * *'), { id: 'rotate' });
await scheduler.addJob('remind', new Date(began + 5_000), { id: 'remind', args: ['a one-shot job, at its instant'] });
await scheduler.addJob('upload', new Date(began + 1_000), {
  id: 'upload',
  retry: { maxAttempts: 3, delay: { seconds: 1 }, backoff: 'exponential' },
});
const inspect = await scheduler.addJob('inspect', new IntervalTrigger({ seconds: 3 }), { id: 'inspect' });

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

const addsUp = await showLedger(scheduler, executed);
print(`\n  The samples are in ${bold(log.folder)}`);
if (!addsUp) process.exitCode = 1;

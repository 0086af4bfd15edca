import type { AsyncScheduler, RunReport, Verdict } from 'punctual';
import { history, rowOf } from './memory.js';
import { bold, dim, green, heading, print, red, table } from './output.js';

const VERDICTS: readonly Verdict[] = [
  'succeeded',
  'failed',
  'missed',
  'coalesced',
  'skipped',
  'cancelled',
  'abandoned',
];

type Tally = Record<Verdict, number>;

function tally(reports: readonly RunReport[]): Tally {
  const counts = { succeeded: 0, failed: 0, missed: 0, coalesced: 0, skipped: 0, cancelled: 0, abandoned: 0 };
  for (const { verdict, count } of reports) counts[verdict] += count;
  return counts;
}

const total = (counts: Tally): number => VERDICTS.reduce((sum, verdict) => sum + counts[verdict], 0);

/**
 * Prints what became of every fire time since this process began, job by job, and checks it three ways: against
 * `verifyLedger()`, which walks each job's schedule since it was added, in whichever process that was, and looks for a
 * verdict on each fire time; against the history it can see; and against the events heard in the meantime.
 */
export async function showLedger(
  scheduler: Pick<AsyncScheduler, 'getJobs' | 'getRuns' | 'verifyLedger'>,
  executed: ReadonlyMap<string, number>,
  began: number,
): Promise<boolean> {
  const everything = await history(scheduler);
  const reports = everything.filter(({ finishedAt }) => finishedAt.getTime() >= began);
  const byJob = new Map<string, RunReport[]>();
  for (const report of reports) {
    const row = rowOf(report.jobId);
    byJob.set(row, [...(byJob.get(row) ?? []), report]);
  }

  heading('What became of every fire time');
  const now = tally(reports);
  const all = tally(everything);
  const rows: [string, Tally][] = [...[...byJob].map(([job, own]): [string, Tally] => [job, tally(own)]), ['all', now]];
  if (everything.length > reports.length)
    rows.push(['and before', tally(everything.filter((report) => !reports.includes(report)))]);
  table(
    ['job', 'fire times', ...VERDICTS],
    rows.map(([job, counts]) => [job, total(counts), ...VERDICTS.map((verdict) => counts[verdict])]),
  );

  const audit = await scheduler.verifyLedger();
  const heard = [...executed.values()].reduce((sum, count) => sum + count, 0);
  const checks: [string, boolean][] = [
    [
      `verifyLedger(): ${audit.jobs} jobs, ${audit.problems.length} problems, ${audit.pending} runs without a verdict`,
      audit.ok,
    ],
    [`its ${total(audit.counts)} verdicts are the ${total(all)} in the whole file`, total(audit.counts) === total(all)],
    [`${heard} jobExecuted events for ${now.succeeded} runs that succeeded this time`, heard === now.succeeded],
  ];
  print();
  for (const [text, holds] of checks) print(`  ${holds ? green('adds up') : red('DOES NOT ADD UP')}  ${text}`);
  const retried = reports.find(({ jobId, attempt }) => jobId === 'upload' && attempt > 1);
  if (retried !== undefined)
    print(dim(`  ${bold(retried.jobId)} has one verdict for ${retried.attempt} attempts: a retry is not a fire time.`));
  return checks.every(([, holds]) => holds);
}

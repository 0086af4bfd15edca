import type { AsyncScheduler, Job, RunReport, SchedulerEvent } from 'punctual';
import { bold, cyan, dim, heading, print, table, yellow } from './output.js';

type Stored = Pick<AsyncScheduler, 'getJobs' | 'getRuns'>;

/** The whole history, or what has come to it since an instant. */
export async function history(scheduler: Stored, since = 0): Promise<RunReport[]> {
  const reports: RunReport[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await scheduler.getRuns({ limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
    reports.push(...page.filter(({ finishedAt }) => finishedAt.getTime() >= since));
    if (page.nextCursor === null) return reports;
    cursor = page.nextCursor;
  }
}

export const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** The crontab has too many jobs to name each. */
export const rowOf = (jobId: string): string => (jobId.startsWith('crontab-') ? 'the crontab' : jobId);

export const ago = (ms: number): string =>
  ms < 120_000
    ? `${(ms / 1000).toFixed(1)} s`
    : ms < 7_200_000
      ? `${Math.round(ms / 60_000)} min`
      : `${Math.round(ms / 3_600_000)} h`;

/** Tells what an earlier run of the demo has left in the file. Nothing of it was kept anywhere else. */
export async function showMemory(scheduler: Stored, file: string): Promise<void> {
  const [last] = await scheduler.getRuns({ newestFirst: true, limit: 1 });
  if (last === undefined) {
    heading('A new database');
    print(dim(`  Everything that follows is kept in ${file}.`));
    return;
  }
  const jobs = await scheduler.getJobs();
  heading(`It remembers: ${plural(jobs.length, 'job')} in ${file}`);
  print(`  It was away for ${bold(ago(Date.now() - last.finishedAt.getTime()))}, since ${clock(last.finishedAt)}.`);
  const cut = jobs.flatMap((job) =>
    job.runs.filter(({ state }) => state === 'running').map(({ runId }) => ({ job: job.id, runId })),
  );
  if (cut.length === 0) print(dim('  It was shut down in order: no run was cut short.'));
  for (const { job, runId } of cut) {
    print(
      `  ${yellow('It was killed')} while ${job} was running (${runId.slice(-7)}). That run is taken up again as soon as it starts.`,
    );
  }

  const own = jobs.filter(({ id }) => rowOf(id) === id);
  const rows = await Promise.all(own.map(async (job) => [job.id, ...counts([job]), await lastWords(job)]));
  rows.push(['the crontab', ...counts(jobs.filter(({ id }) => rowOf(id) !== id)), '']);
  print();
  table(['job', 'runs', 'failed', 'made no run', 'its last run'], rows);
  const gone = new Set(
    (await history(scheduler)).map(({ jobId }) => jobId).filter((id) => jobs.every((job) => job.id !== id)),
  );
  for (const jobId of gone) {
    const [run] = await scheduler.getRuns({ jobId, newestFirst: true, limit: 1 });
    print(
      dim(
        `  ${jobId} fired and is gone; its history stays: ${run?.verdict ?? ''}${typeof run?.result === 'string' ? `, ${run.result}` : ''}`,
      ),
    );
  }
}

function counts(jobs: readonly Job[]): [runs: number, failed: number, withoutRun: number] {
  const sum = (pick: (stats: Job['stats']) => number): number =>
    jobs.reduce((total, { stats }) => total + pick(stats), 0);
  return [
    sum(({ runs }) => runs),
    sum(({ failed, abandoned }) => failed + abandoned),
    sum(({ missed, coalesced, skipped }) => missed + coalesced + skipped),
  ];
}

async function lastWords(job: Job): Promise<string> {
  const run = await job.lastRun();
  if (run === undefined) return '';
  return `${clock(run.finishedAt)} ${run.verdict}${typeof run.result === 'string' ? `: ${run.result}` : ''}`;
}

function clock(at: Date): string {
  return at.toLocaleString('sv-SE');
}

/** Counts the fire times that had come up before the start, and what became of them. */
export class Backlog {
  readonly #before: number;
  readonly #counts = new Map<string, number>();

  constructor(before: number) {
    this.#before = before;
  }

  hear(event: SchedulerEvent): void {
    if (event.type !== 'jobCoalesced' && event.type !== 'jobMissed' && event.type !== 'jobSkipped') return;
    if (event.scheduledFor >= this.#before) return;
    const fate =
      event.type === 'jobCoalesced'
        ? 'coalesced: a later one runs for all'
        : event.type === 'jobMissed'
          ? 'missed: too late to run'
          : `skipped: ${event.reason}`;
    const key = `${rowOf(event.jobId)}: \0 ${fate}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + event.count);
  }

  /** In words, job by job. */
  lines(): string[] {
    return [...this.#counts].map(([key, count]) => key.replace('\0', plural(count, 'fire time')));
  }
}

/** Waits until every job has dealt with what had come up before an instant. */
export async function caughtUp(scheduler: Stored, instant: number, wait: () => Promise<unknown>): Promise<void> {
  const isBehind = (job: Job): boolean => job.nextRunTime !== null && job.nextRunTime.getTime() < instant;
  for (let jobs: Job[] = await scheduler.getJobs(); jobs.some(isBehind); jobs = await scheduler.getJobs()) await wait();
}

/** Says whether the next fire time of an interval lies on the grid of the first start. */
export function describeGrid(job: Job, anchor: number, every: number): string {
  const next = job.nextRunTime?.getTime() ?? anchor;
  const steps = (next - anchor) / every;
  const isOn = Number.isInteger(steps);
  return `fires at ${new Date(next).toISOString().slice(11)}, ${isOn ? cyan(`${steps} intervals after`) : 'OFF the grid of'} ${new Date(anchor).toISOString().slice(11)}, when it was first added`;
}

/** What is overdue: that somebody says so, of what is overdue, and once. */
import type { Job, RunReport } from '../../src/index.js';
import type { Alarm, History } from './attempts.js';
import type { Breach } from './audit-log.js';
import { BEAT_MS, MUTE_MS, type JobPlan } from './plan.js';

export interface AlarmState {
  readonly plans: ReadonlyMap<string, JobPlan>;
  readonly jobs: ReadonlyMap<string, Pick<Job, 'overdue'>>;
  readonly reports: readonly RunReport[];
  readonly history: History;
  /** Wall clock, before which no job fires. */
  readonly start: number;
  /** When all was told to come to rest. */
  readonly restAt: number;
  /** Wall time minus monotonic time of the machine. */
  readonly wallOffset: number;
  /** By job: the fire time up to which the store has dropped entries. */
  readonly pruned: ReadonlyMap<string, number>;
}

export function auditAlarms({ plans, jobs, reports, history, start, restAt, wallOffset, pruned }: AlarmState): Breach[] {
  const breaches: Breach[] = [];
  const say = (check: string, what: string): void => void breaches.push({ check, what });
  const told = new Map<string, Alarm[]>();
  for (const alarm of history.alarms) {
    const { jobId, why, deadline, pid } = alarm;
    const key = `${jobId} ${why} ${deadline}`;
    const others = told.get(key) ?? [];
    if (others.length > 0) say('an alarm is told once', `${key} by ${others.map((other) => other.pid).join(', ')} and ${pid}`);
    told.set(key, [...others, alarm]);
  }
  const { settler } = history;
  const settlesFrom = settler === undefined ? Number.POSITIVE_INFINITY : (history.lives.get(settler)?.from ?? Number.POSITIVE_INFINITY) + wallOffset;
  for (const { id, schedule } of plans.values()) {
    if (schedule.kind !== 'mute') continue;
    const deadline = schedule.at + MUTE_MS;
    const overdue = jobs.get(id)?.overdue ?? null;
    if (overdue === null && deadline <= restAt) say('an alarm rings', `${id} is overdue since ${deadline}, and nobody has said so`);
    if (overdue !== null && (overdue.why !== 'not-started' || overdue.deadline.getTime() !== deadline)) {
      say('an alarm is right', `${id} is overdue since ${deadline}, and its alarm says ${overdue.why} since ${overdue.deadline.getTime()}`);
    }
    // Who was killed may have raised it and told nobody. Nothing was done to the last one.
    if (overdue !== null && overdue.raisedAt.getTime() >= settlesFrom && !told.has(`${id} not-started ${deadline}`)) say('an alarm rings', `${id}: raised and not told`);
  }
  const successes = new Set(reports.filter(({ jobId, verdict }) => jobId === 'beat' && verdict === 'succeeded').map(({ finishedAt }) => finishedAt.getTime()));
  for (const [key, [alarm]] of told) {
    const { jobId, why, deadline } = alarm!;
    if (jobId.startsWith('mute-')) continue;
    const since = deadline - BEAT_MS;
    const isRight = jobId === 'beat' && why === 'no-success' && (since <= start || pruned.has(jobId) || successes.has(since));
    if (!isRight) say('an alarm is right', `${key}: there is nothing from which that counts`);
  }
  return breaches;
}

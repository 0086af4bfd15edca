import { longGap, type FireGap } from '../core/fire-gap.js';
import { nextFire } from '../core/fires.js';
import { nodeDefinition } from '../core/each-node.js';
import type { JobRecord } from '../model/job.js';
import { isWaiting } from '../model/links.js';
import type { EpochMs } from '../ports/trigger.js';
import type { Reporter } from './reporter.js';

/**
 * Says of a job that was added or changed when its alarm will ring although nothing is wrong. It is no error: runs by hand count
 * as successes, and may come more often than the schedule.
 */
export function warnOfFalseAlarms(reporter: Reporter, record: JobRecord, jobStore: string, now: EpochMs): void {
  const successWithinMs = record.definition.policy.expect?.successWithinMs ?? null;
  if (successWithinMs === null) return;
  const gap = falseAlarm(record, successWithinMs, now);
  if (gap === null) return;
  reporter.warn('a job will be overdue although nothing is wrong: its `expect.successWithin` is not longer than a time in which its trigger does not fire', {
    jobId: record.id,
    jobStore,
    successWithinMs,
    gapMs: gap.to - gap.from,
    gapFrom: new Date(gap.from).toISOString(),
    gapTo: new Date(gap.to).toISOString(),
  });
}

/** Whether a job that took the place of another may have other false alarms than that. */
export function expectsOtherwise(before: JobRecord, after: JobRecord): boolean {
  const partOf = ({ definition: { trigger, policy: { expect, startTime, endTime } } }: JobRecord): unknown => [trigger, expect, startTime, endTime];
  return JSON.stringify(partOf(before)) !== JSON.stringify(partOf(after));
}

function falseAlarm({ definition, state }: JobRecord, withinMs: number, now: EpochMs): FireGap | null {
  if (state.status !== 'active' && state.status !== 'paused') return null;
  const own = nodeDefinition(definition) ?? definition;
  try {
    // A paused job, and one that waits for others, is not expected to succeed yet.
    const from = state.status === 'paused' || isWaiting(state) ? nextFire(own, now) : now;
    return from === null ? null : longGap(own, from, withinMs);
  } catch {
    return null; // a trigger that fails is dealt with where its fire times are needed
  }
}

import type { EpochMs, JobDefinition, JobPolicy, JobRecord, JobState, RunningRun, Trigger, WaitingRun } from 'punctual';
import type { PlanContext } from '../../src/core/decide.js';
import { newRecord } from '../../src/core/edit.js';
import { BUILT_IN_POLICY } from '../../src/scheduler/policy.js';

/** A grid of instants that says only what it must: no `previous`, no `count`. */
export class Grid implements Trigger {
  readonly kind: string = 'grid';
  /** Questions it was asked. */
  asked = 0;
  readonly every: number;
  readonly last: EpochMs;
  constructor(every: number, last: EpochMs = Number.POSITIVE_INFINITY) {
    this.every = every;
    this.last = last;
  }

  next(after: EpochMs): EpochMs | null {
    this.asked += 1;
    const at = Math.max(this.every, (Math.floor(after / this.every) + 1) * this.every);
    return at <= this.last ? at : null;
  }

  toJSON(): { kind: string; v: number; every: number } {
    return { kind: this.kind, v: 1, every: this.every };
  }
}

/** An endless grid that can also look back. */
export class TwoWayGrid extends Grid {
  override readonly kind = 'two-way-grid';
  previous(before: EpochMs): EpochMs | null {
    this.asked += 1;
    const at = (Math.ceil(before / this.every) - 1) * this.every;
    return at >= this.every ? at : null;
  }
}

/** Any finite set of instants, ascending. */
export class Listed implements Trigger {
  readonly kind = 'listed';
  readonly instants: readonly EpochMs[];
  constructor(instants: readonly EpochMs[]) {
    this.instants = instants;
  }
  next(after: EpochMs): EpochMs | null {
    return this.instants.find((at) => at > after) ?? null;
  }
  toJSON(): { kind: string; v: number } {
    return { kind: this.kind, v: 1 };
  }
}

export function definition(trigger: Trigger, policy: Partial<JobPolicy> = {}): JobDefinition {
  return {
    task: 'task',
    fn: null,
    args: [],
    trigger,
    anchor: 0,
    policy: { ...BUILT_IN_POLICY, ...policy },
    name: null,
    tags: [],
    metadata: null,
    taskVersion: 1,
    owner: null,
  };
}

export function record(trigger: Trigger, policy: Partial<JobPolicy> = {}, state: Partial<JobState> = {}): JobRecord {
  const fresh = newRecord('job', definition(trigger, policy), false, 0);
  return { ...fresh, state: { ...fresh.state, ...state } };
}

export function context(now: EpochMs, more: Partial<PlanContext> = {}): PlanContext {
  return { now, node: 'n1', leaseUntil: now + 1_000, process: null, slots: 100, executes: () => false, ...more };
}

const RUN = { id: 'job@10', scheduledFor: 10, manual: false, catchUp: false, crashes: 0, args: null } as const;

export function running(more: Partial<RunningRun> = {}): RunningRun {
  return { ...RUN, state: 'running', attempt: 1, owner: 'n1', token: 1, leaseUntil: 1_000, startedAt: 10, abort: null, ...more };
}

export function waiting(more: Partial<WaitingRun> = {}): WaitingRun {
  return { ...RUN, state: 'waiting', attempt: 0, cause: 'queued', readyAt: 10, ...more };
}

/** Freezes all the way down, but for triggers, so that whatever is written to it throws. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || 'next' in value) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze<unknown>(inner);
  return value;
}

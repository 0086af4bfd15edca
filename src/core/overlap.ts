import { slotLimit } from '../model/job.js';
import type { RunCause } from '../model/links.js';
import type { BlockingRun } from '../model/notice.js';
import type { RunningRun, RunRecord, WaitingRun } from '../model/run.js';
import type { EpochMs } from '../ports/trigger.js';
import type { Draft } from './draft.js';

/** Where a run may be started: on this node, under this lease. */
export interface Berth {
  /** Room left in the job's executor on this node. */
  slots: number;
  readonly leaseUntil: EpochMs | null;
  /** The process behind the node, where its name is one that the next process has too. */
  readonly process: string | null;
}

/** Starts one fire time if there is room, and else does what the overlap mode says. Answers whether it became a run. */
export function placeFire(draft: Draft, berth: Berth, fire: EpochMs, catchUp: boolean, backlog: boolean): boolean {
  const { policy } = draft.record.definition;
  const id = `${draft.record.id}@${fire}`;
  const follows = draft.takeCauses(fire);
  const hasSlot = draft.running < slotLimit(policy);
  if (hasSlot && berth.slots > 0) {
    // The hot path: what begins with its fire time is never written as a run that waits.
    draft.addRun(begin(draft, berth, id, fire, catchUp, follows));
    return true;
  }
  const plain: WaitingRun = {
    state: 'waiting',
    id,
    scheduledFor: fire,
    attempt: 0,
    manual: false,
    catchUp,
    crashes: 0,
    args: null,
    cause: 'queued',
    readyAt: draft.now,
  };
  const run = follows === undefined ? plain : { ...plain, follows };
  // No room on this node: another takes it, or this one later. And fire times of one catch-up wait for one another: they
  // come from downtime, not from a run that is too slow.
  if (hasSlot || backlog) {
    draft.addRun(run);
    return true;
  }
  switch (policy.overlap) {
    case 'skip':
    case 'allow':
      return refuse(draft, fire, 'max-instances');
    case 'queue':
      if (queued(draft.runs) >= 1) return refuse(draft, fire, 'queue-full');
      break;
    case 'queueAll':
      if (queued(draft.runs) >= policy.queueLimit) return refuse(draft, fire, 'queue-full');
      break;
    case 'replace':
      blocked(draft, fire, 'replacing');
      replaceAll(draft);
      draft.addRun(run);
      return true;
    default:
      policy.overlap satisfies never;
  }
  blocked(draft, fire, 'queued');
  draft.addRun(run);
  return true;
}

/** Starts the waiting runs whose time has come, the oldest first, as far as there is room. */
export function startWaiting(draft: Draft, berth: Berth, mayStart: (run: WaitingRun) => boolean): void {
  const limit = slotLimit(draft.record.definition.policy);
  let changed: RunRecord[] | undefined;
  for (let i = 0; i < draft.runs.length; i++) {
    if (draft.running >= limit || berth.slots <= 0) break;
    const run = draft.runs[i];
    if (run?.state !== 'waiting' || run.readyAt > draft.now || !mayStart(run)) continue;
    changed ??= [...draft.runs];
    changed[i] = begin(draft, berth, run.id, run.scheduledFor, run.catchUp, run.follows, run);
  }
  if (changed !== undefined) draft.runs = changed;
}

/** @param waited - the run as it waited, if it did. */
function begin(
  draft: Draft,
  berth: Berth,
  id: string,
  scheduledFor: EpochMs,
  catchUp: boolean,
  follows: readonly RunCause[] | undefined,
  waited?: WaitingRun,
): RunningRun {
  draft.fence += 1;
  draft.running += 1;
  berth.slots -= 1;
  const started: RunningRun = {
    state: 'running',
    id,
    scheduledFor,
    attempt: waited === undefined ? 1 : waited.attempt + 1,
    manual: waited?.manual ?? false,
    catchUp,
    crashes: waited?.crashes ?? 0,
    args: waited?.args ?? null,
    owner: draft.node,
    token: draft.fence,
    leaseUntil: berth.leaseUntil,
    startedAt: draft.now,
    abort: null,
  };
  let begun = waited?.argsVersion === undefined ? started : { ...started, argsVersion: waited.argsVersion };
  if (follows !== undefined) begun = { ...begun, follows };
  if (berth.process !== null) begun = { ...begun, process: berth.process };
  draft.begin(begun);
  return begun;
}

function queued(runs: readonly RunRecord[]): number {
  return runs.filter((run) => run.state === 'waiting' && run.cause === 'queued').length;
}

function refuse(draft: Draft, fire: EpochMs, reason: 'max-instances' | 'queue-full'): false {
  const range = { scheduledFor: fire, scheduledTo: fire, count: 1, exact: true };
  blocked(draft, fire, 'skipped');
  draft.writeRange('skipped', reason, range);
  return false;
}

function blocked(draft: Draft, fire: EpochMs, action: 'skipped' | 'queued' | 'replacing'): void {
  const blockedBy: BlockingRun[] = [];
  for (const run of draft.runs) {
    if (run.state === 'running') blockedBy.push({ runId: run.id, node: run.owner, ageMs: draft.now - run.startedAt });
  }
  draft.note({ type: 'jobMaxInstances', scheduledFor: fire, action, blockedBy });
}

/** Asks the running ones to stop, and gives up what waited: the newest fire time is the one that counts. */
function replaceAll(draft: Draft): void {
  const kept: RunRecord[] = [];
  for (const run of draft.runs) {
    if (run.state === 'running') {
      kept.push(run.abort === null ? { ...run, abort: 'replaced' } : run);
    } else if (run.manual) {
      kept.push(run);
    } else if (run.attempt === 0) {
      const range = { scheduledFor: run.scheduledFor, scheduledTo: run.scheduledFor, count: 1, exact: true };
      draft.writeRange('skipped', 'replaced', range);
      draft.note({ type: 'jobSkipped', reason: 'replaced', ...range });
    } else {
      draft.writeRun('cancelled', 'replaced', run, null);
      draft.note({
        type: 'jobCancelled',
        reason: 'replaced',
        runId: run.id,
        scheduledFor: run.scheduledFor,
        attempt: run.attempt,
      });
    }
  }
  draft.runs = kept;
}

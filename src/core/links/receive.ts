import type { JobRecord } from '../../model/job.js';
import type { Heard, JobLinks, LinkNotice, PendingFire, RunCause } from '../../model/links.js';
import type { ErrorInfo, RunRecord } from '../../model/run.js';
import type { EpochMs } from '../../ports/trigger.js';
import { Draft, type ActContext, type Decision } from '../draft.js';
import { firstFire } from '../edit.js';
import { dueAt, nextFire } from '../fires.js';
import { awaitsEvent, hasEnded, quarantine, settle } from '../settle.js';
import { isWanted, patched, scheduleOf } from './links.js';

/** Most fire times that wait in a record. Those beyond, the oldest first, are missed. */
const MOST_PENDING = 1_000;

/** Why a run is called off whose job depended on another. */
export const DEPENDENCY_FAILED = 'dependency-failed';

/** Whether a job knows that it follows: if not, it is no longer, or not yet, what the notice is for. */
export function recognises({ definition, state }: JobRecord, source: string, { once }: LinkNotice): boolean {
  if (state.status === 'removed') return false;
  if (once !== undefined) return state.links?.waits?.some((wait) => wait.source === source && wait.token === once) === true;
  const { trigger } = definition;
  return trigger.unreadable !== undefined || trigger.follows?.jobs.includes(source) === true;
}

/** The record of a job that hears of ends it waits for; `undefined` when it has heard of them all before. */
export function receive(record: JobRecord, source: string, notices: readonly LinkNotice[], context: ActContext): Decision | undefined {
  const draft = new Draft(record, context);
  let changed = false;
  for (const notice of notices) {
    const { links } = draft;
    if (links === undefined) break;
    if (notice.once === undefined) {
      changed = hear(draft, links, source, notice) || changed;
      continue;
    }
    const { waits, onFailure, met } = links;
    if (waits?.some((wait) => wait.source === source && wait.token === notice.once) !== true) continue;
    if (notice.verdict !== 'succeeded') {
      if (onFailure === 'wait') continue;
      if (onFailure === undefined) return callOff(draft, source, notice);
    }
    changed = true;
    const left = waits.filter((wait) => wait.source !== source || wait.token !== notice.once);
    const over = waits.find((wait) => !left.includes(wait));
    draft.links = patched(links, { waits: left.length === 0 ? undefined : left, met: [...(met ?? []), { ...causeOf(source, notice), order: over?.order ?? 0 }] });
    if (left.length === 0) return begin(draft, source, notices.slice(notices.indexOf(notice) + 1));
  }
  if (!changed) return undefined;
  return settle(draft, cursorState(draft));
}

/** Nothing is waited for any more: fire times from now on are those of the job, and a date that has passed is still due. */
function begin(draft: Draft, source: string, others: readonly LinkNotice[]): Decision {
  const { record, now } = draft;
  const { definition, state, id } = record;
  for (const notice of others) if (notice.once === undefined && draft.links !== undefined) hear(draft, draft.links, source, notice);
  if (awaitsEvent(definition)) return settle(draft, cursorState(draft));
  try {
    const { lastFireTime } = state;
    const first = hasEnded(definition.policy.maxRuns, draft.runCount) ? null : firstFire(definition, now);
    const next = first !== null && lastFireTime !== null && first <= lastFireTime ? nextFire(definition, lastFireTime) : first;
    // It could not start before, so its lateness counts from here. What holds it back for other reasons still does.
    const held = next === state.nextFireTime ? (state.nextDueAt ?? now) : now;
    const nextDueAt = next === null ? null : Math.max(dueAt(id, definition, next), now, held);
    return settle(draft, draft.state({ nextFireTime: next, nextDueAt, firstFireTime: next }));
  } catch (error) {
    return quarantine(draft, error);
  }
}

/** What it depends on did not succeed: it does not begin, and those who wait for it are told. */
function callOff(draft: Draft, source: string, notice: LinkNotice): Decision {
  const { record, now } = draft;
  const { id, state } = record;
  const error: ErrorInfo = { name: 'Error', message: failureText(source, notice), code: null, stack: null };
  const kept: RunRecord[] = [];
  const cancel = (run: RunRecord): void => {
    draft.writeRun('cancelled', DEPENDENCY_FAILED, run, error);
    draft.note({ type: 'jobCancelled', reason: DEPENDENCY_FAILED, runId: run.id, scheduledFor: run.scheduledFor, attempt: run.attempt });
  };
  for (const run of draft.runs) {
    if (run.state === 'running') kept.push(run);
    else cancel(run);
  }
  const fire = state.nextFireTime;
  if (fire !== null) {
    cancel({ state: 'waiting', id: `${id}@${fire}`, scheduledFor: fire, attempt: 0, manual: false, catchUp: false, crashes: 0, args: null, cause: 'queued', readyAt: now });
  }
  draft.runs = kept;
  draft.note({ type: 'jobCompleted', reason: DEPENDENCY_FAILED, runCount: draft.runCount });
  return settle(draft, draft.state({ status: 'removed', nextFireTime: null, nextDueAt: null, lastFireTime: fire ?? state.lastFireTime }));
}

function failureText(source: string, { runId, verdict }: LinkNotice): string {
  if (verdict === 'removed') return `It depends on job "${source}", which is gone without having had the run.`;
  return `It depends on job "${source}", ${runId === null ? 'whose fire time' : `whose run "${runId}"`} ended as ${verdict}.`;
}

/** An end of a run that an `after` trigger follows. Answers whether it was news. */
function hear(draft: Draft, links: JobLinks, source: string, notice: LinkNotice): boolean {
  const { follows } = draft.record.definition.trigger;
  const heard = links.heard ?? [];
  const known = heard.find((one) => one.source === source);
  if (follows === undefined || (known !== undefined && notice.seq <= known.seq)) return false;
  const { runId, verdict, at } = notice;
  const news: Heard = { source, seq: notice.seq, ...(isWanted(follows.on, verdict) ? { end: { runId, verdict, at } } : known?.end === undefined ? {} : { end: known.end }) };
  const all = follows.jobs.map((job) => (job === source ? news : (heard.find((one) => one.source === job) ?? { source: job, seq: 0 })));
  const ended = all.filter(({ end }) => end !== undefined);
  const isComplete = follows.mode === 'any' ? ended.length > 0 : ended.length === all.length;
  draft.links = patched(links, { heard: isComplete ? all.map(({ source: job, seq }) => ({ source: job, seq })) : all });
  if (isComplete) addFire(draft, draft.links, ended);
  return true;
}

/** A job that has not begun, or has ended, has no fire times. */
function addFire(draft: Draft, links: JobLinks, ends: readonly Heard[]): void {
  const { policy } = draft.record.definition;
  const { lastFireTime } = draft.record.state;
  if (links.waits !== undefined || hasEnded(policy.maxRuns, draft.runCount)) return;
  const pending = links.pending ?? [];
  let at = Math.max(...ends.map(({ end }) => end?.at ?? 0));
  // A run is named after its fire time, so no two may have the same.
  at = Math.max(at, (pending.at(-1)?.at ?? Number.NEGATIVE_INFINITY) + 1, (lastFireTime ?? Number.NEGATIVE_INFINITY) + 1);
  if ((policy.startTime !== null && at < policy.startTime) || (policy.endTime !== null && at > policy.endTime)) return;
  const by = ends.map(({ source, end }): RunCause => ({ jobId: source, runId: end?.runId ?? null, verdict: end?.verdict ?? 'removed' }));
  const fires: PendingFire[] = [...pending, { at, by }];
  while (fires.length > MOST_PENDING) miss(draft, fires.shift()?.at ?? at);
  draft.links = patched(links, { pending: fires });
}

function miss(draft: Draft, fire: EpochMs): void {
  const range = { scheduledFor: fire, scheduledTo: fire, count: 1, exact: true };
  draft.writeRange('missed', 'catch-up-limit', range);
  draft.note({ type: 'jobMissed', reason: 'catch-up-limit', latenessMs: Math.max(0, draft.now - fire), ...range });
}

/** The state with the cursor on the first of the fire times that wait. */
function cursorState(draft: Draft): ReturnType<Draft['state']> {
  const { record } = draft;
  const { definition, state, id } = record;
  const first = draft.links?.pending?.[0]?.at ?? null;
  if (definition.trigger.follows === undefined || first === null || first === state.nextFireTime) return draft.state();
  const { lastFireTime, nextFireTime } = state;
  // What was too much has its verdict.
  const passed = nextFireTime !== null && first > nextFireTime ? first - 1 : lastFireTime;
  const schedule = scheduleOf({ ...record, state: draft.state() });
  return draft.state({ nextFireTime: first, nextDueAt: dueAt(id, schedule, first), lastFireTime: passed });
}

function causeOf(source: string, { runId, verdict }: LinkNotice): RunCause {
  return { jobId: source, runId, verdict };
}

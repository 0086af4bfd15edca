import { addFollowers } from '../../core/links/followers.js';
import { isSame, TOMBSTONE_CHECK_MS, waitsInVain } from '../../core/links/links.js';
import { awaitsEvent } from '../../core/settle.js';
import { NO_RUNS, type JobRecord } from '../../model/job.js';
import type { FollowedVerdict, Follower, Wait } from '../../model/links.js';
import { NO_STATS } from '../../model/stats.js';
import type { Clock } from '../../ports/clock.js';
import type { EpochMs } from '../../ports/trigger.js';
import { changeRecord } from '../job-changes.js';
import type { StoreLoop } from '../store-loop.js';

/** Entries of a job looked through for one fire time. */
const LINES = 1_000;

/** Where a run stands that somebody is to wait for. */
export type Fate =
  /** Without `run`: the next one, whichever it will be. */
  | { readonly kind: 'pending'; readonly run?: string }
  | { readonly kind: 'ended'; readonly runId: string | null; readonly verdict: FollowedVerdict }
  | { readonly kind: 'unknown' };

const PENDING: Fate = { kind: 'pending' };

/**
 * What becomes, or became, of a run, or of the run that a job stands for: the one that goes on, or else the next; of a job
 * that is gone, the last one in the history.
 */
export async function fateOf(loop: StoreLoop, jobId: string, run: string | undefined, record: JobRecord | undefined): Promise<Fate> {
  const state = record?.state;
  const live = state?.runs ?? NO_RUNS;
  if (run === undefined) {
    const latest = live.reduce<{ id: string; scheduledFor: EpochMs } | undefined>((last, one) => (last === undefined || one.scheduledFor > last.scheduledFor ? one : last), undefined);
    if (latest !== undefined) return { kind: 'pending', run: latest.id };
    if (record !== undefined && state?.status !== 'removed' && (state?.nextFireTime !== null || awaitsEvent(record.definition) || state.status !== 'active')) return PENDING;
    const { entries } = await loop.access.listLedger({ jobId, newestFirst: true, limit: 1 });
    const [entry] = entries;
    return entry === undefined ? { kind: 'unknown' } : { kind: 'ended', runId: entry.runId, verdict: entry.verdict };
  }
  const isNext = state !== undefined && state.status !== 'removed' && state.nextFireTime !== null && run === `${jobId}@${state.nextFireTime}`;
  if (isNext || live.some(({ id }) => id === run)) return { kind: 'pending', run };
  const { entries: own } = await loop.access.listLedger({ jobId, runId: run, limit: 1 });
  const [entry] = own;
  if (entry !== undefined) return { kind: 'ended', runId: run, verdict: entry.verdict };
  const fire = run.startsWith(`${jobId}@`) ? Number(run.slice(jobId.length + 1)) : Number.NaN;
  const { entries } = await loop.access.listLedger({ jobId, newestFirst: true, limit: LINES });
  const passed = entries.find((one) => one.runId === null && one.scheduledFor <= fire && one.scheduledTo >= fire);
  return passed === undefined ? { kind: 'unknown' } : { kind: 'ended', runId: null, verdict: passed.verdict };
}

/** Whether the history knows a job that has no record. */
export async function wasThere(loop: StoreLoop, jobId: string): Promise<boolean> {
  return (await loop.access.listLedger({ jobId, limit: 1 })).entries.length > 0;
}

export function followerOf({ id, state }: JobRecord, { token, run }: Wait, since: EpochMs): Follower {
  const follower: Follower = { to: id, on: state.links?.onFailure === 'wait' ? 'success' : 'any', since, once: token };
  return run === undefined ? follower : { ...follower, run };
}

export interface Entered {
  /** All notices to come have a greater number. */
  readonly seq: number;
  /** Those that were not entered, since what they wait for has ended, or is gone: the history knows. */
  readonly late: readonly Follower[];
}

/**
 * Enters followers with a source. Of one that is gone, those who follow whichever job has its id are entered with something
 * that is left under it, unseen.
 *
 * @param record - the job that follows.
 * @param mayCome - all of them wait for a job that is yet to come.
 */
export async function follow(
  loop: StoreLoop,
  { clock, node }: { readonly clock: Clock; readonly node: string },
  source: string,
  followers: readonly Follower[],
  record: JobRecord,
  mayCome = false,
): Promise<Entered> {
  const heard = Math.max(0, ...(record.state.links?.heard ?? []).filter((one) => one.source === source).map(({ seq }) => seq));
  const needsRun = (one: Follower): boolean => !mayCome && one.once !== undefined && (one.on !== 'success' || one.run !== undefined);
  for (;;) {
    let late: readonly Follower[] = [];
    const result = await changeRecord(loop, clock, source, (current) => {
      const known = current.state.links?.followers ?? [];
      late = followers.filter((one) => needsRun(one) && waitsInVain(source, current.state, one));
      const fresh = followers.filter((one) => !late.includes(one) && !known.some((other) => isSame(one, other) && other.on === one.on && other.run === one.run));
      return fresh.length === 0 ? undefined : addFollowers(current, fresh, heard, { now: loop.now(), node });
    });
    if (result !== undefined) return { seq: result.record.state.fence, late };
    late = followers.filter(needsRun);
    const others = followers.filter((one) => !needsRun(one));
    if (others.length === 0) return { seq: 0, late };
    const placeholder = tombstoneFor(source, record, others, Math.max(loop.now(), heard));
    const [stored] = await loop.access.insert([placeholder]);
    if (stored !== undefined) return { seq: placeholder.state.fence, late };
  }
}

/** A record under the id of a job that is not there: as if it had been removed. Whoever can run the follower can see to it. */
function tombstoneFor(id: string, { definition, state }: JobRecord, followers: readonly Follower[], now: EpochMs): JobRecord {
  const { links: _links, ...rest } = state;
  return {
    id,
    definition: { ...definition, args: [], metadata: null, name: null, tags: [], owner: null },
    state: {
      ...rest,
      status: 'removed',
      reason: null,
      nextFireTime: null,
      nextDueAt: null,
      lastFireTime: null,
      runCount: 0,
      fence: now,
      generation: now,
      firstFireTime: null,
      runs: NO_RUNS,
      stats: NO_STATS,
      links: { since: now, followers, checkAt: now + TOMBSTONE_CHECK_MS },
    },
  };
}

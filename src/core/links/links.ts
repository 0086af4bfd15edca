import type { JobDefinition, JobRecord, JobState } from '../../model/job.js';
import type { EndKind, FollowedVerdict, Follower, JobLinks, LinkNotice, PendingFire } from '../../model/links.js';
import type { EpochMs, Trigger } from '../../ports/trigger.js';

/** How long what is to be told is left to the node that wrote it, before any other takes it on. */
export const DELIVERY_MS = 2_000;
/** How long a job that was just added is left to whoever added it, before it is looked whether its sources know of it. */
export const CHECK_MS = 60_000;
/** Longest time between two such looks. */
const LONGEST_CHECK_MS = 3_600_000;
/** The same for what is left of a job that others still follow. */
export const TOMBSTONE_CHECK_MS = 86_400_000;

/** Whether an end is one of those that are waited for. */
export function isWanted(on: EndKind, verdict: FollowedVerdict): boolean {
  switch (on) {
    case 'success':
      return verdict === 'succeeded';
    case 'failure':
      return verdict === 'failed' || verdict === 'abandoned';
    case 'any':
      return true;
    default:
      return on satisfies never;
  }
}

/** Changes to links: `undefined` takes a field away. */
export type LinkChanges = { readonly [K in keyof JobLinks]?: JobLinks[K] | undefined };

export function patched(links: JobLinks, changes: LinkChanges): JobLinks {
  const entries = Object.entries({ ...links, ...changes }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as unknown as JobLinks;
}

/** Links of a job that begins: what its trigger follows is entered with its sources by whoever looks first. */
export function firstLinks({ trigger }: JobDefinition, now: EpochMs, known?: JobLinks): JobLinks | undefined {
  if (trigger.follows === undefined) return undefined;
  const heard = trigger.follows.jobs.map((source) => ({ source, seq: known?.heard?.find((one) => one.source === source)?.seq ?? 0 }));
  return { since: now, heard, checkAt: now };
}

/** Links under another schedule: who follows the job, and what it waits for, stays; what its trigger followed does not. */
export function relinked(links: JobLinks | undefined, definition: JobDefinition, now: EpochMs): JobLinks | undefined {
  const fresh = firstLinks(definition, now, links);
  if (links === undefined) return fresh;
  return patched(links, { heard: fresh?.heard, pending: undefined, since: fresh?.since ?? links.since, checkAt: fresh?.checkAt ?? links.checkAt });
}

/** Links of a job in the place of another: those who followed that follow this. */
export function inherited(old: JobLinks | undefined, fresh: JobLinks | undefined): JobLinks | undefined {
  if (old === undefined) return fresh;
  const { followers, outbox, deliverAt, since } = old;
  const all = joined(followers, fresh?.followers);
  const heard = fresh?.heard?.map((one) => ({ ...one, seq: Math.max(one.seq, old.heard?.find(({ source }) => source === one.source)?.seq ?? 0) }));
  return patched(fresh ?? { since }, { followers: all.length === 0 ? undefined : all, outbox, deliverAt, ...(heard === undefined ? {} : { heard }) });
}

/**
 * Links of a job with another definition in its place: those who followed it still do. What it waits for stays, unless it
 * begins anew, or waits for other jobs now; one that has begun waits for nothing.
 */
export function replacedLinks(links: JobLinks | undefined, fresh: JobLinks | undefined, beginsAnew: boolean): JobLinks | undefined {
  const followers = joined(links?.followers, fresh?.followers);
  const base = links ?? (fresh === undefined ? undefined : { since: fresh.since });
  if (base === undefined) return undefined;
  const changes: LinkChanges = fresh?.followers === undefined ? {} : { followers };
  const waitsForOthers = links?.waits !== undefined && !waitsAlike(links, fresh);
  if (!beginsAnew && !waitsForOthers) return fresh?.followers === undefined ? links : patched(base, changes);
  const heard = links?.heard?.map((one) => ({ ...one, seq: Math.max(one.seq, fresh?.heard?.find(({ source }) => source === one.source)?.seq ?? 0) }));
  const { waits, onFailure, met, checkAt } = fresh ?? {};
  return patched(base, { ...changes, waits, onFailure, met, heard, checkAt: checkAt ?? links?.checkAt });
}

/** Whether two wait for the same jobs, with what has ended of them by now. */
export function waitsAlike(a: JobLinks | undefined, b: JobLinks | undefined): boolean {
  const sources = (of: JobLinks | undefined): string =>
    JSON.stringify([...new Set([...(of?.waits ?? []).map(({ source }) => source), ...(of?.met ?? []).map(({ jobId }) => jobId)])].sort());
  return sources(a) === sources(b);
}

/**
 * Both, each once: of two entries of one follower, the later. One that waits anew waits as before no more: without that, a job
 * whose dependencies change with each start of a program would fill the record of what it waits for.
 */
export function joined(known: readonly Follower[] = [], fresh: readonly Follower[] = []): Follower[] {
  return [...known.filter((one) => !fresh.some((other) => isSame(one, other) || waitsAnew(other, one))), ...fresh];
}

function waitsAnew(fresh: Follower, known: Follower): boolean {
  return fresh.to === known.to && fresh.once !== undefined && known.once !== undefined && waitingOf(fresh.once) !== waitingOf(known.once);
}

/** Several things that are waited for at one time have one token, and a number behind it. */
function waitingOf(token: string): string {
  return token.split('.', 1)[0] ?? token;
}

export function isSame(a: Follower, b: Follower): boolean {
  return a.to === b.to && a.once === b.once;
}

/** Links of a job that comes from another store: what it follows here has yet to hear of it. */
export function arrivedLinks(links: JobLinks | undefined, definition: JobDefinition, now: EpochMs): JobLinks | undefined {
  const fresh = firstLinks(definition, now);
  const { waits, onFailure, met, pending } = links ?? {};
  if (waits === undefined && met === undefined) return fresh === undefined ? undefined : patched(fresh, { pending });
  const expected = waits?.map((wait) => ({ ...wait, mayCome: true as const }));
  return patched(fresh ?? { since: now }, { waits: expected, onFailure, met, pending: fresh === undefined ? undefined : pending, checkAt: now });
}

/** The state with these links. */
export function withLinks(state: JobState, links: JobLinks | undefined): JobState {
  if (links !== undefined) return { ...state, links };
  if (state.links === undefined) return state;
  const { links: _gone, ...rest } = state;
  return rest;
}

/** Links that were claimed: whoever claimed them sees to them, and next time comes later. */
export function takenOn(links: JobLinks, now: EpochMs): JobLinks {
  const { deliverAt, checkAt, since } = links;
  let next = links;
  if (deliverAt !== undefined && deliverAt <= now) next = patched(next, { deliverAt: now + DELIVERY_MS });
  if (checkAt !== undefined && checkAt <= now) next = patched(next, { checkAt: now + Math.min(Math.max(now - since, CHECK_MS), LONGEST_CHECK_MS) });
  return next;
}

/** The fire times of a job as a schedule, so that all policies hold for those that come of other runs as for any others. */
export function scheduleOf({ definition, state }: JobRecord): JobDefinition {
  const { trigger } = definition;
  return trigger.follows === undefined ? definition : { ...definition, trigger: new PendingTrigger(trigger, state.links?.pending ?? []) };
}

/** The fire times that wait in a record. */
class PendingTrigger implements Trigger {
  readonly #of: Trigger;
  readonly #fires: readonly PendingFire[];

  constructor(of: Trigger, fires: readonly PendingFire[]) {
    this.#of = of;
    this.#fires = fires;
  }

  get kind(): string {
    return this.#of.kind;
  }
  next(after: EpochMs): EpochMs | null {
    return this.#fires.find(({ at }) => at > after)?.at ?? null;
  }
  previous(before: EpochMs): EpochMs | null {
    return this.#fires.findLast(({ at }) => at < before)?.at ?? null;
  }
  count(from: EpochMs, to: EpochMs): number {
    return this.#fires.filter(({ at }) => at >= from && at <= to).length;
  }
  toJSON(): ReturnType<Trigger['toJSON']> {
    return this.#of.toJSON();
  }
}

/** The last step before a record is written: what is over goes, who waits in vain is told, and what is to be told has its time. */
export function finishLinks(id: string, state: JobState, now: EpochMs): JobState {
  let { links } = state;
  if (links === undefined) return state;
  let { fence } = state;
  const isRemoved = state.status === 'removed';
  if (isRemoved) links = patched(links, { waits: undefined, onFailure: undefined, met: undefined, heard: undefined, pending: undefined });
  const { lastFireTime } = state;
  if (links.pending !== undefined && lastFireTime !== null) {
    const pending = links.pending.filter(({ at }) => at > lastFireTime);
    if (pending.length < links.pending.length) links = patched(links, { pending });
  }
  if (links.followers?.some(({ once }) => once !== undefined) === true) {
    const kept: Follower[] = [];
    const outbox: LinkNotice[] = [...(links.outbox ?? [])];
    for (const follower of links.followers) {
      if (!waitsInVain(id, state, follower)) kept.push(follower);
      else if (follower.on === 'success') kept.push(unpinned(follower));
      else outbox.push(noticeFor(follower, (fence += 1), null, 'removed', now));
    }
    links = patched(links, { followers: kept, outbox });
  }
  return withLinks({ ...state, fence }, tidied(links, isRemoved, now));
}

/** Whether the run that is waited for will not come to be any more. */
export function waitsInVain(id: string, { status, runs, nextFireTime }: JobState, { once, run }: Follower): boolean {
  if (once === undefined) return false;
  if (status === 'removed' && runs.length === 0) return true;
  return run !== undefined && run !== `${id}@${String(nextFireTime)}` && !runs.some((live) => live.id === run);
}

function tidied(links: JobLinks, isRemoved: boolean, now: EpochMs): JobLinks | undefined {
  const { followers, outbox, waits, met, heard, pending } = links;
  const has = (list: readonly unknown[] | undefined): boolean => list !== undefined && list.length > 0;
  const isFollower = has(waits) || has(heard);
  const isFollowed = has(followers);
  if (!isFollower && !isFollowed && !has(outbox) && !has(met)) return undefined;
  const lingers = isRemoved && isFollowed;
  return patched(links, {
    followers: isFollowed ? followers : undefined,
    outbox: has(outbox) ? outbox : undefined,
    deliverAt: has(outbox) ? (links.deliverAt ?? now + DELIVERY_MS) : undefined,
    waits: has(waits) ? waits : undefined,
    onFailure: has(waits) ? links.onFailure : undefined,
    met: has(met) ? met : undefined,
    pending: has(pending) ? pending : undefined,
    checkAt: isFollower ? links.checkAt : lingers ? (links.checkAt ?? now + TOMBSTONE_CHECK_MS) : undefined,
  });
}

export function unpinned(follower: Follower): Follower {
  const { run: _run, ...rest } = follower;
  return rest;
}

export function noticeFor({ to, since, once }: Follower, seq: number, runId: string | null, verdict: FollowedVerdict, at: EpochMs): LinkNotice {
  const notice: LinkNotice = { to, seq, runId, verdict, at, since };
  return once === undefined ? notice : { ...notice, once };
}

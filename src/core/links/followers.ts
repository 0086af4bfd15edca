import type { JobRecord } from '../../model/job.js';
import type { Follower, LinkNotice } from '../../model/links.js';
import type { EpochMs } from '../../ports/trigger.js';
import { Draft, type ActContext, type Decision } from '../draft.js';
import { settle } from '../settle.js';
import { joined, patched } from './links.js';

/** Enters followers with their source. @param heard - the last notice they know of: those to come are greater. */
export function addFollowers(record: JobRecord, followers: readonly Follower[], heard: number, context: ActContext): Decision {
  const draft = new Draft(record, context);
  draft.fence = Math.max(draft.fence, heard);
  const links = draft.links ?? { since: context.now };
  draft.links = patched(links, { followers: joined(links.followers, followers) });
  return draft.write(draft.state());
}

/** The record without followers that nobody needs any more; `undefined` when it has none of them. */
export function dropFollowers(record: JobRecord, isGone: (follower: Follower) => boolean, context: ActContext): Decision | undefined {
  const { links } = record.state;
  if (links?.followers?.some(isGone) !== true) return undefined;
  const draft = new Draft(record, context);
  draft.links = patched(links, { followers: links.followers.filter((one) => !isGone(one)) });
  return settle(draft, draft.state());
}

/**
 * What has been told is no longer to be told.
 *
 * @param isGone - followers nobody knows of.
 * @param retryAt - when those who could not be told are tried again.
 */
export function delivered(
  record: JobRecord,
  isTold: (notice: LinkNotice) => boolean,
  isGone: (follower: Follower) => boolean,
  retryAt: EpochMs,
  context: ActContext,
): Decision | undefined {
  const { links } = record.state;
  if (links?.outbox === undefined) return undefined;
  const draft = new Draft(record, context);
  draft.links = patched(links, {
    outbox: links.outbox.filter((notice) => !isTold(notice)),
    deliverAt: retryAt,
    followers: links.followers?.filter((one) => !isGone(one)),
  });
  return settle(draft, draft.state());
}

import type { LedgerEntry } from '../../model/ledger.js';
import type { Follower, JobLinks, LinkNotice } from '../../model/links.js';
import { isWanted, noticeFor, patched, unpinned } from './links.js';

/**
 * Links with what a line of the history tells those who follow; the same links when it tells them nothing. An attempt that
 * is followed by another is no line of the history.
 */
export function tell(links: JobLinks, entry: LedgerEntry, seq: number): JobLinks {
  const outbox: LinkNotice[] = [];
  const followers: Follower[] = [];
  let changed = false;
  for (const follower of links.followers ?? []) {
    if (!concerns(entry, follower)) {
      followers.push(follower);
    } else if (!isWanted(follower.on, entry.verdict)) {
      // One that waits until there is a success waits for another run then.
      changed ||= follower.run !== undefined;
      followers.push(unpinned(follower));
    } else {
      changed = true;
      outbox.push(noticeFor(follower, seq, entry.runId, entry.verdict, entry.at));
      if (follower.once === undefined) followers.push(follower);
    }
  }
  return changed ? patched(links, { followers, outbox: [...(links.outbox ?? []), ...outbox] }) : links;
}

/** Whether an entry is an end that a follower waits for: that of a run, or of a fire time that will have none. */
function concerns(entry: LedgerEntry, { run }: Follower): boolean {
  if (entry.runId !== null) return run === undefined || run === entry.runId;
  if (run === undefined) return false;
  const prefix = `${entry.jobId}@`;
  const fire = run.startsWith(prefix) ? Number(run.slice(prefix.length)) : Number.NaN;
  return fire >= entry.scheduledFor && fire <= entry.scheduledTo;
}

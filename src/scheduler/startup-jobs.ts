import { startupFire } from '../core/edit.js';
import { isPunctualError } from '../errors/base.js';
import type { Clock } from '../ports/clock.js';
import type { JobPage, MaybePromise } from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';
import { isThenable } from '../time/thenable.js';
import { changeJob } from './job-changes.js';
import type { StoreLoop } from './store-loop.js';

const PAGE = 1_000;

/** Gives each active job that fires when a scheduler starts its fire time for the start at `startedAt`. */
export function fireStartupJobs(loop: StoreLoop, clock: Clock, node: string, startedAt: EpochMs): MaybePromise<void> {
  const first = listPage(loop, undefined);
  if (!isThenable(first) && first.jobs.length === 0) return undefined; // the normal case costs no turn
  return fireAll(loop, clock, node, startedAt, first);
}

async function fireAll(
  loop: StoreLoop,
  clock: Clock,
  node: string,
  startedAt: EpochMs,
  first: MaybePromise<JobPage>,
): Promise<void> {
  for (let page = await first; ; page = await listPage(loop, page.nextCursor)) {
    for (const { record } of page.jobs) {
      try {
        await changeJob(loop, clock, record.id, undefined, (current) => startupFire(current, startedAt, { now: loop.now(), node }));
      } catch (error) {
        if (!isPunctualError(error, 'JOB_NOT_FOUND')) throw error; // it was removed in the meantime
      }
    }
    if (page.nextCursor === null) return;
  }
}

function listPage(loop: StoreLoop, cursor: string | null | undefined): MaybePromise<JobPage> {
  return loop.access.list({ triggerKind: 'startup', statuses: ['active'], limit: PAGE, after: cursor ?? undefined });
}

import { startupFire } from '../core/edit.js';
import { isPunctualError } from '../errors/base.js';
import type { Clock } from '../ports/clock.js';
import { changeJob } from './job-changes.js';
import type { StoreLoop } from './store-loop.js';

const PAGE = 1_000;

/** Gives each active job that fires when a scheduler starts its fire time for this start. */
export async function fireStartupJobs(loop: StoreLoop, clock: Clock, node: string): Promise<void> {
  const startedAt = loop.now();
  let after: string | undefined;
  do {
    const page = await loop.access.list({ triggerKind: 'startup', statuses: ['active'], limit: PAGE, after });
    for (const { record } of page.jobs) {
      try {
        await changeJob(loop, clock, record.id, undefined, (current) => startupFire(current, startedAt, { now: loop.now(), node }));
      } catch (error) {
        if (!isPunctualError(error, 'JOB_NOT_FOUND')) throw error; // it was removed in the meantime
      }
    }
    after = page.nextCursor ?? undefined;
  } while (after !== undefined);
}

import { clampLeases } from '../core/finish.js';
import { wakeAt } from '../model/job.js';
import type { JobPage, StoredJob } from '../ports/job-store.js';
import type { StoreLoop } from './store-loop.js';

const PAGE = 500;
/** Attempts at one record: each that fails means that somebody else has written it, mostly with its leases renewed. */
const MAX_ATTEMPTS = 5;

/**
 * Ends leases that were written while the clock was ahead of what it is now: they would keep the runs of dead nodes from
 * being taken over by as much. No lease of ours lasts longer than `leaseMs`, and the nodes of one store have the same.
 *
 * @throws StoreFailedError
 */
export async function endStrayLeases(loop: StoreLoop, leaseMs: number): Promise<void> {
  const { access } = loop;
  let page: JobPage | undefined;
  do {
    page = await access.list({ running: true, limit: PAGE, after: page?.nextCursor ?? undefined });
    for (const job of page.jobs) await endStray(loop, job, leaseMs);
  } while (page.nextCursor !== null);
}

async function endStray(loop: StoreLoop, seen: StoredJob, leaseMs: number): Promise<void> {
  let stored: StoredJob | undefined = seen;
  for (let attempt = 1; stored !== undefined && attempt <= MAX_ATTEMPTS; attempt++) {
    const { record, revision }: StoredJob = stored;
    const next = clampLeases(record, loop.now() + leaseMs);
    if (next === undefined) return;
    const [written] = await loop.access.commit([{ id: record.id, expected: revision, next, ledger: [] }]);
    if (written !== undefined) {
      loop.expect(wakeAt(next));
      return;
    }
    stored = await loop.access.get(record.id);
  }
}

import type { JobRecord } from '../model/job.js';
import type { Revision } from '../ports/job-store.js';
import type { ActiveRun } from './active-run.js';
import type { JobDraft } from './job-draft.js';

/** A job of which this node executes runs. */
export interface HeldJob {
  readonly id: string;
  /** As last seen: a guess that saves a read, since the revision decides. `null` when it proved wrong. */
  record: JobRecord | null;
  /** Of that record. */
  revision: Revision;
  /** Runs on this node without a recorded verdict. */
  active: readonly ActiveRun[];
  /** The change being put together, while a batch is. */
  draft: JobDraft | null;
}

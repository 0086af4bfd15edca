import type { JobRecord } from '../model/job.js';
import { Draft, type ActContext, type Decision } from './draft.js';

/** The record as it is, with the alarm raised that is due, if one is: that is part of every write. */
export function raiseAlarm(record: JobRecord, context: ActContext): Decision {
  const draft = new Draft(record, context);
  return draft.write(draft.state());
}

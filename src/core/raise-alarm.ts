import type { JobRecord } from '../model/job.js';
import { Draft, type Decision } from './draft.js';
import type { ActContext } from './finish.js';

/** The record as it is, with the alarm raised that is due, if one is: that is part of every write. */
export function raiseAlarm(record: JobRecord, context: ActContext): Decision {
  const draft = new Draft(record, context.now, context.node);
  return draft.write(draft.state());
}

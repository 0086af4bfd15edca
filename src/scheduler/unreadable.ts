import { InvalidStateError } from '../errors/scheduler-errors.js';
import type { JobRecord } from '../model/job.js';
import type { JobCodec } from '../ports/job-codec.js';

/** @throws InvalidStateError for a job that cannot be read: a change would put what is made up in the place of what is stored. */
export function requireReadable({ id, definition }: JobRecord, codec: JobCodec): void {
  if (!codec.isUnreadable(definition)) return;
  throw new InvalidStateError(
    `Job "${id}" cannot be changed: it cannot be read here (${definition.trigger.unreadable?.message ?? 'unknown reason'}), and a change would lose what it holds. ` +
      'Make it readable (the serializer, its key, the trigger registry), replace it (addJob with replaceExisting, sync), or remove it.',
  );
}

/** @throws InvalidStateError for a job in quarantine, or one that would go there. */
export function requireRunnable({ id, definition, state }: JobRecord): void {
  if (state.status !== 'quarantined' && definition.trigger.unreadable === undefined) return;
  const reason = state.reason ?? definition.trigger.unreadable?.message ?? 'unknown reason';
  throw new InvalidStateError(`Job "${id}" is in quarantine (${reason}). Mend it, then call retryQuarantined("${id}").`);
}

import { JobUnstorableError } from '../errors/job-errors.js';
import type { JobCodec, JsonObject } from '../ports/job-codec.js';
import type { ListedJob } from './job-list.js';

/** Says of a document that it holds exported jobs. */
export const EXPORT_FORMAT = 'punctual-jobs';
/** Bumped when the form changes; older forms stay readable. */
export const EXPORT_VERSION = 1;

/**
 * Jobs as plain JSON, for another store, a backup, or a look. `JSON.stringify` and `JSON.parse` change nothing of it.
 *
 * Instants inside `jobs` are epoch milliseconds, as in a store; `exportedAt` is for people.
 */
export interface JobExport {
  readonly format: typeof EXPORT_FORMAT;
  readonly version: typeof EXPORT_VERSION;
  /** When, in ISO 8601. */
  readonly exportedAt: string;
  /** In order of store and id. */
  readonly jobs: readonly ExportedJob[];
  /** Where the next page begins (`cursor`); `null` when these are all. Each page is a document of its own. */
  readonly nextCursor: string | null;
}

/** One job: what it is, and its place in the schedule. */
export interface ExportedJob {
  readonly id: string;
  /** Alias of the store it was in. */
  readonly jobStore: string;
  /** Task, arguments and metadata (as the serializer wrote them), trigger, policy, name, tags, owner. */
  readonly definition: JsonObject;
  /** Status and its reason, cursor (`nextFireTime`, `nextDueAt`), last and first fire time, counters. No runs. */
  readonly state: JsonObject;
}

/** @throws JobUnstorableError naming every job that cannot be exported. */
export function exportListed(
  listed: readonly ListedJob[],
  nextCursor: string | null,
  codec: JobCodec,
  exportedAt: Date,
): JobExport {
  const jobs: ExportedJob[] = [];
  const refused: string[] = [];
  for (const { alias, stored } of listed) {
    const { record } = stored;
    const { id, definition } = record;
    if (definition.fn !== null) {
      refused.push(`"${id}" runs a function that has no name here (${definition.task})`);
      continue;
    }
    try {
      const { runs: _live, ...state } = codec.encodeState({ ...record, state: { ...record.state, runs: [] } });
      jobs.push(plain({ id, jobStore: alias, definition: codec.encodeDefinition(record), state }));
    } catch (error) {
      refused.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (refused.length > 0) {
    throw new JobUnstorableError(
      `${refused.length} of ${listed.length} jobs cannot be exported: ${refused.join('; ')}. ` +
        'Give a function a name that the other side knows too: defineTask(name, fn), and add the job by it.',
    );
  }
  return { format: EXPORT_FORMAT, version: EXPORT_VERSION, exportedAt: exportedAt.toISOString(), jobs, nextCursor };
}

/** A copy, so that whoever changes it changes no live job. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

import { isDeepStrictEqual } from 'node:util';
import type { JobDefinition, JobRecord } from '../model/job.js';
import type { JobCodec } from '../ports/job-codec.js';

/** Not a field of its own: it belongs to the trigger, and is taken over from the job that is there. */
const LEFT_OUT: ReadonlySet<string> = new Set(['anchor']);

/** In which fields are named; others come last. */
const ORDER: readonly string[] = ['trigger', 'task', 'fn', 'taskVersion', 'args', 'policy', 'name', 'tags', 'metadata', 'owner'];

/**
 * The fields in which a job differs from a definition.
 *
 * @param codec - compares what a store would write; without one, values are compared deeply, and functions by identity.
 */
export function differingFields(record: JobRecord, wanted: JobDefinition, codec: JobCodec | undefined): string[] {
  const before = comparable(record, codec);
  const after = comparable({ ...record, definition: wanted }, codec);
  const fields = new Set<string>();
  for (const key of new Set([...ORDER, ...Object.keys(after), ...Object.keys(before)])) {
    if (LEFT_OUT.has(key) || isDeepStrictEqual(before[key], after[key])) continue;
    if (key === 'policy') for (const policy of differingKeys(before[key], after[key])) fields.add(`policy.${policy}`);
    else fields.add(key === 'fn' ? 'task' : key);
  }
  return [...fields];
}

function differingKeys(before: unknown, after: unknown): string[] {
  const [a, b] = [asObject(before), asObject(after)];
  return [...new Set([...Object.keys(b), ...Object.keys(a)])].filter((key) => !isDeepStrictEqual(a[key], b[key]));
}

function comparable(record: JobRecord, codec: JobCodec | undefined): Record<string, unknown> {
  const { definition } = record;
  if (codec !== undefined) {
    // A serializer that encrypts never writes the same twice: what is read again counts.
    const again = (value: unknown): unknown => codec.deserialize(codec.serialize(value));
    return { ...plain(codec.encodeDefinition(record)), args: again(definition.args), metadata: again(definition.metadata) };
  }
  return { ...definition, trigger: plain(definition.trigger.toJSON()) };
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** As a store gives it back: without what JSON leaves out. */
function plain(value: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
}

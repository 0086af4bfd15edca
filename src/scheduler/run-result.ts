import type { StoredResult } from '../model/ledger.js';
import type { JobCodec } from '../ports/job-codec.js';
import type { EpochMs } from '../ports/trigger.js';

/**
 * A task's return value as the ledger keeps it; `null` for none. A value that is too large or cannot be serialized fails
 * no run: the ledger says that it was left out.
 *
 * @param maxSize - in characters of the serialized form.
 */
export function toStoredResult(value: unknown, codec: JobCodec, maxSize: number, expiresAt: EpochMs): StoredResult | null {
  if (value === undefined || maxSize === 0) return null;
  // What is larger than that on its face is not worth the time it takes to find out exactly.
  if (leastSize(value) > maxSize) return { value: null, omitted: 'too-large', expiresAt };
  try {
    const serialized = codec.serialize(value);
    return serialized.data.length <= maxSize
      ? { value: serialized, omitted: null, expiresAt }
      : { value: null, omitted: 'too-large', expiresAt };
  } catch {
    return { value: null, omitted: 'unserializable', expiresAt };
  }
}

/** No serialized form is shorter than one character per element. */
function leastSize(value: unknown): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
  return value instanceof Map || value instanceof Set ? value.size : 0;
}

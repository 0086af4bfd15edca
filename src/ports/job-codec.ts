import type { JobRecord } from '../model/job.js';

/** The stored form of a record: plain JSON values, in the record's two parts. */
export interface EncodedJob {
  readonly id: string;
  readonly definition: JsonObject;
  readonly state: JsonObject;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Turns records into plain data and back. Never throws on what it reads: a definition it cannot make sense of
 * becomes a quarantined record that keeps the raw data and writes it back unchanged.
 */
export interface JobCodec {
  /** @throws when the record holds what cannot be stored (a function, a symbol, a cycle). */
  encode(record: JobRecord): EncodedJob;
  decode(encoded: EncodedJob): JobRecord;
}

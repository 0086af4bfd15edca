import type { JobDefinition, JobRecord } from '../model/job.js';
import type { SerializedValue } from '../model/ledger.js';

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
  /** @throws JobUnstorableError when the record holds what cannot be stored (a function, a symbol, an instance of a class). */
  encode(record: JobRecord): EncodedJob;
  /** One part of it, for a store that leaves an unchanged definition (the same object as before) unwritten. */
  encodeDefinition(record: JobRecord): JsonObject;
  encodeState(record: JobRecord): JsonObject;
  /** @param known - the definition, where the store has kept it from an earlier `decode` of the same stored definition. */
  decode(encoded: EncodedJob, known?: JobDefinition): JobRecord;
  /**
   * Whether a definition stands for a stored one that could not be read. A change to it would put what is made up in the
   * place of what is stored.
   */
  isUnreadable(definition: JobDefinition): boolean;
  /** @throws JobUnstorableError */
  serialize(value: unknown): SerializedValue;
  /** @throws JobUnstorableError when no serializer of that name is known here, or the data cannot be read. */
  deserialize(value: SerializedValue): unknown;
}

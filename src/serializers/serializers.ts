import { JobUnstorableError } from '../errors/job-errors.js';
import type { SerializedValue } from '../model/ledger.js';
import type { Serializer } from '../ports/serializer.js';
import { TaggedSerializer } from './tagged-serializer.js';

/** The serializer that writes, and every one that can read what others wrote. */
export class Serializers {
  readonly #writer: Serializer;
  readonly #readers = new Map<string, Serializer>();

  constructor(writer: Serializer = new TaggedSerializer()) {
    this.#writer = writer;
    const tagged = new TaggedSerializer();
    this.#readers.set(tagged.name, tagged);
    this.#readers.set(writer.name, writer);
  }

  /** Whether values are written by the default serializer. */
  get isDefault(): boolean {
    return this.#writer instanceof TaggedSerializer;
  }

  /** @throws what the serializer throws. */
  write(value: unknown): SerializedValue {
    const data: unknown = this.#writer.serialize(value);
    if (typeof data !== 'string') throw new TypeError(`the serializer "${this.#writer.name}" answered no text, but ${kindOf(data)}; it has to answer at once`);
    return { by: this.#writer.name, data };
  }

  /** @throws JobUnstorableError when the serializer is not known here, or cannot read it. */
  read({ by, data }: SerializedValue): unknown {
    const reader = this.#readers.get(by);
    if (reader === undefined) {
      throw new JobUnstorableError(`written by the serializer "${by}", which this scheduler does not have; it has ${[...this.#readers.keys()].join(', ')}`);
    }
    try {
      const value = reader.deserialize(data);
      if (kindOf(value) === 'a promise') throw new TypeError('it answered a promise, and has to answer at once');
      return value;
    } catch (error) {
      throw new JobUnstorableError(`the serializer "${by}" cannot read it: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function kindOf(value: unknown): string {
  const isPromise = typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
  return isPromise ? 'a promise' : `a value of type ${typeof value}`;
}

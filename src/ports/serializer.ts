/**
 * Turns arguments, metadata and return values into text and back, for stores that outlive the process. The default
 * keeps what JSON has no words for (Date, Map, Set, BigInt, undefined, typed arrays). Your own may encrypt.
 */
export interface Serializer {
  /** Stored beside what it wrote. What another serializer wrote is read by the one of that name. */
  readonly name: string;
  /** @throws when the value cannot be kept: it holds a function, a symbol, an instance of a class. */
  serialize(value: unknown): string;
  /** An equal value. @throws when the text cannot be read. */
  deserialize(data: string): unknown;
}

import { DevalueError, parse, stringify } from 'devalue';
import type { Serializer } from '../ports/serializer.js';

/**
 * The default: JSON with tags (the format of the library devalue), which keeps Date, Map, Set, BigInt, RegExp, URL,
 * undefined, NaN, -0, Buffer, typed arrays, and what is referred to twice or by itself. Functions, symbols and instances of other
 * classes are refused: a copy of them would not be what they were.
 */
export class TaggedSerializer implements Serializer {
  get name(): string {
    return 'devalue';
  }

  /** @throws TypeError naming the place of what cannot be kept. */
  serialize(value: unknown): string {
    if (Array.isArray(value) && value.length === 0) return NO_ARGS;
    try {
      return stringify(value, REDUCERS);
    } catch (error) {
      if (!(error instanceof DevalueError)) throw error;
      const place = error.path === '' ? '' : ` at ${error.path}`;
      throw new TypeError(`${nameOf(error.value)}${place}`, { cause: error });
    }
  }

  deserialize(data: string): unknown {
    if (data === NO_ARGS) return [];
    return parse(data, REVIVERS) as unknown;
  }
}

/** An empty list, which most jobs have for arguments. */
const NO_ARGS = '[[]]';

/** A Buffer is a Uint8Array to the library, and would come back as one. In a list, because what is empty counts as "not mine". */
const REDUCERS = { Buffer: (value: unknown) => Buffer.isBuffer(value) && [value.toString('base64')] };
const REVIVERS = { Buffer: ([text]: [string]) => Buffer.from(text, 'base64') };

function nameOf(value: unknown): string {
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function "${value.name}"`;
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`;
  const { constructor } = value;
  return typeof constructor === 'function' && constructor !== Object ? `an instance of ${constructor.name}` : 'an object with symbols for keys or an unusual prototype';
}

/** Between texts that are sent as one. JSON has none of these, and ids hardly ever. */
const SEPARATOR = '\x1f';

/**
 * Values of many rows as parameters of a statement, a column at a time. What is the same in all rows is sent once: runs
 * that begin or end together have most of it in common.
 */
export class Columns {
  readonly #alias: string;
  readonly #offset: number;
  readonly #names: string[] = [];
  readonly #lists: string[] = [];
  readonly values: unknown[] = [];

  /** @param offset - parameters of the statement that come before. */
  constructor(alias: string, offset = 0) {
    this.#alias = alias;
    this.#offset = offset;
  }

  /** How the statement names the value. A column that tells the rows apart has to be a list. */
  add(name: string, type: 'text' | 'int' | 'bigint' | 'float8', values: readonly (string | number | null)[], isList = false): string {
    const first = values[0];
    if (!isList && values.every((value) => value === first)) return `${this.#place(first)}::${type}`;
    const text = type === 'text' ? joined(values) : undefined;
    this.#lists.push(text === undefined ? `${this.#place(values)}::${type}[]` : `string_to_array(${this.#place(text)}, E'\\x1f')`);
    this.#names.push(name);
    return `${this.#alias}.${name}`;
  }

  /** The rows, with their places as `n`, from 1. */
  get rows(): string {
    return `unnest(${this.#lists.join(', ')}) WITH ORDINALITY AS ${this.#alias} (${this.#names.join(', ')}, n)`;
  }

  #place(value: unknown): string {
    return `$${this.#offset + this.values.push(value)}`;
  }
}

/** One text that the server takes apart sooner than an array; `undefined` where it would not come out as it was. */
function joined(values: readonly (string | number | null)[]): string | undefined {
  for (const value of values) if (typeof value !== 'string' || value === '' || value.includes(SEPARATOR)) return undefined;
  return values.join(SEPARATOR);
}

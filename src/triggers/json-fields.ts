import { InvalidTriggerError } from '../errors/errors.js';
import { inspectValue } from '../errors/base.js';
import type { TriggerJson } from '../ports/trigger.js';

/**
 * Reads the fields of a stored trigger, refusing any that has not the type it was written with.
 * What it answers is still checked by the trigger's constructor, as if a caller had given it.
 */
export class JsonFields {
  readonly #json: TriggerJson;

  constructor(json: TriggerJson) {
    this.#json = json;
  }

  get(field: string): unknown {
    return this.#json[field];
  }

  number(field: string): number {
    const value = this.#json[field];
    return typeof value === 'number' ? value : this.#refuse(field, 'a number');
  }

  optionalNumber(field: string): number | undefined {
    return this.#json[field] === undefined ? undefined : this.number(field);
  }

  string(field: string): string {
    const value = this.#json[field];
    return typeof value === 'string' ? value : this.#refuse(field, 'a string');
  }

  optionalString(field: string): string | undefined {
    return this.#json[field] === undefined ? undefined : this.string(field);
  }

  /** A list whose items the caller checks. */
  array(field: string): readonly unknown[] {
    const value = this.#json[field];
    return Array.isArray(value) ? value : this.#refuse(field, 'a list');
  }

  /** An object whose properties the caller checks. */
  object(field: string): Readonly<Record<string, unknown>> {
    const value = this.#json[field];
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : this.#refuse(field, 'an object');
  }

  #refuse(field: string, expected: string): never {
    throw new InvalidTriggerError(
      `Stored ${this.#json.kind} trigger: expected \`${field}\` to be ${expected}, got ${inspectValue(this.#json[field])}.`,
      this.#json,
    );
  }
}

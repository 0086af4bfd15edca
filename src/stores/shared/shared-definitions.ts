import type { JobDefinition } from '../../model/job.js';

/** A definition that was read, with its `v`. */
export interface ReadDefinition {
  readonly definition: JobDefinition;
  readonly version: unknown;
}

/** Texts kept, and how long one may be: jobs that share theirs are many, or it is not worth it. */
const MOST_TEXTS = 500;
const LONGEST_TEXT = 4_000;

/**
 * Definitions by the text they are stored as. Jobs that were added together often differ in nothing but the id, which is
 * no part of it; these are read once, and have one definition. Only of what nobody can change, since a change would be
 * all of theirs.
 */
export class SharedDefinitions {
  readonly #byText = new Map<string, ReadDefinition>();

  get(text: string): ReadDefinition | undefined {
    return text.length > LONGEST_TEXT ? undefined : this.#byText.get(text);
  }

  /** Remembers what a text was read as, if others may have it. */
  add(text: string, read: ReadDefinition): void {
    if (text.length > LONGEST_TEXT || !hasImmutableValues(read.definition) || read.definition.trigger.unreadable !== undefined) return;
    Object.freeze(read.definition.tags);
    if (this.#byText.size >= MOST_TEXTS) this.#byText.clear();
    this.#byText.set(text, read);
  }
}

/** Whether nobody can change its arguments and metadata. */
export function hasImmutableValues({ args, metadata }: JobDefinition): boolean {
  return metadata === null && args.every((value) => value === null || typeof value !== 'object');
}

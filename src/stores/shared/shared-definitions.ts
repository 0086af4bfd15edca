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
export class SharedDefinitions<R = number> {
  readonly #byText = new Map<string, ReadDefinition>();
  readonly #byRevision = new Map<R, ReadDefinition>();

  get(text: string): ReadDefinition | undefined {
    return text.length > LONGEST_TEXT ? undefined : this.#byText.get(text);
  }

  /** The definition that was written at a revision, where one revision stands for one text: it need not be read then. */
  at(revision: R): ReadDefinition | undefined {
    return this.#byRevision.get(revision);
  }

  /** Remembers what a text was read as, if others may have it, and the revision at which it was written. */
  add(text: string, read: ReadDefinition, revision?: R): void {
    if (text.length > LONGEST_TEXT || !hasImmutableValues(read.definition) || read.definition.trigger.unreadable !== undefined) return;
    Object.freeze(read.definition.tags);
    remember(this.#byText, text, read);
    if (revision !== undefined) remember(this.#byRevision, revision, read);
  }
}

function remember<K>(map: Map<K, ReadDefinition>, key: K, read: ReadDefinition): void {
  if (map.size >= MOST_TEXTS) map.clear();
  map.set(key, read);
}

/** Whether nobody can change its arguments and metadata. */
export function hasImmutableValues({ args, metadata }: JobDefinition): boolean {
  return metadata === null && args.every((value) => value === null || typeof value !== 'object');
}

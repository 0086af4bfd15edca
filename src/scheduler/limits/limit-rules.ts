import type { LimitSpec } from './limit-options.js';

/** What a limit is about. */
export type LimitSubject = 'task' | 'tag';

/** Which limits a scheduler has. They may change while it runs. */
export class LimitRules {
  readonly #tasks = new Map<string, LimitSpec>();
  readonly #tags = new Map<string, LimitSpec>();
  /** Those of `#tags` that stand for each tag that begins so. The longest first: it is the most exact. */
  #prefixes: { readonly prefix: string; readonly spec: LimitSpec }[] = [];
  /** Counts changes. */
  #version = 0;

  constructor(tasks: ReadonlyMap<string, LimitSpec>, tags: ReadonlyMap<string, LimitSpec>) {
    for (const [name, spec] of tasks) this.#tasks.set(name, spec);
    for (const [name, spec] of tags) this.#tags.set(name, spec);
    this.#changed();
  }

  /** Whether there is no limit at all. */
  get isEmpty(): boolean {
    return this.#tasks.size === 0 && this.#tags.size === 0;
  }

  get hasTags(): boolean {
    return this.#tags.size > 0;
  }

  /** Names of the tasks that have a limit. */
  get tasks(): ReadonlyMap<string, LimitSpec> {
    return this.#tasks;
  }

  ofTask(name: string): LimitSpec | undefined {
    return this.#tasks.get(name);
  }

  ofTag(tag: string): LimitSpec | undefined {
    return this.#tags.get(tag) ?? this.#prefixes.find(({ prefix }) => tag.startsWith(prefix))?.spec;
  }

  /** `undefined` takes the limit away. */
  set(subject: LimitSubject, name: string, spec: LimitSpec | undefined): void {
    const specs = subject === 'task' ? this.#tasks : this.#tags;
    if (spec === undefined && !specs.has(name)) return;
    if (spec === undefined) specs.delete(name);
    else specs.set(name, spec);
    this.#changed();
  }

  get version(): number {
    return this.#version;
  }

  #changed(): void {
    this.#version += 1;
    this.#prefixes = [...this.#tags]
      .flatMap(([name, spec]) => (name.endsWith('*') ? [{ prefix: name.slice(0, -1), spec }] : []))
      .sort((a, b) => b.prefix.length - a.prefix.length);
  }
}
